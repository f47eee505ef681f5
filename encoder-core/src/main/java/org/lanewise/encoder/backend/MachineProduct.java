package org.lanewise.encoder.backend;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.lanewise.encoder.weights.Tensor;

/**
 * The product of activations and weights by {@link MachineCode}: int8 times int8 summed in int32,
 * bf16 times bf16 summed in fp32, or all in fp32.
 *
 * <p>int8 is symmetric: a weight is w * scale of its output channel, an activation a * scale of its
 * row, w and a from -127 to 127. Weights are stored as w + 128, because one side of the
 * instructions is unsigned; what that adds to a sum is 128 times the sum of the row.
 */
final class MachineProduct {
  private static final int PANEL = ProductCall.PANEL;

  /** Rows of the left side that AVX-512 works on at once, at the least. */
  static final int DOT_ROWS = 4;

  /** Bytes of the depth are rounded up to this, the width of a tile. */
  private static final int DEPTH_BYTES = 64;

  /** Rows times panels of one call: the sums stay in the first cache until they are read. */
  private static final int CALL_ROWS = 96;

  /** Rows of one call whose sums are written where they belong; 11 times 12. */
  private static final int DIRECT_ROWS = 132;

  /** Steps of the depth of such a call: with these rows, 400 kB of a second cache of 1 MB. */
  private static final int DIRECT_STEPS = 768;

  /** Rows that are rounded at once while tiles multiply. */
  static final int WIDENED_ROWS = 4;

  /** Bytes of a row of a panel once it is rounded. */
  private static final long ROUNDED_BYTES = ProductCall.STEP_BYTES / 2;

  /** Rows that tiles work on at once, at the most. */
  private static final int TILE_ROWS = 32;

  /** Rows of one task of a product by tiles: panels come into the second cache once for them. */
  private static final int MOST_TILE_ROWS = 1024;

  /** Panels that stay in a second cache of 2 MB, which all processors with tiles have. */
  private static final int GROUP_BYTES = 900 << 10;

  /** For each row of int8 its scale, and 128 times the sum of its numbers. */
  private static final long FACTORS_BYTES = 8;

  /** Rows that AVX-512 works on at once, at the most. */
  private static final int FEW_ROWS = 12;

  private static final int ZERO = 128;

  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_512;
  private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_512;
  private static final VectorSpecies<Short> SHORTS = ShortVector.SPECIES_256;
  private static final int LANES = 16;
  private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;

  private MachineProduct() {}

  /**
   * A weight as panels of columns, with every 4 bytes of depth of a column together.
   *
   * @param scales of the columns; for int8 alone
   * @param depthBytes bytes of a column, rounded up
   * @param function the address of the product, without an activation
   * @param tiles whether it works on tiles, of any number of rows; else on {@link #DOT_ROWS}
   */
  record Weight(
      MemorySegment panels,
      MemorySegment bias,
      MemorySegment scales,
      int inputSize,
      int outputSize,
      int depthBytes,
      Precision precision,
      MemorySegment function,
      boolean tiles)
      implements LinearWeight {
    int panelCount() {
      return Math.ceilDiv(outputSize, PANEL);
    }

    long panelBytes() {
      return (long) PANEL * depthBytes;
    }

    long panelAddress(int panel) {
      return panels.address() + panel * panelBytes();
    }

    /** Steps of the depth, of 4 bytes each. */
    int steps() {
      return depthBytes / 4;
    }

    /** The most rows of one task. */
    int mostRows() {
      if (tiles) {
        return MOST_TILE_ROWS;
      }
      boolean fp32 = precision == Precision.FP32;
      return VectorProduct.mostRows(fp32 ? Math.min(steps(), DIRECT_STEPS) : steps());
    }

    /** Whether sums need nothing but the bias and are written row by row. */
    boolean direct() {
      return precision != Precision.INT8;
    }

    /** How many rows are multiplied where so many are asked for. */
    int wholeRows(int rows) {
      return tiles ? rows : Matrix.roundUp(rows, DOT_ROWS);
    }
  }

