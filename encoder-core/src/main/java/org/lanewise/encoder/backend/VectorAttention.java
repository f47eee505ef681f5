package org.lanewise.encoder.backend;

import static org.lanewise.encoder.backend.ProductKernels.BYTES;
import static org.lanewise.encoder.backend.ProductKernels.PANEL;
import static org.lanewise.encoder.backend.ProductKernels.PANEL_BYTES;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Optional;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.lanewise.encoder.batch.PackedBatch;

/**
 * Attention of the heads that share one head of keys and values over one packed sequence, a panel
 * of queries at a time.
 *
 * <p>Scores are transposed: they lie as (keys, queries), so that the softmax and what depends on
 * the distance run along whole vectors without a horizontal step, and they are the left side of the
 * product with the values as they lie. Memory grows with the length, not with its square, and keys
 * that no query of the panel may read are not looked at. Where there is machine code for fp32, it
 * multiplies sequences longer than a vector and takes the softmax of some keys after the others,
 * and reads keys where they lie. Where numbers may be rounded to bf16 and the processor multiplies
 * it faster, long sequences are, or all that tiles multiply: queries, keys, powers and values are
 * rounded, scores and sums are fp32. Tiles want powers on the right, so values and sums lie as
 * (values, keys) and (values, queries). Belongs to one task.
 */
final class VectorAttention {
  private static final VectorSpecies<Float> FLOATS = VectorBackend.FLOATS;
  private static final int LANES = FLOATS.length();
  private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

  /** Keys whose scores and values are multiplied while they are in the first cache. */
  private static final int CHUNK = 192;

  /** Up to this length, rounding to bf16 takes as long as it saves. */
  private static final int LONGEST_FP32 = 96;

  /** Below every score, and 2 to its power is next to nothing. */
  private static final float MASKED = -3e38f;

  private static final FloatVector LANE = FloatVector.zero(FLOATS).addIndex(1);

  /** Keys whose scores are kept at once by machine code: whole chunks, 144 kB of scores. */
  private static final int MACHINE_KEYS = 6 * CHUNK;

  /** Rows that a transposition by machine code takes at once. */
  private static final int TURNED = 16;

  /** Steps of the depth of a tile, each of a pair. */
  private static final int TILE_PAIRS = 16;

  /** Numbers that a softmax by machine code is told. */
  private static final int SOFTMAX_NUMBERS = 4;

  private final ScratchPool.Scratch scratch;
  private final AttentionPattern pattern;
  private final Matrix queryKeyValue;
  private final int headSize;
  private final Matrix context;
  private final long sumStep;

  /** The products of fp32 by machine code, or null where the Vector API has to multiply. */
  private final ProductCall call;

  /** The products of bf16 by machine code, or null where fp32 is multiplied. */
  private final ProductCall bf16Call;

  /** The functions that {@link #softmaxByMachineCode} calls, and what they are told. */
  private final MemorySegment fp32Softmax;

  private final MemorySegment bf16Softmax;
  private final MemorySegment softmaxNumbers;

  /** The factor of the queries on a diagonal, zeros beside it; for machine code alone. */
  private final MemorySegment diagonal;

  /** Whether bf16 is multiplied by tiles, and what moves rows for them. */
  private final boolean tiles;

  private final RowsCall turn;
  private final RowsCall round;

  /** Writes rows of sums by machine code. */
  private final RowsCall scale;

  /** What the scratch memory had given before the first sequence, and before the first head. */
  private final int beforeSequences;

  private int beforeHeads;
  private int start;
  private int length;
  private MemorySegment keys;
  private MemorySegment values;
  private MemorySegment packed;
  private MemorySegment queries;
  private MemorySegment scores;
  private MemorySegment inverses;
  private MemorySegment sums;
  private MemorySegment chunkSums;

  /** Sums of the powers and largest scores of all queries, for all keys so far and for some. */
  private MemorySegment state;

  private MemorySegment chunkState;
  private MemorySegment factors;

  /** For tiles: pairs of values and of queries before they are turned, and sums. */
  private MemorySegment pairs;

  /** Whether machine code multiplies for this sequence, and whether it multiplies bf16. */
  private boolean machine;

  private boolean bf16;

