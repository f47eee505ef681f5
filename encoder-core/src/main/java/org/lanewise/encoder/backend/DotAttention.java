package org.lanewise.encoder.backend;

import static org.lanewise.encoder.backend.ProductKernels.PANEL;
import static org.lanewise.encoder.backend.ProductKernels.PANEL_BYTES;

import java.lang.foreign.MemorySegment;

/**
 * Attention by the dot products of AVX-512: a panel of queries at a time, keys where they lie.
 *
 * <p>Long sequences may be rounded to bf16: queries, keys, powers and values are, scores and sums
 * stay fp32. Queries, powers and values are then pairs of rows, which takes no number to another
 * lane.
 */
final class DotAttention extends PanelAttention {
  /** Keys whose values are multiplied while their powers are in the first cache. */
  private static final int CHUNK = 192;

  /** Up to this length, rounding to bf16 takes as long as it saves. */
  private static final int LONGEST_FP32 = 96;

  private final boolean rounds;
  private final ProductCall fp32Call;

  /** The products of bf16, or null where nothing is rounded. */
  private final ProductCall bf16Call;

  /** Writes pairs of rows, or null where nothing is rounded. */
  private final RowsCall pair;

  /** Writes rows of sums, or null where heads are no whole vectors. */
  private final RowsCall scale;

  private final OnlineSoftmax softmax;

  /** The factor of the queries on a diagonal, zeros beside it. */
  private final MemorySegment diagonal;

  /** Whether this sequence is rounded. */
  private boolean bf16;

  private MemorySegment keys;
  private MemorySegment values;
  private MemorySegment queries;
  private MemorySegment scores;
  private MemorySegment sums;
  private MemorySegment addedSums;
  private MemorySegment inverses;

  /**
   * Creates the attention of one task.
   *
   * @param rounds whether long sequences are multiplied as bf16
   */
  DotAttention(
      ScratchPool.Scratch scratch,
      boolean rounds,
      Matrix queryKeyValue,
      AttentionPattern pattern,
      Matrix context) {
    super(scratch, queryKeyValue, pattern, context);
    this.rounds = rounds;
    MachineCode code = MatrixUnit.code();
    fp32Call = new ProductCall(code.address(MachineCode.Function.DOT_FP32), scratch);
    bf16Call =
        rounds ? new ProductCall(code.address(MachineCode.Function.DOT_BF16), scratch) : null;
    pair = rounds ? new RowsCall(MachineCode.Function.PAIR_ROWS, scratch) : null;
    scale = headSize % LANES == 0 ? new RowsCall(MachineCode.Function.SCALE, scratch) : null;
    softmax = new OnlineSoftmax(scratch);
    diagonal = scratch.zeros((long) PANEL * PANEL);
    for (int i = 0; i < PANEL; i++) {
      diagonal.setAtIndex(FLOAT, (long) i * PANEL + i, factor());
    }
  }

  @Override
  void begin() {
    bf16 = rounds && length > LONGEST_FP32;
    int paddedSize = Matrix.roundUp(headSize, PANEL);
    keys = scratch.floats(bf16 ? (long) length * headSize / 2 : 0);
    values = scratch.floats((long) length * paddedSize);
    queries = scratch.floats((long) Matrix.roundUp(headSize, MachineProduct.DOT_ROWS) * PANEL);
    int scored = Math.min(length, OnlineSoftmax.KEYS);
    scores = scratch.floats((long) Matrix.roundUp(scored, Matrix.PADDED_ROWS) * PANEL + PANEL);
    sums = scratch.floats((long) PANEL * paddedSize);
    addedSums = scratch.floats((long) PANEL * paddedSize);
    inverses = scratch.floats(PANEL);
  }

  @Override
  void takeKeysAndValues(int keyValueHead) {
    MemorySegment source = queryKeyValue.data();
    long valueAt = valueOffset(keyValueHead);
    if (bf16) {
      MachineProduct.roundBf16(
          source, keyOffset(keyValueHead, 0), rowBytes, length, headSize, keys);
    }
    for (int column = 0; column < headSize; column += PANEL) {
      boolean wide = headSize - column > LANES;
      long from = valueAt + column * 4L;
      long to = column / PANEL * valuePanelBytes();
      if (bf16) {
        pairRows(source.address() + from, rowBytes, length, wide, values.address() + to);
      } else {
        copyColumns(source, from, rowBytes, length, wide, values, to);
      }
    }
  }

