package org.lanewise.encoder.backend;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Packs the right side of a product for {@link ProductKernels} where it changes from call to call:
 * fp32 panels with the depth outermost. Columns beyond the last are zeros.
 */
final class RightPacking {
  private static final VectorSpecies<Integer> INTS = ProductKernels.INTS;
  private static final int LANES = INTS.length();
  private static final long BYTES = ProductKernels.BYTES;
  private static final long PANEL_BYTES = ProductKernels.PANEL_BYTES;
  private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  /** Bytes of a square of as many vectors as they have lanes. */
  private static final long SQUARE_BYTES = LANES * BYTES;

  /** Numbers of the scratch memory that {@link #packTransposed} wants. */
  static final long SCRATCH = 2L * LANES * LANES;

  private RightPacking() {}

  /**
   * Packs the columns of the source.
   *
   * @param at byte offset of the first number
   * @param rowBytes bytes from one row to the next
   * @param columns columns of the panel that there are, at most all
   */
  static void pack(
      MemorySegment source,
      long at,
      long rowBytes,
      int depth,
      int columns,
      MemorySegment panel,
      long panelAt) {
    panel = NativeMemory.known(panel);
    if (columns >= ProductKernels.PANEL) {
      packWhole(source, at, rowBytes, depth, panel, panelAt);
      return;
    }
    FloatVector zeros = FloatVector.zero(ProductKernels.FLOATS);
    for (int k = 0; k < depth; k++) {
      zeros.intoMemorySegment(panel, panelAt, NATIVE);
      zeros.intoMemorySegment(panel, panelAt + BYTES, NATIVE);
      MemorySegment.copy(source, at, panel, panelAt, 4L * columns);
      at += rowBytes;
      panelAt += PANEL_BYTES;
    }
  }

  private static void packWhole(
      MemorySegment source, long at, long rowBytes, int depth, MemorySegment panel, long panelAt) {
    source = NativeMemory.known(source);
    panel = NativeMemory.known(panel);
    for (int k = 0; k < depth; k++) {
      IntVector left = IntVector.fromMemorySegment(INTS, source, at, NATIVE);
      IntVector right = IntVector.fromMemorySegment(INTS, source, at + BYTES, NATIVE);
      left.intoMemorySegment(panel, panelAt, NATIVE);
      right.intoMemorySegment(panel, panelAt + BYTES, NATIVE);
      at += rowBytes;
      panelAt += PANEL_BYTES;
    }
  }

  /**
   * Packs rows of the source as the columns of one half of a panel.
   *
   * @param columns columns of the half that there are, at most all
   * @param panelAt byte offset of the half
   * @param scratch {@link #SCRATCH} numbers
   */
  static void packTransposed(
      MemorySegment source,
      long at,
      long rowBytes,
      int depth,
      int columns,
      MemorySegment panel,
      long panelAt,
      MemorySegment scratch) {
    panel = NativeMemory.known(panel);
    int whole = columns == LANES ? INTS.loopBound(depth) : 0;
    for (int k = 0; k < whole; k += LANES) {
      transpose(source, at + 4L * k, rowBytes, panel, panelAt + k * PANEL_BYTES, scratch);
    }
    for (int column = 0; column < LANES && whole < depth; column++) {
      long to = panelAt + whole * PANEL_BYTES + 4L * column;
      if (column < columns) {
        long from = at + column * rowBytes + 4L * whole;
        LeftPacking.spread(source, from, depth - whole, 1f, panel, to, PANEL_BYTES);
      } else {
        for (int k = whole; k < depth; k++, to += PANEL_BYTES) {
          panel.set(FLOAT, to, 0f);
        }
      }
    }
  }

  /**
   * Transposes a square. To zip every row with the one half a square below it moves the highest bit
   * of the row's number to the lowest place of the column's, and the column's highest to the row's
   * lowest: once for every bit, and rows are columns.
   */
  private static void transpose(
      MemorySegment source,
      long at,
      long rowBytes,
      MemorySegment target,
      long targetAt,
      MemorySegment scratch) {
    zip(source, at, rowBytes, scratch, 0, BYTES);
    long from = 0;
    for (int done = 4; done < LANES; done *= 2) {
      zip(scratch, from, BYTES, scratch, SQUARE_BYTES - from, BYTES);
      from = SQUARE_BYTES - from;
    }
    zip(scratch, from, BYTES, target, targetAt, PANEL_BYTES);
  }

  private static void zip(
      MemorySegment source, long at, long rowBytes, MemorySegment target, long to, long toBytes) {
    source = NativeMemory.known(source);
    target = NativeMemory.known(target);
    long below = LANES / 2 * rowBytes;
    for (int i = 0; i < LANES / 2; i++) {
      IntVector upper = IntVector.fromMemorySegment(INTS, source, at, NATIVE);
      IntVector lower = IntVector.fromMemorySegment(INTS, source, at + below, NATIVE);
      LeftPacking.LOWER.selectFrom(upper, lower).intoMemorySegment(target, to, NATIVE);
      LeftPacking.UPPER.selectFrom(upper, lower).intoMemorySegment(target, to + toBytes, NATIVE);
      at += rowBytes;
      to += 2 * toBytes;
    }
  }
}
