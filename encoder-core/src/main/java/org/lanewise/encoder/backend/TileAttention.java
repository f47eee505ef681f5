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
 * there, values are turned once for each head, and sums come out as (values, queries). Where
 * queries read their whole sequence, as many panels of them go through each product as leave their
 * scores in the second cache: a call that sets up tiles and releases them takes 0.2 us.
 */
final class TileAttention extends PanelAttention {
  /** Rows that a transposition takes at once. */
  private static final int TURNED = 16;

  /** Steps of the depth of a tile, each of a pair. */
  private static final int TILE_PAIRS = 16;

  private final ProductCall product;
  private final RowsCall turn;
  private final RowsCall round;
  private final RowsCall scale;
  private final OnlineSoftmax softmax;

  /** Panels of queries of one product. */
  private int group;

  /** Bytes from one row of the turned values to the next, and from the scores of a panel. */
  private long valueBytes;

  private long scoreBytes;

  private MemorySegment keys;
  private MemorySegment values;
  private MemorySegment queries;
  private MemorySegment scores;
  private MemorySegment sums;
  private MemorySegment addedSums;
  private MemorySegment inverses;

  /** Rows before they are turned: pairs of values, queries, sums. */
  private MemorySegment rows;

  TileAttention(
      ScratchPool.Scratch scratch, Matrix queryKeyValue, AttentionPattern pattern, Matrix context) {
    super(scratch, queryKeyValue, pattern, context);
    MachineCode code = MatrixUnit.code();
    product = new ProductCall(code.address(MachineCode.Function.TILE_BF16), scratch);
    turn = new RowsCall(MachineCode.Function.TURN, scratch);
    round = new RowsCall(MachineCode.Function.ROUND_BF16, scratch);
    scale = new RowsCall(MachineCode.Function.SCALE, scratch);
    softmax = new OnlineSoftmax(scratch);
  }

  @Override
  void begin() {
    // Powers are half as many rows as scores, rounded up to what tiles take.
    int scored = Matrix.roundUp(Math.min(length, OnlineSoftmax.KEYS), 2);
    boolean everything = pattern.behind() >= length - 1 && pattern.ahead() >= length - 1;
    group =
        everything ? Math.clamp(OnlineSoftmax.KEYS / scored, 1, Math.ceilDiv(length, PANEL)) : 1;
    int turnedRows = turnedRows();
    valueBytes = 4L * turnedRows;
    valueBytes += valueBytes % 4096 == 0 ? BYTES : 0;
    scoreBytes = scored * PANEL_BYTES;
    keys = scratch.floats((long) length * headSize / 2);
    values = scratch.floats(headSize * valueBytes / 4);
    queries = scratch.floats((long) group * headSize / 2 * PANEL);
    scores = scratch.floats(group * scoreBytes / 4);
    sums = scratch.floats((long) group * PANEL * headSize);
    addedSums = scratch.floats((long) PANEL * headSize);
    inverses = scratch.floats(PANEL);
    rows = scratch.floats((long) Math.max(turnedRows, group * headSize) * PANEL);
    softmax.reset(true, group);
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
    round.run(keyAt, rowBytes, length, headSize, keys.address(), 2L * headSize);
    round.factor(factor());
    clear(rows, Math.ceilDiv(length, 2) * PANEL_BYTES, turnedRows() * PANEL_BYTES);
    for (int column = 0; column < headSize; column += PANEL) {
      long from = valueOffset(keyValueHead) + column * 4L;
      DotAttention.pairRows(source, from, rowBytes, length, true, rows, 0);
      long to = values.address() + column * valueBytes;
      turn.run(rows.address(), PANEL_BYTES, turnedRows(), PANEL, to, valueBytes);
    }
  }

