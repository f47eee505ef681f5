package org.lanewise.encoder.backend;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Packs the left side of a product for {@link ProductKernels}: blocks of rows with the depth
 * outermost, {@code packed[k * block + r]} = row r at k. Rows beyond the last are zeros.
 *
 * <p>Whole blocks are transposed in registers, a vector of each of six rows at a time: two rows are
 * zipped into pairs, and three vectors of pairs into six.
 */
final class LeftPacking {
  private static final VectorSpecies<Integer> INTS = ProductKernels.INTS;
  private static final int LANES = INTS.length();
  private static final long BYTES = ProductKernels.BYTES;
  private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  /**
   * Rows of the source that are packed side by side: as many lines as a set of the first cache
   * holds, because rows a power of two apart share a set.
   */
  private static final int TILE_DEPTH = 8;

  /** Lanes 0, 0', 1, 1', ... of two vectors, and the same of their upper halves. */
  static final IntVector LOWER = zip(0);

  static final IntVector UPPER = zip(LANES / 2);

  /** For each of three vectors of triples of pairs: the pairs of the first two sources ... */
  private static final IntVector TWO_0 = twoOfThree(0);

  private static final IntVector TWO_1 = twoOfThree(1);
  private static final IntVector TWO_2 = twoOfThree(2);

  /** ... and then those of the third between them. */
  private static final IntVector THIRD_0 = third(0);

  private static final IntVector THIRD_1 = third(1);
  private static final IntVector THIRD_2 = third(2);

  private LeftPacking() {}

  private static IntVector zip(int from) {
    int[] lanes = new int[LANES];
    for (int i = 0; i < LANES; i++) {
      lanes[i] = from + i / 2 + i % 2 * LANES;
    }
    return IntVector.fromArray(INTS, lanes, 0);
  }

  /**
   * The lane of a source of pairs that belongs at a lane of the output: pair e / 3 of source e % 3.
   */
  private static int pairLane(int output, int lane) {
    int pair = (output * LANES + lane) / 2;
    return pair / 3 * 2 + lane % 2;
  }

  private static int source(int output, int lane) {
    return (output * LANES + lane) / 2 % 3;
  }

  private static IntVector twoOfThree(int output) {
    int[] lanes = new int[LANES];
    for (int i = 0; i < LANES; i++) {
      lanes[i] = source(output, i) == 2 ? 0 : pairLane(output, i) + source(output, i) * LANES;
    }
    return IntVector.fromArray(INTS, lanes, 0);
  }

  private static IntVector third(int output) {
    int[] lanes = new int[LANES];
    for (int i = 0; i < LANES; i++) {
      lanes[i] = source(output, i) == 2 ? pairLane(output, i) + LANES : i;
    }
    return IntVector.fromArray(INTS, lanes, 0);
  }

  /**
   * Packs rows as they lie.
   *
   * @param at byte offset of the first row
   * @param rowBytes bytes from one row to the next
   * @param packed {@code depth} numbers for each row, the rows rounded up to whole blocks
   */
  static void pack(
      MemorySegment source, long at, long rowBytes, int rows, int depth, MemorySegment packed) {
    packed = NativeMemory.known(packed);
    long blockAt = 0;
    int block;
    for (int row = 0; row < rows; row += block) {
      block = ProductKernels.block(rows - row);
      int present = Math.min(block, rows - row);
      long from = at + row * rowBytes;
      int done = 0;
      if (present == 6) {
        done = INTS.loopBound(depth);
        packSix(source, from, rowBytes, done, packed, blockAt);
      }
      for (int r = 0; r < block && done < depth; r++) {
        long to = blockAt + 4L * r + 4L * block * done;
        if (r < present) {
          long rest = from + r * rowBytes + 4L * done;
          spread(source, rest, depth - done, 1f, packed, to, 4L * block);
        } else {
          for (int k = 0; k < depth; k++) {
            packed.set(FLOAT, to + 4L * block * k, 0f);
          }
        }
      }
      blockAt += 4L * block * depth;
    }
  }

