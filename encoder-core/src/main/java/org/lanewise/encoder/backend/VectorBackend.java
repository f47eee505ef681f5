package org.lanewise.encoder.backend;

import static org.lanewise.encoder.backend.ProductKernels.BYTES;
import static org.lanewise.encoder.backend.ProductKernels.PANEL;
import static org.lanewise.encoder.backend.ProductKernels.PANEL_BYTES;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
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
public final class VectorBackend implements TrainingBackend {
  static final VectorSpecies<Float> FLOATS = species();

  /** As many shorts as there are floats in a vector. */
  private static final VectorSpecies<Short> SHORTS =
      VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));

  private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  /** Rows of one task of the operations that only stream through memory. */
  private static final int STREAM_ROWS = 64;

  /** Rows of a feed-forward layer that a thread takes from one product to the other. */
  private static final int FEED_ROWS = 512;

  /**
   * Calls after which the JIT's second compiler has taken every kernel: it asks for 600 of each.
   */
  private static final int WARM_UP_ROUNDS = 400;

  private final Precision precision;
  private final Workers workers;
  private final MatrixUnit.Choice products;
  private final PanelAttention.Unit attention;
  private final ScalarBackend scalar = new ScalarBackend(Precision.FP32);
  private final ScratchPool scratches = new ScratchPool();
  private final ScratchPool calls = new ScratchPool();

  /**
   * Creates a backend that keeps weights in the precision and shares its loops among the workers.
   */
  public VectorBackend(Precision precision, Workers workers) {
    this(precision, workers, MatrixUnit.choose(precision, FLOATS.vectorBitSize()));
  }

  /** Creates a backend that multiplies as it is told. */
  VectorBackend(Precision precision, Workers workers, MatrixUnit.Choice products) {
    this.precision = precision;
    this.workers = workers;
    this.products = products;
    attention = attention(precision, products.unit());
  }

  private static PanelAttention.Unit attention(Precision precision, MatrixUnit unit) {
    if (unit == MatrixUnit.VECTOR_API) {
      return PanelAttention.Unit.VECTORS;
    }
    // Whatever machine code multiplies weights, the processor has AVX-512. Where there are tiles,
    // vectors multiply bf16 no faster than fp32. The facts are asked for only where it runs anyway.
    if (precision != Precision.FP32 && unit == MatrixUnit.AMX && MatrixUnit.facts().amxBf16()) {
      return PanelAttention.Unit.TILES_BF16;
    }
    if (precision != Precision.FP32
        && unit == MatrixUnit.AVX512
        && MatrixUnit.facts().avx512Bf16()) {
      return PanelAttention.Unit.DOTS_BF16;
    }
    return PanelAttention.Unit.DOTS_FP32;
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

  /**
   * A weight as panels of columns; see {@link ProductKernels}.
   *
   * @param scales of the columns; for int8 alone
   */
  private record PanelWeight(
      MemorySegment panels,
      MemorySegment scales,
      MemorySegment bias,
      int inputSize,
      int outputSize,
      Precision precision,
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

  @Override
  public String kernels() {
    return products.unit() == MatrixUnit.VECTOR_API
        ? "vector_" + FLOATS.vectorBitSize()
        : products.unit().label() + "_" + precision.label();
  }

  @Override
  public String kernelsReason() {
    return products.reason();
  }

  /** Returns the bits of the vectors that run. */
  public static int vectorBits() {
    return FLOATS.vectorBitSize();
  }

  @Override
  public Arena callMemory() {
    return calls.borrow();
  }

  @Override
  public Matrix allocate(Arena arena, int rows, int columns) {
    return Matrix.allocate(arena, rows, columns);
  }

  @Override
  public LinearWeight prepareLinear(Arena arena, List<Tensor> weights, List<Tensor> biases) {
    int inputSize = Math.toIntExact(weights.getFirst().shape()[1]);
    if (products.unit() != MatrixUnit.VECTOR_API && inputSize >= products.leastDepth()) {
      return MachineProduct.prepare(arena, workers, products.unit(), precision, weights, biases);
    }
    int outputSize = outputSize(weights);
    int panels = Math.ceilDiv(outputSize, PANEL);
    long panelBytes = WeightPacking.panelBytes(precision, inputSize);
    MemorySegment packed = arena.allocate(panels * panelBytes, 64);
    MemorySegment scales = arena.allocate((long) panels * PANEL * Float.BYTES, 64);
    workers.forEach(
        panels,
        panel -> {
          float[][] columns = WeightPacking.rows(weights, panel * PANEL, PANEL);
          WeightPacking.pack(
              precision, columns, packed, panel * panelBytes, scales, panel * PANEL_BYTES);
        });
    MemorySegment bias = bias(arena, biases, panels * PANEL);
    return new PanelWeight(packed, scales, bias, inputSize, outputSize, precision, panelBytes);
  }

  static int outputSize(List<Tensor> weights) {
    return Math.toIntExact(weights.stream().mapToLong(weight -> weight.shape()[0]).sum());
  }

  /** Returns the biases one after the other, and zeros up to the number of columns. */
  static MemorySegment bias(Arena arena, List<Tensor> biases, int columns) {
    MemorySegment bias = arena.allocate((long) columns * Float.BYTES, 64);
    long at = 0;
    for (Tensor tensor : biases) {
      for (long i = 0; i < tensor.elements(); i++) {
        bias.setAtIndex(FLOAT, at++, tensor.get(i));
      }
    }
    return bias;
  }

  @Override
  public NormWeight prepareNorm(
      Arena arena, NormKind kind, Tensor weight, Optional<Tensor> bias, float epsilon) {
    return scalar.prepareNorm(arena, kind, weight, bias, epsilon);
  }

  @Override
  public RecurrentWeight prepareRecurrent(
      Arena arena, RecurrentCell cell, List<RecurrentTensors> directions) {
    return VectorRecurrence.prepare(arena, precision == Precision.BF16, cell, directions);
  }

  @Override
  public void linear(Matrix input, LinearWeight weight, Activation activation, Matrix output) {
    assert input.columns() == weight.inputSize() && output.columns() == weight.outputSize();
    if (input.rows() == 0) {
      return;
    }
    VectorProduct.Tasks tasks =
        VectorProduct.Tasks.of(input.rows(), mostRows(weight), panels(weight), workers.threads());
    workers.forEach(
        tasks.count(),
        task -> {
          int row = tasks.firstRow(task);
          int rows = tasks.rows(task);
          int panel = tasks.firstPanel(task);
          int end = tasks.endPanel(task);
          switch (weight) {
            case MachineProduct.Weight machine ->
                MachineProduct.multiply(
                    scratches, input, row, rows, machine, panel, end, activation, output);
            default ->
                multiply(input, row, rows, (PanelWeight) weight, panel, end, activation, output);
          }
        });
  }

  private static int mostRows(LinearWeight weight) {
    return weight instanceof MachineProduct.Weight machine
        ? machine.mostRows()
        : VectorProduct.mostRows(weight.inputSize());
  }

  /** By tiles, what lies between is rounded to bf16 at once and stays in the caches. */
  @Override
  public void feedForward(
      Matrix input,
      LinearWeight first,
      Activation activation,
      LinearWeight second,
      Matrix between,
      Matrix output) {
    if (!MachineProduct.rounds(first, activation, second)) {
      TrainingBackend.super.feedForward(input, first, activation, second, between, output);
      return;
    }
    int most = FEED_ROWS * workers.threads();
    for (int row = 0; row < input.rows(); row += most) {
      int rows = Math.min(most, input.rows() - row);
      feedForward(
          input.rows(row, rows),
          (MachineProduct.Weight) first,
          (MachineProduct.Weight) second,
          output.rows(row, rows));
    }
  }

  private void feedForward(
      Matrix input, MachineProduct.Weight first, MachineProduct.Weight second, Matrix output) {
    int rows = input.rows();
    VectorProduct.Tasks widening =
        VectorProduct.Tasks.of(rows, FEED_ROWS, first.panelCount(), workers.threads());
    VectorProduct.Tasks narrowing =
        VectorProduct.Tasks.of(rows, FEED_ROWS, second.panelCount(), workers.threads());
    try (ScratchPool.Scratch scratch = scratches.borrow()) {
      long padded = Matrix.roundUp(rows, MachineProduct.WIDENED_ROWS);
      MemorySegment widened = scratch.floats(padded * MachineProduct.widenedBytes(first) / 4);
      workers.forEach(
          widening.count(),
          task ->
              MachineProduct.widen(
                  scratches,
                  input,
                  widening.firstRow(task),
                  widening.rows(task),
                  first,
                  widening.firstPanel(task),
                  widening.endPanel(task),
                  widened));
      workers.forEach(
          narrowing.count(),
          task ->
              MachineProduct.narrow(
                  scratches,
                  widened,
                  MachineProduct.widenedBytes(first),
                  narrowing.firstRow(task),
                  narrowing.rows(task),
                  second,
                  narrowing.firstPanel(task),
                  narrowing.endPanel(task),
                  output));
    }
  }

  private static int panels(LinearWeight weight) {
    return weight instanceof MachineProduct.Weight machine
        ? machine.panelCount()
        : ((PanelWeight) weight).panelCount();
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
      boolean int8 = weight.precision() == Precision.INT8;
      for (int panel = firstPanel; panel < endPanel; panel++) {
        long leftAt = 0;
        int block;
        for (int row = 0; row < rows; row += block) {
          block = ProductKernels.block(rows - row);
          long outputAt = output.rowOffset(firstRow + row) + panel * PANEL_BYTES;
          if (int8) {
            ProductKernels.multiplyInt8(
                block,
                left,
                leftAt,
                weight.panels(),
                panel * weight.panelBytes(),
                depth,
                weight.scales(),
                weight.bias(),
                panel * PANEL_BYTES,
                output.data(),
                outputAt,
                output.stride() * 4L);
          } else {
            ProductKernels.multiply(
                block,
                weight.precision() == Precision.BF16,
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
          }
          activate(activation, output.data(), outputAt, output.stride() * 4L, block);
          leftAt += 4L * block * depth;
        }
      }
    }
  }

  /** Applies the activation to a block that was just written, while it is in the first cache. */
  static void activate(
      Activation activation, MemorySegment data, long at, long rowBytes, int rows) {
    data = NativeMemory.known(data);
    switch (activation) {
      case IDENTITY -> {}
      case GELU -> {
        VectorMath.geluPanel(data, at, rowBytes, rows);
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
  public void embed(
      PackedBatch batch, EmbeddingTables tables, Optional<NormWeight> norm, Matrix hidden) {
    int size = tables.size();
    forEachRows(
        batch.tokens(),
        (first, end) -> {
          for (int token = first; token < end; token++) {
            MemorySegment row = hidden.data();
            long at = hidden.rowOffset(token);
            copyRow(tables.words(), batch.ids()[token], tables.scale(), size, row, at);
            if (tables.types().isPresent()) {
              addRow(tables.types().get(), batch.typeIds()[token], size, row, at);
            }
            if (tables.positions().isPresent()) {
              addRow(tables.positions().get(), batch.positions()[token], size, row, at);
            }
            if (norm.isPresent()) {
              normalizeRow(row, at, norm.get(), row, at);
            }
          }
        });
  }

  private static void copyRow(
      Tensor table, int row, float scale, int size, MemorySegment target, long at) {
    MemorySegment data = NativeMemory.known(table.data());
    target = NativeMemory.known(target);
    for (int i = 0; i < size; i += FLOATS.length()) {
      VectorMask<Float> mask = FLOATS.indexInRange(i, size);
      tableVector(table, data, (long) row * size + i, size - i)
          .mul(scale)
          .intoMemorySegment(target, at + i * 4L, NATIVE, mask);
    }
  }

  private static void addRow(Tensor table, int row, int size, MemorySegment target, long at) {
    MemorySegment data = NativeMemory.known(table.data());
    target = NativeMemory.known(target);
    for (int i = 0; i < size; i += FLOATS.length()) {
      VectorMask<Float> mask = FLOATS.indexInRange(i, size);
      load(target, at + i * 4L)
          .add(tableVector(table, data, (long) row * size + i, size - i))
          .intoMemorySegment(target, at + i * 4L, NATIVE, mask);
    }
  }

  /** The next numbers of a table, widened; lanes from {@code left} on are anything. */
  private static FloatVector tableVector(Tensor table, MemorySegment data, long index, int left) {
    if (left >= FLOATS.length() && table.type() == DataType.F32) {
      return FloatVector.fromMemorySegment(FLOATS, data, index * 4, ByteOrder.LITTLE_ENDIAN);
    }
    if (left >= FLOATS.length() && table.type() == DataType.BF16) {
      return ShortVector.fromMemorySegment(SHORTS, data, index * 2, ByteOrder.LITTLE_ENDIAN)
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
          if (normsByMachineCode(norm)) {
            long address = residual.data().address() + residual.rowOffset(first);
            normalizeRows(input, address, residual.stride() * 4L, norm, first, end, output);
            return;
          }
          for (int row = first; row < end; row++) {
            long at = output.rowOffset(row);
            float sum =
                addRows(
                    input.data(),
                    input.rowOffset(row),
                    residual.data(),
                    residual.rowOffset(row),
                    output.data(),
                    at,
                    norm.size());
            normalizeRow(output.data(), at, sum, norm, output.data(), at);
          }
        });
  }

  @Override
  public void norm(Matrix input, NormWeight norm, Matrix output) {
    assert input.columns() % norm.size() == 0 && output.columns() == input.columns();
    int groups = input.columns() / norm.size();
    forEachRows(
        input.rows(),
        (first, end) -> {
          if (normsByMachineCode(norm)) {
            normalizeRows(input, 0, 0, norm, first, end, output);
            return;
          }
          for (int row = first; row < end; row++) {
            for (int group = 0; group < groups; group++) {
              long within = 4L * group * norm.size();
              normalizeRow(
                  input.data(),
                  input.rowOffset(row) + within,
                  norm,
                  output.data(),
                  output.rowOffset(row) + within);
            }
          }
        });
  }

  @Override
  public void add(Matrix input, Matrix output) {
    forEachRows(
        input.rows(),
        (first, end) -> {
          for (int row = first; row < end; row++) {
            TrainingKernels.add(
                input.data(),
                input.rowOffset(row),
                output.data(),
                output.rowOffset(row),
                input.columns());
          }
        });
  }

  @Override
  public void gate(Matrix input, Activation activation, Matrix output) {
    int half = output.columns();
    assert input.columns() == 2 * half;
    forEachRows(
        input.rows(),
        (first, end) -> {
          for (int row = first; row < end; row++) {
            gateRow(
                activation,
                input.data(),
                input.rowOffset(row),
                half,
                output.data(),
                output.rowOffset(row));
          }
        });
  }

  private static void gateRow(
      Activation activation, MemorySegment input, long at, int half, MemorySegment out, long to) {
    input = NativeMemory.known(input);
    out = NativeMemory.known(out);
    int whole = FLOATS.loopBound(half);
    for (int i = 0; i < whole; i += FLOATS.length()) {
      VectorMath.apply(activation, load(input, at + i * 4L))
          .mul(load(input, at + (half + i) * 4L))
          .intoMemorySegment(out, to + i * 4L, NATIVE);
    }
    if (whole < half) {
      VectorMath.apply(activation, load(input, at + whole * 4L))
          .mul(load(input, at + (half + whole) * 4L))
          .intoMemorySegment(out, to + whole * 4L, NATIVE, FLOATS.indexInRange(whole, half));
    }
  }

  @Override
  public void rotate(
      Matrix queryKeyValue, PackedBatch batch, int heads, int headSize, RotaryTable table) {
    forEachRows(
        queryKeyValue.rows(),
        (first, end) -> {
          for (int row = first; row < end; row++) {
            int position = batch.positions()[row];
            for (int head = 0; head < heads; head++) {
              rotateHead(
                  queryKeyValue.data(),
                  queryKeyValue.rowOffset(row) + 4L * head * headSize,
                  table,
                  table.cosines().rowOffset(position));
            }
          }
        });
  }

  /** Turns one head in place; cosines and sines lie alike. */
  private static void rotateHead(MemorySegment data, long at, RotaryTable table, long tableAt) {
    data = NativeMemory.known(data);
    MemorySegment cosines = NativeMemory.known(table.cosines().data());
    MemorySegment sines = NativeMemory.known(table.sines().data());
    int pairs = table.pairs();
    long other = at + 4L * pairs;
    int whole = FLOATS.loopBound(pairs);
    for (int i = 0; i < whole; i += FLOATS.length()) {
      FloatVector first = load(data, at + i * 4L);
      FloatVector second = load(data, other + i * 4L);
      FloatVector cosine = load(cosines, tableAt + i * 4L);
      FloatVector sine = load(sines, tableAt + i * 4L);
      first.mul(cosine).sub(second.mul(sine)).intoMemorySegment(data, at + i * 4L, NATIVE);
      second.mul(cosine).add(first.mul(sine)).intoMemorySegment(data, other + i * 4L, NATIVE);
    }
    for (int i = whole; i < pairs; i++) {
      float first = data.get(FLOAT, at + i * 4L);
      float second = data.get(FLOAT, other + i * 4L);
      float cosine = cosines.get(FLOAT, tableAt + i * 4L);
      float sine = sines.get(FLOAT, tableAt + i * 4L);
      data.set(FLOAT, at + i * 4L, first * cosine - second * sine);
      data.set(FLOAT, other + i * 4L, second * cosine + first * sine);
    }
  }

  @Override
  public void neighbours(Matrix input, PackedBatch batch, int width, Matrix output) {
    scalar.neighbours(input, batch, width, output);
  }

  private boolean normsByMachineCode(NormWeight norm) {
    return products.unit() != MatrixUnit.VECTOR_API && norm.size() % RowsCall.COLUMNS == 0;
  }

  /**
   * Normalises as many columns of rows at once as the norm has.
   *
   * @param residual the address of rows that are added before, or 0 for none
   */
  private void normalizeRows(
      Matrix input,
      long residual,
      long residualBytes,
      NormWeight norm,
      int first,
      int end,
      Matrix output) {
    try (ScratchPool.Scratch scratch = scratches.borrow()) {
      RowsCall call = new RowsCall(MachineCode.Function.NORM, scratch);
      call.norm(norm);
      call.residual(residual, residualBytes);
      for (int column = 0; column < input.columns(); column += norm.size()) {
        call.run(
            input.data().address() + input.rowOffset(first) + 4L * column,
            input.stride() * 4L,
            end - first,
            norm.size(),
            output.data().address() + output.rowOffset(first) + 4L * column,
            output.stride() * 4L);
      }
    }
  }

  /** Reads and writes nothing outside the row: others may be at work beside it. */
  private static void normalizeRow(
      MemorySegment data, long at, NormWeight norm, MemorySegment out, long to) {
    float sum = norm.centered() ? sum(data, at, norm.size()) : 0;
    normalizeRow(data, at, sum, norm, out, to);
  }

  /**
   * The same for a row whose sum is known. Each loop has a method of its own: C2 compiled a method
   * of several over and over where guesses about memory failed.
   */
  private static void normalizeRow(
      MemorySegment data, long at, float sum, NormWeight norm, MemorySegment out, long to) {
    int size = norm.size();
    float mean = norm.centered() ? sum / size : 0;
    float variance = sumOfSquares(data, at, size, mean) / size;
    float scale = (float) (1 / Math.sqrt(variance + norm.epsilon()));
    writeNormal(data, at, mean, scale, norm, out, to);
  }

  /** Adds two rows, which are padded to whole vectors, and returns the sum of the numbers. */
  private static float addRows(
      MemorySegment left,
      long leftAt,
      MemorySegment right,
      long rightAt,
      MemorySegment out,
      long to,
      int size) {
    left = NativeMemory.known(left);
    right = NativeMemory.known(right);
    out = NativeMemory.known(out);
    int whole = FLOATS.loopBound(size);
    FloatVector sums = FloatVector.zero(FLOATS);
    for (int i = 0; i < whole; i += FLOATS.length()) {
      FloatVector added = load(left, leftAt + i * 4L).add(load(right, rightAt + i * 4L));
      added.intoMemorySegment(out, to + i * 4L, NATIVE);
      sums = sums.add(added);
    }
    if (whole < size) {
      FloatVector added = load(left, leftAt + whole * 4L).add(load(right, rightAt + whole * 4L));
      added.intoMemorySegment(out, to + whole * 4L, NATIVE);
      sums = sums.add(added, FLOATS.indexInRange(whole, size));
    }
    return VectorMath.sum(sums);
  }

  private static float sum(MemorySegment data, long at, int size) {
    data = NativeMemory.known(data);
    int whole = FLOATS.loopBound(size);
    FloatVector sums = FloatVector.zero(FLOATS);
    for (int i = 0; i < whole; i += FLOATS.length()) {
      sums = sums.add(load(data, at + i * 4L));
    }
    if (whole < size) {
      sums = sums.add(load(data, at + whole * 4L), FLOATS.indexInRange(whole, size));
    }
    return VectorMath.sum(sums);
  }

  /** Returns the sum of the squares of the distances from the mean, in two sums side by side. */
  private static float sumOfSquares(MemorySegment data, long at, int size, float mean) {
    data = NativeMemory.known(data);
    int whole = FLOATS.loopBound(size);
    FloatVector squares0 = FloatVector.zero(FLOATS);
    FloatVector squares1 = squares0;
    int i = 0;
    for (; i <= whole - 2 * FLOATS.length(); i += 2 * FLOATS.length()) {
      FloatVector distance0 = load(data, at + i * 4L).sub(mean);
      FloatVector distance1 = load(data, at + i * 4L + BYTES).sub(mean);
      squares0 = distance0.fma(distance0, squares0);
      squares1 = distance1.fma(distance1, squares1);
    }
    if (i < whole) {
      FloatVector distance = load(data, at + i * 4L).sub(mean);
      squares0 = distance.fma(distance, squares0);
    }
    if (whole < size) {
      FloatVector distance = load(data, at + whole * 4L).sub(mean);
      VectorMask<Float> tail = FLOATS.indexInRange(whole, size);
      squares1 = squares1.add(distance.mul(distance), tail);
    }
    return VectorMath.sum(squares0.add(squares1));
  }

  private static void writeNormal(
      MemorySegment data,
      long at,
      float mean,
      float scale,
      NormWeight norm,
      MemorySegment out,
      long to) {
    data = NativeMemory.known(data);
    out = NativeMemory.known(out);
    MemorySegment weight = NativeMemory.known(norm.weight());
    MemorySegment bias = NativeMemory.known(norm.bias());
    int size = norm.size();
    int whole = FLOATS.loopBound(size);
    for (int i = 0; i < whole; i += FLOATS.length()) {
      load(data, at + i * 4L)
          .sub(mean)
          .mul(scale)
          .fma(load(weight, i * 4L), load(bias, i * 4L))
          .intoMemorySegment(out, to + i * 4L, NATIVE);
    }
    for (int i = whole; i < size; i++) {
      float value = (data.get(FLOAT, at + i * 4L) - mean) * scale;
      out.set(FLOAT, to + i * 4L, value * weight.getAtIndex(FLOAT, i) + bias.getAtIndex(FLOAT, i));
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
  public void attention(
      Matrix queryKeyValue, PackedBatch batch, AttentionPattern pattern, Matrix context) {
    assert queryKeyValue.columns() == pattern.queryKeyValueSize();
    assert context.columns() == pattern.contextSize();
    int count = batch.sequences() * pattern.keyValueHeads();
    boolean exact =
        attention != PanelAttention.Unit.VECTORS && pattern.contextSize() < products.leastDepth();
    PanelAttention.Unit unit = exact ? PanelAttention.Unit.DOTS_FP32 : attention;
    // A task's memory serves all its heads; some tasks for each thread, as sequences differ.
    int each = Math.max(1, count / (4 * workers.threads()));
    workers.forEach(
        Math.ceilDiv(count, each),
        task ->
            PanelAttention.attend(
                scratches,
                unit,
                queryKeyValue,
                batch,
                task * each,
                Math.min(count, (task + 1) * each),
                pattern,
                context));
  }

  @Override
  public void recur(
      Matrix projected, int[] sequenceStarts, RecurrentWeight weight, Matrix state, Matrix output) {
    VectorRecurrence.Weight panels = (VectorRecurrence.Weight) weight;
    VectorRecurrence.recur(workers, scratches, projected, sequenceStarts, panels, state, output);
  }

  @Override
  public void multiply(
      Matrix left,
      boolean transposeLeft,
      Matrix right,
      boolean transposeRight,
      boolean accumulate,
      Matrix output) {
    int depth = transposeLeft ? left.rows() : left.columns();
    assert output.rows() == (transposeLeft ? left.columns() : left.rows());
    assert output.columns() == (transposeRight ? right.rows() : right.columns());
    assert depth == (transposeRight ? right.columns() : right.rows());
    VectorProduct.multiply(
        workers,
        scratches,
        VectorProduct.Side.of(left, transposeLeft),
        VectorProduct.Side.of(right, transposeRight),
        depth,
        accumulate,
        output,
        0,
        output.rows());
  }

  @Override
  public int traceSize(RecurrentCell cell, int hiddenSize) {
    return VectorRecurrence.traced(cell) * Matrix.roundUp(hiddenSize, FLOATS.length());
  }

  @Override
  public void recurTraced(
      Matrix projected,
      int[] sequenceStarts,
      RecurrentCell cell,
      List<RecurrentMatrices> weights,
      Matrix before,
      Matrix after,
      Matrix output,
      Matrix trace) {
    VectorRecurrence.recurTraced(
        workers, scratches, projected, sequenceStarts, cell, weights, before, after, output, trace);
  }

  @Override
  public void recurGradient(
      int[] sequenceStarts,
      RecurrentCell cell,
      List<RecurrentMatrices> weights,
      Matrix before,
      Matrix output,
      Matrix trace,
      Matrix outputGradient,
      Matrix stateGradient,
      Matrix projectedGradient,
      List<RecurrentMatrices> gradients) {
    new VectorRecurrenceGradient(
            workers,
            scratches,
            sequenceStarts,
            cell,
            weights,
            before,
            output,
            trace,
            outputGradient,
            stateGradient,
            projectedGradient)
        .run(gradients);
  }

  @Override
  public void gather(Matrix table, int[] rows, Matrix output, int column) {
    long bytes = 4L * table.columns();
    forEachRows(
        rows.length,
        (first, end) -> {
          for (int i = first; i < end; i++) {
            long from = table.rowOffset(Objects.checkIndex(rows[i], table.rows()));
            long to = output.rowOffset(i) + 4L * column;
            MemorySegment.copy(table.data(), from, output.data(), to, bytes);
          }
        });
  }

  /** Shared out by columns, so that every number is the sum of the same rows in the same order. */
  @Override
  public void scatterAdd(Matrix input, int column, int[] rows, Matrix table) {
    int vectors = Math.ceilDiv(table.columns(), FLOATS.length());
    int width = Math.ceilDiv(vectors, workers.threads()) * FLOATS.length();
    int shares = vectors == 0 ? 0 : Math.ceilDiv(table.columns(), width);
    workers.forEach(
        shares,
        share -> {
          int first = share * width;
          int size = Math.min(width, table.columns() - first);
          for (int i = 0; i < rows.length; i++) {
            long to = table.rowOffset(Objects.checkIndex(rows[i], table.rows())) + 4L * first;
            long from = input.rowOffset(i) + 4L * (column + first);
            TrainingKernels.add(input.data(), from, table.data(), to, size);
          }
        });
  }

  @Override
  public void addRow(Matrix row, Matrix matrix) {
    forEachRows(
        matrix.rows(),
        (first, end) -> {
          for (int i = first; i < end; i++) {
            long at = matrix.rowOffset(i);
            TrainingKernels.add(row.data(), 0, matrix.data(), at, matrix.columns());
          }
        });
  }

  @Override
  public void addColumnSums(Matrix matrix, Matrix row) {
    TrainingKernels.addColumnSums(
        workers,
        scratches,
        matrix.rows(),
        matrix.columns(),
        (i, sums, at) ->
            TrainingKernels.add(matrix.data(), matrix.rowOffset(i), sums, at, matrix.columns()),
        row.data(),
        0);
  }

  @Override
  public void multiplyElements(Matrix mask, Matrix matrix) {
    forEachRows(
        matrix.rows(),
        (first, end) -> {
          for (int i = first; i < end; i++) {
            TrainingKernels.multiply(
                mask.data(),
                mask.rowOffset(i),
                matrix.data(),
                matrix.rowOffset(i),
                matrix.columns());
          }
        });
  }

  @Override
  public void adamW(
      Matrix parameter,
      Matrix gradient,
      Matrix firstMoment,
      Matrix secondMoment,
      AdamW coefficients,
      double learningRate,
      double scale,
      int step) {
    TrainingKernels.AdamWStep numbers =
        TrainingKernels.AdamWStep.of(coefficients, learningRate, scale, step);
    forEachRows(
        parameter.rows(),
        (first, end) -> {
          for (int i = first; i < end; i++) {
            numbers.apply(
                parameter.data(),
                parameter.rowOffset(i),
                gradient.data(),
                gradient.rowOffset(i),
                firstMoment.data(),
                firstMoment.rowOffset(i),
                secondMoment.data(),
                secondMoment.rowOffset(i),
                parameter.columns());
          }
        });
  }

  @Override
  public void average(Matrix matrix, float share, Matrix mean) {
    forEachRows(
        matrix.rows(),
        (first, end) -> {
          for (int i = first; i < end; i++) {
            TrainingKernels.average(
                matrix.data(),
                matrix.rowOffset(i),
                share,
                mean.data(),
                mean.rowOffset(i),
                matrix.columns());
          }
        });
  }

  @Override
  public double sumOfSquares(Matrix matrix) {
    double[] sums = new double[Math.ceilDiv(matrix.rows(), STREAM_ROWS)];
    forEachRows(
        matrix.rows(),
        (first, end) -> {
          double sum = 0;
          for (int i = first; i < end; i++) {
            sum +=
                TrainingKernels.sumOfSquares(matrix.data(), matrix.rowOffset(i), matrix.columns());
          }
          sums[first / STREAM_ROWS] = sum;
        });
    return Arrays.stream(sums).sum();
  }

  /**
   * Small matrices on purpose: loops that are not compiled yet take microseconds for every step,
   * and the JIT counts calls and steps, not their size.
   */
  @Override
  public void warmUp() {
    int size = 2 * PANEL;
    // Whole blocks, the rest of a block and the tails of vectors; half panels of queries and whole.
    PackedBatch batch = PackedBatch.of(new int[] {0, 4, 4 + FLOATS.length() + 3});
    int tokens = batch.tokens();
    try (Arena arena = Arena.ofShared()) {
      Tensor weight = zeros(arena, 3L * size, size);
      LinearWeight linear = prepareLinear(arena, List.of(weight), List.of());
      Tensor row = zeros(arena, size);
      NormWeight norm = prepareNorm(arena, NormKind.LAYER, row, Optional.of(row), 1e-12f);
      Tensor table = zeros(arena, tokens, size);
      Matrix hidden = allocate(arena, tokens, size);
      Matrix output = allocate(arena, tokens, 3 * size);
      Matrix angles = allocate(arena, tokens, size / 4);
      VectorBackend alone = new VectorBackend(precision, new Workers(1));
      for (int i = 0; i < WARM_UP_ROUNDS; i++) {
        alone.embed(batch, new EmbeddingTables(table, table, table), Optional.of(norm), hidden);
        alone.linear(hidden, linear, Activation.IDENTITY, output);
        alone.rotate(output, batch, 4, size / 2, new RotaryTable(angles, angles));
        alone.attention(output, batch, AttentionPattern.full(2, size / 2), hidden);
        alone.linear(hidden, linear, Activation.GELU, output);
        alone.addNorm(hidden, hidden, norm, hidden);
        alone.gate(output.firstColumns(2 * size), Activation.GELU, hidden);
        alone.add(output.firstColumns(size), hidden);
        alone.norm(hidden, norm, hidden);
      }
    }
  }

  static Tensor zeros(Arena arena, long... shape) {
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
