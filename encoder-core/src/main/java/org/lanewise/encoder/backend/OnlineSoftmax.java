package org.lanewise.encoder.backend;

import static org.lanewise.encoder.backend.PanelAttention.FLOAT;
import static org.lanewise.encoder.backend.PanelAttention.FLOATS;
import static org.lanewise.encoder.backend.PanelAttention.LANES;
import static org.lanewise.encoder.backend.PanelAttention.MASKED;
import static org.lanewise.encoder.backend.PanelAttention.NATIVE;
import static org.lanewise.encoder.backend.PanelAttention.load;
import static org.lanewise.encoder.backend.ProductKernels.BYTES;
import static org.lanewise.encoder.backend.ProductKernels.PANEL_BYTES;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The softmax of panels of scores by machine code, as many keys at a time as leave their scores in
 * the second cache: what was summed up before is scaled to what is largest now (Milakov and
 * Gimelshein, "Online normalizer calculation for softmax", 2018). Belongs to one task.
 */
final class OnlineSoftmax {
  /** Keys whose scores are kept at once: 144 kB of a panel, and a multiple of what is packed. */
  static final int KEYS = 1152;

  /** Bytes of the sums of a panel's powers, with its largest scores behind them. */
  private static final long STATE_BYTES = 2 * PANEL_BYTES;

  private static final int NUMBERS = 4;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

  private final ScratchPool.Scratch scratch;
  private final MemorySegment numbers;
  private MemorySegment function;
  private boolean bf16;

  /** Sums and largest scores of the panels, and of keys that are yet to be added to the first. */
  private MemorySegment state;

  private MemorySegment added;
  private MemorySegment factors;

  OnlineSoftmax(ScratchPool.Scratch scratch) {
    this.scratch = scratch;
    numbers = scratch.floats(NUMBERS * 2);
  }

  /**
   * Forgets what it has seen, for other panels.
   *
   * @param bf16 whether powers become pairs of bf16
   */
  void reset(boolean bf16, int panels) {
    this.bf16 = bf16;
    MachineCode.Function function =
        bf16 ? MachineCode.Function.SOFTMAX_BF16 : MachineCode.Function.SOFTMAX_FP32;
    this.function = MatrixUnit.code().address(function);
    state = scratch.floats(panels * STATE_BYTES / 4);
    added = scratch.floats(STATE_BYTES / 4);
    factors = scratch.floats(STATE_BYTES / 4);
  }

  /**
   * Replaces scores by their powers. With bf16, two rows of powers become one of pairs, and after
   * an odd number of rows a masked one is written.
   *
   * @param count queries of the panel: where they fill one vector, the other is left as it is
   * @param panel what the scores belong to
   */
  void begin(MemorySegment scores, long at, int rows, int count, int panel) {
    run(scores, at, rows, count, state.address() + panel * STATE_BYTES);
  }

  /** The same for more keys of the first panel; {@link #join} takes what they give. */
  void goOn(MemorySegment scores, long at, int rows, int count) {
    run(scores, at, rows, count, added.address());
  }

  private void run(MemorySegment scores, long at, int rows, int count, long state) {
    if (bf16 && rows % 2 != 0) {
      mask(scores, at + rows * PANEL_BYTES);
      rows++;
    }
    numbers.setAtIndex(LONG, 0, scores.address() + at);
    numbers.setAtIndex(LONG, 1, rows);
    numbers.setAtIndex(LONG, 2, count > LANES ? PANEL_BYTES : BYTES);
    numbers.setAtIndex(LONG, 3, state);
    MachineCode.call(function, numbers);
  }

  private static void mask(MemorySegment scores, long at) {
    scores = NativeMemory.known(scores);
    FloatVector masked = FloatVector.broadcast(FLOATS, MASKED);
    masked.intoMemorySegment(scores, at, NATIVE);
    masked.intoMemorySegment(scores, at + BYTES, NATIVE);
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

  /** Writes what the sums of a panel are multiplied with, a number for each query. */
  void invert(int panel, MemorySegment inverses) {
    MemorySegment state = NativeMemory.known(this.state);
    inverses = NativeMemory.known(inverses);
    long from = panel * STATE_BYTES;
    for (long at = 0; at < PANEL_BYTES; at += BYTES) {
      FloatVector.broadcast(FLOATS, 1f)
          .div(load(state, from + at))
          .intoMemorySegment(inverses, at, NATIVE);
    }
  }
}
