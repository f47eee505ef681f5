package org.lanewise.encoder.backend;

import static org.lanewise.encoder.backend.ProductKernels.BYTES;
import static org.lanewise.encoder.backend.ProductKernels.PANEL;
import static org.lanewise.encoder.backend.ProductKernels.PANEL_BYTES;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Attention on the Vector API, in fp32: a panel of queries at a time, all keys at once.
 *
 * <p>Scores are the left side of the product with the values as they lie.
 */
final class VectorAttention extends PanelAttention {
  /** Keys whose values are multiplied while their powers are in the first cache. */
  private static final int CHUNK = 192;

  /** What the scratch memory had given before the first head. */
  private int beforeHeads;

  private MemorySegment keys;
  private MemorySegment values;
  private MemorySegment packed;
  private MemorySegment queries;
  private MemorySegment scores;
  private MemorySegment inverses;
  private MemorySegment sums;
  private MemorySegment chunkSums;

  VectorAttention(
      ScratchPool.Scratch scratch, Matrix queryKeyValue, AttentionPattern pattern, Matrix context) {
    super(scratch, queryKeyValue, pattern, context);
  }

  @Override
  void begin() {
    int paddedLength = Matrix.roundUp(length, Matrix.ROW_BLOCK);
    int paddedSize = Matrix.roundUp(headSize, PANEL);
    int paddedPanel = Matrix.roundUp(PANEL, Matrix.ROW_BLOCK);
    keys = scratch.floats((long) paddedLength * headSize);
    values = scratch.floats((long) length * paddedSize);
    packed = scratch.floats((long) paddedPanel * headSize + LANES);
    queries = scratch.floats((long) headSize * PANEL);
    scores = scratch.floats((long) Matrix.roundUp(length, Matrix.PADDED_ROWS) * PANEL + PANEL);
    inverses = scratch.floats(PANEL);
    sums = scratch.floats((long) paddedPanel * paddedSize);
    chunkSums = scratch.floats((long) paddedPanel * paddedSize);
    beforeHeads = scratch.mark();
  }

  @Override
  void takeKeysAndValues(int keyValueHead) {
    MemorySegment source = queryKeyValue.data();
    LeftPacking.pack(source, keyOffset(keyValueHead, 0), rowBytes, length, headSize, keys);
    for (int column = 0; column < headSize; column += PANEL) {
      boolean wide = headSize - column > LANES;
      long from = valueOffset(keyValueHead) + column * 4L;
      copyColumns(source, from, rowBytes, length, wide, values, column * 4L * length);
    }
  }

  @Override
  void attend(int head) {
    scratch.reuse(beforeHeads);
    DistanceScores distances = DistanceScores.of(this, head);
    for (int first = 0; first < length; first += PANEL) {
      int count = Math.min(PANEL, length - first);
      boolean wide = count > LANES;
      int from = firstKey(first);
      int end = endKey(first + count);
      long queryAt = queryOffset(head, first);
      takePanel(queryKeyValue.data(), queryAt, rowBytes, count, factor(), queries, wide);
      long scoresAt = -from * PANEL_BYTES;
      multiplyRows(keys, from, length, end, queries, wide, headSize, scores, scoresAt, PANEL_BYTES);
      if (distances != null) {
        distances.add(first, count, from, end);
      }
      addBiasAndMask(scores, 0, head, first, count, from, end);
      if (wide) {
        softmaxWide(scores, end - from, inverses);
      } else {
        softmaxNarrow(scores, end - from, inverses);
      }
      gatherValues(count, from, end);
      for (int query = 0; query < count; query++) {
        float inverse = NativeMemory.known(inverses).get(FLOAT, query * 4L);
        writeRow(sums, query * sumStep, inverse, contextOffset(head, first + query));
      }
    }
  }

  /** panel (headSize, width) = up to a panel of rows, scaled and transposed. */
  private void takePanel(
      MemorySegment source,
      long at,
      long rowBytes,
      int count,
      float scale,
      MemorySegment panel,
      boolean wide) {
    LeftPacking.pack(source, at, rowBytes, count, headSize, packed);
    int width = wide ? PANEL : LANES;
    long blockAt = 0;
    for (int row = 0; row < count; row += Matrix.ROW_BLOCK) {
      int block = ProductKernels.block(count - row);
      if (LANES >= 8 && count - row >= 6 && row + 8 <= width) {
        spreadSix(packed, blockAt, headSize, scale, panel, 4L * row);
      } else {
        int present = Math.min(block, count - row);
        spreadSome(packed, blockAt, headSize, scale, panel, 4L * row, block, present);
      }
      blockAt += 4L * block * headSize;
    }
  }

