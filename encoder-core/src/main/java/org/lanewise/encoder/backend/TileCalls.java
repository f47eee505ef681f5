package org.lanewise.encoder.backend;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Calls of machine code that are made one after the other while tiles are set up: to set them up
 * and to release them takes as long as a small product. Nothing checks addresses, so callers answer
 * for them. Belongs to one task.
 */
final class TileCalls {
  /** Calls that are made at once, at the most. */
  private static final int MOST = 48;

  private static final long NUMBERS_BYTES = 8L * 12;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

  private final MemorySegment function;
  private final long product;
  private final long softmax;

  /** How many, and for each the addresses of the function and of its numbers. */
  private final MemorySegment calls;

  private final MemorySegment numbers;
  private int count;

  TileCalls(ScratchPool.Scratch scratch) {
    MachineCode code = MatrixUnit.code();
    function = code.address(MachineCode.Function.TILE_CALLS);
    product = code.address(MachineCode.Function.TILE_BLOCK).address();
    softmax = code.address(MachineCode.Function.SOFTMAX_BF16).address();
    calls = scratch.floats(2 * (1 + 2 * MOST));
    numbers = scratch.floats(MOST * NUMBERS_BYTES / 4);
  }

  /**
   * Adds a product of bf16 with one panel, whose sums lie as rows of a panel, too.
   *
   * @param rows a multiple of 32
   * @param adds whether it is added to what lies there
   */
  void multiply(
      long left, long rowBytes, int rows, long panel, int steps, long output, boolean adds) {
    begin(product);
    set(0, left);
    set(1, rowBytes);
    set(2, panel);
    set(4, steps);
    set(5, output);
    set(6, ProductCall.STEP_BYTES);
    set(7, rows);
    set(8, 1);
    set(9, adds ? output : 0);
    set(10, ProductCall.STEP_BYTES);
  }

  /**
   * Adds a softmax of some scores of a panel, whose powers become pairs of bf16 that zeros follow.
   *
   * @param scoreBytes bytes of a row of scores
   * @param state what the scores gave, and before that what earlier ones did
   * @param sums what earlier scores gave, or 0 where there are none
   * @param sumRows rows of the sums
   */
  void softmax(long scores, int rows, long scoreBytes, long state, long sums, int sumRows) {
    begin(softmax);
    set(0, scores);
    set(1, rows);
    set(2, scoreBytes);
    set(3, state);
    set(4, sums);
    set(5, sumRows);
  }

  private void begin(long address) {
    if (count == MOST) {
      run();
    }
    calls.setAtIndex(LONG, 1 + 2L * count, address);
    calls.setAtIndex(LONG, 2 + 2L * count, numbers.address() + count * NUMBERS_BYTES);
    count++;
  }

  /** Sets a number of the call that was added last. */
  private void set(int i, long value) {
    numbers.set(LONG, (count - 1) * NUMBERS_BYTES + 8L * i, value);
  }

  /** Makes all calls that were added. */
  void run() {
    if (count > 0) {
      calls.set(LONG, 0, count);
      MachineCode.call(function, calls);
      count = 0;
    }
  }
}