  /** Packs stacked linear layers; the unit is one of those that run machine code. */
  static Weight prepare(
      Arena arena,
      Workers workers,
      MatrixUnit unit,
      Precision precision,
      List<Tensor> weights,
      List<Tensor> biases) {
    int inputSize = Math.toIntExact(weights.getFirst().shape()[1]);
    int outputSize = VectorBackend.outputSize(weights);
    int depthBytes =
        switch (precision) {
          case FP32 -> Float.BYTES * inputSize;
          case BF16 -> Matrix.roundUp(Short.BYTES * inputSize, DEPTH_BYTES);
          case INT8 -> Matrix.roundUp(inputSize, DEPTH_BYTES);
        };
    int columns = Matrix.roundUp(outputSize, PANEL);
    MemorySegment panels = arena.allocate((long) columns * depthBytes, 64);
    MemorySegment scales = arena.allocate((long) columns * Float.BYTES, 64);
    workers.forEach(
        columns / PANEL,
        panel -> {
          float[][] rows = WeightPacking.rows(weights, panel * PANEL, PANEL);
          long at = (long) panel * PANEL * depthBytes;
          switch (precision) {
            case FP32 -> WeightPacking.packFp32(rows, panels, at);
            case BF16 -> packBf16(rows, panels, at);
            case INT8 -> packInt8(rows, panels, at, scales, 4L * panel * PANEL);
          }
        });
    boolean tiles = unit == MatrixUnit.AMX;
    MachineCode.Function function =
        switch (precision) {
          case FP32 -> MachineCode.Function.DOT_FP32;
          case BF16 -> tiles ? MachineCode.Function.TILE_BF16 : MachineCode.Function.DOT_BF16;
          case INT8 -> tiles ? MachineCode.Function.TILE_SCALED : MachineCode.Function.DOT_INT8;
        };
    return new Weight(
        panels,
        VectorBackend.bias(arena, biases, columns),
        scales,
        inputSize,
        outputSize,
        depthBytes,
        precision,
        MatrixUnit.code().address(function),
        tiles);
  }

  private static void packInt8(
      float[][] columns, MemorySegment panels, long at, MemorySegment scales, long scalesAt) {
    panels = NativeMemory.known(panels);
    float[] scale = WeightPacking.scales(columns, scales, scalesAt);
    int size = columns[0].length;
    for (int k = 0; k < size; k += 4) {
      for (int column = 0; column < PANEL; column++, at += 4) {
        int four = 0;
        for (int i = Math.min(3, size - 1 - k); i >= 0; i--) {
          four = four << 8 | Int8.round(columns[column][k + i], scale[column]) + ZERO;
        }
        panels.set(INT, at, four);
      }
    }
  }

  private static void packBf16(float[][] columns, MemorySegment panels, long at) {
    panels = NativeMemory.known(panels);
    int size = columns[0].length;
    for (int k = 0; k < size; k += 2) {
      for (float[] column : columns) {
        int low = BFloat16.bits(column[k]);
        int high = k + 1 < size ? BFloat16.bits(column[k + 1]) : 0;
        panels.set(INT, at, low | high << 16);
        at += Integer.BYTES;
      }
    }
  }

  /** Computes the rows of a product for the panels from {@code firstPanel} to {@code endPanel}. */
  static void multiply(
      ScratchPool scratches,
      Matrix input,
      int firstRow,
      int rows,
      Weight weight,
      int firstPanel,
      int endPanel,
      Activation activation,
      Matrix output) {
    boolean fp32 = weight.precision() == Precision.FP32;
    try (ScratchPool.Scratch scratch = scratches.borrow()) {
      long rowBytes = fp32 ? input.stride() * 4L : weight.depthBytes();
      MemorySegment left = scratch.floats(fp32 ? 1 : Matrix.roundUp(rows, DOT_ROWS) * rowBytes / 4);
      MemorySegment factors = scratch.floats(2L * Matrix.roundUp(rows, DOT_ROWS));
      if (!fp32) {
        pack(scratch, input, firstRow, rows, weight, left, factors);
      }
      if (weight.tiles() && !weight.direct()) {
        scaleDirectly(
            scratch,
            left,
            factors,
            rows,
            weight,
            firstPanel,
            endPanel,
            activation,
            output,
            firstRow);
        return;
      }
      long leftAt = fp32 ? input.data().address() + input.rowOffset(firstRow) : left.address();
      ProductCall call = new ProductCall(weight.function(), scratch);
      if (weight.direct()) {
        int chunk = chunkRows(weight, rows, activation);
        for (int row = 0; row < rows; row += chunk) {
          int many = Math.min(chunk, rows - row);
          long at = leftAt + row * rowBytes;
          sumDirectly(
              call,
              at,
              rowBytes,
              many,
              weight,
              firstPanel,
              endPanel,
              activation,
              output,
              firstRow + row);
        }
        return;
      }
      int chunk = Math.min(weight.wholeRows(rows), CALL_ROWS);
      int panels = Math.min(endPanel - firstPanel, CALL_ROWS / chunk);
      MemorySegment sums = scratch.floats((long) chunk * panels * PANEL);
      long sumsStride = 4L * panels * PANEL;
      call.output(sums.address(), sumsStride);
      call.start(0, 0);
      for (int panel = firstPanel; panel < endPanel; panel += panels) {
        int count = Math.min(panels, endPanel - panel);
        call.panels(weight.panelAddress(panel), weight.panelBytes(), weight.steps());
        for (int row = 0; row < rows; row += chunk) {
          int many = Math.min(chunk, rows - row);
          call.left(leftAt + row * rowBytes, rowBytes, 4);
          call.run(weight.wholeRows(many), count);
          for (int i = 0; i < count; i++) {
            long columnAt = (panel + i) * 4L * PANEL;
            long outputAt = output.rowOffset(firstRow + row) + columnAt;
            long outputStride = output.stride() * 4L;
            scale(
                sums,
                i * 4L * PANEL,
                sumsStride,
                many,
                factors,
                row,
                weight,
                columnAt,
                output.data(),
                outputAt,
                outputStride);
            VectorBackend.activate(activation, output.data(), outputAt, outputStride, many);
          }
        }
      }
    }
  }

