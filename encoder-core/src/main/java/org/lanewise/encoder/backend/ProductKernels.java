package org.lanewise.encoder.backend;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * The inner loops of the matrix product: a block of rows times one panel of columns.
 *
 * <p>A panel is two vectors of columns wide and lies with its depth outermost, so that one step of
 * the loop reads half a vector (int8), one (bf16) or two (fp32) vectors of weights, and as many
 * consecutive numbers of the packed left side as the block has rows. What varies is the precision
 * of the panel and the rows of the block:
 *
 * <ul>
 *   <li>6 rows x 2 vectors hold 12 sums: enough to hide the latency of two multiply-add units, and
 *       they fit the 16 registers of AVX2. On one core of a Zen 5 (limit 256 GFLOP/s) 6 rows reach
 *       246 to 252, 12 rows 249 to 256, but 12 rows are too much code for the JIT's first compiler,
 *       which then leaves the loop in the interpreter for good. 3 rows serve what is left.
 *   <li>Reading the left side through one running offset matters: separate offsets for the rows
 *       cost a bounds check each and halve the speed (145 against 250 GFLOP/s, same machine).
 *   <li>bf16 weights come in pairs, column n in the low half of an int and column n + one vector in
 *       the high half, and are widened by a shift and a mask: as fast as fp32 at half the traffic.
 *   <li>int8 weights are converted as they are read, and their scales wait for the sums: a quarter
 *       of the traffic at the same speed. Widening a panel beforehand, for all rows that are
 *       multiplied with it, was slower for any number of rows.
 * </ul>
 *
 * The sums must be local variables of one method and may not be passed to another, not even to be
 * stored: C2 keeps no arrays of vectors in registers, and boxes what a call could see. What the
 * loop leaves is therefore the argument of an addition, whose result is stored: where the sums
 * themselves were, some compilations boxed them at every step (a base model's products at 125
 * instead of 200 GFLOP/s).
 */
final class ProductKernels {
  static final VectorSpecies<Float> FLOATS = VectorBackend.FLOATS;
  static final VectorSpecies<Integer> INTS = FLOATS.withLanes(int.class);

  /** Bytes of one vector. */
  static final long BYTES = FLOATS.vectorByteSize();

  /** Bytes of one row of an fp32 panel. */
  static final long PANEL_BYTES = 2 * BYTES;

  /** Columns of one panel. */
  static final int PANEL = 2 * FLOATS.length();

  private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  /** A vector of bytes for each vector of floats, or for two where they are short. */
  private static final VectorSpecies<Byte> INT8S =
      VectorSpecies.of(
          byte.class, VectorShape.forBitSize(Math.max(64, FLOATS.vectorBitSize() / 4)));

  private static final boolean SHORT = INT8S.length() > FLOATS.length();

  private ProductKernels() {}

  /** Returns the rows of the block that begins the last {@code rows} rows: 6 or 3. */
  static int block(int rows) {
    return rows > 3 ? 6 : 3;
  }

  /**
   * output = left * panel + bias for one block; writes all rows of the block and all columns of the
   * panel.
   *
   * @param block rows: 6 or 3
   * @param left packed left side: {@code depth} times {@code block} numbers
   * @param panel {@code depth} times one panel row, bf16 pairs or fp32
   * @param bias one panel row
   * @param outputStride bytes from one row of the output to the next
   */
  static void multiply(
      int block,
      boolean bf16,
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment bias,
      long biasAt,
      MemorySegment output,
      long outputAt,
      long outputStride) {
    if (bf16 && block == 6) {
      bf16Rows6(left, leftAt, panel, panelAt, depth, bias, biasAt, output, outputAt, outputStride);
    } else if (bf16) {
      bf16Rows3(left, leftAt, panel, panelAt, depth, bias, biasAt, output, outputAt, outputStride);
    } else if (block == 6) {
      fp32Rows6(left, leftAt, panel, panelAt, depth, bias, biasAt, output, outputAt, outputStride);
    } else {
      fp32Rows3(left, leftAt, panel, panelAt, depth, bias, biasAt, output, outputAt, outputStride);
    }
  }

