package org.lanewise.encoder.backend;

import static org.lanewise.encoder.backend.ProductKernels.BYTES;
import static org.lanewise.encoder.backend.ProductKernels.PANEL_BYTES;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The inner loops of attention's two products: some rows of a left side times one or two vectors of
 * columns.
 *
 * <p>They differ from {@link ProductKernels} in what lies where: the left side of the second
 * product is the scores as the first one wrote them, so that nothing is packed in between and the
 * context comes out row by row. One vector serves sequences of no more tokens than that, and what
 * is left of a head. Steps are constants, because C2 keeps bounds checks in loops whose steps it
 * does not know, and sums are added to zero before they are stored, for the reason that {@link
 * ProductKernels} gives.
 */
final class AttentionKernels {
  private static final VectorSpecies<Float> FLOATS = VectorBackend.FLOATS;
  private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private AttentionKernels() {}

  /**
   * output = left * panel for one packed block of rows.
   *
   * @param rows 6 or 3
   * @param wide whether both vectors of the panel's columns are wanted, or the first
   * @param left at every step of the depth {@code rows} consecutive numbers
   * @param panel at every step of the depth {@code PANEL_BYTES}
   * @param outputStep bytes from one row of the output to the next
   */
  static void scores(
      int rows,
      boolean wide,
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      int depth,
      MemorySegment output,
      long outputAt,
      long outputStep) {
    if (wide && rows == 6) {
      scoresWide6(left, leftAt, panel, 0, depth, output, outputAt, outputStep);
    } else if (wide) {
      scoresWide3(left, leftAt, panel, 0, depth, output, outputAt, outputStep);
    } else if (rows == 6) {
      scoresNarrow6(left, leftAt, panel, 0, depth, output, outputAt, outputStep);
    } else {
      scoresNarrow3(left, leftAt, panel, 0, depth, output, outputAt, outputStep);
    }
  }

  /**
   * output = left * panel for six rows.
   *
   * @param wide whether both vectors of the panel's columns are wanted, or the first
   * @param left at every step of the depth {@code PANEL_BYTES}, of which six numbers are read
   * @param panel at every step of the depth {@code PANEL_BYTES}
   */
  static void context(
      boolean wide,
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment output,
      long outputAt,
      long outputStep) {
    if (wide) {
      contextWide(left, leftAt, panel, panelAt, depth, output, outputAt, outputStep);
    } else {
      contextNarrow(left, leftAt, panel, panelAt, depth, output, outputAt, outputStep);
    }
  }

  private static void scoresWide6(
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment output,
      long outputAt,
      long outputStep) {
    left = NativeMemory.known(left);
    panel = NativeMemory.known(panel);
    output = NativeMemory.known(output);
    FloatVector zero = FloatVector.zero(FLOATS);
    FloatVector sum0a = FloatVector.zero(FLOATS);
    FloatVector sum0b = FloatVector.zero(FLOATS);
    FloatVector sum1a = FloatVector.zero(FLOATS);
    FloatVector sum1b = FloatVector.zero(FLOATS);
    FloatVector sum2a = FloatVector.zero(FLOATS);
    FloatVector sum2b = FloatVector.zero(FLOATS);
    FloatVector sum3a = FloatVector.zero(FLOATS);
    FloatVector sum3b = FloatVector.zero(FLOATS);
    FloatVector sum4a = FloatVector.zero(FLOATS);
    FloatVector sum4b = FloatVector.zero(FLOATS);
    FloatVector sum5a = FloatVector.zero(FLOATS);
    FloatVector sum5b = FloatVector.zero(FLOATS);
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
    zero.add(sum0a).intoMemorySegment(output, outputAt, NATIVE);
    zero.add(sum0b).intoMemorySegment(output, outputAt + BYTES, NATIVE);
    zero.add(sum1a).intoMemorySegment(output, outputAt + outputStep, NATIVE);
    zero.add(sum1b).intoMemorySegment(output, outputAt + outputStep + BYTES, NATIVE);
    zero.add(sum2a).intoMemorySegment(output, outputAt + 2 * outputStep, NATIVE);
    zero.add(sum2b).intoMemorySegment(output, outputAt + 2 * outputStep + BYTES, NATIVE);
    zero.add(sum3a).intoMemorySegment(output, outputAt + 3 * outputStep, NATIVE);
    zero.add(sum3b).intoMemorySegment(output, outputAt + 3 * outputStep + BYTES, NATIVE);
    zero.add(sum4a).intoMemorySegment(output, outputAt + 4 * outputStep, NATIVE);
    zero.add(sum4b).intoMemorySegment(output, outputAt + 4 * outputStep + BYTES, NATIVE);
    zero.add(sum5a).intoMemorySegment(output, outputAt + 5 * outputStep, NATIVE);
    zero.add(sum5b).intoMemorySegment(output, outputAt + 5 * outputStep + BYTES, NATIVE);
  }