  /**
   * Products of int8 by tiles, scaled while tiles multiply the next panel. Rows are rounded up, as
   * those of matrices are.
   */
  private static void scaleDirectly(
      ScratchPool.Scratch scratch,
      MemorySegment left,
      MemorySegment factors,
      int rows,
      Weight weight,
      int firstPanel,
      int endPanel,
      Activation activation,
      Matrix output,
      int firstRow) {
    boolean gelu = activation == Activation.GELU;
    MemorySegment function =
        gelu ? MatrixUnit.code().address(MachineCode.Function.TILE_SCALED_GELU) : weight.function();
    boolean activates = !gelu && activation != Activation.IDENTITY;
    ProductCall call = new ProductCall(function, scratch);
    long outputStride = output.stride() * 4L;
    int chunk = activates ? CALL_ROWS : rows;
    int group = activates ? 1 : groupPanels(weight.steps());
    for (int row = 0; row < rows; row += chunk) {
      int many = Math.min(chunk, rows - row);
      long outputAt = output.rowOffset(firstRow + row);
      call.left(left.address() + (long) row * weight.depthBytes(), weight.depthBytes(), 4);
      for (int panel = firstPanel; panel < endPanel; panel += group) {
        long columnAt = panel * ProductCall.STEP_BYTES;
        call.panels(weight.panelAddress(panel), weight.panelBytes(), weight.steps());
        call.output(output.data().address() + outputAt + columnAt, outputStride);
        call.scales(
            factors.address() + row * FACTORS_BYTES,
            weight.scales().address() + columnAt,
            weight.bias().address() + columnAt);
        call.run(many, Math.min(group, endPanel - panel));
        if (activates) {
          VectorBackend.activate(
              activation, output.data(), outputAt + columnAt, outputStride, many);
        }
      }
    }
  }

  /** Rows that are multiplied with some panels before the next are. */
  private static int chunkRows(Weight weight, int rows, Activation activation) {
    if (!weight.tiles()) {
      return DIRECT_ROWS;
    }
    return activation == Activation.IDENTITY ? rows : DIRECT_ROWS / TILE_ROWS * TILE_ROWS;
  }

  /** Whether {@link #widen} can go before a product with the second weight. */
  static boolean rounds(LinearWeight first, Activation activation, LinearWeight second) {
    return activation == Activation.GELU
        && first instanceof Weight up
        && second instanceof Weight down
        && tilesBf16(up)
        && tilesBf16(down);
  }

  private static boolean tilesBf16(Weight weight) {
    return weight.tiles() && weight.precision() == Precision.BF16;
  }

