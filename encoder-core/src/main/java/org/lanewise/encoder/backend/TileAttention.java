package org.lanewise.encoder.backend;

import static org.lanewise.encoder.backend.ProductKernels.BYTES;
import static org.lanewise.encoder.backend.ProductKernels.PANEL;
import static org.lanewise.encoder.backend.ProductKernels.PANEL_BYTES;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * Attention by the tiles of AMX, for heads of whole panels: queries, keys, powers and values are
 * rounded to bf16, scores and sums are fp32.
 *
 * <p>Tiles want pairs on the right, which is how powers come out of the softmax. So they stay
 * there, values are turned once for each head, and sums come out as (values, queries). Few keys at
 * a time leave their scores in the first cache; a softmax scales what earlier keys gave (Milakov
 * and Gimelshein, "Online normalizer calculation for softmax", 2018).
 */
final class TileAttention extends PanelAttention {
  /** Keys whose scores are kept at once: 24 kB, and as much of keys and values of 32 numbers. */
  private static final int KEYS = 192;

  /** Panels of queries whose sums are kept until they are written. */
  private static final int MOST_PANELS = 8;

  /** Rows that a transposition takes at once. */
  private static final int TURNED = 16;

  /** Rows that a product takes at once, and steps of its depth, each of a pair. */
  private static final int TILE_ROWS = 32;

  private static final int TILE_PAIRS = 16;

  private final TileCalls calls;
  private final RowsCall turn;
  private final RowsCall pair;
  private final RowsCall round;
  private final RowsCall scale;

  /** Bytes of a row of keys or queries, and of the turned values. */
  private final long keyBytes;

  private long valueBytes;

  /** Bytes of a panel of queries, and of its sums before they are turned. */
  private final long queryBytes;

  private final long panelBytes;

  private MemorySegment keys;
  private MemorySegment values;
  private MemorySegment queries;
  private MemorySegment scores;
  private MemorySegment state;
  private MemorySegment turnedSums;
  private MemorySegment sums;
  private MemorySegment inverses;

  /** Rows before they are turned: pairs of values, queries. */
  private MemorySegment rows;

  TileAttention(
      ScratchPool.Scratch scratch, Matrix queryKeyValue, AttentionPattern pattern, Matrix context) {
    super(scratch, queryKeyValue, pattern, context);
    calls = new TileCalls(scratch);
    turn = new RowsCall(MachineCode.Function.TURN, scratch);
    pair = new RowsCall(MachineCode.Function.PAIR_ROWS, scratch);
    round = new RowsCall(MachineCode.Function.ROUND_BF16, scratch);
    scale = new RowsCall(MachineCode.Function.SCALE, scratch);
    keyBytes = 2L * headSize;
    queryBytes = PANEL * keyBytes;
    panelBytes = headSize * PANEL_BYTES;
  }

  @Override
  void begin() {
    int panels = Math.min(MOST_PANELS, Math.ceilDiv(length, PANEL));
    valueBytes = 4L * turnedRows();
    valueBytes += valueBytes % 4096 == 0 ? BYTES : 0;
    keys = scratch.floats((length + TILE_ROWS) * keyBytes / 4);
    values = scratch.floats(headSize * valueBytes / 4);
    queries = scratch.floats(panels * queryBytes / 4);
    scores = scratch.floats((long) KEYS * PANEL);
    state = scratch.floats(panels * OnlineSoftmax.STATE_BYTES / 4);
    turnedSums = scratch.floats(panels * panelBytes / 4);
    sums = scratch.floats((long) PANEL * headSize);
    inverses = scratch.floats(PANEL);
    rows = scratch.floats(Math.max(turnedRows() * PANEL_BYTES, panels * queryBytes) / 4);
  }

  /** Rows of pairs of values: zeros follow them, because tiles take some from any key on. */
  private int turnedRows() {
    return Matrix.roundUp(Math.ceilDiv(length, 2), TURNED) + TILE_PAIRS;
  }

