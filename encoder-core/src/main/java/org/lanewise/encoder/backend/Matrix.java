package org.lanewise.encoder.backend;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A row-major matrix in native memory that operations compute on.
 *
 * <p>Rows lie {@code stride} numbers apart and the memory holds more rows than {@code rows}:
 * kernels write whole blocks, so what lies outside {@code rows} x {@code columns} is scratch.
 *
 * @param data the numbers; a device address where the backend's memory is not the host's
 * @param rows rows that mean something
 * @param columns columns that mean something
 * @param stride numbers from one row to the next
 * @param format fp32, or bf16 where a backend keeps states in it: see {@link Backend#allocateState}
 */
public record Matrix(MemorySegment data, int rows, int columns, int stride, Precision format) {
  /** Rows and columns that a kernel may write beyond the matrix are rounded up to these. */
  static final int ROW_BLOCK = 6;

  static final int COLUMN_BLOCK = 32;

  /** Numbers that are as far apart as this share a place in the first cache: 4,096 bytes. */
  private static final int ALIASED = 1024;

  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  /** A multiple of the rows that any kernel reads or writes at once, from such a multiple on. */
  static final int PADDED_ROWS = 2 * ROW_BLOCK;

  /** A kernel may read the largest vector from any number of the matrix on. */
  private static final long VECTOR_BYTES = 64;

  /** Creates an fp32 matrix. */
  public Matrix(MemorySegment data, int rows, int columns, int stride) {
    this(data, rows, columns, stride, Precision.FP32);
  }

  /** Returns a matrix in host memory of the arena, filled with zeros. */
  static Matrix allocate(Arena arena, int rows, int columns) {
    int stride = roundUp(columns, COLUMN_BLOCK);
    if (stride % ALIASED == 0) {
      stride += COLUMN_BLOCK;
    }
    // Attention by machine code reads its last rows whole, and sequences begin at any row.
    long padded = (long) roundUp(rows, PADDED_ROWS) + MachineProduct.DOT_ROWS - 1;
    long bytes = padded * stride * Float.BYTES + VECTOR_BYTES;
    return new Matrix(arena.allocate(bytes, 64), rows, columns, stride);
  }

  static int roundUp(int n, int multiple) {
    return Math.ceilDiv(n, multiple) * multiple;
  }

  /** Returns the first {@code rows} rows, in the same memory. */
  public Matrix firstRows(int rows) {
    if (rows > this.rows) {
      throw new IllegalArgumentException(
          "asked for " + rows + " rows of a matrix that has " + this.rows);
    }
    return new Matrix(data, rows, columns, stride, format);
  }

  /** Returns {@code count} rows from {@code first} on, in the same memory, to be read. */
  public Matrix rows(int first, int count) {
    if (first < 0 || count < 0 || first + count > rows) {
      throw new IllegalArgumentException(
          "asked for rows " + first + " to " + (first + count) + " of " + rows);
    }
    return new Matrix(data.asSlice(rowOffset(first)), count, columns, stride, format);
  }

  /** Returns the first {@code columns} columns, in the same memory. */
  public Matrix firstColumns(int columns) {
    if (columns > this.columns) {
      throw new IllegalArgumentException(
          "asked for " + columns + " columns of a matrix that has " + this.columns);
    }
    return new Matrix(data, rows, columns, stride, format);
  }

  /** Returns {@code count} columns from {@code first} on, in the same memory. */
  public Matrix columns(int first, int count) {
    if (first < 0 || count < 0 || first + count > columns) {
      throw new IllegalArgumentException(
          "asked for columns " + first + " to " + (first + count) + " of " + columns);
    }
    return new Matrix(data.asSlice((long) first * format.bytes()), rows, count, stride, format);
  }

  /** Returns the byte offset of a row. */
  public long rowOffset(int row) {
    return (long) row * stride * format.bytes();
  }

  /** Returns a copy of the first {@code columns} numbers of a row. */
  float[] row(int row, int columns) {
    float[] numbers = new float[columns];
    MemorySegment.copy(data, FLOAT, rowOffset(row), numbers, 0, columns);
    return numbers;
  }

  /** Copies numbers into a row, from {@code column} on. */
  void write(float[] numbers, int row, int column) {
    assert row < rows && column + numbers.length <= columns;
    long at = rowOffset(row) + (long) column * Float.BYTES;
    MemorySegment.copy(numbers, 0, data, FLOAT, at, numbers.length);
  }

  float get(int row, int column) {
    return data.get(FLOAT, rowOffset(row) + (long) column * Float.BYTES);
  }

  void set(int row, int column, float value) {
    data.set(FLOAT, rowOffset(row) + (long) column * Float.BYTES, value);
  }
}