  /**
   * GELU of some rows of a product for the panels from {@code firstPanel} to {@code endPanel}, as
   * the left side of a second product: bf16, row by row.
   *
   * @param widened (rows up to a multiple of {@link #WIDENED_ROWS}, outputSize of the weight),
   *     which {@link #narrow} reads
   */
  static void widen(
      ScratchPool scratches,
      Matrix input,
      int firstRow,
      int rows,
      Weight weight,
      int firstPanel,
      int endPanel,
      MemorySegment widened) {
    try (ScratchPool.Scratch scratch = scratches.borrow()) {
      long rowBytes = weight.depthBytes();
      MemorySegment left = scratch.floats(rows * rowBytes / 4);
      pack(scratch, input, firstRow, rows, weight, left, left);
      MemorySegment function = MatrixUnit.code().address(MachineCode.Function.TILE_GELU);
      ProductCall call = new ProductCall(function, scratch);
      call.left(left.address(), rowBytes, 4);
      long to = widened.address() + firstRow * widenedBytes(weight);
      int group = groupPanels(weight.steps());
      for (int panel = firstPanel; panel < endPanel; panel += group) {
        call.panels(weight.panelAddress(panel), weight.panelBytes(), weight.steps());
        call.start(weight.bias().address() + panel * ProductCall.STEP_BYTES, 0);
        call.output(to + panel * ROUNDED_BYTES, widenedBytes(weight));
        call.run(rows, Math.min(group, endPanel - panel));
      }
    }
  }

  /**
   * Bytes from one row of {@link #widen} to the next; not 4,096 where columns are a power of two.
   */
  static long widenedBytes(Weight weight) {
    return weight.panelCount() * ROUNDED_BYTES + DEPTH_BYTES;
  }

  /** Rows of a product with what {@link #widen} wrote. */
  static void narrow(
      ScratchPool scratches,
      MemorySegment widened,
      long widenedBytes,
      int firstRow,
      int rows,
      Weight weight,
      int firstPanel,
      int endPanel,
      Matrix output) {
    try (ScratchPool.Scratch scratch = scratches.borrow()) {
      sumDirectly(
          new ProductCall(weight.function(), scratch),
          widened.address() + firstRow * widenedBytes,
          widenedBytes,
          rows,
          weight,
          firstPanel,
          endPanel,
          Activation.IDENTITY,
          output,
          firstRow);
    }
  }

  /** Panels of so many steps that stay in the second cache. */
  private static int groupPanels(int steps) {
    return Math.max(1, GROUP_BYTES / (int) (steps * ProductCall.STEP_BYTES));
  }

  /**
   * Sums that start with the bias and are written where they belong, a chunk of the depth after the
   * other, so that the left side stays cached. Rows are rounded up, as those of matrices are.
   */
  private static void sumDirectly(
      ProductCall call,
      long leftAt,
      long rowBytes,
      int rows,
      Weight weight,
      int firstPanel,
      int endPanel,
      Activation activation,
      Matrix output,
      int firstRow) {
    int steps = weight.steps();
    // Few rows read the panels once and from end to end.
    int most = rows <= FEW_ROWS ? steps : DIRECT_STEPS;
    long outputStride = output.stride() * 4L;
    for (int step = 0; step < steps; step += most) {
      boolean last = step + most >= steps;
      boolean activates = last && activation != Activation.IDENTITY;
      int panels = weight.tiles() ? groupPanels(Math.min(most, steps)) : endPanel - firstPanel;
      panels = activates ? Math.max(1, DIRECT_ROWS / rows) : panels;
      call.left(leftAt + 4L * step, rowBytes, 4);
      for (int panel = firstPanel; panel < endPanel; panel += panels) {
        int count = Math.min(panels, endPanel - panel);
        long columnAt = panel * ProductCall.STEP_BYTES;
        long outputAt = output.rowOffset(firstRow) + columnAt;
        long panelAt = weight.panelAddress(panel) + step * ProductCall.STEP_BYTES;
        call.panels(panelAt, weight.panelBytes(), Math.min(most, steps - step));
        call.output(output.data().address() + outputAt, outputStride);
        if (step == 0) {
          call.start(weight.bias().address() + columnAt, 0);
        } else {
          call.start(output.data().address() + outputAt, outputStride);
        }
        call.run(weight.wholeRows(rows), count);
        for (int i = 0; activates && i < count; i++) {
          long at = outputAt + i * ProductCall.STEP_BYTES;
          VectorBackend.activate(activation, output.data(), at, outputStride, rows);
        }
      }
    }
  }

  private static void pack(
      ScratchPool.Scratch scratch,
      Matrix input,
      int firstRow,
      int rows,
      Weight weight,
      MemorySegment left,
      MemorySegment factors) {
    MemorySegment data = NativeMemory.known(input.data());
    left = NativeMemory.known(left);
    int depth = weight.depthBytes();
    int size = weight.inputSize();
    boolean int8 = weight.precision() == Precision.INT8;
    if (int8 || size % PANEL == 0) {
      RowsCall call =
          new RowsCall(
              int8 ? MachineCode.Function.ROUND_INT8 : MachineCode.Function.ROUND_BF16, scratch);
      if (int8) {
        call.factors(factors.address());
      }
      call.run(
          data.address() + input.rowOffset(firstRow),
          input.stride() * 4L,
          rows,
          size,
          left.address(),
          depth);
      return;
    }
    for (int row = 0; row < rows; row++) {
      long to = (long) row * depth;
      roundBf16(data, input.rowOffset(firstRow + row), size, left, to);
      for (int written = 2 * Matrix.roundUp(size, LANES); written < depth; written += 4) {
        left.set(INT, to + written, 0);
      }
    }
  }

