package org.lanewise.encoder.backend;

import static org.lanewise.encoder.backend.ProductKernels.BYTES;
import static org.lanewise.encoder.backend.ProductKernels.PANEL;
import static org.lanewise.encoder.backend.ProductKernels.PANEL_BYTES;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;

/**
 * The product of two matrices that both change from call to call.
 *
 * <p>Both sides are packed as it goes, the right one once for all threads, the left one by every
 * task. A long depth is cut into chunks whose sums are added one after the other, so that what was
 * packed stays in the caches; where it is cut depends on the sizes alone, and so does every number.
 */
final class VectorProduct {
  private static final ByteOrder NATIVE = ByteOrder.nativeOrder();

  /** Packed left side of one task: what leaves room for a panel in a 1 MB L2 cache. */
  private static final int LEFT_BYTES = 384 << 10;

  /** The largest chunk of the depth: a panel of 64 kB, and 192 rows on the left. */
  private static final int DEPTH = 512;

  /** Returns how many rows of that many numbers a task keeps. */
  static int mostRows(int depth) {
    return Math.clamp(LEFT_BYTES / (4L * Math.max(depth, 1)), Matrix.ROW_BLOCK, 384);
  }

  /** How the rows and panels of a product, at least one of each, are cut into tasks. */
  record Tasks(int rows, int chunkRows, int panels, int panelsPerShare) {
    /**
     * Returns tasks whose left side fits the caches, evenly among the threads. They begin at
     * multiples of the rows that kernels take at once, because the last may write as many whole.
     *
     * @param mostRows the most rows of a task, for example {@link #mostRows}
     */
    static Tasks of(int rows, int mostRows, int panels, int threads) {
      int chunks = Math.ceilDiv(rows, mostRows);
      if (rows >= 4 * Matrix.ROW_BLOCK * threads) {
        chunks = Matrix.roundUp(chunks, threads);
      }
      int chunkRows = Matrix.roundUp(Math.ceilDiv(rows, chunks), Matrix.PADDED_ROWS);
      // Few rows are shared out by columns; each share then packs the same left side again.
      int wanted = threads == 1 ? 1 : Math.ceilDiv(2 * threads, Math.ceilDiv(rows, chunkRows));
      return new Tasks(
          rows, chunkRows, panels, Math.ceilDiv(panels, Math.clamp(wanted, 1, panels)));
    }

    private int shares() {
      return Math.ceilDiv(panels, panelsPerShare);
    }

    int count() {
      return Math.ceilDiv(rows, chunkRows) * shares();
    }

    int firstRow(int task) {
      return task / shares() * chunkRows;
    }

    int rows(int task) {
      return Math.min(chunkRows, rows - firstRow(task));
    }

    int firstPanel(int task) {
      return task % shares() * panelsPerShare;
    }

    int endPanel(int task) {
      return Math.min(panels, firstPanel(task) + panelsPerShare);
    }
  }

  /**
   * A side of a product.
   *
   * @param at byte offset of the first number
   * @param rowBytes bytes from one row to the next, as the numbers lie
   * @param transposed whether the side is what lies there transposed
   */
  record Side(MemorySegment data, long at, long rowBytes, boolean transposed) {
    static Side of(Matrix matrix, boolean transposed) {
      return new Side(matrix.data(), 0, matrix.stride() * 4L, transposed);
    }

    long offset(int row, int column) {
      return transposed ? at + column * rowBytes + row * 4L : at + row * rowBytes + column * 4L;
    }
  }

  private final Workers workers;
  private final ScratchPool scratches;
  private final Side left;
  private final Side right;
  private final Matrix output;
  private final int firstRow;
  private final int rows;

  private VectorProduct(
      Workers workers,
      ScratchPool scratches,
      Side left,
      Side right,
      Matrix output,
      int firstRow,
      int rows) {
    this.workers = workers;
    this.scratches = scratches;
    this.left = left;
    this.right = right;
    this.output = output;
    this.firstRow = firstRow;
    this.rows = rows;
  }

  /**
   * Rows of the output from {@code firstRow} on = left * right, or += left * right.
   *
   * @param rows rows of the left side
   * @param depth columns of the left side and rows of the right one
   */
  static void multiply(
      Workers workers,
      ScratchPool scratches,
      Side left,
      Side right,
      int depth,
      boolean accumulate,
      Matrix output,
      int firstRow,
      int rows) {
    if (rows == 0 || output.columns() == 0) {
      return;
    }
    VectorProduct product =
        new VectorProduct(workers, scratches, left, right, output, firstRow, rows);
    int chunks = Math.max(1, Math.ceilDiv(depth, DEPTH));
    int chunkDepth = Math.ceilDiv(depth, chunks);
    for (int chunk = 0; chunk < chunks; chunk++) {
      int first = chunk * chunkDepth;
      product.chunk(first, Math.min(chunkDepth, depth - first), accumulate || chunk > 0);
    }
  }

