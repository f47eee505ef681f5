package org.lanewise.encoder.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.AttentionPattern;
import org.lanewise.encoder.backend.BFloat16;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.BatchTokens;
import org.lanewise.encoder.backend.DeviceException;
import org.lanewise.encoder.backend.EmbeddingTables;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.NormKind;
import org.lanewise.encoder.backend.NormWeight;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.backend.PositionBias;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.backend.RecurrentTensors;
import org.lanewise.encoder.backend.RecurrentWeight;
import org.lanewise.encoder.backend.RotaryTable;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/**
 * The operations on an NVIDIA GPU.
 *
 * <p>With bf16, states are kept and multiplied in it, and sums, norms and what follows the pooling
 * are fp32; with fp32, plain kernels compute everything in it. Operations return when they are
 * launched: what a thread asks for happens in that order, on a lane of its own, and reading waits
 * for it. A thread may use what another made when that one has read something since.
 */
public final class CudaBackend implements Backend {
  /** Products with fewer tokens leave most of a device idle; with more they are no faster. */
  private static final BatchTokens BATCH_TOKENS = new BatchTokens(8192, 32768);

  private static final List<String> FILES = List.of("attention", "rows", "recurrence");

  /** Rows of a matrix begin where tensor cores can read them, and so do its parts. */
  private static final int COLUMN_BLOCK = 32;

  private static final int WARP = 32;
  private static final int ROW_WARPS = 4;
  private static final int ELEMENT_THREADS = 128;
  private static final int POOL_THREADS = 128;

  /** Numbers that are read at once, 16 bytes of bf16. */
  static final int EIGHT = 8;

  private static final int VECTOR_BYTES = 16;

  private final CudaDevice device;
  private final Precision precision;
  private final ThreadLocal<Lane> lanes;
  private final CudaProducts products;

  /**
   * The directions of a recurrent layer.
   *
   * @param weight (directions, hiddenSize, gates * hiddenSize)
   * @param bias (directions, gates * hiddenSize)
   * @param peepholes (directions, 3, hiddenSize)
   */
  private record Recurrence(
      RecurrentCell cell,
      int hiddenSize,
      int directions,
      MemorySegment weight,
      MemorySegment bias,
      MemorySegment peepholes)
      implements RecurrentWeight {}

  /** Creates a backend that multiplies by our own kernels alone. */
  CudaBackend(CudaDevice device, Precision precision) {
    this(device, precision, Optional.empty());
  }

  /**
   * Creates a backend.
   *
   * @param choices of the way in which bf16 is multiplied
   */
  CudaBackend(CudaDevice device, Precision precision, Optional<ProductChoices> choices) {
    if (precision == Precision.INT8) {
      throw new IllegalArgumentException(
          "backend [cuda] has no precision [int8]; available: bf16, fp32");
    }
    this.device = device;
    this.precision = precision;
    lanes = ThreadLocal.withInitial(() -> new Lane(device));
    device.enter();
    FILES.forEach(device::load);
    products = new CudaProducts(device, precision, choices);
  }

  /**
   * Returns a backend on the device of that number.
   *
   * @param memoryLimit most bytes that are taken of the device's memory
   * @throws IllegalArgumentException if it cannot start, with the reason
   */
  public static CudaBackend open(int device, Precision precision, long memoryLimit) {
    return open(
        CudaDriver.load(), device, precision, memoryLimit, Optional.of(ProductChoices.of(device)));
  }