  /** Bytes from one panel of values to the next: rows of it, or pairs of rows. */
  private long valuePanelBytes() {
    return (bf16 ? Math.ceilDiv(length, 2) : length) * PANEL_BYTES;
  }

  /** Writes pairs of rows as bf16, a panel of columns or half of it; they may lie where rows do. */
  private void pairRows(long from, long bytes, int rows, boolean wide, long to) {
    pair.run(from, bytes, rows, wide ? PANEL : LANES, to, PANEL_BYTES);
  }

  @Override
  void attend(int head) {
    for (int first = 0; first < length; first += PANEL) {
      int count = Math.min(PANEL, length - first);
      int from = firstKey(first);
      int end = endKey(first + count);
      turnQueries(head, first, count);
      for (int key = from; key < end; key += OnlineSoftmax.KEYS) {
        int keysEnd = Math.min(end, key + OnlineSoftmax.KEYS);
        int keys = keysEnd - key;
        multiplyKeys(pattern.keyValueHead(head), key, keys);
        addBiasAndMask(scores, 0, head, first, count, key, keysEnd);
        boolean begins = key == from;
        softmax.run(bf16, scores, keys, count, begins);
        multiplyValues(count, key, keys, begins ? sums : addedSums);
        if (!begins) {
          softmax.join(count, sums, addedSums, sumStep);
        }
      }
      softmax.invert(inverses);
      writeSums(count, contextOffset(head, first));
    }
  }

  /**
   * queries (headSize, queries): a product with a diagonal turns a panel of rows faster than
   * vectors do, and adds zeros to numbers, which keeps them.
   */
  private void turnQueries(int head, int first, int count) {
    fp32Call.left(queryKeyValue.data().address() + queryOffset(head, first), 4, rowBytes);
    fp32Call.panels(diagonal.address(), 0, count);
    fp32Call.output(queries.address(), PANEL_BYTES);
    fp32Call.start(0, 0);
    fp32Call.run(Matrix.roundUp(headSize, MachineProduct.DOT_ROWS), 1);
    if (bf16) {
      pairRows(queries.address(), PANEL_BYTES, headSize, count > LANES, queries.address());
    }
  }

  /** scores (keys, queries); rows behind the last key are anything. */
  private void multiplyKeys(int keyValueHead, int from, int count) {
    ProductCall call = bf16 ? bf16Call : fp32Call;
    if (bf16) {
      long keyBytes = 2L * headSize;
      call.left(keys.address() + from * keyBytes, keyBytes, 4);
      call.panels(queries.address(), 0, headSize / 2);
    } else {
      call.left(queryKeyValue.data().address() + keyOffset(keyValueHead, from), rowBytes, 4);
      call.panels(queries.address(), 0, headSize);
    }
    call.output(scores.address(), PANEL_BYTES);
    call.start(0, 0);
    call.run(Matrix.roundUp(count, MachineProduct.DOT_ROWS), 1);
  }

  /**
   * sums (queries, values), a chunk of keys after the other; rows behind the last query are
   * anything.
   */
  private void multiplyValues(int count, int from, int keys, MemorySegment output) {
    ProductCall call = bf16 ? bf16Call : fp32Call;
    // Rows of powers and values are of one key, or of two.
    int together = bf16 ? 2 : 1;
    call.output(output.address(), sumStep);
    for (int key = 0; key < keys; key += CHUNK) {
      call.left(scores.address() + key / together * PANEL_BYTES, 4, PANEL_BYTES);
      int steps = Math.ceilDiv(Math.min(CHUNK, keys - key), together);
      long at = (from + key) / together * PANEL_BYTES;
      call.panels(values.address() + at, valuePanelBytes(), steps);
      call.start(key == 0 ? 0 : output.address(), sumStep);
      call.run(Matrix.roundUp(count, MachineProduct.DOT_ROWS), Math.ceilDiv(headSize, PANEL));
    }
  }

  private void writeSums(int count, long to) {
    long contextBytes = context.stride() * 4L;
    if (scale != null) {
      long address = context.data().address() + to;
      scale.factors(inverses.address());
      scale.run(sums.address(), sumStep, count, headSize, address, contextBytes);
      return;
    }
    for (int query = 0; query < count; query++) {
      float inverse = NativeMemory.known(inverses).get(FLOAT, query * 4L);
      writeRow(sums, query * sumStep, inverse, to + query * contextBytes);
    }
  }
}
