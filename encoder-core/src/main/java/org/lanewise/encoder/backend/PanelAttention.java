package org.lanewise.encoder.backend;

import static org.lanewise.encoder.backend.ProductKernels.BYTES;
import static org.lanewise.encoder.backend.ProductKernels.PANEL;
import static org.lanewise.encoder.backend.ProductKernels.PANEL_BYTES;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.lanewise.encoder.batch.PackedBatch;

/**
 * Attention over packed sequences, a head and some of its queries at a time: what all ways to
 * multiply share.
 *
 * <p>Scores are transposed: they lie as (keys, queries), a panel of queries beside each other, so
 * that the softmax and what depends on the distance run along whole vectors without a horizontal
 * step. Memory grows with the length, not with its square, and keys that no query of a panel may
 * read are not looked at. Belongs to one task.
 */
abstract class PanelAttention {
  static final VectorSpecies<Float> FLOATS = VectorBackend.FLOATS;
  static final int LANES = FLOATS.length();
  static final ByteOrder NATIVE = ByteOrder.nativeOrder();
  static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  /** Below every score, and 2 to its power is next to nothing. */
  static final float MASKED = -3e38f;

  private static final FloatVector LANE = FloatVector.zero(FLOATS).addIndex(1);

  /** What multiplies. */
  enum Unit {
    VECTORS,
    /** Machine code for AVX-512, of fp32, or of bf16 where sequences are long. */
    DOTS_FP32,
    DOTS_BF16,
    /** Machine code for AMX. */
    TILES_BF16
  }

  final ScratchPool.Scratch scratch;
  final Matrix queryKeyValue;
  final AttentionPattern pattern;
  final Matrix context;
  final int headSize;

  /** Bytes from one row of the queries and keys to the next, and of the sums. */
  final long rowBytes;

  final long sumStep;

  /** The first row of the sequence, and its rows. */
  int start;

  int length;

  PanelAttention(
      ScratchPool.Scratch scratch, Matrix queryKeyValue, AttentionPattern pattern, Matrix context) {
    this.scratch = scratch;
    this.queryKeyValue = queryKeyValue;
    this.pattern = pattern;
    this.context = context;
    headSize = pattern.headSize();
    rowBytes = queryKeyValue.stride() * 4L;
    sumStep = 4L * Matrix.roundUp(headSize, PANEL);
  }

  /**
   * Writes the heads of some key and value heads to the context.
   *
   * @param first number of the first key and value head, counted over all sequences
   * @param end number of the one after the last
   */
  static void attend(
      ScratchPool scratches,
      Unit unit,
      Matrix queryKeyValue,
      PackedBatch batch,
      int first,
      int end,
      AttentionPattern pattern,
      Matrix context) {
    try (ScratchPool.Scratch scratch = scratches.borrow()) {
      PanelAttention vectors = new VectorAttention(scratch, queryKeyValue, pattern, context);
      PanelAttention machine =
          switch (suited(unit, pattern)) {
            case VECTORS -> vectors;
            case DOTS_FP32 -> new DotAttention(scratch, false, queryKeyValue, pattern, context);
            case DOTS_BF16 -> new DotAttention(scratch, true, queryKeyValue, pattern, context);
            case TILES_BF16 -> new TileAttention(scratch, queryKeyValue, pattern, context);
          };
      int beforeSequences = scratch.mark();
      int shared = pattern.heads() / pattern.keyValueHeads();
      PanelAttention attention = vectors;
      for (int i = first; i < end; i++) {
        int sequence = i / pattern.keyValueHeads();
        int keyValueHead = i % pattern.keyValueHeads();
        if (i == first || keyValueHead == 0) {
          scratch.reuse(beforeSequences);
          attention = batch.length(sequence) > LANES ? machine : vectors;
          attention.start = batch.sequenceStarts()[sequence];
          attention.length = batch.length(sequence);
          attention.begin();
        }
        attention.takeKeysAndValues(keyValueHead);
        for (int head = keyValueHead * shared; head < (keyValueHead + 1) * shared; head++) {
          attention.attend(head);
        }
      }
    }
  }

  private static Unit suited(Unit unit, AttentionPattern pattern) {
    if (pattern.bias() instanceof PositionBias.Disentangled) {
      // Its scores are products with the packed keys, too.
      return Unit.VECTORS;
    }
    return switch (unit) {
      case VECTORS, DOTS_FP32 -> unit;
      case DOTS_BF16 -> pattern.headSize() % 2 == 0 ? unit : Unit.DOTS_FP32;
      case TILES_BF16 -> pattern.headSize() % PANEL == 0 ? unit : Unit.DOTS_FP32;
    };
  }

  /** Takes another sequence. */
  abstract void begin();

  abstract void takeKeysAndValues(int keyValueHead);

  /** Writes a head of the context. */
  abstract void attend(int head);

  /** What queries are multiplied with: the softmax's power of two has its base in them. */
  final float factor() {
    return pattern.scale() * VectorMath.LOG2_E;
  }

  /** Returns the first key that is read from a query on: one with which a packed block begins. */
  final int firstKey(int query) {
    return Math.max(0, query - pattern.behind()) / Matrix.ROW_BLOCK * Matrix.ROW_BLOCK;
  }