  /**
   * Writes rows of an even size as bf16, one behind the other; up to 15 numbers follow the last.
   */
  static void roundBf16(
      MemorySegment data, long at, long rowBytes, int rows, int size, MemorySegment left) {
    data = NativeMemory.known(data);
    left = NativeMemory.known(left);
    int whole = FLOATS.loopBound(size);
    for (int row = 0; row < rows; row++) {
      long from = at + row * rowBytes;
      long to = row * 2L * size;
      for (int i = 0; i < whole; i += LANES) {
        storeBf16(load(data, from + 4L * i), left, to + 2L * i);
      }
      if (whole < size) {
        storeBf16(tail(data, from, size), left, to + 2L * whole);
      }
    }
  }

  private static void roundBf16(
      MemorySegment data, long at, int size, MemorySegment left, long to) {
    data = NativeMemory.known(data);
    left = NativeMemory.known(left);
    int whole = FLOATS.loopBound(size);
    for (int i = 0; i < whole; i += LANES) {
      storeBf16(load(data, at + 4L * i), left, to + 2L * i);
    }
    if (whole < size) {
      storeBf16(tail(data, at, size), left, to + 2L * whole);
    }
  }

  private static void storeBf16(FloatVector numbers, MemorySegment left, long to) {
    IntVector bits = numbers.reinterpretAsInts();
    IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).and(1);
    IntVector rounded = bits.add(0x7FFF).add(odd).lanewise(VectorOperators.LSHR, 16);
    ((ShortVector) rounded.convertShape(VectorOperators.I2S, SHORTS, 0))
        .intoMemorySegment(left, to, NATIVE);
  }

  /**
   * The numbers of a row behind its last whole vector, and zeros: what follows is not the row's.
   */
  private static FloatVector tail(MemorySegment data, long at, int size) {
    int whole = FLOATS.loopBound(size);
    VectorMask<Float> mask = FLOATS.indexInRange(whole, size);
    return FloatVector.fromMemorySegment(FLOATS, data, at + 4L * whole, NATIVE, mask);
  }

  private static FloatVector load(MemorySegment data, long at) {
    return FloatVector.fromMemorySegment(FLOATS, data, at, NATIVE);
  }

  /** output = (sums - excess of the row) * scale of the row * scale of the column + bias. */
  private static void scale(
      MemorySegment sums,
      long sumsAt,
      long sumsStride,
      int rows,
      MemorySegment factors,
      int firstRow,
      Weight weight,
      long columnAt,
      MemorySegment output,
      long outputAt,
      long outputStride) {
    sums = NativeMemory.known(sums);
    factors = NativeMemory.known(factors);
    output = NativeMemory.known(output);
    MemorySegment columnScales = NativeMemory.known(weight.scales());
    MemorySegment bias = NativeMemory.known(weight.bias());
    FloatVector scale0 = load(columnScales, columnAt);
    FloatVector scale1 = load(columnScales, columnAt + 64);
    FloatVector bias0 = load(bias, columnAt);
    FloatVector bias1 = load(bias, columnAt + 64);
    for (int row = 0; row < rows; row++) {
      long factorsAt = (firstRow + row) * FACTORS_BYTES;
      float scale = factors.get(FLOAT, factorsAt);
      int excess = factors.get(INT, factorsAt + 4);
      FloatVector sum0 = ints(sums, sumsAt, excess);
      FloatVector sum1 = ints(sums, sumsAt + 64, excess);
      sum0.mul(scale).fma(scale0, bias0).intoMemorySegment(output, outputAt, NATIVE);
      sum1.mul(scale).fma(scale1, bias1).intoMemorySegment(output, outputAt + 64, NATIVE);
      sumsAt += sumsStride;
      outputAt += outputStride;
    }
  }

  private static FloatVector ints(MemorySegment sums, long at, int excess) {
    IntVector sum = IntVector.fromMemorySegment(INTS, sums, at, NATIVE).sub(excess);
    return (FloatVector) sum.convert(VectorOperators.I2F, 0);
  }
}
