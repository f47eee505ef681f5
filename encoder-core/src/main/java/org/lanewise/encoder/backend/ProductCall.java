package org.lanewise.encoder.backend;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * What a product of {@link MachineCode} is told, which {@code products.s} lists: where the left
 * side, the panels, the sums and what they start with lie. Nothing checks addresses, so callers
 * answer for them; what is set stays for the calls that follow. Belongs to one task.
 */
final class ProductCall {
  /** Columns of a panel, whatever the size of the JVM's vectors. */
  static final int PANEL = 32;

  /** Bytes from one step of the depth to the next in a panel. */
  static final long STEP_BYTES = 4L * PANEL;

  private static final int NUMBERS = 13;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

  private final MemorySegment function;
  private final MemorySegment numbers;

  /** Creates the call of the function at an address. */
  ProductCall(MemorySegment function, ScratchPool.Scratch scratch) {
    this.function = function;
    numbers = scratch.floats(2 * NUMBERS);
  }

  /** Sets the address, and the bytes from one row and from one step of the depth to the next. */
  void left(long address, long rowBytes, long stepBytes) {
    numbers.setAtIndex(LONG, 0, address);
    numbers.setAtIndex(LONG, 1, rowBytes);
    numbers.setAtIndex(LONG, 11, stepBytes);
  }

  /** Sets the address, the bytes from one panel to the next, and the steps of the depth. */
  void panels(long address, long panelBytes, int steps) {
    numbers.setAtIndex(LONG, 2, address);
    numbers.setAtIndex(LONG, 3, panelBytes);
    numbers.setAtIndex(LONG, 4, steps);
  }

  /** Sets where the sums are written, and the bytes from one row to the next. */
  void output(long address, long rowBytes) {
    numbers.setAtIndex(LONG, 5, address);
    numbers.setAtIndex(LONG, 6, rowBytes);
  }

  /** Sets what sums start with: 0 for zeros, or an address and the bytes between rows. */
  void start(long address, long rowBytes) {
    numbers.setAtIndex(LONG, 9, address);
    numbers.setAtIndex(LONG, 10, rowBytes);
  }

  /**
   * Sets what makes numbers of the sums of int8: for each row 8 bytes, its scale and what is too
   * much in its sums, and the scales and biases of the columns.
   */
  void scales(long rows, long columns, long biases) {
    start(rows, 8);
    numbers.setAtIndex(LONG, 11, columns);
    numbers.setAtIndex(LONG, 12, biases);
  }

  /** Multiplies rows, as many as the function takes at once or a multiple, with some panels. */
  void run(int rows, int panels) {
    numbers.setAtIndex(LONG, 7, rows);
    numbers.setAtIndex(LONG, 8, panels);
    MachineCode.call(function, numbers);
  }
}