  /** Returns the key after the last that is read by queries before {@code endQuery}. */
  final int endKey(int endQuery) {
    return Math.min(length, endQuery + pattern.ahead());
  }

  final long queryOffset(int head, int query) {
    return queryKeyValue.rowOffset(start + query) + 4L * head * headSize;
  }

  final long keyOffset(int keyValueHead, int key) {
    return queryKeyValue.rowOffset(start + key) + 4L * pattern.keyColumn(keyValueHead);
  }

  final long valueOffset(int keyValueHead) {
    return queryKeyValue.rowOffset(start) + 4L * pattern.valueColumn(keyValueHead);
  }

  final long contextOffset(int head, int query) {
    return context.rowOffset(start + query) + 4L * head * headSize;
  }

  /**
   * Adds what depends on the distance to the scores of a panel, and takes away those of keys that a
   * query may not read.
   *
   * @param first the first query
   * @param from the first key
   */
  final void addBiasAndMask(
      MemorySegment scores, long at, int head, int first, int count, int from, int end) {
    boolean wide = count > LANES;
    if (pattern.bias() instanceof PositionBias.ByDistance bias) {
      long tableAt = bias.table().rowOffset(head) + 4L * (bias.reach() + first - from);
      addBias(bias.table().data(), tableAt, scores, at, end - from, wide);
    }
    int last = first + count - 1;
    // Every query may read the keys [last - behind, first + ahead].
    int freeFrom = Math.max(from, Math.min(end, last - pattern.behind()));
    int freeEnd = Math.max(freeFrom, Math.min(end, first + pattern.ahead() + 1));
    maskRows(scores, at, first, from, from, freeFrom, wide);
    maskRows(scores, at, first, from, freeEnd, end, wide);
  }

  /** Whether {@link #addBiasAndMask} would change any score. */
  final boolean biasedOrMasked(int first, int count, int from, int end) {
    boolean everyKey =
        from >= first + count - 1 - pattern.behind() && end <= first + pattern.ahead() + 1;
    return !everyKey || pattern.bias() instanceof PositionBias.ByDistance;
  }

  private static void addBias(
      MemorySegment table, long tableAt, MemorySegment scores, long at, int keys, boolean wide) {
    table = NativeMemory.known(table);
    scores = NativeMemory.known(scores);
    for (int key = 0; key < keys; key++) {
      load(table, tableAt)
          .fma(FloatVector.broadcast(FLOATS, VectorMath.LOG2_E), load(scores, at))
          .intoMemorySegment(scores, at, NATIVE);
      if (wide) {
        load(table, tableAt + BYTES)
            .fma(FloatVector.broadcast(FLOATS, VectorMath.LOG2_E), load(scores, at + BYTES))
            .intoMemorySegment(scores, at + BYTES, NATIVE);
      }
      at += PANEL_BYTES;
      tableAt -= 4;
    }
  }

  private void maskRows(
      MemorySegment scores, long at, int first, int from, int firstKey, int endKey, boolean wide) {
    scores = NativeMemory.known(scores);
    for (int key = firstKey; key < endKey; key++) {
      float lowest = key - first - pattern.ahead();
      float highest = key - first + (float) pattern.behind();
      long rowAt = at + (key - from) * PANEL_BYTES;
      maskVector(scores, rowAt, lowest, highest);
      if (wide) {
        maskVector(scores, rowAt + BYTES, lowest - LANES, highest - LANES);
      }
    }
  }

  private static void maskVector(MemorySegment scores, long at, float lowest, float highest) {
    VectorMask<Float> outside =
        LANE.compare(VectorOperators.LT, lowest).or(LANE.compare(VectorOperators.GT, highest));
    load(scores, at).blend(MASKED, outside).intoMemorySegment(scores, at, NATIVE);
  }

  /** Copies a panel of columns, one row behind the other. */
  static void copyColumns(
      MemorySegment source,
      long from,
      long rowBytes,
      int rows,
      boolean wide,
      MemorySegment target,
      long to) {
    source = NativeMemory.known(source);
    target = NativeMemory.known(target);
    for (int row = 0; row < rows; row++) {
      load(source, from).intoMemorySegment(target, to, NATIVE);
      if (wide) {
        load(source, from + BYTES).intoMemorySegment(target, to + BYTES, NATIVE);
      }
      from += rowBytes;
      to += PANEL_BYTES;
    }
  }

  /** Writes a row of the sums to the context, divided by the sum of its powers. */
  final void writeRow(MemorySegment sums, long at, float inverse, long to) {
    sums = NativeMemory.known(sums);
    MemorySegment output = NativeMemory.known(context.data());
    int i = 0;
    for (; i + LANES <= headSize; i += LANES) {
      load(sums, at + i * 4L).mul(inverse).intoMemorySegment(output, to + i * 4L, NATIVE);
    }
    for (; i < headSize; i++) {
      output.set(FLOAT, to + i * 4L, sums.get(FLOAT, at + i * 4L) * inverse);
    }
  }

  static FloatVector load(MemorySegment data, long at) {
    return FloatVector.fromMemorySegment(FLOATS, data, at, NATIVE);
  }
}
