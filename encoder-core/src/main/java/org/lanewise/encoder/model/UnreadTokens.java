package org.lanewise.encoder.model;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.lanewise.encoder.backend.AttentionPattern;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.batch.PackedBatch;

/**
 * Attention in sequences whose last tokens read the others and are read by none: the queries that
 * ColBERT fills up with [MASK].
 *
 * <p>A backend knows only sequences that read themselves. So the keys and values that are read are
 * laid out once for every group of as many queries, and the queries of a group stand beside them.
 * Rows are copied through host memory: such sequences are single questions of some thirty tokens.
 */
final class UnreadTokens {
  private UnreadTokens() {}

  /**
   * Like {@link Backend#attention}, for a pattern without bias that reaches over every sequence.
   */
  static void attention(
      Backend backend,
      Matrix queryKeyValue,
      PackedBatch batch,
      AttentionPattern pattern,
      Matrix context) {
    int querySize = pattern.contextSize();
    int keyValueSize = pattern.queryKeyValueSize() - querySize;
    Matrix queries = queryKeyValue.columns(0, querySize);
    Matrix keyValues = queryKeyValue.columns(querySize, keyValueSize);
    int[] starts = {0};
    int[] queryRows = {};
    int[] keyRows = {};
    for (int i = 0; i < batch.sequences(); i++) {
      int first = batch.sequenceStarts()[i];
      int length = batch.length(i);
      int read = batch.readTokens()[i];
      int groups = Math.ceilDiv(length, read);
      queryRows =
          joined(
              queryRows, IntStream.range(0, groups * read).map(t -> t < length ? first + t : -1));
      keyRows = joined(keyRows, IntStream.range(0, groups * read).map(t -> first + t % read));
      int before = starts[starts.length - 1];
      starts = joined(starts, IntStream.rangeClosed(1, groups).map(g -> before + g * read));
    }
    Matrix laidOut = backend.allocate(Arena.ofAuto(), keyRows.length, pattern.queryKeyValueSize());
    for (int row = 0; row < keyRows.length; row++) {
      if (queryRows[row] >= 0) {
        backend.write(backend.read(queries, queryRows[row], querySize), laidOut, row, 0);
      }
      float[] keyValue = backend.read(keyValues, keyRows[row], keyValueSize);
      backend.write(keyValue, laidOut, row, querySize);
    }
    Matrix answers = backend.allocate(Arena.ofAuto(), keyRows.length, querySize);
    backend.attention(laidOut, PackedBatch.of(starts), pattern, answers);
    for (int row = 0; row < keyRows.length; row++) {
      if (queryRows[row] >= 0) {
        backend.write(backend.read(answers, row, querySize), context, queryRows[row], 0);
      }
    }
  }

  private static int[] joined(int[] rows, IntStream more) {
    return IntStream.concat(Arrays.stream(rows), more).toArray();
  }
}
