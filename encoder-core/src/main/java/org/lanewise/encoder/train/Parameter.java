package org.lanewise.encoder.train;

import java.util.List;
import org.lanewise.encoder.backend.Matrix;

/**
 * Numbers that are trained, in memory of the backend. Several tensors of a file may share a
 * parameter where one operation reads them together.
 *
 * @param kind what training may do to it
 * @param value (rows, columns)
 * @param gradient of the summed loss; no rows if frozen, as the moments
 * @param firstMoment mean of the gradients, as AdamW keeps it
 * @param secondMoment mean of their squares
 * @param slices the tensors
 */
record Parameter(
    Kind kind,
    Matrix value,
    Matrix gradient,
    Matrix firstMoment,
    Matrix secondMoment,
    List<Slice> slices) {

  /** What training may do to a parameter. */
  enum Kind {
    /** Learned, and pulled towards 0 by weight decay. */
    WEIGHT,
    /** Learned. */
    BIAS,
    /** Left as it is. */
    FROZEN
  }

  /**
   * A tensor: a rectangle of the parameter.
   *
   * @param row its first row
   * @param column its first column
   */
  record Slice(String name, int row, int rows, int column, int columns, long[] shape) {
    /** Returns rows of a parameter as a tensor (rows, columns). */
    static Slice rows(String name, int row, int rows, int columns) {
      return new Slice(name, row, rows, 0, columns, new long[] {rows, columns});
    }

    /** Returns a piece of a row as a tensor (columns). */
    static Slice vector(String name, int row, int column, int columns) {
      return new Slice(name, row, 1, column, columns, new long[] {columns});
    }
  }
}