  private static void scoresWide3(
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment output,
      long outputAt,
      long outputStep) {
    left = NativeMemory.known(left);
    panel = NativeMemory.known(panel);
    output = NativeMemory.known(output);
    FloatVector zero = FloatVector.zero(FLOATS);
    FloatVector sum0a = FloatVector.zero(FLOATS);
    FloatVector sum0b = FloatVector.zero(FLOATS);
    FloatVector sum1a = FloatVector.zero(FLOATS);
    FloatVector sum1b = FloatVector.zero(FLOATS);
    FloatVector sum2a = FloatVector.zero(FLOATS);
    FloatVector sum2b = FloatVector.zero(FLOATS);
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
    zero.add(sum0a).intoMemorySegment(output, outputAt, NATIVE);
    zero.add(sum0b).intoMemorySegment(output, outputAt + BYTES, NATIVE);
    zero.add(sum1a).intoMemorySegment(output, outputAt + outputStep, NATIVE);
    zero.add(sum1b).intoMemorySegment(output, outputAt + outputStep + BYTES, NATIVE);
    zero.add(sum2a).intoMemorySegment(output, outputAt + 2 * outputStep, NATIVE);
    zero.add(sum2b).intoMemorySegment(output, outputAt + 2 * outputStep + BYTES, NATIVE);
  }