  @Override
  void attend(int head) {
    int most = group * PANEL;
    for (int first = 0; first < length; first += most) {
      int count = Math.min(most, length - first);
      int from = firstKey(first);
      int end = endKey(first + count);
      turnQueries(head, first, count);
      for (int key = from; key < end; key += OnlineSoftmax.KEYS) {
        int keysEnd = Math.min(end, key + OnlineSoftmax.KEYS);
        boolean begins = key == from;
        multiplyKeys(key, keysEnd, count);
        for (int panel = 0; panel * PANEL < count; panel++) {
          takePowers(head, first, count, panel, key, keysEnd, begins);
        }
        multiplyValues(key, keysEnd, count, begins ? sums : addedSums);
        if (!begins) {
          softmax.join(count, sums, addedSums, sumStep);
        }
      }
      for (int panel = 0; panel * PANEL < count; panel++) {
        writeSums(head, first, count, panel);
      }
    }
  }

  /** queries (headSize / 2, queries) for each panel, pairs of them. */
  private void turnQueries(int head, int first, int count) {
    long from = queryKeyValue.data().address() + queryOffset(head, first);
    long bytes = 2L * headSize;
    round.run(from, rowBytes, count, headSize, rows.address(), bytes);
    // What lay there could become scores whose powers are too small for a processor to be fast.
    clear(rows, count * bytes, Matrix.roundUp(count, TURNED) * bytes);
    for (int query = 0; query < count; query += PANEL) {
      int some = Math.min(PANEL, Matrix.roundUp(count - query, TURNED));
      long at = rows.address() + query * bytes;
      long to = queries.address() + query * bytes;
      turn.run(at, bytes, some, headSize / 2, to, PANEL_BYTES);
    }
  }

  /** scores (keys, queries) of each panel. */
  private void multiplyKeys(int from, int end, int count) {
    long keyBytes = 2L * headSize;
    product.left(keys.address() + from * keyBytes, keyBytes, 4);
    product.panels(queries.address(), PANEL * keyBytes, headSize / 2);
    product.output(scores.address(), PANEL_BYTES, scoreBytes);
    product.start(0, 0);
    product.run(end - from, Math.ceilDiv(count, PANEL));
  }

  /** Replaces the scores of a panel by powers, and zeros up to what tiles take. */
  private void takePowers(
      int head, int first, int count, int panel, int from, int end, boolean begins) {
    int query = panel * PANEL;
    int some = Math.min(PANEL, count - query);
    long at = panel * scoreBytes;
    addBiasAndMask(scores, at, head, first + query, some, from, end);
    if (begins) {
      softmax.begin(scores, at, end - from, some, panel);
    } else {
      softmax.goOn(scores, at, end - from, some);
    }
    int powers = Math.ceilDiv(end - from, 2);
    clear(scores, at + powers * PANEL_BYTES, at + steps(powers) * PANEL_BYTES);
  }

  private static int steps(int powers) {
    return Matrix.roundUp(powers, TILE_PAIRS);
  }

  /** sums (queries, values), which tiles make the other way round. */
  private void multiplyValues(int from, int end, int count, MemorySegment output) {
    long panelBytes = headSize * PANEL_BYTES;
    product.left(values.address() + 2L * from, valueBytes, 4);
    product.panels(scores.address(), scoreBytes, steps(Math.ceilDiv(end - from, 2)));
    product.output(rows.address(), PANEL_BYTES, panelBytes);
    product.start(0, 0);
    product.run(headSize, Math.ceilDiv(count, PANEL));
    for (int query = 0; query < count; query += PANEL) {
      long at = rows.address() + query / PANEL * panelBytes;
      turn.run(at, PANEL_BYTES, headSize, PANEL, output.address() + query * sumStep, sumStep);
    }
  }

  private void writeSums(int head, int first, int count, int panel) {
    int query = panel * PANEL;
    softmax.invert(panel, inverses);
    scale.factors(inverses.address());
    scale.run(
        sums.address() + query * sumStep,
        sumStep,
        Math.min(PANEL, count - query),
        headSize,
        context.data().address() + contextOffset(head, first + query),
        context.stride() * 4L);
  }

  /** Writes zeros, whole vectors of them; a slice to be filled would be an object each time. */
  private static void clear(MemorySegment data, long from, long end) {
    data = NativeMemory.known(data);
    for (long at = from; at < end; at += BYTES) {
      FloatVector.zero(FLOATS).intoMemorySegment(data, at, NATIVE);
    }
  }
}