  /** Multiplies a part of the depth. */
  private void chunk(int first, int depth, boolean accumulate) {
    int panels = Math.ceilDiv(output.columns(), PANEL);
    try (ScratchPool.Scratch scratch = scratches.borrow()) {
      MemorySegment packed = scratch.floats((long) panels * PANEL * depth);
      MemorySegment zeros = scratch.zeros(PANEL);
      workers.forEach(panels, panel -> packPanel(panel, first, depth, packed));
      Tasks tasks = Tasks.of(rows, mostRows(depth), panels, workers.threads());
      workers.forEach(
          tasks.count(), task -> run(tasks, task, first, depth, packed, zeros, accumulate));
    }
  }

  private void packPanel(int panel, int first, int depth, MemorySegment packed) {
    int column = panel * PANEL;
    int columns = Math.min(PANEL, output.columns() - column);
    long at = panel * PANEL_BYTES * depth;
    long from = right.offset(first, column);
    if (!right.transposed()) {
      RightPacking.pack(right.data(), from, right.rowBytes(), depth, columns, packed, at);
      return;
    }
    try (ScratchPool.Scratch scratch = scratches.borrow()) {
      MemorySegment squares = scratch.floats(RightPacking.SCRATCH);
      int lanes = PANEL / 2;
      for (int half = 0; half < 2; half++) {
        RightPacking.packTransposed(
            right.data(),
            from + (long) half * lanes * right.rowBytes(),
            right.rowBytes(),
            depth,
            Math.clamp(columns - half * lanes, 0, lanes),
            packed,
            at + half * BYTES,
            squares);
      }
    }
  }

  private void run(
      Tasks tasks,
      int task,
      int first,
      int depth,
      MemorySegment packed,
      MemorySegment zeros,
      boolean accumulate) {
    int row = tasks.firstRow(task);
    int count = tasks.rows(task);
    try (ScratchPool.Scratch scratch = scratches.borrow()) {
      MemorySegment block = scratch.floats((long) Matrix.roundUp(count, Matrix.ROW_BLOCK) * depth);
      MemorySegment sums = scratch.floats((long) Matrix.ROW_BLOCK * PANEL);
      long from = left.offset(row, first);
      if (left.transposed()) {
        LeftPacking.packTransposed(left.data(), from, left.rowBytes(), depth, count, block);
      } else {
        LeftPacking.pack(left.data(), from, left.rowBytes(), count, depth, block);
      }
      for (int panel = tasks.firstPanel(task); panel < tasks.endPanel(task); panel++) {
        long panelAt = panel * PANEL_BYTES * depth;
        long outputAt = output.rowOffset(firstRow + row) + panel * PANEL_BYTES;
        if (accumulate) {
          add(block, count, packed, panelAt, depth, zeros, sums, outputAt);
        } else {
          ProductKernels.multiplyRows(
              count,
              false,
              block,
              packed,
              panelAt,
              depth,
              zeros,
              0,
              output.data(),
              outputAt,
              output.stride() * 4L);
        }
      }
    }
  }

  /** Adds the product with a panel to the output, a block of rows at a time. */
  private void add(
      MemorySegment packed,
      int count,
      MemorySegment panels,
      long panelAt,
      int depth,
      MemorySegment zeros,
      MemorySegment sums,
      long outputAt) {
    long rowBytes = output.stride() * 4L;
    long leftAt = 0;
    int block;
    for (int row = 0; row < count; row += block) {
      block = ProductKernels.block(count - row);
      ProductKernels.multiply(
          block, false, packed, leftAt, panels, panelAt, depth, zeros, 0, sums, 0, PANEL_BYTES);
      addRows(sums, Math.min(block, count - row), output.data(), outputAt, rowBytes);
      leftAt += 4L * block * depth;
      outputAt += block * rowBytes;
    }
  }

  private static void addRows(
      MemorySegment sums, int rows, MemorySegment output, long at, long rowBytes) {
    sums = NativeMemory.known(sums);
    output = NativeMemory.known(output);
    long from = 0;
    for (int row = 0; row < rows; row++) {
      load(output, at).add(load(sums, from)).intoMemorySegment(output, at, NATIVE);
      load(output, at + BYTES)
          .add(load(sums, from + BYTES))
          .intoMemorySegment(output, at + BYTES, NATIVE);
      from += PANEL_BYTES;
      at += rowBytes;
    }
  }

  private static FloatVector load(MemorySegment data, long at) {
    return FloatVector.fromMemorySegment(ProductKernels.FLOATS, data, at, NATIVE);
  }
}