  private static void scoresNarrow6(
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment output,
      long outputAt,
      long outputStep) {
    left = NativeMemory.known(left);
    panel = NativeMemory.known(panel);
    output = NativeMemory.known(output);
    FloatVector zero = FloatVector.zero(FLOATS);
    FloatVector sum0 = FloatVector.zero(FLOATS);
    FloatVector sum1 = FloatVector.zero(FLOATS);
    FloatVector sum2 = FloatVector.zero(FLOATS);
    FloatVector sum3 = FloatVector.zero(FLOATS);
    FloatVector sum4 = FloatVector.zero(FLOATS);
    FloatVector sum5 = FloatVector.zero(FLOATS);
    for (int k = 0; k < depth; k++) {
      FloatVector right = FloatVector.fromMemorySegment(FLOATS, panel, panelAt, NATIVE);
      FloatVector left0 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt));
      sum0 = left0.fma(right, sum0);
      FloatVector left1 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 4));
      sum1 = left1.fma(right, sum1);
      FloatVector left2 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 8));
      sum2 = left2.fma(right, sum2);
      FloatVector left3 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 12));
      sum3 = left3.fma(right, sum3);
      FloatVector left4 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 16));
      sum4 = left4.fma(right, sum4);
      FloatVector left5 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 20));
      sum5 = left5.fma(right, sum5);
      leftAt += 24;
      panelAt += PANEL_BYTES;
    }
    zero.add(sum0).intoMemorySegment(output, outputAt, NATIVE);
    zero.add(sum1).intoMemorySegment(output, outputAt + outputStep, NATIVE);
    zero.add(sum2).intoMemorySegment(output, outputAt + 2 * outputStep, NATIVE);
    zero.add(sum3).intoMemorySegment(output, outputAt + 3 * outputStep, NATIVE);
    zero.add(sum4).intoMemorySegment(output, outputAt + 4 * outputStep, NATIVE);
    zero.add(sum5).intoMemorySegment(output, outputAt + 5 * outputStep, NATIVE);
  }

  private static void scoresNarrow3(
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment output,
      long outputAt,
      long outputStep) {
    left = NativeMemory.known(left);
    panel = NativeMemory.known(panel);
    output = NativeMemory.known(output);
    FloatVector zero = FloatVector.zero(FLOATS);
    FloatVector sum0 = FloatVector.zero(FLOATS);
    FloatVector sum1 = FloatVector.zero(FLOATS);
    FloatVector sum2 = FloatVector.zero(FLOATS);
    for (int k = 0; k < depth; k++) {
      FloatVector right = FloatVector.fromMemorySegment(FLOATS, panel, panelAt, NATIVE);
      FloatVector left0 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt));
      sum0 = left0.fma(right, sum0);
      FloatVector left1 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 4));
      sum1 = left1.fma(right, sum1);
      FloatVector left2 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 8));
      sum2 = left2.fma(right, sum2);
      leftAt += 12;
      panelAt += PANEL_BYTES;
    }
    zero.add(sum0).intoMemorySegment(output, outputAt, NATIVE);
    zero.add(sum1).intoMemorySegment(output, outputAt + outputStep, NATIVE);
    zero.add(sum2).intoMemorySegment(output, outputAt + 2 * outputStep, NATIVE);
  }

  private static void contextWide(
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment output,
      long outputAt,
      long outputStep) {
    left = NativeMemory.known(left);
    panel = NativeMemory.known(panel);
    output = NativeMemory.known(output);
    FloatVector zero = FloatVector.zero(FLOATS);
    FloatVector sum0a = FloatVector.zero(FLOATS);
    FloatVector sum0b = FloatVector.zero(FLOATS);
    FloatVector sum1a = FloatVector.zero(FLOATS);
    FloatVector sum1b = FloatVector.zero(FLOATS);
    FloatVector sum2a = FloatVector.zero(FLOATS);
    FloatVector sum2b = FloatVector.zero(FLOATS);
    FloatVector sum3a = FloatVector.zero(FLOATS);
    FloatVector sum3b = FloatVector.zero(FLOATS);
    FloatVector sum4a = FloatVector.zero(FLOATS);
    FloatVector sum4b = FloatVector.zero(FLOATS);
    FloatVector sum5a = FloatVector.zero(FLOATS);
    FloatVector sum5b = FloatVector.zero(FLOATS);
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
      leftAt += PANEL_BYTES;
      panelAt += PANEL_BYTES;
    }
    zero.add(sum0a).intoMemorySegment(output, outputAt, NATIVE);
    zero.add(sum0b).intoMemorySegment(output, outputAt + BYTES, NATIVE);
    zero.add(sum1a).intoMemorySegment(output, outputAt + outputStep, NATIVE);
    zero.add(sum1b).intoMemorySegment(output, outputAt + outputStep + BYTES, NATIVE);
    zero.add(sum2a).intoMemorySegment(output, outputAt + 2 * outputStep, NATIVE);
    zero.add(sum2b).intoMemorySegment(output, outputAt + 2 * outputStep + BYTES, NATIVE);
    zero.add(sum3a).intoMemorySegment(output, outputAt + 3 * outputStep, NATIVE);
    zero.add(sum3b).intoMemorySegment(output, outputAt + 3 * outputStep + BYTES, NATIVE);
    zero.add(sum4a).intoMemorySegment(output, outputAt + 4 * outputStep, NATIVE);
    zero.add(sum4b).intoMemorySegment(output, outputAt + 4 * outputStep + BYTES, NATIVE);
    zero.add(sum5a).intoMemorySegment(output, outputAt + 5 * outputStep, NATIVE);
    zero.add(sum5b).intoMemorySegment(output, outputAt + 5 * outputStep + BYTES, NATIVE);
  }

  private static void contextNarrow(
      MemorySegment left,
      long leftAt,
      MemorySegment panel,
      long panelAt,
      int depth,
      MemorySegment output,
      long outputAt,
      long outputStep) {
    left = NativeMemory.known(left);
    panel = NativeMemory.known(panel);
    output = NativeMemory.known(output);
    FloatVector zero = FloatVector.zero(FLOATS);
    FloatVector sum0 = FloatVector.zero(FLOATS);
    FloatVector sum1 = FloatVector.zero(FLOATS);
    FloatVector sum2 = FloatVector.zero(FLOATS);
    FloatVector sum3 = FloatVector.zero(FLOATS);
    FloatVector sum4 = FloatVector.zero(FLOATS);
    FloatVector sum5 = FloatVector.zero(FLOATS);
    for (int k = 0; k < depth; k++) {
      FloatVector right = FloatVector.fromMemorySegment(FLOATS, panel, panelAt, NATIVE);
      FloatVector left0 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt));
      sum0 = left0.fma(right, sum0);
      FloatVector left1 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 4));
      sum1 = left1.fma(right, sum1);
      FloatVector left2 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 8));
      sum2 = left2.fma(right, sum2);
      FloatVector left3 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 12));
      sum3 = left3.fma(right, sum3);
      FloatVector left4 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 16));
      sum4 = left4.fma(right, sum4);
      FloatVector left5 = FloatVector.broadcast(FLOATS, left.get(FLOAT, leftAt + 20));
      sum5 = left5.fma(right, sum5);
      leftAt += PANEL_BYTES;
      panelAt += PANEL_BYTES;
    }
    zero.add(sum0).intoMemorySegment(output, outputAt, NATIVE);
    zero.add(sum1).intoMemorySegment(output, outputAt + outputStep, NATIVE);
    zero.add(sum2).intoMemorySegment(output, outputAt + 2 * outputStep, NATIVE);
    zero.add(sum3).intoMemorySegment(output, outputAt + 3 * outputStep, NATIVE);
    zero.add(sum4).intoMemorySegment(output, outputAt + 4 * outputStep, NATIVE);
    zero.add(sum5).intoMemorySegment(output, outputAt + 5 * outputStep, NATIVE);
  }
}