  /** Copies six numbers at every step, and two more that the next block overwrites. */
  private static void spreadSix(
      MemorySegment packed, long from, int depth, float scale, MemorySegment panel, long to) {
    packed = NativeMemory.known(packed);
    panel = NativeMemory.known(panel);
    FloatVector factor = FloatVector.broadcast(FloatVector.SPECIES_256, scale);
    for (int k = 0; k < depth; k++) {
      FloatVector.fromMemorySegment(FloatVector.SPECIES_256, packed, from, NATIVE)
          .mul(factor)
          .intoMemorySegment(panel, to, NATIVE);
      from += 24;
      to += PANEL_BYTES;
    }
  }

  private static void spreadSome(
      MemorySegment packed,
      long from,
      int depth,
      float scale,
      MemorySegment panel,
      long to,
      int block,
      int present) {
    packed = NativeMemory.known(packed);
    panel = NativeMemory.known(panel);
    for (int k = 0; k < depth; k++) {
      for (int i = 0; i < present; i++) {
        panel.set(FLOAT, to + i * 4L, packed.get(FLOAT, from + i * 4L) * scale);
      }
      from += 4L * block;
      to += PANEL_BYTES;
    }
  }

  /**
   * output (rows, width) = rows [from, end) of a packed left side * panel; the last block is
   * multiplied whole.
   *
   * @param from a row with which a block begins
   * @param packedRows rows of the left side, by which its blocks were cut
   * @param outputAt where row 0 would be written
   */
  private static void multiplyRows(
      MemorySegment left,
      int from,
      int packedRows,
      int end,
      MemorySegment panel,
      boolean wide,
      int depth,
      MemorySegment output,
      long outputAt,
      long outputStep) {
    int block;
    for (int row = from; row < end; row += block) {
      block = ProductKernels.block(packedRows - row);
      AttentionKernels.scores(
          block,
          wide,
          left,
          4L * row * depth,
          panel,
          depth,
          output,
          outputAt + row * outputStep,
          outputStep);
    }
  }

  /** Replaces both columns of vectors by 2^(score - largest) and writes 1 / their sums. */
  private static void softmaxWide(MemorySegment scores, int rows, MemorySegment inverses) {
    scores = NativeMemory.known(scores);
    inverses = NativeMemory.known(inverses);
    FloatVector largest0 = load(scores, 0);
    FloatVector largest1 = load(scores, BYTES);
    long at = 0;
    for (int row = 0; row < rows; row++) {
      FloatVector score0 = load(scores, at);
      FloatVector score1 = load(scores, at + BYTES);
      largest0 = largest0.blend(score0, score0.compare(VectorOperators.GT, largest0));
      largest1 = largest1.blend(score1, score1.compare(VectorOperators.GT, largest1));
      at += PANEL_BYTES;
    }
    FloatVector sum0 = FloatVector.zero(FLOATS);
    FloatVector sum1 = FloatVector.zero(FLOATS);
    at = 0;
    for (int row = 0; row < rows; row++) {
      FloatVector power0 = VectorMath.exp2(load(scores, at).sub(largest0));
      FloatVector power1 = VectorMath.exp2(load(scores, at + BYTES).sub(largest1));
      power0.intoMemorySegment(scores, at, NATIVE);
      power1.intoMemorySegment(scores, at + BYTES, NATIVE);
      sum0 = sum0.add(power0);
      sum1 = sum1.add(power1);
      at += PANEL_BYTES;
    }
    FloatVector one = FloatVector.broadcast(FLOATS, 1f);
    one.div(sum0).intoMemorySegment(inverses, 0, NATIVE);
    one.div(sum1).intoMemorySegment(inverses, BYTES, NATIVE);
  }

  private static void softmaxNarrow(MemorySegment scores, int rows, MemorySegment inverses) {
    scores = NativeMemory.known(scores);
    inverses = NativeMemory.known(inverses);
    FloatVector largest = load(scores, 0);
    long at = 0;
    for (int row = 0; row < rows; row++) {
      FloatVector score = load(scores, at);
      largest = largest.blend(score, score.compare(VectorOperators.GT, largest));
      at += PANEL_BYTES;
    }
    FloatVector sum = FloatVector.zero(FLOATS);
    at = 0;
    for (int row = 0; row < rows; row++) {
      FloatVector power = VectorMath.exp2(load(scores, at).sub(largest));
      power.intoMemorySegment(scores, at, NATIVE);
      sum = sum.add(power);
      at += PANEL_BYTES;
    }
    FloatVector.broadcast(FLOATS, 1f).div(sum).intoMemorySegment(inverses, 0, NATIVE);
  }

