package org.lanewise.encoder.backend;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The inner loops of the matrix product: a block of rows times one panel of columns.
 *
 * <p>A panel is two vectors of columns wide and lies with its depth outermost, so that one step of
 * the loop reads one (bf16) or two (fp32) vectors of weights, and as many consecutive numbers of
 * the packed left side as the block has rows. What varies is the precision of the panel and the
 * rows of the block:
 *
 * <ul>
 *   <li>12 rows x 2 vectors hold 24 of the 32 registers of AVX-512 and reach the FMA limit; 6 rows
 *       fit the 16 registers of AVX2. 3 rows serve what is left of either.
 *   <li>Reading the left side through one running offset matters: 12 separate row offsets cost 12
 *       bounds checks a step and halve the speed (145 against 250 GFLOP/s, one core of a Zen 5).
 *   <li>bf16 weights come in pairs, column n in the low half of an int and column n + one vector in
 *       the high half, and are widened by a shift and a mask: as fast as fp32 at half the traffic.
 * </ul>
 *
 * The sums must be local variables of one method: C2 keeps no arrays of vectors in registers.
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

  /** Rows of the largest block that the registers of this machine hold. */
  static final int LARGEST_BLOCK = FLOATS.length() >= 16 ? 12 : 6;

  private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private ProductKernels() {}

  /** Returns the rows of the block that begins the last {@code rows} rows: 12, 6 or 3. */
  static int block(int rows) {
    if (rows > 6) {
      return rows > 9 ? LARGEST_BLOCK : 6;
    }
    return rows > 3 ? 6 : 3;
  }

  /**
   * output = left * panel + bias for one block; writes all rows of the block and all columns of the
   * panel.
   *
   * @param block rows: 12, 6 or 3
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
    if (bf16) {
      switch (block) {
        case 12 ->
            bf16Rows12(
                left, leftAt, panel, panelAt, depth, bias, biasAt, output, outputAt, outputStride);
        case 6 ->
            bf16Rows6(
                left, leftAt, panel, panelAt, depth, bias, biasAt, output, outputAt, outputStride);
        default ->
            bf16Rows3(
                left, leftAt, panel, panelAt, depth, bias, biasAt, output, outputAt, outputStride);
      }
    } else {
      switch (block) {
        case 12 ->
            fp32Rows12(
                left, leftAt, panel, panelAt, depth, bias, biasAt, output, outputAt, outputStride);
        case 6 ->
            fp32Rows6(
                left, leftAt, panel, panelAt, depth, bias, biasAt, output, outputAt, outputStride);
        default ->
            fp32Rows3(
                left, leftAt, panel, panelAt, depth, bias, biasAt, output, outputAt, outputStride);
      }
    }
  }

  private static void store(FloatVector a, FloatVector b, MemorySegment output, long at) {
    a.intoMemorySegment(output, at, NATIVE);
    b.intoMemorySegment(output, at + BYTES, NATIVE);
  }

  private static void fp32Rows12(
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
    FloatVector bias0 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt, NATIVE);
    FloatVector bias1 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt + BYTES, NATIVE);
    FloatVector sum0a = bias0;
    FloatVector sum0b = bias1;
    FloatVector sum1a = bias0;
    FloatVector sum1b = bias1;
    FloatVector sum2a = bias0;
    FloatVector sum2b = bias1;
    FloatVector sum3a = bias0;
    FloatVector sum3b = bias1;
    FloatVector sum4a = bias0;
    FloatVector sum4b = bias1;
    FloatVector sum5a = bias0;
    FloatVector sum5b = bias1;
    FloatVector sum6a = bias0;
    FloatVector sum6b = bias1;
    FloatVector sum7a = bias0;
    FloatVector sum7b = bias1;
    FloatVector sum8a = bias0;
    FloatVector sum8b = bias1;
    FloatVector sum9a = bias0;
    FloatVector sum9b = bias1;
    FloatVector sum10a = bias0;
    FloatVector sum10b = bias1;
    FloatVector sum11a = bias0;
    FloatVector sum11b = bias1;
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
      FloatVector left6 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 24));
      sum6a = left6.fma(right0, sum6a);
      sum6b = left6.fma(right1, sum6b);
      FloatVector left7 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 28));
      sum7a = left7.fma(right0, sum7a);
      sum7b = left7.fma(right1, sum7b);
      FloatVector left8 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 32));
      sum8a = left8.fma(right0, sum8a);
      sum8b = left8.fma(right1, sum8b);
      FloatVector left9 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 36));
      sum9a = left9.fma(right0, sum9a);
      sum9b = left9.fma(right1, sum9b);
      FloatVector left10 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 40));
      sum10a = left10.fma(right0, sum10a);
      sum10b = left10.fma(right1, sum10b);
      FloatVector left11 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 44));
      sum11a = left11.fma(right0, sum11a);
      sum11b = left11.fma(right1, sum11b);
      leftAt += 48;
      panelAt += PANEL_BYTES;
    }
    store(sum0a, sum0b, output, outputAt);
    store(sum1a, sum1b, output, outputAt + outputStride);
    store(sum2a, sum2b, output, outputAt + 2 * outputStride);
    store(sum3a, sum3b, output, outputAt + 3 * outputStride);
    store(sum4a, sum4b, output, outputAt + 4 * outputStride);
    store(sum5a, sum5b, output, outputAt + 5 * outputStride);
    store(sum6a, sum6b, output, outputAt + 6 * outputStride);
    store(sum7a, sum7b, output, outputAt + 7 * outputStride);
    store(sum8a, sum8b, output, outputAt + 8 * outputStride);
    store(sum9a, sum9b, output, outputAt + 9 * outputStride);
    store(sum10a, sum10b, output, outputAt + 10 * outputStride);
    store(sum11a, sum11b, output, outputAt + 11 * outputStride);
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
    FloatVector bias0 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt, NATIVE);
    FloatVector bias1 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt + BYTES, NATIVE);
    FloatVector sum0a = bias0;
    FloatVector sum0b = bias1;
    FloatVector sum1a = bias0;
    FloatVector sum1b = bias1;
    FloatVector sum2a = bias0;
    FloatVector sum2b = bias1;
    FloatVector sum3a = bias0;
    FloatVector sum3b = bias1;
    FloatVector sum4a = bias0;
    FloatVector sum4b = bias1;
    FloatVector sum5a = bias0;
    FloatVector sum5b = bias1;
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
    store(sum0a, sum0b, output, outputAt);
    store(sum1a, sum1b, output, outputAt + outputStride);
    store(sum2a, sum2b, output, outputAt + 2 * outputStride);
    store(sum3a, sum3b, output, outputAt + 3 * outputStride);
    store(sum4a, sum4b, output, outputAt + 4 * outputStride);
    store(sum5a, sum5b, output, outputAt + 5 * outputStride);
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
    FloatVector bias0 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt, NATIVE);
    FloatVector bias1 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt + BYTES, NATIVE);
    FloatVector sum0a = bias0;
    FloatVector sum0b = bias1;
    FloatVector sum1a = bias0;
    FloatVector sum1b = bias1;
    FloatVector sum2a = bias0;
    FloatVector sum2b = bias1;
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
    store(sum0a, sum0b, output, outputAt);
    store(sum1a, sum1b, output, outputAt + outputStride);
    store(sum2a, sum2b, output, outputAt + 2 * outputStride);
  }

  private static void bf16Rows12(
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
    FloatVector bias0 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt, NATIVE);
    FloatVector bias1 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt + BYTES, NATIVE);
    FloatVector sum0a = bias0;
    FloatVector sum0b = bias1;
    FloatVector sum1a = bias0;
    FloatVector sum1b = bias1;
    FloatVector sum2a = bias0;
    FloatVector sum2b = bias1;
    FloatVector sum3a = bias0;
    FloatVector sum3b = bias1;
    FloatVector sum4a = bias0;
    FloatVector sum4b = bias1;
    FloatVector sum5a = bias0;
    FloatVector sum5b = bias1;
    FloatVector sum6a = bias0;
    FloatVector sum6b = bias1;
    FloatVector sum7a = bias0;
    FloatVector sum7b = bias1;
    FloatVector sum8a = bias0;
    FloatVector sum8b = bias1;
    FloatVector sum9a = bias0;
    FloatVector sum9b = bias1;
    FloatVector sum10a = bias0;
    FloatVector sum10b = bias1;
    FloatVector sum11a = bias0;
    FloatVector sum11b = bias1;
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
      FloatVector left6 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 24));
      sum6a = left6.fma(right0, sum6a);
      sum6b = left6.fma(right1, sum6b);
      FloatVector left7 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 28));
      sum7a = left7.fma(right0, sum7a);
      sum7b = left7.fma(right1, sum7b);
      FloatVector left8 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 32));
      sum8a = left8.fma(right0, sum8a);
      sum8b = left8.fma(right1, sum8b);
      FloatVector left9 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 36));
      sum9a = left9.fma(right0, sum9a);
      sum9b = left9.fma(right1, sum9b);
      FloatVector left10 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 40));
      sum10a = left10.fma(right0, sum10a);
      sum10b = left10.fma(right1, sum10b);
      FloatVector left11 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 44));
      sum11a = left11.fma(right0, sum11a);
      sum11b = left11.fma(right1, sum11b);
      leftAt += 48;
      panelAt += BYTES;
    }
    store(sum0a, sum0b, output, outputAt);
    store(sum1a, sum1b, output, outputAt + outputStride);
    store(sum2a, sum2b, output, outputAt + 2 * outputStride);
    store(sum3a, sum3b, output, outputAt + 3 * outputStride);
    store(sum4a, sum4b, output, outputAt + 4 * outputStride);
    store(sum5a, sum5b, output, outputAt + 5 * outputStride);
    store(sum6a, sum6b, output, outputAt + 6 * outputStride);
    store(sum7a, sum7b, output, outputAt + 7 * outputStride);
    store(sum8a, sum8b, output, outputAt + 8 * outputStride);
    store(sum9a, sum9b, output, outputAt + 9 * outputStride);
    store(sum10a, sum10b, output, outputAt + 10 * outputStride);
    store(sum11a, sum11b, output, outputAt + 11 * outputStride);
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
    FloatVector bias0 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt, NATIVE);
    FloatVector bias1 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt + BYTES, NATIVE);
    FloatVector sum0a = bias0;
    FloatVector sum0b = bias1;
    FloatVector sum1a = bias0;
    FloatVector sum1b = bias1;
    FloatVector sum2a = bias0;
    FloatVector sum2b = bias1;
    FloatVector sum3a = bias0;
    FloatVector sum3b = bias1;
    FloatVector sum4a = bias0;
    FloatVector sum4b = bias1;
    FloatVector sum5a = bias0;
    FloatVector sum5b = bias1;
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
    store(sum0a, sum0b, output, outputAt);
    store(sum1a, sum1b, output, outputAt + outputStride);
    store(sum2a, sum2b, output, outputAt + 2 * outputStride);
    store(sum3a, sum3b, output, outputAt + 3 * outputStride);
    store(sum4a, sum4b, output, outputAt + 4 * outputStride);
    store(sum5a, sum5b, output, outputAt + 5 * outputStride);
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
    FloatVector bias0 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt, NATIVE);
    FloatVector bias1 = FloatVector.fromMemorySegment(FLOATS, bias, biasAt + BYTES, NATIVE);
    FloatVector sum0a = bias0;
    FloatVector sum0b = bias1;
    FloatVector sum1a = bias0;
    FloatVector sum1b = bias1;
    FloatVector sum2a = bias0;
    FloatVector sum2b = bias1;
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
    store(sum0a, sum0b, output, outputAt);
    store(sum1a, sum1b, output, outputAt + outputStride);
    store(sum2a, sum2b, output, outputAt + 2 * outputStride);
  }
}
