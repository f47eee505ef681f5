package org.lanewise.encoder.backend;

import static org.lanewise.encoder.backend.ProductKernels.BYTES;
import static org.lanewise.encoder.backend.ProductKernels.PANEL;
import static org.lanewise.encoder.backend.ProductKernels.PANEL_BYTES;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/**
 * The operations on the Vector API, right at 128, 256 and 512 bits.
 *
 * <p>Weights are packed once into panels ({@link ProductKernels}); activations are row-major and
 * the rows of a product's left side are packed as it goes. {@code -Dlanewise.vector.bits} forces a
 * vector size, for tests and comparisons.
 */
public final class VectorBackend implements Backend {
  static final VectorSpecies<Float> FLOATS = species();

  /** As many shorts as there are floats in a vector. */
  private static final VectorSpecies<Short> SHORTS =
      VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));

  private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;

  /** Packed left side of one task: what leaves room for a panel in a 1 MB L2 cache. */
  private static final int LEFT_BYTES = 384 << 10;

  /** Rows of one task of the operations that only stream through memory. */
  private static final int STREAM_ROWS = 64;

  /**
   * Calls after which the JIT's second compiler has taken every kernel: it asks for 600 of each.
   */
  private static final int WARM_UP_ROUNDS = 400;

  private final Precision precision;
  private final Workers workers;
  private final ScalarBackend scalar = new ScalarBackend(Precision.FP32);
  private final ScratchPool scratches = new ScratchPool();

  /**
   * Creates a backend that keeps weights in the precision and shares its loops among the workers.
   */
  public VectorBackend(Precision precision, Workers workers) {
    if (precision == Precision.INT8) {
      throw new IllegalArgumentException(
          "precision [int8] is not available on backend [vector]; available: fp32, bf16");
    }
    this.precision = precision;
    this.workers = workers;
  }

  private static VectorSpecies<Float> species() {
    Integer bits = Integer.getInteger("lanewise.vector.bits");
    if (bits == null) {
      return FloatVector.SPECIES_PREFERRED;
    }
    return switch (bits) {
      case 128 -> FloatVector.SPECIES_128;
      case 256 -> FloatVector.SPECIES_256;
      case 512 -> FloatVector.SPECIES_512;
      default ->
          throw new IllegalArgumentException(
              "lanewise.vector.bits is [" + bits + "], expected 128, 256 or 512");
    };
  }

  /** A weight as panels of columns; see {@link ProductKernels}. */
  private record PanelWeight(
      MemorySegment panels,
      MemorySegment bias,
      int inputSize,
      int outputSize,
      boolean bf16,
      long panelBytes)
      implements LinearWeight {
    int panelCount() {
      return Math.ceilDiv(outputSize, PANEL);
    }
  }

  @Override
  public String name() {
    return "vector";
  }

  @Override
  public Precision precision() {
    return precision;
  }

  /** Returns the bits of the vectors that run. */
  public static int vectorBits() {
    return FLOATS.vectorBitSize();
  }

  @Override
  public Matrix allocate(Arena arena, int rows, int columns) {
    return Matrix.allocate(arena, rows, columns);
  }

  @Override
  public LinearWeight prepareLinear(Arena arena, List<Tensor> weights, List<Tensor> biases) {
    int inputSize = Math.toIntExact(weights.getFirst().shape()[1]);
    int outputSize = 0;
    for (Tensor weight : weights) {
      outputSize += Math.toIntExact(weight.shape()[0]);
    }
    boolean bf16 = precision == Precision.BF16;
    int panels = Math.ceilDiv(outputSize, PANEL);
    long panelBytes = (bf16 ? BYTES : PANEL_BYTES) * inputSize;
    MemorySegment packed = arena.allocate(panels * panelBytes, 64);
    MemorySegment bias = arena.allocate((long) panels * PANEL * Float.BYTES, 64);
    int column = 0;
    for (Tensor weight : weights) {
      for (int row = 0; row < weight.shape()[0]; row++, column++) {
        packColumn(weight, row, inputSize, packed, column, panelBytes, bf16);
      }
    }
    long at = 0;
    for (Tensor tensor : biases) {
      for (long i = 0; i < tensor.elements(); i++) {
        bias.setAtIndex(FLOAT, at++, tensor.get(i));
      }
    }
    return new PanelWeight(packed, bias, inputSize, outputSize, bf16, panelBytes);
  }

  /** Writes a row of the weight to a column of the panels. */
  static void packColumn(
      Tensor weight,
      int row,
      int depth,
      MemorySegment packed,
      int column,
      long panelBytes,
      boolean bf16) {
    int lanes = FLOATS.length();
    int within = column % PANEL;
    long at = column / PANEL * panelBytes;
    long from = (long) row * depth;
    for (int k = 0; k < depth; k++) {
      float value = weight.get(from + k);
      if (bf16) {
        long pair = at + k * BYTES + (within % lanes) * 4L;
        int shift = within < lanes ? 0 : 16;
        packed.set(INT, pair, packed.get(INT, pair) | BFloat16.bits(value) << shift);
      } else {
        packed.set(FLOAT, at + k * PANEL_BYTES + within * 4L, value);
      }
    }
  }

  @Override
  public NormWeight prepareNorm(Arena arena, Tensor weight, Tensor bias, float epsilon) {
    return scalar.prepareNorm(arena, weight, bias, epsilon);
  }

  @Override
  public RecurrentWeight prepareRecurrent(
      Arena arena, RecurrentCell cell, List<RecurrentTensors> directions) {
    return VectorRecurrence.prepare(arena, precision == Precision.BF16, cell, directions);
  }

  @Override
  public void linear(Matrix input, LinearWeight weight, Activation activation, Matrix output) {
    PanelWeight panels = (PanelWeight) weight;
    assert input.columns() == panels.inputSize() && output.columns() == panels.outputSize();
    int rows = input.rows();
    int chunkRows = chunkRows(rows, panels.inputSize());
    int chunks = Math.ceilDiv(rows, chunkRows);
    // Few rows are shared out by columns; each share then packs the same left side again.
    int shares = Math.clamp(Math.ceilDiv(2 * workers.threads(), chunks), 1, panels.panelCount());
    if (workers.threads() == 1) {
      shares = 1;
    }
    int panelsPerShare = Math.ceilDiv(panels.panelCount(), shares);
    int columnShares = shares;
    workers.forEach(
        chunks * columnShares,
        task -> {
          int firstRow = task / columnShares * chunkRows;
          int firstPanel = task % columnShares * panelsPerShare;
          multiply(
              input,
              firstRow,
              Math.min(chunkRows, rows - firstRow),
              panels,
              firstPanel,
              Math.min(panels.panelCount(), firstPanel + panelsPerShare),
              activation,
              output);
        });
  }

  /** Rows of one task: as many as share the caches, in whole blocks, evenly among the threads. */
  private int chunkRows(int rows, int depth) {
    int largest = Math.clamp(LEFT_BYTES / (4L * depth), Matrix.ROW_BLOCK, 384);
    int chunks = Math.ceilDiv(rows, largest);
    if (rows >= 4 * Matrix.ROW_BLOCK * workers.threads()) {
      chunks = Matrix.roundUp(chunks, workers.threads());
    }
    return Matrix.roundUp(Math.ceilDiv(rows, chunks), Matrix.ROW_BLOCK);
  }

  private void multiply(
      Matrix input,
      int firstRow,
      int rows,
      PanelWeight weight,
      int firstPanel,
      int endPanel,
      Activation activation,
      Matrix output) {
    int depth = weight.inputSize();
    try (ScratchPool.Scratch scratch = scratches.borrow()) {
      MemorySegment left = scratch.floats((long) Matrix.roundUp(rows, Matrix.ROW_BLOCK) * depth);
      LeftPacking.pack(
          input.data(), input.rowOffset(firstRow), input.stride() * 4L, rows, depth, left);
      for (int panel = firstPanel; panel < endPanel; panel++) {
        long leftAt = 0;
        int block;
        for (int row = 0; row < rows; row += block) {
          block = ProductKernels.block(rows - row);
          long outputAt = output.rowOffset(firstRow + row) + panel * PANEL_BYTES;
          ProductKernels.multiply(
              block,
              weight.bf16(),
              left,
              leftAt,
              weight.panels(),
              panel * weight.panelBytes(),
              depth,
              weight.bias(),
              panel * PANEL_BYTES,
              output.data(),
              outputAt,
              output.stride() * 4L);
          activate(activation, output.data(), outputAt, output.stride() * 4L, block);
          leftAt += 4L * block * depth;
        }
      }
    }
  }

  /** Applies the activation to a block that was just written, while it is in the first cache. */
  private static void activate(
      Activation activation, MemorySegment data, long at, long rowBytes, int rows) {
    switch (activation) {
      case IDENTITY -> {}
      case GELU -> {
        for (int row = 0; row < rows; row++, at += rowBytes) {
          VectorMath.gelu(load(data, at)).intoMemorySegment(data, at, NATIVE);
          VectorMath.gelu(load(data, at + BYTES)).intoMemorySegment(data, at + BYTES, NATIVE);
        }
      }
      case GELU_TANH, RELU, SILU, TANH, SIGMOID -> {
        for (int row = 0; row < rows; row++, at += rowBytes) {
          VectorMath.apply(activation, load(data, at)).intoMemorySegment(data, at, NATIVE);
          VectorMath.apply(activation, load(data, at + BYTES))
              .intoMemorySegment(data, at + BYTES, NATIVE);
        }
      }
    }
  }

  private static FloatVector load(MemorySegment data, long at) {
    return FloatVector.fromMemorySegment(FLOATS, data, at, NATIVE);
  }

  @Override
  public void embed(PackedBatch batch, EmbeddingTables tables, NormWeight norm, Matrix hidden) {
    forEachRows(
        batch.tokens(),
        (first, end) -> {
          for (int token = first; token < end; token++) {
            long at = hidden.rowOffset(token);
            copyRow(tables.words(), batch.ids()[token], norm.size(), hidden.data(), at);
            addRow(tables.types(), batch.typeIds()[token], norm.size(), hidden.data(), at);
            addRow(tables.positions(), batch.positions()[token], norm.size(), hidden.data(), at);
            normalizeRow(hidden.data(), at, norm);
          }
        });
  }

  private static void copyRow(Tensor table, int row, int size, MemorySegment target, long at) {
    for (int i = 0; i < size; i += FLOATS.length()) {
      VectorMask<Float> mask = FLOATS.indexInRange(i, size);
      tableVector(table, (long) row * size + i, size - i)
          .intoMemorySegment(target, at + i * 4L, NATIVE, mask);
    }
  }

  private static void addRow(Tensor table, int row, int size, MemorySegment target, long at) {
    for (int i = 0; i < size; i += FLOATS.length()) {
      VectorMask<Float> mask = FLOATS.indexInRange(i, size);
      load(target, at + i * 4L)
          .add(tableVector(table, (long) row * size + i, size - i))
          .intoMemorySegment(target, at + i * 4L, NATIVE, mask);
    }
  }

  /** The next numbers of a table, widened; lanes from {@code left} on are anything. */
  private static FloatVector tableVector(Tensor table, long index, int left) {
    if (left >= FLOATS.length() && table.type() == DataType.F32) {
      return FloatVector.fromMemorySegment(
          FLOATS, table.data(), index * 4, ByteOrder.LITTLE_ENDIAN);
    }
    if (left >= FLOATS.length() && table.type() == DataType.BF16) {
      return ShortVector.fromMemorySegment(SHORTS, table.data(), index * 2, ByteOrder.LITTLE_ENDIAN)
          .convertShape(VectorOperators.S2I, ProductKernels.INTS, 0)
          .reinterpretAsInts()
          .lanewise(VectorOperators.LSHL, 16)
          .reinterpretAsFloats();
    }
    float[] numbers = new float[FLOATS.length()];
    for (int i = 0; i < Math.min(left, numbers.length); i++) {
      numbers[i] = table.get(index + i);
    }
    return FloatVector.fromArray(FLOATS, numbers, 0);
  }

  @Override
  public void addNorm(Matrix input, Matrix residual, NormWeight norm, Matrix output) {
    forEachRows(
        input.rows(),
        (first, end) -> {
          for (int row = first; row < end; row++) {
            long inputAt = input.rowOffset(row);
            long residualAt = residual.rowOffset(row);
            long outputAt = output.rowOffset(row);
            for (int i = 0; i < norm.size(); i += FLOATS.length()) {
              // Rows are padded to whole vectors, so only the sums below need to know the tail.
              load(input.data(), inputAt + i * 4L)
                  .add(load(residual.data(), residualAt + i * 4L))
                  .intoMemorySegment(output.data(), outputAt + i * 4L, NATIVE);
            }
            normalizeRow(output.data(), outputAt, norm);
          }
        });
  }

  private static void normalizeRow(MemorySegment data, long at, NormWeight norm) {
    int size = norm.size();
    int whole = FLOATS.loopBound(size);
    VectorMask<Float> tail = FLOATS.indexInRange(whole, size);
    FloatVector sums = FloatVector.zero(FLOATS);
    for (int i = 0; i < whole; i += FLOATS.length()) {
      sums = sums.add(load(data, at + i * 4L));
    }
    if (whole < size) {
      sums = sums.add(load(data, at + whole * 4L), tail);
    }
    float mean = sums.reduceLanes(VectorOperators.ADD) / size;
    FloatVector squares = FloatVector.zero(FLOATS);
    for (int i = 0; i < whole; i += FLOATS.length()) {
      FloatVector difference = load(data, at + i * 4L).sub(mean);
      squares = difference.fma(difference, squares);
    }
    if (whole < size) {
      FloatVector difference = load(data, at + whole * 4L).sub(mean);
      squares = squares.add(difference.mul(difference), tail);
    }
    float variance = squares.reduceLanes(VectorOperators.ADD) / size;
    float scale = (float) (1 / Math.sqrt(variance + norm.epsilon()));
    for (int i = 0; i < whole; i += FLOATS.length()) {
      load(data, at + i * 4L)
          .sub(mean)
          .mul(scale)
          .fma(load(norm.weight(), i * 4L), load(norm.bias(), i * 4L))
          .intoMemorySegment(data, at + i * 4L, NATIVE);
    }
    for (int i = whole; i < size; i++) {
      long offset = at + i * 4L;
      float value = (data.get(FLOAT, offset) - mean) * scale;
      data.set(
          FLOAT,
          offset,
          value * norm.weight().getAtIndex(FLOAT, i) + norm.bias().getAtIndex(FLOAT, i));
    }
  }

  /** Runs the body over ranges of rows, among the workers. */
  private void forEachRows(int rows, RowRange body) {
    int tasks = Math.ceilDiv(rows, STREAM_ROWS);
    workers.forEach(
        tasks, task -> body.accept(task * STREAM_ROWS, Math.min(rows, (task + 1) * STREAM_ROWS)));
  }

  private interface RowRange {
    void accept(int first, int end);
  }

  @Override
  public void attention(Matrix queryKeyValue, PackedBatch batch, int heads, Matrix context) {
    workers.forEach(
        batch.sequences() * heads,
        task -> {
          int sequence = task / heads;
          VectorAttention.attend(
              scratches,
              queryKeyValue,
              batch.sequenceStarts()[sequence],
              batch.length(sequence),
              task % heads,
              context.columns() / heads,
              context);
        });
  }

  @Override
  public void recur(
      Matrix projected, int[] sequenceStarts, RecurrentWeight weight, Matrix state, Matrix output) {
    VectorRecurrence.Weight panels = (VectorRecurrence.Weight) weight;
    VectorRecurrence.recur(workers, scratches, projected, sequenceStarts, panels, state, output);
  }

  /**
   * Small matrices on purpose: loops that are not compiled yet take microseconds for every step,
   * and the JIT counts calls and steps, not their size.
   */
  @Override
  public void warmUp() {
    loadSegmentClasses();
    int size = 2 * PANEL;
    // Whole blocks, the rest of a block and the tails of vectors.
    PackedBatch batch =
        new PackedBatch(new int[9], new int[9], new int[9], new int[] {0, 9}, new int[] {0});
    try (Arena arena = Arena.ofConfined()) {
      Tensor weight = zeros(arena, 3L * size, size);
      LinearWeight linear = prepareLinear(arena, List.of(weight), List.of());
      NormWeight norm = prepareNorm(arena, zeros(arena, size), zeros(arena, size), 1e-12f);
      Tensor table = zeros(arena, 1, size);
      Matrix hidden = allocate(arena, 9, size);
      Matrix output = allocate(arena, 9, 3 * size);
      VectorBackend alone = new VectorBackend(precision, new Workers(1));
      for (int i = 0; i < WARM_UP_ROUNDS; i++) {
        alone.embed(batch, new EmbeddingTables(table, table, table), norm, hidden);
        alone.linear(hidden, linear, Activation.IDENTITY, output);
        alone.attention(output, batch, 2, hidden);
        alone.linear(hidden, linear, Activation.GELU, output);
        alone.addNorm(hidden, hidden, norm, hidden);
      }
    }
  }

  /**
   * Code that the JIT compiled while one kind of memory segment was known is thrown away when
   * another kind is loaded: a second of slow kernels, whoever causes it. So all are loaded first.
   */
  private static void loadSegmentClasses() {
    List<MemorySegment> kinds =
        List.of(
            MemorySegment.ofArray(new byte[1]),
            MemorySegment.ofArray(new char[1]),
            MemorySegment.ofArray(new short[1]),
            MemorySegment.ofArray(new int[1]),
            MemorySegment.ofArray(new long[1]),
            MemorySegment.ofArray(new float[1]),
            MemorySegment.ofArray(new double[1]),
            Arena.ofAuto().allocate(1),
            Arena.global().allocate(1));
    for (MemorySegment kind : kinds) {
      kind.fill((byte) 0);
    }
  }

  private static Tensor zeros(Arena arena, long... shape) {
    long elements = 1;
    for (long size : shape) {
      elements *= size;
    }
    return new Tensor("zeros", DataType.F32, shape, arena.allocate(elements * Float.BYTES, 64));
  }

  @Override
  public void pool(Matrix hidden, PackedBatch batch, PoolingMode mode, Matrix vectors, int column) {
    scalar.pool(hidden, batch, mode, vectors, column);
  }

  @Override
  public void normalize(Matrix vectors) {
    scalar.normalize(vectors);
  }

  @Override
  public void write(float[] numbers, Matrix matrix, int row, int column) {
    matrix.write(numbers, row, column);
  }

  @Override
  public float[] read(Matrix matrix, int row, int columns) {
    return matrix.row(row, columns);
  }
}