  /** sums (queries, values): sums over the keys, a chunk of them at a time. */
  private void gatherValues(int count, int from, int end) {
    for (int key = from; key < end; key += CHUNK) {
      MemorySegment output = key == from ? sums : chunkSums;
      int depth = Math.min(CHUNK, end - key);
      long scoresAt = (key - from) * PANEL_BYTES;
      for (int query = 0; query < count; query += Matrix.ROW_BLOCK) {
        for (int column = 0; column < headSize; column += PANEL) {
          AttentionKernels.context(
              headSize - column > LANES,
              scores,
              scoresAt + query * 4L,
              values,
              column * 4L * length + key * PANEL_BYTES,
              depth,
              output,
              query * sumStep + column * 4L,
              sumStep);
        }
      }
      if (key > from) {
        addSums(count);
      }
    }
  }

  /** Here and not in the kernel, where so many more loads are too much code for the JIT. */
  private void addSums(int count) {
    MemorySegment sums = NativeMemory.known(this.sums);
    MemorySegment chunkSums = NativeMemory.known(this.chunkSums);
    for (long at = 0; at < count * sumStep; at += BYTES) {
      load(sums, at).add(load(chunkSums, at)).intoMemorySegment(sums, at, NATIVE);
    }
  }

  /**
   * The disentangled scores of one head: every query with the keys of the distances, a panel at a
   * time, and every key with the queries of the distances, once. Both are then looked up by
   * distance.
   */
  private static final class DistanceScores {
    private final VectorAttention attention;
    private final PositionBias.Disentangled bias;
    private final int lowest;
    private final int rows;
    private final MemorySegment distanceKeys;
    private final MemorySegment ofQueries;
    private final MemorySegment ofKeys;
    private final long keyStep;

    private DistanceScores(VectorAttention attention, PositionBias.Disentangled bias, int head) {
      this.attention = attention;
      this.bias = bias;
      int headSize = attention.headSize;
      lowest = bias.row(1 - attention.length);
      rows = bias.row(attention.length - 1) - lowest + 1;
      int paddedRows = Matrix.roundUp(rows, Matrix.ROW_BLOCK);
      distanceKeys = attention.scratch.floats(bias.hasKeys() ? (long) paddedRows * headSize : 0);
      ofQueries = attention.scratch.floats(bias.hasKeys() ? (long) paddedRows * PANEL : 0);
      int width = Matrix.roundUp(rows, PANEL);
      keyStep = 4L * width;
      int paddedLength = Matrix.roundUp(attention.length, Matrix.ROW_BLOCK);
      ofKeys = attention.scratch.floats(bias.hasQueries() ? (long) paddedLength * width : 0);
      if (bias.hasKeys()) {
        Matrix table = bias.distanceKeys();
        long at = table.rowOffset(lowest) + 4L * head * headSize;
        LeftPacking.pack(table.data(), at, table.stride() * 4L, rows, headSize, distanceKeys);
      }
      if (bias.hasQueries()) {
        multiplyKeys(head);
      }
    }

    /** Returns the scores, or null where the pattern has none. */
    static DistanceScores of(VectorAttention attention, int head) {
      return attention.pattern.bias() instanceof PositionBias.Disentangled bias
          ? new DistanceScores(attention, bias, head)
          : null;
    }

    private void multiplyKeys(int head) {
      Matrix table = bias.distanceQueries();
      int headSize = attention.headSize;
      float scale = attention.factor();
      for (int row = 0; row < rows; row += PANEL) {
        long at = table.rowOffset(lowest + row) + 4L * head * headSize;
        int count = Math.min(PANEL, rows - row);
        attention.takePanel(
            table.data(), at, table.stride() * 4L, count, scale, attention.queries, true);
        multiplyRows(
            attention.keys,
            0,
            attention.length,
            attention.length,
            attention.queries,
            true,
            headSize,
            ofKeys,
            row * 4L,
            keyStep);
      }
    }

    void add(int first, int count, int from, int end) {
      MemorySegment scores = NativeMemory.known(attention.scores);
      MemorySegment ofQueries = NativeMemory.known(this.ofQueries);
      MemorySegment ofKeys = NativeMemory.known(this.ofKeys);
      if (bias.hasKeys()) {
        multiplyRows(
            distanceKeys,
            0,
            rows,
            rows,
            attention.queries,
            true,
            attention.headSize,
            ofQueries,
            0,
            PANEL_BYTES);
      }
      for (int key = from; key < end; key++) {
        for (int query = 0; query < count; query++) {
          int row = bias.row(first + query - key) - lowest;
          long at = (key - from) * PANEL_BYTES + query * 4L;
          float score = scores.get(FLOAT, at);
          if (bias.hasKeys()) {
            score += ofQueries.get(FLOAT, row * PANEL_BYTES + query * 4L);
          }
          if (bias.hasQueries()) {
            score += ofKeys.get(FLOAT, key * keyStep + row * 4L);
          }
          scores.set(FLOAT, at, score);
        }
      }
    }
  }
}