  @Override
  void takeKeysAndValues(int keyValueHead) {
    MemorySegment source = queryKeyValue.data();
    long keyAt = source.address() + keyOffset(keyValueHead, 0);
    round.factor(1f);
    round.run(keyAt, rowBytes, length, headSize, keys.address(), keyBytes);
    round.factor(factor());
    clear(rows, Math.ceilDiv(length, 2) * PANEL_BYTES, turnedRows() * PANEL_BYTES);
    for (int column = 0; column < headSize; column += PANEL) {
      long from = valueOffset(keyValueHead) + column * 4L;
      long pairsAt = source.address() + from;
      pair.run(pairsAt, rowBytes, length, PANEL, rows.address(), PANEL_BYTES);
      long to = values.address() + column * valueBytes;
      turn.run(rows.address(), PANEL_BYTES, turnedRows(), PANEL, to, valueBytes);
    }
  }

  @Override
  void attend(int head) {
    int most = MOST_PANELS * PANEL;
    for (int first = 0; first < length; first += most) {
      int end = Math.min(length, first + most);
      turnQueries(head, first, end - first);
      int endKey = endKey(end);
      for (int key = firstKey(first); key < endKey; key += KEYS) {
        for (int query = first; query < end; query += PANEL) {
          int count = Math.min(PANEL, end - query);
          gatherValues(head, query, count, (query - first) / PANEL, key, key + KEYS);
        }
      }
      calls.run();
      for (int query = first; query < end; query += PANEL) {
        writeSums(head, query, Math.min(PANEL, end - query), (query - first) / PANEL);
      }
    }
  }

  /** queries (headSize / 2, queries) for each panel, pairs of them. */
  private void turnQueries(int head, int first, int count) {
    long from = queryKeyValue.data().address() + queryOffset(head, first);
    round.run(from, rowBytes, count, headSize, rows.address(), keyBytes);
    // What lay there could become scores whose powers are too small for a processor to be fast.
    clear(rows, count * keyBytes, Matrix.roundUp(count, TURNED) * keyBytes);
    for (int query = 0; query < count; query += PANEL) {
      int some = Math.min(PANEL, Matrix.roundUp(count - query, TURNED));
      long at = rows.address() + query * keyBytes;
      long to = queries.address() + query * keyBytes;
      turn.run(at, keyBytes, some, headSize / 2, to, PANEL_BYTES);
    }
  }

  /** Adds what some keys give to turnedSums (values, queries) of a panel. */
  private void gatherValues(
      int head, int first, int count, int panel, int chunkFrom, int chunkEnd) {
    int firstKey = firstKey(first);
    int from = Math.max(chunkFrom, firstKey);
    int end = Math.min(chunkEnd, endKey(first + count));
    if (from >= end) {
      return;
    }
    boolean begins = from == firstKey;
    long sumsAt = turnedSums.address() + panel * panelBytes;
    long stateAt = state.address() + panel * OnlineSoftmax.STATE_BYTES;
    long panelAt = queries.address() + panel * queryBytes;
    int scored = Matrix.roundUp(end - from, TILE_ROWS);
    long keyAt = keys.address() + from * keyBytes;
    calls.multiply(keyAt, keyBytes, scored, panelAt, headSize / 2, scores.address(), false);
    if (biasedOrMasked(first, count, from, end)) {
      calls.run();
      addBiasAndMask(scores, 0, head, first, count, from, end);
    }
    long scoreBytes = count > LANES ? PANEL_BYTES : BYTES;
    long earlierAt = begins ? 0 : sumsAt;
    calls.softmax(scores.address(), end - from, scoreBytes, stateAt, earlierAt, headSize);
    long valueAt = values.address() + 2L * from;
    calls.multiply(valueAt, valueBytes, headSize, scores.address(), scored / 2, sumsAt, !begins);
  }

  /** Writes the sums of a panel, divided by those of their powers. */
  private void writeSums(int head, int first, int count, int panel) {
    long from = turnedSums.address() + panel * panelBytes;
    turn.run(from, PANEL_BYTES, headSize, PANEL, sums.address(), sumStep);
    OnlineSoftmax.invert(state, panel * OnlineSoftmax.STATE_BYTES, inverses);
    scale.factors(inverses.address());
    long to = context.data().address() + contextOffset(head, first);
    scale.run(sums.address(), sumStep, count, headSize, to, context.stride() * 4L);
  }

  /** Writes zeros, whole vectors of them; a slice to be filled would be an object each time. */
  private static void clear(MemorySegment data, long from, long end) {
    data = NativeMemory.known(data);
    for (long at = from; at < end; at += BYTES) {
      FloatVector.zero(FLOATS).intoMemorySegment(data, at, NATIVE);
    }
  }
}
