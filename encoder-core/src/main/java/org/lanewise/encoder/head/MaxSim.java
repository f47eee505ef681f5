package org.lanewise.encoder.head;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/**
 * Late interaction with stored documents: the sum over a query's tokens of the largest dot product
 * with any token of the document, as ColBERT (arXiv:2004.12832) defines it.
 *
 * <p>The query's vectors are the weights of a linear layer that documents go through, so that the
 * backend's kernels do it. {@link TokenVectorHead#maxSim} says the same plainly. For the thread
 * that made it.
 */
public final class MaxSim implements AutoCloseable {
  /** Tokens of a document that are multiplied at once. */
  private static final int MOST_ROWS = 256;

  private final Backend backend;
  private final Arena arena;
  private final int tokens;
  private final LinearWeight query;
  private final Matrix rows;
  private final Matrix products;
  private final Matrix largest;
  private final float[] row;

  /**
   * Prepares a query.
   *
   * @param backend one of fp32 for products that are exact to rounding
   * @param vectors [token][dimensions], at least one token, all of one length
   */
  public MaxSim(Backend backend, float[][] vectors) {
    this.backend = backend;
    arena = backend.callMemory();
    tokens = vectors.length;
    row = new float[vectors[0].length];
    float[] numbers = new float[tokens * row.length];
    for (int i = 0; i < tokens; i++) {
      System.arraycopy(vectors[i], 0, numbers, i * row.length, row.length);
    }
    Tensor weight =
        new Tensor(
            "query",
            DataType.F32,
            new long[] {tokens, row.length},
            arena.allocate(numbers.length * 4L).copyFrom(MemorySegment.ofArray(numbers)));
    query = backend.prepareLinear(arena, List.of(weight), List.of());
    rows = backend.allocate(arena, MOST_ROWS, row.length);
    products = backend.allocate(arena, MOST_ROWS, tokens);
    largest = backend.allocate(arena, 1, tokens);
  }

  /**
   * Returns the score of a document; 0 of one without tokens.
   *
   * @throws IllegalArgumentException if its vectors are not as long as the query's
   */
  public float score(StoredTokenVectors document) {
    if (document.rows() == 0) {
      return 0;
    }
    if (document.dimensions() != row.length) {
      throw new IllegalArgumentException(
          "a document's vectors have ["
              + document.dimensions()
              + "] dimensions, expected the query's ["
              + row.length
              + "]: another model made them");
    }
    float[] best = new float[tokens];
    Arrays.fill(best, Float.NEGATIVE_INFINITY);
    for (int first = 0; first < document.rows(); first += MOST_ROWS) {
      int count = Math.min(MOST_ROWS, document.rows() - first);
      for (int i = 0; i < count; i++) {
        document.row(first + i, row);
        backend.write(row, rows, i, 0);
      }
      Matrix product = products.firstRows(count);
      backend.linear(rows.firstRows(count), query, Activation.IDENTITY, product);
      PackedBatch one = PackedBatch.of(new int[] {0, count});
      backend.pool(product, one, PoolingMode.MAX, largest, 0);
      float[] found = backend.read(largest, 0, tokens);
      for (int token = 0; token < tokens; token++) {
        best[token] = Math.max(best[token], found[token]);
      }
    }
    double sum = 0;
    for (float each : best) {
      sum += each;
    }
    return (float) sum;
  }

  @Override
  public void close() {
    arena.close();
  }
}