  /**
   * Addresses of machine code: a product, and the softmax that goes before it.
   *
   * @param tiles whether the product works on tiles, which want the powers on the right side
   */
  record Functions(MemorySegment product, MemorySegment softmax, boolean tiles) {
    static Functions of(MachineCode.Function product, MachineCode.Function softmax) {
      MachineCode code = MatrixUnit.code();
      boolean tiles = product == MachineCode.Function.TILE_BF16;
      return new Functions(code.address(product), code.address(softmax), tiles);
    }
  }

  private VectorAttention(
      ScratchPool.Scratch scratch,
      Optional<Functions> functions,
      Optional<Functions> bf16Functions,
      Matrix queryKeyValue,
      AttentionPattern pattern,
      Matrix context) {
    this.scratch = scratch;
    this.pattern = pattern;
    this.queryKeyValue = queryKeyValue;
    this.headSize = pattern.headSize();
    this.context = context;
    sumStep = 4L * Matrix.roundUp(headSize, PANEL);
    // Disentangled scores are products with the packed keys too.
    if (functions.isPresent() && !(pattern.bias() instanceof PositionBias.Disentangled)) {
      Functions rounding =
          bf16Functions.filter(bf16 -> headSize % (bf16.tiles() ? PANEL : 2) == 0).orElse(null);
      tiles = rounding != null && rounding.tiles();
      turn = tiles ? new RowsCall(MachineCode.Function.TURN, scratch) : null;
      round = tiles ? new RowsCall(MachineCode.Function.ROUND_BF16, scratch) : null;
      scale = headSize % LANES == 0 ? new RowsCall(MachineCode.Function.SCALE, scratch) : null;
      call = new ProductCall(functions.get().product(), scratch);
      bf16Call = rounding == null ? null : new ProductCall(rounding.product(), scratch);
      fp32Softmax = functions.get().softmax();
      bf16Softmax = rounding == null ? null : rounding.softmax();
      softmaxNumbers = scratch.floats(SOFTMAX_NUMBERS * 2);
      diagonal = scratch.zeros((long) PANEL * PANEL);
      for (int i = 0; i < PANEL; i++) {
        diagonal.setAtIndex(FLOAT, (long) i * PANEL + i, factor());
      }
    } else {
      tiles = false;
      turn = null;
      round = null;
      scale = null;
      call = null;
      bf16Call = null;
      fp32Softmax = null;
      bf16Softmax = null;
      softmaxNumbers = null;
      diagonal = null;
    }
    beforeSequences = scratch.mark();
  }

  /**
   * Writes the heads of some key and value heads to the context.
   *
   * @param functions the machine code for fp32, where there is some
   * @param bf16Functions that for bf16, where numbers may be rounded to it
   * @param first number of the first key and value head, counted over all sequences
   * @param end number of the one after the last
   */
  static void attend(
      ScratchPool scratches,
      Optional<Functions> functions,
      Optional<Functions> bf16Functions,
      Matrix queryKeyValue,
      PackedBatch batch,
      int first,
      int end,
      AttentionPattern pattern,
      Matrix context) {
    try (ScratchPool.Scratch scratch = scratches.borrow()) {
      VectorAttention attention =
          new VectorAttention(scratch, functions, bf16Functions, queryKeyValue, pattern, context);
      int shared = pattern.heads() / pattern.keyValueHeads();
      for (int i = first; i < end; i++) {
        int sequence = i / pattern.keyValueHeads();
        int keyValueHead = i % pattern.keyValueHeads();
        if (i == first || keyValueHead == 0) {
          attention.begin(batch.sequenceStarts()[sequence], batch.length(sequence));
        }
        attention.takeKeysAndValues(keyValueHead);
        for (int head = keyValueHead * shared; head < (keyValueHead + 1) * shared; head++) {
          attention.attend(head);
        }
      }
    }
  }

