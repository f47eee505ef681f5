package org.lanewise.encoder.backend;

/** What the distance of query and key adds to the score of attention. */
public sealed interface PositionBias {
  /** Nothing. */
  record None() implements PositionBias {}

  /**
   * A number for each head and distance.
   *
   * @param table (heads, at least 2 * reach + 1): added to the scaled score, at column {@code reach
   *     + query - key}
   * @param reach the largest distance, at least the length of every sequence less one
   */
  record ByDistance(Matrix table, int reach) implements PositionBias {
    /** Columns beyond the last that kernels may read, and a table therefore needs. */
    public static final int PADDING = 2 * Matrix.COLUMN_BLOCK;
  }

  /**
   * Dot products with what was learned for the distance (DeBERTa): of the query with a key of the
   * distance, and of the key with a query of the distance. They are scaled as the scores are.
   *
   * @param distanceKeys (distances, heads * headSize)
   * @param hasKeys whether queries meet keys of the distance
   * @param distanceQueries (distances, heads * headSize)
   * @param hasQueries whether keys meet queries of the distance
   * @param rows ascending row of the tables for each {@code query - key}, from {@code -reach} on
   * @param reach the largest distance, at least the length of every sequence less one
   */
  record Disentangled(
      Matrix distanceKeys,
      boolean hasKeys,
      Matrix distanceQueries,
      boolean hasQueries,
      int[] rows,
      int reach)
      implements PositionBias {
    /** Returns the row of the tables for a distance. */
    int row(int distance) {
      return rows[reach + distance];
    }
  }
}