  /**
   * The same for an int8 panel, which is widened as it is read; scales come in at the end.
   *
   * @param scales of the columns, where the biases of the same columns are
   */
  static void multiplyInt8(
      int block,
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment scales,
      MemorySegment bias,
      long biasAt,
      MemorySegment output,
      long outputAt,
      long outputStride) {
    if (block == 6) {
      int8Rows6(
          left,
          leftAt,
          panel,
          panelAt,
          depth,
          scales,
          bias,
          biasAt,
          output,
          outputAt,
          outputStride);
    } else {
      int8Rows3(
          left,
          leftAt,
          panel,
          panelAt,
          depth,
          scales,
          bias,
          biasAt,
          output,
          outputAt,
          outputStride);
    }
  }

  /** The same for all rows of a packed left side, one block after the other. */
  static void multiplyRows(
      int rows,
      boolean bf16,
      MemorySegment left,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment bias,
      long biasAt,
      MemorySegment output,
      long outputAt,
      long outputStride) {
    long leftAt = 0;
    int block;
    for (int row = 0; row < rows; row += block) {
      block = block(rows - row);
      multiply(
          block,
          bf16,
          left,
          leftAt,
          panel,
          panelAt,
          depth,
          bias,
          biasAt,
          output,
          outputAt,
          outputStride);
      leftAt += 4L * block * depth;
      outputAt += block * outputStride;
    }
  }