  static CudaBackend open(
      CudaDriver driver,
      int device,
      Precision precision,
      long memoryLimit,
      Optional<ProductChoices> choices) {
    try {
      return new CudaBackend(CudaDevice.open(driver, device, memoryLimit), precision, choices);
    } catch (DeviceException e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }

  @Override
  public String name() {
    return "cuda";
  }

  @Override
  public Precision precision() {
    return precision;
  }

  @Override
  public String kernels() {
    return precision == Precision.BF16 ? "tensor_cores_bf16" : "cuda_fp32";
  }

  @Override
  public String kernelsReason() {
    return String.format(
            Locale.ROOT,
            "the device is %s (%s, %d multiprocessors)",
            device.name(),
            device.architecture(),
            device.multiprocessors())
        + products.text().map(each -> "; " + each).orElse("");
  }

  @Override
  public BatchTokens batchTokens() {
    return BATCH_TOKENS;
  }

  @Override
  public boolean computesElsewhere() {
    return true;
  }

  /** Returns whether cuBLASLt can be used. */
  boolean hasLibrary() {
    return products.hasLibrary();
  }

  /** Returns the calling thread's lane on the device. */
  private Lane lane() {
    device.enter();
    return lanes.get();
  }

  @Override
  public Matrix allocate(Arena arena, int rows, int columns) {
    return allocate(arena, rows, columns, Precision.FP32);
  }

  @Override
  public Matrix allocateState(Arena arena, int rows, int columns) {
    return allocate(arena, rows, columns, precision);
  }

  private Matrix allocate(Arena arena, int rows, int columns, Precision format) {
    return allocate(device, lane(), arena, rows, columns, format);
  }

  static Matrix allocate(
      CudaDevice device, Lane lane, Arena arena, int rows, int columns, Precision format) {
    int stride = roundUp(columns, COLUMN_BLOCK);
    long bytes = (long) rows * stride * format.bytes();
    MemorySegment data = device.memory().allocate(lane, arena, bytes);
    return new Matrix(data, rows, columns, stride, format);
  }

  static int roundUp(int n, int multiple) {
    return Math.ceilDiv(n, multiple) * multiple;
  }

  @Override
  public EmbeddingTables prepareEmbeddings(Arena arena, EmbeddingTables tables) {
    Lane lane = lane();
    EmbeddingTables prepared =
        new EmbeddingTables(
            onDevice(lane, arena, tables.words()),
            tables.scale(),
            tables.positions().map(each -> onDevice(lane, arena, each)),
            tables.types().map(each -> onDevice(lane, arena, each)));
    lane.synchronize();
    return prepared;
  }

  private Tensor onDevice(Lane lane, Arena arena, Tensor tensor) {
    return new Tensor(
        tensor.name(), tensor.type(), tensor.shape(), onDevice(lane, arena, tensor.data()));
  }

  private MemorySegment onDevice(Lane lane, Arena arena, MemorySegment host) {
    MemorySegment copy = device.memory().allocate(lane, arena, host.byteSize());
    lane.copyIn(copy.address(), host);
    return copy;
  }

  private MemorySegment onDevice(Lane lane, Arena arena, float[] numbers) {
    return onDevice(lane, arena, MemorySegment.ofArray(numbers));
  }

  @Override
  public LinearWeight prepareLinear(Arena arena, List<Tensor> weights, List<Tensor> biases) {
    int inputSize = Math.toIntExact(weights.getFirst().shape()[1]);
    int outputSize = weights.stream().mapToInt(each -> Math.toIntExact(each.shape()[0])).sum();
    int stride = products.weightStride(inputSize);
    int paddedRows = products.weightRows(outputSize);
    Lane lane = lane();
    MemorySegment rows =
        device.memory().allocate(lane, arena, (long) paddedRows * stride * precision.bytes());
    long at = rows.address();
    for (Tensor weight : weights) {
      for (long row = 0; row < weight.shape()[0]; row++) {
        float[] numbers = weight.row(row);
        lane.copyIn(at, segment(numbers, precision));
        at += (long) stride * precision.bytes();
      }
    }
    float[] bias = new float[paddedRows];
    int filled = 0;
    for (Tensor tensor : biases) {
      for (long i = 0; i < tensor.elements(); i++) {
        bias[filled++] = tensor.get(i);
      }
    }
    MemorySegment biasOnDevice = onDevice(lane, arena, bias);
    MemorySegment roundedBias = onDevice(lane, arena, segment(bias, Precision.BF16));
    lane.synchronize();
    return new CudaProducts.Weight(rows, stride, biasOnDevice, roundedBias, inputSize, outputSize);
  }

  /** Returns the numbers in the format, in host memory. */
  private static MemorySegment segment(float[] numbers, Precision format) {
    if (format == Precision.FP32) {
      return MemorySegment.ofArray(numbers);
    }
    short[] halves = new short[numbers.length];
    for (int i = 0; i < halves.length; i++) {
      halves[i] = (short) BFloat16.bits(numbers[i]);
    }
    return MemorySegment.ofArray(halves);
  }

  @Override
  public NormWeight prepareNorm(
      Arena arena, NormKind kind, Tensor weight, Optional<Tensor> bias, float epsilon) {
    int size = Math.toIntExact(weight.elements());
    float base = kind == NormKind.ROOT_MEAN_SQUARE_FROM_ONE ? 1 : 0;
    float[] weights = new float[size];
    float[] biases = new float[size];
    for (int i = 0; i < size; i++) {
      weights[i] = base + weight.get(i);
      biases[i] = bias.isPresent() ? bias.get().get(i) : 0;
    }
    Lane lane = lane();
    NormWeight norm =
        new NormWeight(
            kind == NormKind.LAYER,
            onDevice(lane, arena, weights),
            onDevice(lane, arena, biases),
            size,
            epsilon);
    lane.synchronize();
    return norm;
  }

  @Override
  public RecurrentWeight prepareRecurrent(
      Arena arena, RecurrentCell cell, List<RecurrentTensors> directions) {
    int size = Math.toIntExact(directions.getFirst().weights().getFirst().shape()[1]);
    int width = cell.gates() * size;
    float[] weight = new float[Math.multiplyExact(directions.size(), width * size)];
    float[] bias = new float[directions.size() * width];
    float[] peepholes = new float[directions.size() * 3 * size];
    for (int direction = 0; direction < directions.size(); direction++) {
      RecurrentTensors tensors = directions.get(direction);
      int first = direction * width * size;
      int row = 0;
      for (Tensor tensor : tensors.weights()) {
        for (long i = 0; i < tensor.shape()[0]; i++, row++) {
          float[] numbers = tensor.row(i);
          for (int k = 0; k < size; k++) {
            weight[first + k * width + row] =
                precision == Precision.BF16 ? BFloat16.round(numbers[k]) : numbers[k];
          }
        }
      }
      copy(tensors.biases(), bias, direction * width);
      copy(tensors.peepholes(), peepholes, direction * 3 * size);
    }
    Lane lane = lane();
    Recurrence prepared =
        new Recurrence(
            cell,
            size,
            directions.size(),
            onDevice(lane, arena, weight),
            onDevice(lane, arena, bias),
            onDevice(lane, arena, peepholes));
    lane.synchronize();
    return prepared;
  }

  private static void copy(List<Tensor> tensors, float[] numbers, int from) {
    int at = from;
    for (Tensor tensor : tensors) {
      for (long i = 0; i < tensor.elements(); i++) {
        numbers[at++] = tensor.get(i);
      }
    }
  }

  @Override
  public void embed(
      PackedBatch batch, EmbeddingTables tables, Optional<NormWeight> norm, Matrix hidden) {
    if (!device.memory().owns(tables.words().data().address())) {
      throw new IllegalArgumentException(
          "the embeddings [" + tables.words().name() + "] were not prepared by this backend");
    }
    Lane lane = lane();
    BatchOnDevice read = lane.batch().hold(batch);
    boolean wide = norm.isPresent() && wide(tables.size(), hidden);
    Lane.Launch launch =
        lane.kernel("rows", (wide ? "embed_" + wideName(tables.size()) : "embed_") + suffix(hidden))
            .pointer(read.ids())
            .pointer(read.typeIds())
            .pointer(read.positions())
            .pointer(tables.words().data())
            .integer(format(tables.words()))
            .real(tables.scale());
    addTable(launch, tables.positions());
    addTable(launch, tables.types());
    addNorm(launch, norm);
    launch
        .matrix(hidden)
        .integer(batch.tokens())
        .integer(tables.size())
        .run(Math.ceilDiv(batch.tokens(), ROW_WARPS), 1, ROW_WARPS * WARP, 0);
  }

  private static void addTable(Lane.Launch launch, Optional<Tensor> table) {
    launch.pointer(table.map(each -> each.data().address()).orElse(0L));
    launch.integer(table.map(CudaBackend::format).orElse(0));
  }

  private static void addNorm(Lane.Launch launch, Optional<NormWeight> norm) {
    launch.pointer(norm.map(each -> each.weight().address()).orElse(0L));
    launch.pointer(norm.map(each -> each.bias().address()).orElse(0L));
    launch.integer(norm.isPresent() && norm.get().centered() ? 1 : 0);
    launch.real(norm.map(NormWeight::epsilon).orElse(0f));
  }

  private static int format(Tensor table) {
    return switch (table.type()) {
      case F32 -> 0;
      case F16 -> 1;
      case BF16 -> 2;
      case I64, I32, U8 ->
          throw new IllegalStateException(
              "weight ["
                  + table.name()
                  + "] has type "
                  + table.type()
                  + ", expected "
                  + List.of(DataType.F32, DataType.F16, DataType.BF16));
    };
  }

  /** Returns the end of the names of kernels for the format of a matrix. */
  static String suffix(Matrix matrix) {
    return matrix.format().label();
  }

  /** Returns whether kernels that read 16 bytes at once can take the matrices. */
  static boolean aligned(Matrix... matrices) {
    for (Matrix matrix : matrices) {
      if (matrix.data().address() % VECTOR_BYTES != 0 || matrix.stride() % EIGHT != 0) {
        return false;
      }
    }
    return true;
  }

  private static final int WIDEST = 1024;

  /** Returns whether rows of the size in the matrices can be read 16 bytes at a time. */
  static boolean readsEight(int size, Matrix... matrices) {
    return matrices[0].format() == Precision.BF16 && size % EIGHT == 0 && aligned(matrices);
  }

  /** Returns whether the wide norms can take rows of the size in the matrices. */
  private static boolean wide(int size, Matrix... matrices) {
    return size <= WIDEST && readsEight(size, matrices);
  }

  private static String wideName(int size) {
    return "wide_" + (size <= 256 ? 256 : size <= 512 ? 512 : WIDEST) + "_";
  }

  /** What is added, and what changes in place, is of one format. */
  private static void requireOneFormat(Matrix first, Matrix second) {
    if (first.format() != second.format()) {
      throw new IllegalArgumentException(
          "matrices are in ["
              + first.format().label()
              + "] and ["
              + second.format().label()
              + "], expected one format");
    }
  }

  @Override
  public void linear(Matrix input, LinearWeight weight, Activation activation, Matrix output) {
    CudaProducts.Weight rows = (CudaProducts.Weight) weight;
    assert input.columns() == rows.inputSize() && output.columns() == rows.outputSize();
    products.multiply(lane(), input, rows, activation, output);
  }

  /** As {@link #linear} in bf16, in tiles of a kind, for tests and measurements. */
  void multiply(
      ProductTile tile, Matrix input, LinearWeight weight, Activation activation, Matrix output) {
    CudaProducts.multiply(tile, lane(), input, (CudaProducts.Weight) weight, activation, output);
  }

  /** As {@link #linear} in bf16, in one way, for tests and measurements. */
  void multiply(
      ProductChoices.Way way,
      Matrix input,
      LinearWeight weight,
      Activation activation,
      Matrix output) {
    products.multiply(way, lane(), input, (CudaProducts.Weight) weight, activation, output);
  }

  /**
   * Launches a block of threads for each row and part of it.
   *
   * @param columns numbers of a row, or as many as are not read together
   */
  static void elements(Lane.Launch launch, int rows, int columns) {
    launch.run(rows, Math.ceilDiv(columns, ELEMENT_THREADS), ELEMENT_THREADS, 0);
  }

  @Override
  public void gate(Matrix input, Activation activation, Matrix output) {
    int half = output.columns();
    assert input.columns() == 2 * half;
    requireOneFormat(input, output);
    boolean wide = readsEight(half, input, output);
    elements(
        lane()
            .kernel("rows", (wide ? "gate_wide_" : "gate_") + suffix(input))
            .matrix(input)
            .integer(code(activation))
            .matrix(output)
            .integer(half),
        input.rows(),
        wide ? half / EIGHT : half);
  }

  @Override
  public void addNorm(Matrix input, Matrix residual, NormWeight norm, Matrix output) {
    requireOneFormat(input, residual);
    norm(input, Optional.of(residual), norm, output, 1);
  }

  @Override
  public void norm(Matrix input, NormWeight norm, Matrix output) {
    assert input.columns() % norm.size() == 0 && output.columns() == input.columns();
    norm(input, Optional.empty(), norm, output, input.columns() / norm.size());
  }

  private void norm(
      Matrix input, Optional<Matrix> residual, NormWeight norm, Matrix output, int groups) {
    requireOneFormat(input, output);
    boolean wide = wide(norm.size(), input, residual.orElse(input), output);
    Lane.Launch launch =
        lane()
            .kernel("rows", (wide ? "norm_" + wideName(norm.size()) : "norm_") + suffix(input))
            .matrix(input)
            .pointer(residual.map(each -> each.data().address()).orElse(0L))
            .integer(residual.map(Matrix::stride).orElse(0));
    addNorm(launch, Optional.of(norm));
    launch
        .matrix(output)
        .integer(input.rows())
        .integer(groups)
        .integer(norm.size())
        .run(Math.ceilDiv((long) input.rows() * groups, ROW_WARPS), 1, ROW_WARPS * WARP, 0);
  }

  @Override
  public void add(Matrix input, Matrix output) {
    requireOneFormat(input, output);
    int columns = input.columns();
    boolean wide = readsEight(columns, input, output);
    elements(
        lane()
            .kernel("rows", (wide ? "add_wide_" : "add_") + suffix(input))
            .matrix(input)
            .matrix(output)
            .integer(columns),
        input.rows(),
        wide ? columns / EIGHT : columns);
  }

  @Override
  public void rotate(
      Matrix queryKeyValue, PackedBatch batch, int heads, int headSize, RotaryTable table) {
    int pairs = table.pairs();
    boolean wide =
        pairs % EIGHT == 0 && readsEight(headSize, queryKeyValue) && aligned(table.cosines());
    Lane lane = lane();
    elements(
        lane.kernel("rows", (wide ? "rotate_wide_" : "rotate_") + suffix(queryKeyValue))
            .matrix(queryKeyValue)
            .pointer(lane.batch().hold(batch).positions())
            .integer(heads)
            .integer(headSize)
            .pointer(table.cosines().data())
            .pointer(table.sines().data())
            .integer(table.cosines().stride())
            .integer(pairs),
        queryKeyValue.rows(),
        heads * (wide ? pairs / EIGHT : pairs));
  }

  @Override
  public void attention(
      Matrix queryKeyValue, PackedBatch batch, AttentionPattern pattern, Matrix context) {
    assert queryKeyValue.columns() == pattern.queryKeyValueSize();
    assert context.columns() == pattern.contextSize();
    requireOneFormat(queryKeyValue, context);
    Lane lane = lane();
    BatchOnDevice read = lane.batch().hold(batch);
    boolean tiled =
        queryKeyValue.format() == Precision.BF16
            && pattern.headSize() % EIGHT == 0
            && pattern.headSize() <= AttentionTile.LARGEST
            && !(pattern.bias() instanceof PositionBias.Disentangled)
            && aligned(queryKeyValue, context);
    if (tiled) {
      AttentionTile tile = AttentionTile.of(pattern.headSize());
      pattern(
              lane.kernel("attention", tile.kernel()).matrix(queryKeyValue).pointer(read.tiles()),
              pattern)
          .matrix(context)
          .run(read.tileCount(), pattern.heads(), AttentionTile.THREADS, tile.sharedBytes());
      return;
    }
    Lane.Launch launch =
        lane.kernel("attention", "attention_plain_" + suffix(queryKeyValue))
            .matrix(queryKeyValue)
            .pointer(read.sequenceOf())
            .pointer(read.sequenceStarts())
            .integer(batch.tokens());
    pattern(launch, pattern);
    distances(launch, lane, pattern.bias());
    launch
        .matrix(context)
        .run(
            Math.ceilDiv(batch.tokens(), ROW_WARPS),
            pattern.heads(),
            ROW_WARPS * WARP,
            ROW_WARPS * 2 * pattern.headSize() * Float.BYTES);
  }

  private static Lane.Launch pattern(Lane.Launch launch, AttentionPattern pattern) {
    launch
        .integer(pattern.heads())
        .integer(pattern.keyValueHeads())
        .integer(pattern.headSize())
        .real(pattern.scale())
        .integer(pattern.behind())
        .integer(pattern.ahead());
    return switch (pattern.bias()) {
      case PositionBias.None() -> launch.pointer(0).integer(0).integer(0);
      case PositionBias.ByDistance bias -> launch.matrix(bias.table()).integer(bias.reach());
      case PositionBias.Disentangled bias -> launch.pointer(0).integer(0).integer(bias.reach());
    };
  }

  private static void distances(Lane.Launch launch, Lane lane, PositionBias bias) {
    if (bias instanceof PositionBias.Disentangled distances) {
      Matrix keys = distances.distanceKeys();
      Matrix queries = distances.distanceQueries();
      launch
          .pointer(distances.hasKeys() ? keys.data().address() : 0)
          .integer(keys.stride())
          .pointer(distances.hasQueries() ? queries.data().address() : 0)
          .integer(queries.stride())
          .pointer(lane.integers(distances.rows()));
      return;
    }
    launch.pointer(0).integer(0).pointer(0).integer(0).pointer(0);
  }

  @Override
  public void neighbours(Matrix input, PackedBatch batch, int width, Matrix output) {
    requireOneFormat(input, output);
    Lane lane = lane();
    BatchOnDevice read = lane.batch().hold(batch);
    elements(
        lane.kernel("rows", "neighbours_" + suffix(input))
            .matrix(input)
            .pointer(read.sequenceOf())
            .pointer(read.sequenceStarts())
            .integer(width)
            .matrix(output)
            .integer(input.columns()),
        batch.tokens(),
        width * input.columns());
  }

  @Override
  public void recur(
      Matrix projected, int[] sequenceStarts, RecurrentWeight weight, Matrix state, Matrix output) {
    Recurrence layer = (Recurrence) weight;
    int size = layer.hiddenSize();
    int gates = layer.cell().gates();
    Lane lane = lane();
    lane.kernel("recurrence", "recur")
        .matrix(projected)
        .pointer(lane.integers(sequenceStarts))
        .integer(code(layer.cell()))
        .integer(gates)
        .pointer(layer.weight())
        .pointer(layer.bias())
        .pointer(layer.peepholes())
        .matrix(state)
        .matrix(output)
        .integer(size)
        .run(sequenceStarts.length - 1, layer.directions(), 256, (gates + 2) * size * Float.BYTES);
  }

  @Override
  public void pool(Matrix hidden, PackedBatch batch, PoolingMode mode, Matrix vectors, int column) {
    if (vectors.format() != Precision.FP32) {
      throw new IllegalArgumentException("vectors are in [bf16], expected [fp32]");
    }
    Lane lane = lane();
    BatchOnDevice read = lane.batch().hold(batch);
    lane.kernel("rows", "pool_" + suffix(hidden))
        .matrix(hidden)
        .pointer(read.pooledStarts())
        .pointer(read.sequenceStarts())
        .integer(code(mode))
        .matrix(vectors)
        .integer(column)
        .integer(hidden.columns())
        .run(batch.sequences(), Math.ceilDiv(hidden.columns(), POOL_THREADS), POOL_THREADS, 0);
  }

  @Override
  public void normalize(Matrix vectors) {
    lane()
        .kernel("rows", "normalize_" + suffix(vectors))
        .matrix(vectors)
        .integer(vectors.rows())
        .integer(vectors.columns())
        .run(Math.ceilDiv(vectors.rows(), ROW_WARPS), 1, ROW_WARPS * WARP, 0);
  }

  @Override
  public void write(float[] numbers, Matrix matrix, int row, int column) {
    assert row < matrix.rows() && column + numbers.length <= matrix.columns();
    long at = matrix.rowOffset(row) + (long) column * matrix.format().bytes();
    lane().copyIn(matrix.data().address() + at, segment(numbers, matrix.format()));
  }

  @Override
  public float[] read(Matrix matrix, int row, int columns) {
    return read(matrix.rows(row, 1), columns)[0];
  }

  @Override
  public float[][] read(Matrix matrix, int columns) {
    return read(lane(), matrix, columns);
  }

  static float[][] read(Lane lane, Matrix matrix, int columns) {
    float[][] answer = new float[matrix.rows()][columns];
    long rowBytes = matrix.rowOffset(1);
    int atOnce = (int) Math.max(1, Lane.mostOut() / Math.max(1, rowBytes));
    for (int first = 0; first < answer.length; first += atOnce) {
      int count = Math.min(atOnce, answer.length - first);
      // The last row ends with its numbers: there may be nothing behind them.
      long bytes = (count - 1) * rowBytes + (long) columns * matrix.format().bytes();
      MemorySegment copy = lane.copyOut(matrix.data().address() + matrix.rowOffset(first), bytes);
      for (int i = 0; i < count; i++) {
        copyRow(copy.asSlice(i * rowBytes), matrix.format(), answer[first + i]);
      }
    }
    return answer;
  }

  private static void copyRow(MemorySegment row, Precision format, float[] numbers) {
    if (format == Precision.FP32) {
      MemorySegment.copy(row, ValueLayout.JAVA_FLOAT, 0, numbers, 0, numbers.length);
      return;
    }
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = Float.intBitsToFloat(row.get(ValueLayout.JAVA_SHORT, 2L * i) << 16);
    }
  }

  /** Returns the number that device.cuh gives the activation. */
  static int code(Activation activation) {
    return switch (activation) {
      case IDENTITY -> 0;
      case GELU -> 1;
      case GELU_TANH -> 2;
      case RELU -> 3;
      case SILU -> 4;
      case TANH -> 5;
      case SIGMOID -> 6;
    };
  }

  /** Returns the number that rows.cu gives the pooling. */
  private static int code(PoolingMode mode) {
    return switch (mode) {
      case CLS -> 0;
      case MEAN -> 1;
      case MAX -> 2;
      case MEAN_SQRT_LENGTH -> 3;
      case WEIGHTED_MEAN -> 4;
      case LAST_TOKEN -> 5;
    };
  }

  /** Returns the number that recurrence.cu gives the cell. */
  private static int code(RecurrentCell cell) {
    return switch (cell) {
      case RNN_TANH -> 0;
      case RNN_RELU -> 1;
      case LSTM -> 2;
      case LSTM_PEEPHOLE -> 3;
      case GRU -> 4;
    };
  }
}
