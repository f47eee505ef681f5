package org.lanewise.encoder.backend;

import static org.lanewise.encoder.backend.ProductKernels.BYTES;
import static org.lanewise.encoder.backend.ProductKernels.PANEL;
import static org.lanewise.encoder.backend.ProductKernels.PANEL_BYTES;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Attention of one head over one packed sequence, a panel of queries at a time.
 *
 * <p>Everything is transposed: scores lie as (keys, queries), so that the softmax runs along whole
 * vectors without a horizontal step, and they are already the panel that the values are multiplied
 * with. Memory grows with the length, not with its square.
 */
final class VectorAttention {
  private static final VectorSpecies<Float> FLOATS = VectorBackend.FLOATS;
  private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private VectorAttention() {}

  /**
   * Writes one head of one sequence to the context.
   *
   * @param start first row of the sequence
   * @param length its rows
   */
  static void attend(
      ScratchPool scratches,
      Matrix queryKeyValue,
      int start,
      int length,
      int head,
      int headSize,
      Matrix context) {
    int hiddenSize = context.columns();
    long rowBytes = queryKeyValue.stride() * 4L;
    long queryAt = queryKeyValue.rowOffset(start) + 4L * head * headSize;
    long keyAt = queryAt + 4L * hiddenSize;
    long valueAt = keyAt + 4L * hiddenSize;
    MemorySegment source = queryKeyValue.data();
    int paddedLength = Matrix.roundUp(length, Matrix.ROW_BLOCK);
    int paddedSize = Matrix.roundUp(headSize, Matrix.ROW_BLOCK);
    try (ScratchPool.Scratch scratch = scratches.borrow()) {
      MemorySegment keys = scratch.floats((long) paddedLength * headSize);
      MemorySegment values = scratch.floats((long) paddedSize * length);
      MemorySegment queries = scratch.floats((long) headSize * PANEL);
      MemorySegment scores = scratch.floats((long) paddedLength * PANEL);
      MemorySegment sums = scratch.floats((long) paddedSize * PANEL);
      MemorySegment inverses = scratch.floats(PANEL);
      MemorySegment noBias = scratch.zeros(PANEL);
      LeftPacking.pack(source, keyAt, rowBytes, length, headSize, keys);
      LeftPacking.packTransposed(source, valueAt, rowBytes, length, headSize, values);
      // The softmax below is a power of two: its base goes into the queries.
      float scale = (float) (VectorMath.LOG2_E / Math.sqrt(headSize));
      for (int first = 0; first < length; first += PANEL) {
        int count = Math.min(PANEL, length - first);
        for (int query = 0; query < count; query++) {
          long from = queryAt + (first + query) * rowBytes;
          LeftPacking.spread(source, from, headSize, scale, queries, query * 4L, PANEL_BYTES);
        }
        product(keys, length, queries, headSize, noBias, scores);
        softmax(scores, length, 0, inverses);
        softmax(scores, length, BYTES, inverses);
        product(values, headSize, scores, length, noBias, sums);
        for (int query = 0; query < count; query++) {
          long to = context.rowOffset(start + first + query) + 4L * head * headSize;
          float inverse = inverses.getAtIndex(FLOAT, query);
          gather(sums, query * 4L, headSize, inverse, context.data(), to);
        }
      }
    }
  }

  /** Writes a column of an fp32 panel as consecutive numbers, scaled. */
  private static void gather(
      MemorySegment panel, long at, int count, float scale, MemorySegment target, long to) {
    for (int i = 0; i < count; i++) {
      target.set(FLOAT, to + i * 4L, panel.get(FLOAT, at + i * PANEL_BYTES) * scale);
    }
  }

  /** output (rows, PANEL) = packed left (rows, depth) * panel (depth, PANEL). */
  private static void product(
      MemorySegment left,
      int rows,
      MemorySegment panel,
      int depth,
      MemorySegment noBias,
      MemorySegment output) {
    long leftAt = 0;
    int block;
    for (int row = 0; row < rows; row += block) {
      block = ProductKernels.block(rows - row);
      ProductKernels.multiply(
          block,
          false,
          left,
          leftAt,
          panel,
          0,
          depth,
          noBias,
          0,
          output,
          row * PANEL_BYTES,
          PANEL_BYTES);
      leftAt += 4L * block * depth;
    }
  }

  /** Replaces a column of vectors by 2^(score - largest) and writes 1 / their sum. */
  private static void softmax(MemorySegment scores, int length, long at, MemorySegment inverses) {
    FloatVector largest = load(scores, at);
    for (int key = 1; key < length; key++) {
      largest = largest.max(load(scores, at + key * PANEL_BYTES));
    }
    FloatVector sum = FloatVector.zero(FLOATS);
    for (int key = 0; key < length; key++) {
      long offset = at + key * PANEL_BYTES;
      FloatVector power = VectorMath.exp2(load(scores, offset).sub(largest));
      power.intoMemorySegment(scores, offset, NATIVE);
      sum = sum.add(power);
    }
    FloatVector.broadcast(FLOATS, 1f).div(sum).intoMemorySegment(inverses, at, NATIVE);
  }

  private static FloatVector load(MemorySegment data, long at) {
    return FloatVector.fromMemorySegment(FLOATS, data, at, NATIVE);
  }
}