  private static void fp32Rows6(
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment bias,
      long biasAt,
      MemorySegment output,
      long outputAt,
      long outputStride) {
    left = NativeMemory.known(left);
    panel = NativeMemory.known(panel);
    bias = NativeMemory.known(bias);
    output = NativeMemory.known(output);
    FloatVector bias0 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt, NATIVE);
    FloatVector bias1 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt + BYTES, NATIVE);
    FloatVector zero = FloatVector.zero(FLOATS);
    FloatVector sum0a = zero;
    FloatVector sum0b = zero;
    FloatVector sum1a = zero;
    FloatVector sum1b = zero;
    FloatVector sum2a = zero;
    FloatVector sum2b = zero;
    FloatVector sum3a = zero;
    FloatVector sum3b = zero;
    FloatVector sum4a = zero;
    FloatVector sum4b = zero;
    FloatVector sum5a = zero;
    FloatVector sum5b = zero;
    for (int k = 0; k < depth; k++) {
      FloatVector right0 = FloatVector.fromMemorySegment(FLOATS, panel, panelAt, NATIVE);
      FloatVector right1 = FloatVector.fromMemorySegment(FLOATS, panel, panelAt + BYTES, NATIVE);
      FloatVector left0 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt));
      sum0a = left0.fma(right0, sum0a);
      sum0b = left0.fma(right1, sum0b);
      FloatVector left1 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 4));
      sum1a = left1.fma(right0, sum1a);
      sum1b = left1.fma(right1, sum1b);
      FloatVector left2 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 8));
      sum2a = left2.fma(right0, sum2a);
      sum2b = left2.fma(right1, sum2b);
      FloatVector left3 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 12));
      sum3a = left3.fma(right0, sum3a);
      sum3b = left3.fma(right1, sum3b);
      FloatVector left4 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 16));
      sum4a = left4.fma(right0, sum4a);
      sum4b = left4.fma(right1, sum4b);
      FloatVector left5 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 20));
      sum5a = left5.fma(right0, sum5a);
      sum5b = left5.fma(right1, sum5b);
      leftAt += 24;
      panelAt += PANEL_BYTES;
    }
    bias0.add(sum0a).intoMemorySegment(output, outputAt, NATIVE);
    bias1.add(sum0b).intoMemorySegment(output, outputAt + BYTES, NATIVE);
    bias0.add(sum1a).intoMemorySegment(output, outputAt + outputStride, NATIVE);
    bias1.add(sum1b).intoMemorySegment(output, outputAt + outputStride + BYTES, NATIVE);
    bias0.add(sum2a).intoMemorySegment(output, outputAt + 2 * outputStride, NATIVE);
    bias1.add(sum2b).intoMemorySegment(output, outputAt + 2 * outputStride + BYTES, NATIVE);
    bias0.add(sum3a).intoMemorySegment(output, outputAt + 3 * outputStride, NATIVE);
    bias1.add(sum3b).intoMemorySegment(output, outputAt + 3 * outputStride + BYTES, NATIVE);
    bias0.add(sum4a).intoMemorySegment(output, outputAt + 4 * outputStride, NATIVE);
    bias1.add(sum4b).intoMemorySegment(output, outputAt + 4 * outputStride + BYTES, NATIVE);
    bias0.add(sum5a).intoMemorySegment(output, outputAt + 5 * outputStride, NATIVE);
    bias1.add(sum5b).intoMemorySegment(output, outputAt + 5 * outputStride + BYTES, NATIVE);
  }

  private static void fp32Rows3(
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment bias,
      long biasAt,
      MemorySegment output,
      long outputAt,
      long outputStride) {
    left = NativeMemory.known(left);
    panel = NativeMemory.known(panel);
    bias = NativeMemory.known(bias);
    output = NativeMemory.known(output);
    FloatVector bias0 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt, NATIVE);
    FloatVector bias1 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt + BYTES, NATIVE);
    FloatVector zero = FloatVector.zero(FLOATS);
    FloatVector sum0a = zero;
    FloatVector sum0b = zero;
    FloatVector sum1a = zero;
    FloatVector sum1b = zero;
    FloatVector sum2a = zero;
    FloatVector sum2b = zero;
    for (int k = 0; k < depth; k++) {
      FloatVector right0 = FloatVector.fromMemorySegment(FLOATS, panel, panelAt, NATIVE);
      FloatVector right1 = FloatVector.fromMemorySegment(FLOATS, panel, panelAt + BYTES, NATIVE);
      FloatVector left0 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt));
      sum0a = left0.fma(right0, sum0a);
      sum0b = left0.fma(right1, sum0b);
      FloatVector left1 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 4));
      sum1a = left1.fma(right0, sum1a);
      sum1b = left1.fma(right1, sum1b);
      FloatVector left2 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 8));
      sum2a = left2.fma(right0, sum2a);
      sum2b = left2.fma(right1, sum2b);
      leftAt += 12;
      panelAt += PANEL_BYTES;
    }
    bias0.add(sum0a).intoMemorySegment(output, outputAt, NATIVE);
    bias1.add(sum0b).intoMemorySegment(output, outputAt + BYTES, NATIVE);
    bias0.add(sum1a).intoMemorySegment(output, outputAt + outputStride, NATIVE);
    bias1.add(sum1b).intoMemorySegment(output, outputAt + outputStride + BYTES, NATIVE);
    bias0.add(sum2a).intoMemorySegment(output, outputAt + 2 * outputStride, NATIVE);
    bias1.add(sum2b).intoMemorySegment(output, outputAt + 2 * outputStride + BYTES, NATIVE);
  }

  private static void bf16Rows6(
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment bias,
      long biasAt,
      MemorySegment output,
      long outputAt,
      long outputStride) {
    left = NativeMemory.known(left);
    panel = NativeMemory.known(panel);
    bias = NativeMemory.known(bias);
    output = NativeMemory.known(output);
    FloatVector bias0 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt, NATIVE);
    FloatVector bias1 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt + BYTES, NATIVE);
    FloatVector zero = FloatVector.zero(FLOATS);
    FloatVector sum0a = zero;
    FloatVector sum0b = zero;
    FloatVector sum1a = zero;
    FloatVector sum1b = zero;
    FloatVector sum2a = zero;
    FloatVector sum2b = zero;
    FloatVector sum3a = zero;
    FloatVector sum3b = zero;
    FloatVector sum4a = zero;
    FloatVector sum4b = zero;
    FloatVector sum5a = zero;
    FloatVector sum5b = zero;
    for (int k = 0; k < depth; k++) {
      IntVector pair = IntVector.fromMemorySegment(INTS, panel, panelAt, NATIVE);
      FloatVector right0 = pair.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      FloatVector right1 = pair.and(0xFFFF0000).reinterpretAsFloats();
      FloatVector left0 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt));
      sum0a = left0.fma(right0, sum0a);
      sum0b = left0.fma(right1, sum0b);
      FloatVector left1 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 4));
      sum1a = left1.fma(right0, sum1a);
      sum1b = left1.fma(right1, sum1b);
      FloatVector left2 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 8));
      sum2a = left2.fma(right0, sum2a);
      sum2b = left2.fma(right1, sum2b);
      FloatVector left3 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 12));
      sum3a = left3.fma(right0, sum3a);
      sum3b = left3.fma(right1, sum3b);
      FloatVector left4 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 16));
      sum4a = left4.fma(right0, sum4a);
      sum4b = left4.fma(right1, sum4b);
      FloatVector left5 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 20));
      sum5a = left5.fma(right0, sum5a);
      sum5b = left5.fma(right1, sum5b);
      leftAt += 24;
      panelAt += BYTES;
    }
    bias0.add(sum0a).intoMemorySegment(output, outputAt, NATIVE);
    bias1.add(sum0b).intoMemorySegment(output, outputAt + BYTES, NATIVE);
    bias0.add(sum1a).intoMemorySegment(output, outputAt + outputStride, NATIVE);
    bias1.add(sum1b).intoMemorySegment(output, outputAt + outputStride + BYTES, NATIVE);
    bias0.add(sum2a).intoMemorySegment(output, outputAt + 2 * outputStride, NATIVE);
    bias1.add(sum2b).intoMemorySegment(output, outputAt + 2 * outputStride + BYTES, NATIVE);
    bias0.add(sum3a).intoMemorySegment(output, outputAt + 3 * outputStride, NATIVE);
    bias1.add(sum3b).intoMemorySegment(output, outputAt + 3 * outputStride + BYTES, NATIVE);
    bias0.add(sum4a).intoMemorySegment(output, outputAt + 4 * outputStride, NATIVE);
    bias1.add(sum4b).intoMemorySegment(output, outputAt + 4 * outputStride + BYTES, NATIVE);
    bias0.add(sum5a).intoMemorySegment(output, outputAt + 5 * outputStride, NATIVE);
    bias1.add(sum5b).intoMemorySegment(output, outputAt + 5 * outputStride + BYTES, NATIVE);
  }

  private static void bf16Rows3(
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment bias,
      long biasAt,
      MemorySegment output,
      long outputAt,
      long outputStride) {
    left = NativeMemory.known(left);
    panel = NativeMemory.known(panel);
    bias = NativeMemory.known(bias);
    output = NativeMemory.known(output);
    FloatVector bias0 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt, NATIVE);
    FloatVector bias1 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt + BYTES, NATIVE);
    FloatVector zero = FloatVector.zero(FLOATS);
    FloatVector sum0a = zero;
    FloatVector sum0b = zero;
    FloatVector sum1a = zero;
    FloatVector sum1b = zero;
    FloatVector sum2a = zero;
    FloatVector sum2b = zero;
    for (int k = 0; k < depth; k++) {
      IntVector pair = IntVector.fromMemorySegment(INTS, panel, panelAt, NATIVE);
      FloatVector right0 = pair.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      FloatVector right1 = pair.and(0xFFFF0000).reinterpretAsFloats();
      FloatVector left0 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt));
      sum0a = left0.fma(right0, sum0a);
      sum0b = left0.fma(right1, sum0b);
      FloatVector left1 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 4));
      sum1a = left1.fma(right0, sum1a);
      sum1b = left1.fma(right1, sum1b);
      FloatVector left2 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 8));
      sum2a = left2.fma(right0, sum2a);
      sum2b = left2.fma(right1, sum2b);
      leftAt += 12;
      panelAt += BYTES;
    }
    bias0.add(sum0a).intoMemorySegment(output, outputAt, NATIVE);
    bias1.add(sum0b).intoMemorySegment(output, outputAt + BYTES, NATIVE);
    bias0.add(sum1a).intoMemorySegment(output, outputAt + outputStride, NATIVE);
    bias1.add(sum1b).intoMemorySegment(output, outputAt + outputStride + BYTES, NATIVE);
    bias0.add(sum2a).intoMemorySegment(output, outputAt + 2 * outputStride, NATIVE);
    bias1.add(sum2b).intoMemorySegment(output, outputAt + 2 * outputStride + BYTES, NATIVE);
  }

  private static void int8Rows6(
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment scales,
      MemorySegment bias,
      long biasAt,
      MemorySegment output,
      long outputAt,
      long outputStride) {
    left = NativeMemory.known(left);
    panel = NativeMemory.known(panel);
    scales = NativeMemory.known(scales);
    bias = NativeMemory.known(bias);
    output = NativeMemory.known(output);
    FloatVector bias0 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt, NATIVE);
    FloatVector bias1 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt + BYTES, NATIVE);
    FloatVector scale0 = FloatVector.fromMemorySegment(FLOATS, scales, biasAt, NATIVE);
    FloatVector scale1 = FloatVector.fromMemorySegment(FLOATS, scales, biasAt + BYTES, NATIVE);
    FloatVector zero = FloatVector.zero(FLOATS);
    FloatVector sum0a = zero;
    FloatVector sum0b = zero;
    FloatVector sum1a = zero;
    FloatVector sum1b = zero;
    FloatVector sum2a = zero;
    FloatVector sum2b = zero;
    FloatVector sum3a = zero;
    FloatVector sum3b = zero;
    FloatVector sum4a = zero;
    FloatVector sum4b = zero;
    FloatVector sum5a = zero;
    FloatVector sum5b = zero;
    for (int k = 0; k < depth; k++) {
      ByteVector bytes0 = ByteVector.fromMemorySegment(INT8S, panel, panelAt, NATIVE);
      ByteVector bytes1 =
          SHORT
              ? bytes0
              : ByteVector.fromMemorySegment(INT8S, panel, panelAt + INT8S.length(), NATIVE);
      FloatVector right0 = (FloatVector) bytes0.convertShape(VectorOperators.B2F, FLOATS, 0);
      FloatVector right1 =
          (FloatVector) bytes1.convertShape(VectorOperators.B2F, FLOATS, SHORT ? 1 : 0);
      FloatVector left0 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt));
      sum0a = left0.fma(right0, sum0a);
      sum0b = left0.fma(right1, sum0b);
      FloatVector left1 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 4));
      sum1a = left1.fma(right0, sum1a);
      sum1b = left1.fma(right1, sum1b);
      FloatVector left2 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 8));
      sum2a = left2.fma(right0, sum2a);
      sum2b = left2.fma(right1, sum2b);
      FloatVector left3 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 12));
      sum3a = left3.fma(right0, sum3a);
      sum3b = left3.fma(right1, sum3b);
      FloatVector left4 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 16));
      sum4a = left4.fma(right0, sum4a);
      sum4b = left4.fma(right1, sum4b);
      FloatVector left5 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 20));
      sum5a = left5.fma(right0, sum5a);
      sum5b = left5.fma(right1, sum5b);
      leftAt += 24;
      panelAt += PANEL;
    }
    scale0.fma(sum0a, bias0).intoMemorySegment(output, outputAt, NATIVE);
    scale1.fma(sum0b, bias1).intoMemorySegment(output, outputAt + BYTES, NATIVE);
    scale0.fma(sum1a, bias0).intoMemorySegment(output, outputAt + outputStride, NATIVE);
    scale1.fma(sum1b, bias1).intoMemorySegment(output, outputAt + outputStride + BYTES, NATIVE);
    scale0.fma(sum2a, bias0).intoMemorySegment(output, outputAt + 2 * outputStride, NATIVE);
    scale1.fma(sum2b, bias1).intoMemorySegment(output, outputAt + 2 * outputStride + BYTES, NATIVE);
    scale0.fma(sum3a, bias0).intoMemorySegment(output, outputAt + 3 * outputStride, NATIVE);
    scale1.fma(sum3b, bias1).intoMemorySegment(output, outputAt + 3 * outputStride + BYTES, NATIVE);
    scale0.fma(sum4a, bias0).intoMemorySegment(output, outputAt + 4 * outputStride, NATIVE);
    scale1.fma(sum4b, bias1).intoMemorySegment(output, outputAt + 4 * outputStride + BYTES, NATIVE);
    scale0.fma(sum5a, bias0).intoMemorySegment(output, outputAt + 5 * outputStride, NATIVE);
    scale1.fma(sum5b, bias1).intoMemorySegment(output, outputAt + 5 * outputStride + BYTES, NATIVE);
  }

  private static void int8Rows3(
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment scales,
      MemorySegment bias,
      long biasAt,
      MemorySegment output,
      long outputAt,
      long outputStride) {
    left = NativeMemory.known(left);
    panel = NativeMemory.known(panel);
    scales = NativeMemory.known(scales);
    bias = NativeMemory.known(bias);
    output = NativeMemory.known(output);
    FloatVector bias0 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt, NATIVE);
    FloatVector bias1 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt + BYTES, NATIVE);
    FloatVector scale0 = FloatVector.fromMemorySegment(FLOATS, scales, biasAt, NATIVE);
    FloatVector scale1 = FloatVector.fromMemorySegment(FLOATS, scales, biasAt + BYTES, NATIVE);
    FloatVector zero = FloatVector.zero(FLOATS);
    FloatVector sum0a = zero;
    FloatVector sum0b = zero;
    FloatVector sum1a = zero;
    FloatVector sum1b = zero;
    FloatVector sum2a = zero;
    FloatVector sum2b = zero;
    for (int k = 0; k < depth; k++) {
      ByteVector bytes0 = ByteVector.fromMemorySegment(INT8S, panel, panelAt, NATIVE);
      ByteVector bytes1 =
          SHORT
              ? bytes0
              : ByteVector.fromMemorySegment(INT8S, panel, panelAt + INT8S.length(), NATIVE);
      FloatVector right0 = (FloatVector) bytes0.convertShape(VectorOperators.B2F, FLOATS, 0);
      FloatVector right1 =
          (FloatVector) bytes1.convertShape(VectorOperators.B2F, FLOATS, SHORT ? 1 : 0);
      FloatVector left0 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt));
      sum0a = left0.fma(right0, sum0a);
      sum0b = left0.fma(right1, sum0b);
      FloatVector left1 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 4));
      sum1a = left1.fma(right0, sum1a);
      sum1b = left1.fma(right1, sum1b);
      FloatVector left2 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 8));
      sum2a = left2.fma(right0, sum2a);
      sum2b = left2.fma(right1, sum2b);
      leftAt += 12;
      panelAt += PANEL;
    }
    scale0.fma(sum0a, bias0).intoMemorySegment(output, outputAt, NATIVE);
    scale1.fma(sum0b, bias1).intoMemorySegment(output, outputAt + BYTES, NATIVE);
    scale0.fma(sum1a, bias0).intoMemorySegment(output, outputAt + outputStride, NATIVE);
    scale1.fma(sum1b, bias1).intoMemorySegment(output, outputAt + outputStride + BYTES, NATIVE);
    scale0.fma(sum2a, bias0).intoMemorySegment(output, outputAt + 2 * outputStride, NATIVE);
    scale1.fma(sum2b, bias1).intoMemorySegment(output, outputAt + 2 * outputStride + BYTES, NATIVE);
  }
}
