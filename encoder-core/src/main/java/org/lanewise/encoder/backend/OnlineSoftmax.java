package org.lanewise.encoder.backend;

import static org.lanewise.encoder.backend.PanelAttention.FLOAT;
import static org.lanewise.encoder.backend.PanelAttention.FLOATS;
import static org.lanewise.encoder.backend.PanelAttention.LANES;
import static org.lanewise.encoder.backend.PanelAttention.NATIVE;
import static org.lanewise.encoder.backend.PanelAttention.load;
import static org.lanewise.encoder.backend.ProductKernels.BYTES;
import static org.lanewise.encoder.backend.ProductKernels.PANEL_BYTES;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The softmax of a panel of scores by machine code, as many keys at a time as leave their scores in
 * the second cache: what was summed up before is scaled to what is largest now (Milakov and
 * Gimelshein, "Online normalizer calculation for softmax", 2018). Belongs to one task.
 */
final class OnlineSoftmax {
  /** Keys whose scores are kept at once: 144 kB of a panel. */
  static final int KEYS = 1152;

  /** Bytes of the sums of a panel's powers, with its largest scores behind them. */
  static final long STATE_BYTES = 2 * PANEL_BYTES;

  private static final int NUMBERS = 6;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

  private final MemorySegment numbers;

  /** What all keys so far gave, and what is yet to be added. */
  private final MemorySegment state;

  private final MemorySegment added;
  private final MemorySegment factors;

  OnlineSoftmax(ScratchPool.Scratch scratch) {
    numbers = scratch.zeros(NUMBERS * 2);
    state = scratch.floats(STATE_BYTES / 4);
    added = scratch.floats(STATE_BYTES / 4);
    factors = scratch.floats(STATE_BYTES / 4);
  }

  /**
   * Replaces scores by their powers; with bf16, two rows of powers become one of pairs.
   *
   * @param count queries: where they fill one vector, the other is left as it is
   * @param begins whether they are the first; {@link #join} takes what others give
   */
  void run(boolean bf16, MemorySegment scores, int rows, int count, boolean begins) {
    numbers.setAtIndex(LONG, 0, scores.address());
    numbers.setAtIndex(LONG, 1, rows);
    numbers.setAtIndex(LONG, 2, count > LANES ? PANEL_BYTES : BYTES);
    numbers.setAtIndex(LONG, 3, (begins ? state : added).address());
    MachineCode.Function function =
        bf16 ? MachineCode.Function.SOFTMAX_BF16 : MachineCode.Function.SOFTMAX_FP32;
    MachineCode.call(MatrixUnit.code().address(function), numbers);
  }

  /** Adds what more keys gave to the sums, both scaled to the larger of the largest scores. */
  void join(int count, MemorySegment sums, MemorySegment addedSums, long sumStep) {
    MemorySegment factors = NativeMemory.known(this.factors);
    for (long column = 0; column < PANEL_BYTES; column += BYTES) {
      addLargest(state, added, factors, column);
      power(factors, column);
      power(factors, PANEL_BYTES + column);
      addPowers(state, added, factors, column);
    }
    for (int query = 0; query < count; query++) {
      float before = factors.get(FLOAT, query * 4L);
      float factor = factors.get(FLOAT, PANEL_BYTES + query * 4L);
      addRow(sums, addedSums, query * sumStep, (query + 1) * sumStep, before, factor);
    }
  }

  /** Writes the larger of the largest scores, and the factor from one of them to it. */
  private static void addLargest(
      MemorySegment state, MemorySegment added, MemorySegment factors, long column) {
    state = NativeMemory.known(state);
    added = NativeMemory.known(added);
    factors = NativeMemory.known(factors);
    FloatVector largest = load(state, PANEL_BYTES + column);
    FloatVector other = load(added, PANEL_BYTES + column);
    FloatVector larger = largest.blend(other, other.compare(VectorOperators.GT, largest));
    largest.sub(larger).intoMemorySegment(factors, column, NATIVE);
    other.sub(larger).intoMemorySegment(factors, PANEL_BYTES + column, NATIVE);
    // The result of an addition, because it is stored: see ProductKernels.
    larger.add(0f).intoMemorySegment(state, PANEL_BYTES + column, NATIVE);
  }

  private static void power(MemorySegment numbers, long at) {
    numbers = NativeMemory.known(numbers);
    VectorMath.exp2(load(numbers, at)).intoMemorySegment(numbers, at, NATIVE);
  }

  private static void addPowers(
      MemorySegment state, MemorySegment added, MemorySegment factors, long column) {
    state = NativeMemory.known(state);
    added = NativeMemory.known(added);
    factors = NativeMemory.known(factors);
    load(added, column)
        .mul(load(factors, PANEL_BYTES + column))
        .add(load(state, column).mul(load(factors, column)))
        .intoMemorySegment(state, column, NATIVE);
  }

  private static void addRow(
      MemorySegment sums, MemorySegment added, long at, long end, float factor, float addedFactor) {
    sums = NativeMemory.known(sums);
    added = NativeMemory.known(added);
    for (; at < end; at += BYTES) {
      load(added, at)
          .mul(addedFactor)
          .add(load(sums, at).mul(factor))
          .intoMemorySegment(sums, at, NATIVE);
    }
  }

  /** Writes what the sums of values are multiplied with, a number for each query. */
  void invert(MemorySegment inverses) {
    invert(state, 0, inverses);
  }

  /** The same for sums of powers that lie elsewhere. */
  static void invert(MemorySegment state, long from, MemorySegment inverses) {
    state = NativeMemory.known(state);
    inverses = NativeMemory.known(inverses);
    for (long at = 0; at < PANEL_BYTES; at += BYTES) {
      FloatVector.broadcast(FLOATS, 1f)
          .div(load(state, from + at))
          .intoMemorySegment(inverses, at, NATIVE);
    }
  }
}