  /** Takes another sequence: its first row and its rows. */
  private void begin(int start, int length) {
    this.start = start;
    this.length = length;
    scratch.reuse(beforeSequences);
    int paddedLength = Matrix.roundUp(length, Matrix.ROW_BLOCK);
    int paddedSize = Matrix.roundUp(headSize, PANEL);
    keys = scratch.floats((long) paddedLength * headSize);
    values = scratch.floats(Math.max((long) length * paddedSize, headSize * turnedBytes() / 4));
    packed = scratch.floats((long) Matrix.roundUp(PANEL, Matrix.ROW_BLOCK) * headSize + LANES);
    queries = scratch.floats((long) Matrix.roundUp(headSize, MachineProduct.DOT_ROWS) * PANEL);
    machine = call != null && length > LANES;
    bf16 = machine && bf16Call != null && (tiles || length > LONGEST_FP32);
    int scored = machine ? Math.min(length, MACHINE_KEYS) : length;
    scores = scratch.floats((long) Matrix.roundUp(scored, Matrix.PADDED_ROWS) * PANEL + PANEL);
    inverses = scratch.floats(PANEL);
    sums = scratch.floats((long) Matrix.roundUp(PANEL, Matrix.ROW_BLOCK) * paddedSize);
    chunkSums = scratch.floats((long) Matrix.roundUp(PANEL, Matrix.ROW_BLOCK) * paddedSize);
    if (machine) {
      state = scratch.floats(2L * PANEL);
      chunkState = scratch.floats(2L * PANEL);
      factors = scratch.floats(2L * PANEL);
      pairs = scratch.floats(tiles ? Math.max(turnedBytes() / 4, headSize) * PANEL : 1);
    }
    beforeHeads = scratch.mark();
  }

  /** What queries are multiplied with: the softmax's power of two has its base in them. */
  private float factor() {
    return pattern.scale() * VectorMath.LOG2_E;
  }

  private void takeKeysAndValues(int keyValueHead) {
    MemorySegment source = queryKeyValue.data();
    long rowBytes = queryKeyValue.stride() * 4L;
    long keyAt = queryKeyValue.rowOffset(start) + 4L * pattern.keyColumn(keyValueHead);
    if (!machine) {
      LeftPacking.pack(source, keyAt, rowBytes, length, headSize, keys);
    }
    long valueAt = queryKeyValue.rowOffset(start) + 4L * pattern.valueColumn(keyValueHead);
    if (bf16) {
      if (tiles) {
        round.factor(1f);
        round.run(
            source.address() + keyAt, rowBytes, length, headSize, keys.address(), 2L * headSize);
        round.factor(factor());
        turnValues(source, valueAt, rowBytes);
        return;
      }
      MachineProduct.roundBf16(source, keyAt, rowBytes, length, headSize, keys);
      for (int column = 0; column < headSize; column += PANEL) {
        boolean wide = headSize - column > LANES;
        long to = column / PANEL * valuePanelBytes();
        pairRows(source, valueAt + column * 4L, rowBytes, length, wide, values, to);
      }
      return;
    }
    for (int column = 0; column < headSize; column += PANEL) {
      boolean wide = headSize - column > LANES;
      copyColumns(
          source, valueAt + column * 4L, rowBytes, length, wide, values, column * 4L * length);
    }
  }