  private static void packSix(
      MemorySegment source, long at, long rowBytes, int depth, MemorySegment packed, long to) {
    source = NativeMemory.known(source);
    packed = NativeMemory.known(packed);
    for (int k = 0; k < depth; k += LANES) {
      IntVector row0 = IntVector.fromMemorySegment(INTS, source, at, NATIVE);
      IntVector row1 = IntVector.fromMemorySegment(INTS, source, at + rowBytes, NATIVE);
      IntVector row2 = IntVector.fromMemorySegment(INTS, source, at + 2 * rowBytes, NATIVE);
      IntVector row3 = IntVector.fromMemorySegment(INTS, source, at + 3 * rowBytes, NATIVE);
      IntVector row4 = IntVector.fromMemorySegment(INTS, source, at + 4 * rowBytes, NATIVE);
      IntVector row5 = IntVector.fromMemorySegment(INTS, source, at + 5 * rowBytes, NATIVE);
      IntVector pair0 = LOWER.selectFrom(row0, row1);
      IntVector pair1 = LOWER.selectFrom(row2, row3);
      IntVector pair2 = LOWER.selectFrom(row4, row5);
      IntVector pair3 = UPPER.selectFrom(row0, row1);
      IntVector pair4 = UPPER.selectFrom(row2, row3);
      IntVector pair5 = UPPER.selectFrom(row4, row5);
      IntVector out0 = THIRD_0.selectFrom(TWO_0.selectFrom(pair0, pair1), pair2);
      IntVector out1 = THIRD_1.selectFrom(TWO_1.selectFrom(pair0, pair1), pair2);
      IntVector out2 = THIRD_2.selectFrom(TWO_2.selectFrom(pair0, pair1), pair2);
      IntVector out3 = THIRD_0.selectFrom(TWO_0.selectFrom(pair3, pair4), pair5);
      IntVector out4 = THIRD_1.selectFrom(TWO_1.selectFrom(pair3, pair4), pair5);
      IntVector out5 = THIRD_2.selectFrom(TWO_2.selectFrom(pair3, pair4), pair5);
      out0.intoMemorySegment(packed, to, NATIVE);
      out1.intoMemorySegment(packed, to + BYTES, NATIVE);
      out2.intoMemorySegment(packed, to + 2 * BYTES, NATIVE);
      out3.intoMemorySegment(packed, to + 3 * BYTES, NATIVE);
      out4.intoMemorySegment(packed, to + 4 * BYTES, NATIVE);
      out5.intoMemorySegment(packed, to + 5 * BYTES, NATIVE);
      at += BYTES;
      to += 6 * BYTES;
    }
  }

  /**
   * Packs columns as rows: the left side whose rows are the columns of the source and whose depth
   * its rows.
   */
  static void packTransposed(
      MemorySegment source, long at, long rowBytes, int depth, int rows, MemorySegment packed) {
    for (int k = 0; k < depth; k += TILE_DEPTH) {
      int tile = Math.min(TILE_DEPTH, depth - k);
      long from = at + k * rowBytes;
      int block;
      for (int row = 0; row < rows; row += block) {
        block = ProductKernels.block(rows - row);
        long to = 4L * row * depth + 4L * block * k;
        int present = Math.min(block, rows - row);
        if (present == 6) {
          copySix(source, from + row * 4L, rowBytes, tile, packed, to);
        } else {
          copySome(source, from + row * 4L, rowBytes, tile, present, block, packed, to);
        }
      }
    }
  }

  /**
   * Copies six numbers of each row; where vectors are wide, eight, of which the next row's six
   * overwrite two.
   */
  private static void copySix(
      MemorySegment source, long from, long rowBytes, int depth, MemorySegment packed, long to) {
    source = NativeMemory.known(source);
    packed = NativeMemory.known(packed);
    int wide = LANES < 8 ? 0 : depth - 1;
    for (int k = 0; k < wide; k++) {
      FloatVector.fromMemorySegment(FloatVector.SPECIES_256, source, from, NATIVE)
          .intoMemorySegment(packed, to, NATIVE);
      from += rowBytes;
      to += 24;
    }
    for (int k = wide; k < depth; k++) {
      FloatVector.fromMemorySegment(FloatVector.SPECIES_128, source, from, NATIVE)
          .intoMemorySegment(packed, to, NATIVE);
      FloatVector.fromMemorySegment(FloatVector.SPECIES_64, source, from + 16, NATIVE)
          .intoMemorySegment(packed, to + 16, NATIVE);
      from += rowBytes;
      to += 24;
    }
  }

  private static void copySome(
      MemorySegment source,
      long from,
      long rowBytes,
      int depth,
      int present,
      int block,
      MemorySegment packed,
      long to) {
    source = NativeMemory.known(source);
    packed = NativeMemory.known(packed);
    for (int k = 0; k < depth; k++) {
      for (int i = 0; i < block; i++) {
        packed.set(FLOAT, to + i * 4L, i < present ? source.get(FLOAT, from + i * 4L) : 0f);
      }
      from += rowBytes;
      to += 4L * block;
    }
  }

  /** Writes consecutive numbers, scaled, {@code step} bytes apart. */
  static void spread(
      MemorySegment source,
      long from,
      int count,
      float scale,
      MemorySegment target,
      long to,
      long step) {
    source = NativeMemory.known(source);
    target = NativeMemory.known(target);
    for (int k = 0; k < count; k++) {
      target.set(FLOAT, to + k * step, source.get(FLOAT, from + k * 4L) * scale);
    }
  }
}
