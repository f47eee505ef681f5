package org.lanewise.encoder.backend;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * What a function of {@link MachineCode} on rows is told, which {@code products.s} lists. Nothing
 * checks addresses, so callers answer for them. Belongs to one task.
 */
final class RowsCall {
  /** Columns of which a norm and a rounding to bf16 take a multiple. */
  static final int COLUMNS = 32;

  private static final int NUMBERS = 12;

  /** Where a single number of fp32 lies: a factor, or what a norm adds to the variance. */
  private static final long SCALAR = 8L * 7;

  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final MemorySegment function;
  private final MemorySegment numbers;

  /** Creates the call of a function. */
  RowsCall(MachineCode.Function function, ScratchPool.Scratch scratch) {
    this.function = MatrixUnit.code().address(function);
    numbers = scratch.floats(2 * NUMBERS);
    factor(1f);
  }

  /** Sets the factor of all numbers. */
  void factor(float factor) {
    numbers.set(FLOAT, SCALAR, factor);
    factors(numbers.address() + SCALAR);
  }

  /** Sets the address of the factors of the rows; rounding to int8 writes them. */
  void factors(long address) {
    numbers.setAtIndex(LONG, 6, address);
  }

  /** Sets what rows are normalised with. */
  void norm(NormWeight norm) {
    factors(norm.weight().address());
    numbers.set(FLOAT, SCALAR, norm.epsilon());
    numbers.setAtIndex(LONG, 8, norm.bias().address());
    numbers.setAtIndex(LONG, 11, norm.centered() ? 1 : 0);
  }

  /** Sets the address of rows that are added before the norm, 0 for none. */
  void residual(long address, long rowBytes) {
    numbers.setAtIndex(LONG, 9, address);
    numbers.setAtIndex(LONG, 10, rowBytes);
  }

  /** Writes rows and columns, as many as the function takes at once or a multiple, of a source. */
  void run(long source, long sourceBytes, long rows, long columns, long target, long targetBytes) {
    numbers.setAtIndex(LONG, 0, source);
    numbers.setAtIndex(LONG, 1, sourceBytes);
    numbers.setAtIndex(LONG, 2, rows);
    numbers.setAtIndex(LONG, 3, columns);
    numbers.setAtIndex(LONG, 4, target);
    numbers.setAtIndex(LONG, 5, targetBytes);
    MachineCode.call(function, numbers);
  }
}