  /** Copies a panel of columns, one row behind the other. */
  private static void copyColumns(
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

  /**
   * values (headSize, keys) in bf16 for tiles: the left side of a product with powers. Zeros follow
   * each row, because tiles take {@link #TILE_PAIRS} from any key on.
   */
  private void turnValues(MemorySegment source, long valueAt, long rowBytes) {
    long pairRows = Math.ceilDiv(length, 2);
    long turnedRows = (long) Matrix.roundUp((int) pairRows, TURNED) + TILE_PAIRS;
    clear(pairs, pairRows * PANEL_BYTES, turnedRows * PANEL_BYTES);
    for (int column = 0; column < headSize; column += PANEL) {
      pairRows(source, valueAt + column * 4L, rowBytes, length, true, pairs, 0);
      turn.run(
          pairs.address(),
          PANEL_BYTES,
          turnedRows,
          PANEL,
          values.address() + column * turnedBytes(),
          turnedBytes());
    }
  }

  /** Bytes from one row of {@link #turnValues} to the next; never a multiple of 4,096. */
  private long turnedBytes() {
    long bytes = 4L * (Matrix.roundUp(Math.ceilDiv(length, 2), TURNED) + TILE_PAIRS);
    return bytes % 4096 == 0 ? bytes + BYTES : bytes;
  }

  /** Bytes from one panel of values in bf16 to the next: pairs of keys. */
  private long valuePanelBytes() {
    return Math.ceilDiv(length, 2) * PANEL_BYTES;
  }

  /**
   * Writes two rows at a time as bf16, the first in the lower halves of numbers of 32 bits; the row
   * after the last is zeros. The target may be the source.
   */
  private static void pairRows(
      MemorySegment source,
      long from,
      long rowBytes,
      int rows,
      boolean wide,
      MemorySegment target,
      long to) {
    source = NativeMemory.known(source);
    target = NativeMemory.known(target);
    for (int row = 0; row < rows - 1; row += 2) {
      pair(load(source, from), load(source, from + rowBytes)).intoMemorySegment(target, to, NATIVE);
      if (wide) {
        pair(load(source, from + BYTES), load(source, from + rowBytes + BYTES))
            .intoMemorySegment(target, to + BYTES, NATIVE);
      }
      from += 2 * rowBytes;
      to += PANEL_BYTES;
    }
    if (rows % 2 != 0) {
      FloatVector zero = FloatVector.zero(FLOATS);
      pair(load(source, from), zero).intoMemorySegment(target, to, NATIVE);
      if (wide) {
        pair(load(source, from + BYTES), zero).intoMemorySegment(target, to + BYTES, NATIVE);
      }
    }
  }

  /** Rounds both to bf16: the first in the lower halves. */
  private static IntVector pair(FloatVector low, FloatVector high) {
    IntVector lower = roundToBf16(low).lanewise(VectorOperators.LSHR, 16);
    return roundToBf16(high).and(0xFFFF0000).or(lower);
  }

  /** The upper halves of the answer are the nearest bf16, the even one of two. */
  private static IntVector roundToBf16(FloatVector numbers) {
    IntVector bits = numbers.reinterpretAsInts();
    return bits.add(0x7FFF).add(bits.lanewise(VectorOperators.LSHR, 16).and(1));
  }

  private void attend(int head) {
    scratch.reuse(beforeHeads);
    DistanceScores distances = DistanceScores.of(this, head);
    for (int first = 0; first < length; first += PANEL) {
      int count = Math.min(PANEL, length - first);
      // The first key is one with which a packed block begins.
      int from = Math.max(0, first - pattern.behind()) / Matrix.ROW_BLOCK * Matrix.ROW_BLOCK;
      int end = Math.min(length, first + count + pattern.ahead());
      long queryAt = queryKeyValue.rowOffset(start + first) + 4L * head * headSize;
      if (machine) {
        attendByMachineCode(head, first, count, from, end, queryAt);
      } else {
        attendByVectors(distances, head, first, count, from, end, queryAt);
      }
      long to = context.rowOffset(start + first) + 4L * head * headSize;
      long rowBytes = context.stride() * 4L;
      if (machine && scale != null) {
        scale.factors(inverses.address());
        scale.run(
            sums.address(), sumStep, count, headSize, context.data().address() + to, rowBytes);
      } else {
        for (int query = 0; query < count; query++) {
          writeRow(query, to + query * rowBytes);
        }
      }
    }
  }

  /** sums (queries, values) and inverses of some queries, all keys at once. */
  private void attendByVectors(
      DistanceScores distances, int head, int first, int count, int from, int end, long queryAt) {
    boolean wide = count > LANES;
    long rowBytes = queryKeyValue.stride() * 4L;
    takePanel(queryKeyValue.data(), queryAt, rowBytes, count, factor(), queries, wide);
    multiplyRows(
        keys, from, length, end, queries, wide, headSize, scores, -from * PANEL_BYTES, PANEL_BYTES);
    if (distances != null) {
      distances.add(first, count, from, end);
    }
    addBiasAndMask(head, first, count, from, end, wide);
    if (wide) {
      softmaxWide(scores, end - from, inverses);
    } else {
      softmaxNarrow(scores, end - from, inverses);
    }
    gatherValues(count, from, end);
  }

  /**
   * The same by machine code, as many keys at a time as leave their scores in the second cache:
   * what was summed up before is scaled to what is largest now (Milakov and Gimelshein, "Online
   * normalizer calculation for softmax", 2018).
   */
  private void attendByMachineCode(
      int head, int first, int count, int from, int end, long queryAt) {
    boolean wide = count > LANES;
    turnQueries(queryAt, count);
    for (int key = from; key < end; key += MACHINE_KEYS) {
      int keysEnd = Math.min(end, key + MACHINE_KEYS);
      boolean begins = key == from;
      multiplyKeys(head, key, keysEnd);
      addBiasAndMask(head, first, count, key, keysEnd, wide);
      softmaxByMachineCode(keysEnd - key, wide, begins ? state : chunkState);
      multiplyValues(count, key, keysEnd, begins ? sums : chunkSums);
      if (!begins) {
        addChunk(count);
      }
    }
    invert(state, inverses);
  }

  private void addBiasAndMask(int head, int first, int count, int from, int end, boolean wide) {
    if (pattern.bias() instanceof PositionBias.ByDistance bias) {
      addBias(bias, head, first, from, end, wide);
    }
    maskKeys(first, count, from, end, wide);
  }

  /** Adds what a chunk of keys gave, both scaled to the larger of the largest scores. */
  private void addChunk(int count) {
    MemorySegment factors = NativeMemory.known(this.factors);
    for (long column = 0; column < PANEL_BYTES; column += BYTES) {
      addLargest(state, chunkState, factors, column);
      power(factors, column);
      power(factors, PANEL_BYTES + column);
      addPowers(state, chunkState, factors, column);
    }
    for (int query = 0; query < count; query++) {
      float before = factors.get(FLOAT, query * 4L);
      float added = factors.get(FLOAT, PANEL_BYTES + query * 4L);
      addRow(sums, chunkSums, query * sumStep, (query + 1) * sumStep, before, added);
    }
  }

  /** Writes the larger of the largest scores, and the factor from one of them to it. */
  private static void addLargest(
      MemorySegment state, MemorySegment added, MemorySegment factors, long column) {
    state = NativeMemory.known(state);
    added = NativeMemory.known(added);
    factors = NativeMemory.known(factors);
    FloatVector largest = load(state, PANEL_BYTES + column);
    FloatVector other = load(added, PANEL_BYTES + column);
    FloatVector larger = largest.blend(other, other.compare(VectorOperators.GT, largest));
    largest.sub(larger).intoMemorySegment(factors, column, NATIVE);
    other.sub(larger).intoMemorySegment(factors, PANEL_BYTES + column, NATIVE);
    // The result of an addition, because it is stored: see ProductKernels.
    larger.add(0f).intoMemorySegment(state, PANEL_BYTES + column, NATIVE);
  }

  private static void power(MemorySegment numbers, long at) {
    numbers = NativeMemory.known(numbers);
    VectorMath.exp2(load(numbers, at)).intoMemorySegment(numbers, at, NATIVE);
  }

  private static void addPowers(
      MemorySegment state, MemorySegment added, MemorySegment factors, long column) {
    state = NativeMemory.known(state);
    added = NativeMemory.known(added);
    factors = NativeMemory.known(factors);
    load(added, column)
        .mul(load(factors, PANEL_BYTES + column))
        .add(load(state, column).mul(load(factors, column)))
        .intoMemorySegment(state, column, NATIVE);
  }

  private static void addRow(
      MemorySegment sums, MemorySegment added, long at, long end, float factor, float addedFactor) {
    sums = NativeMemory.known(sums);
    added = NativeMemory.known(added);
    for (; at < end; at += BYTES) {
      load(added, at)
          .mul(addedFactor)
          .add(load(sums, at).mul(factor))
          .intoMemorySegment(sums, at, NATIVE);
    }
  }

  private static void invert(MemorySegment numbers, MemorySegment inverses) {
    numbers = NativeMemory.known(numbers);
    inverses = NativeMemory.known(inverses);
    for (long at = 0; at < PANEL_BYTES; at += BYTES) {
      FloatVector.broadcast(FLOATS, 1f)
          .div(load(numbers, at))
          .intoMemorySegment(inverses, at, NATIVE);
    }
  }

  /**
   * queries (headSize, queries) by machine code: a product with a diagonal turns a panel of rows
   * faster than vectors do, and adds zeros to numbers, which keeps them.
   */
  private void turnQueries(long queryAt, int count) {
    if (bf16 && tiles) {
      long from = queryKeyValue.data().address() + queryAt;
      long bytes = 2L * headSize;
      round.run(from, queryKeyValue.stride() * 4L, count, headSize, pairs.address(), bytes);
      int rows = Matrix.roundUp(count, TURNED);
      // What lay there could become scores whose powers are too small for a processor to be fast.
      clear(pairs, count * bytes, rows * bytes);
      turn.run(pairs.address(), bytes, rows, headSize / 2, queries.address(), PANEL_BYTES);
      return;
    }
    call.left(queryKeyValue.data().address() + queryAt, 4, queryKeyValue.stride() * 4L);
    call.panels(diagonal.address(), 0, count);
    call.output(queries.address(), PANEL_BYTES);
    call.start(0, 0);
    call.run(Matrix.roundUp(headSize, MachineProduct.DOT_ROWS), 1);
    if (bf16) {
      pairRows(queries, 0, PANEL_BYTES, headSize, count > LANES, queries, 0);
    }
  }

  /** scores (keys, queries) by machine code; rows behind the last key are anything. */
  private void multiplyKeys(int head, int from, int end) {
    if (bf16) {
      long rowBytes = 2L * headSize;
      bf16Call.left(keys.address() + from * rowBytes, rowBytes, 4);
      bf16Call.panels(queries.address(), 0, headSize / 2);
      bf16Call.output(scores.address(), PANEL_BYTES);
      bf16Call.start(0, 0);
      int rows = end - from;
      bf16Call.run(tiles ? rows : Matrix.roundUp(rows, MachineProduct.DOT_ROWS), 1);
      return;
    }
    MemorySegment source = queryKeyValue.data();
    long at =
        queryKeyValue.rowOffset(start + from) + 4L * pattern.keyColumn(pattern.keyValueHead(head));
    call.left(source.address() + at, queryKeyValue.stride() * 4L, 4);
    call.panels(queries.address(), 0, headSize);
    call.output(scores.address(), PANEL_BYTES);
    call.start(0, 0);
    call.run(Matrix.roundUp(end - from, MachineProduct.DOT_ROWS), 1);
  }

  /** sums (queries, values) by machine code; rows behind the last query are anything. */
  private void multiplyValues(int count, int from, int end, MemorySegment output) {
    if (bf16 && tiles) {
      multiplyTurnedValues(from, end, output);
      return;
    }
    if (bf16) {
      bf16Call.output(output.address(), sumStep);
      for (int key = from; key < end; key += CHUNK) {
        bf16Call.left(scores.address() + (key - from) / 2 * PANEL_BYTES, 4, PANEL_BYTES);
        int pairs = Math.ceilDiv(Math.min(CHUNK, end - key), 2);
        bf16Call.panels(values.address() + key / 2 * PANEL_BYTES, valuePanelBytes(), pairs);
        bf16Call.start(key == from ? 0 : output.address(), sumStep);
        bf16Call.run(Matrix.roundUp(count, MachineProduct.DOT_ROWS), Math.ceilDiv(headSize, PANEL));
      }
      return;
    }
    call.output(output.address(), sumStep);
    for (int key = from; key < end; key += CHUNK) {
      call.left(scores.address() + (key - from) * PANEL_BYTES, 4, PANEL_BYTES);
      call.panels(
          values.address() + key * PANEL_BYTES, length * PANEL_BYTES, Math.min(CHUNK, end - key));
      call.start(key == from ? 0 : output.address(), sumStep);
      call.run(Matrix.roundUp(count, MachineProduct.DOT_ROWS), Math.ceilDiv(headSize, PANEL));
    }
  }

  /** sums (queries, values) by tiles, which make them the other way round. */
  private void multiplyTurnedValues(int from, int end, MemorySegment output) {
    int powers = Math.ceilDiv(end - from, 2);
    int steps = Matrix.roundUp(powers, TILE_PAIRS);
    clear(scores, powers * PANEL_BYTES, steps * PANEL_BYTES);
    bf16Call.left(values.address() + 2L * from, turnedBytes(), 4);
    bf16Call.panels(scores.address(), 0, steps);
    bf16Call.output(pairs.address(), PANEL_BYTES);
    bf16Call.start(0, 0);
    bf16Call.run(headSize, 1);
    turn.run(pairs.address(), PANEL_BYTES, headSize, PANEL, output.address(), sumStep);
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

  private void addBias(
      PositionBias.ByDistance bias, int head, int first, int from, int end, boolean wide) {
    MemorySegment table = NativeMemory.known(bias.table().data());
    MemorySegment scores = NativeMemory.known(this.scores);
    long tableAt = bias.table().rowOffset(head) + 4L * (bias.reach() + first - from);
    long at = 0;
    for (int key = from; key < end; key++) {
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

  /** Takes away the scores of keys that only some queries of the panel may read. */
  private void maskKeys(int first, int count, int from, int end, boolean wide) {
    int last = first + count - 1;
    // Every query may read the keys [last - behind, first + ahead].
    int freeFrom = Math.max(from, Math.min(end, last - pattern.behind()));
    int freeEnd = Math.max(freeFrom, Math.min(end, first + pattern.ahead() + 1));
    maskRows(first, from, from, freeFrom, wide);
    maskRows(first, from, freeEnd, end, wide);
  }

  private void maskRows(int first, int from, int firstKey, int endKey, boolean wide) {
    MemorySegment scores = NativeMemory.known(this.scores);
    for (int key = firstKey; key < endKey; key++) {
      float lowest = key - first - pattern.ahead();
      float highest = key - first + (float) pattern.behind();
      long at = (key - from) * PANEL_BYTES;
      maskVector(scores, at, lowest, highest);
      if (wide) {
        maskVector(scores, at + BYTES, lowest - LANES, highest - LANES);
      }
    }
  }

  private static void maskVector(MemorySegment scores, long at, float lowest, float highest) {
    VectorMask<Float> outside =
        LANE.compare(VectorOperators.LT, lowest).or(LANE.compare(VectorOperators.GT, highest));
    load(scores, at).blend(MASKED, outside).intoMemorySegment(scores, at, NATIVE);
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

  /**
   * The same by machine code, which writes sums and largest scores; with bf16, two rows of powers
   * become one of pairs, and after an odd number of rows there is a masked one.
   */
  private void softmaxByMachineCode(int rows, boolean wide, MemorySegment state) {
    MemorySegment softmax = fp32Softmax;
    if (bf16) {
      softmax = bf16Softmax;
      if (rows % 2 != 0) {
        MemorySegment scores = NativeMemory.known(this.scores);
        FloatVector masked = FloatVector.broadcast(FLOATS, MASKED);
        masked.intoMemorySegment(scores, rows * PANEL_BYTES, NATIVE);
        masked.intoMemorySegment(scores, rows * PANEL_BYTES + BYTES, NATIVE);
        rows++;
      }
    }
    softmaxNumbers.setAtIndex(LONG, 0, scores.address());
    softmaxNumbers.setAtIndex(LONG, 1, rows);
    softmaxNumbers.setAtIndex(LONG, 2, wide ? PANEL_BYTES : BYTES);
    softmaxNumbers.setAtIndex(LONG, 3, state.address());
    MachineCode.call(softmax, softmaxNumbers);
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

  /** Writes a row of the sums, divided by the sum of its powers. */
  private void writeRow(int query, long to) {
    MemorySegment sums = NativeMemory.known(this.sums);
    MemorySegment output = NativeMemory.known(context.data());
    float inverse = NativeMemory.known(inverses).get(FLOAT, query * 4L);
    long at = query * sumStep;
    int i = 0;
    for (; i + LANES <= headSize; i += LANES) {
      load(sums, at + i * 4L).mul(inverse).intoMemorySegment(output, to + i * 4L, NATIVE);
    }
    for (; i < headSize; i++) {
      output.set(FLOAT, to + i * 4L, sums.get(FLOAT, at + i * 4L) * inverse);
    }
  }

  /** Writes zeros, whole vectors of them; a slice to be filled would be an object each time. */
  private static void clear(MemorySegment data, long from, long end) {
    data = NativeMemory.known(data);
    for (long at = from; at < end; at += BYTES) {
      FloatVector.zero(FLOATS).intoMemorySegment(data, at, NATIVE);
    }
  }

  private static FloatVector load(MemorySegment data, long at) {
    return FloatVector.fromMemorySegment(FLOATS, data, at, NATIVE);
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
