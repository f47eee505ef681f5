package org.lanewise.encoder.backend;

import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * What training needs beyond a forward pass: operations on weights that change at every step, and
 * gradients. {@link ScalarBackend} defines what they compute. All weights are fp32.
 */
public interface TrainingBackend extends Backend {
  /**
   * output = left * right, or output += left * right; either side is transposed first if so said.
   */
  void multiply(
      Matrix left,
      boolean transposeLeft,
      Matrix right,
      boolean transposeRight,
      boolean accumulate,
      Matrix output);

  /**
   * Like {@link #recur} with weights that change, keeping what {@link #recurGradient} needs.
   *
   * @param weights forward, then backward where there is one
   * @param before the states before the first step, as {@link #recur} has them
   * @param after written: the states after the last step
   * @param output (tokens, directions * hiddenSize)
   * @param trace (tokens, directions * {@link #traceSize}), written
   */
  void recurTraced(
      Matrix projected,
      int[] sequenceStarts,
      RecurrentCell cell,
      List<RecurrentMatrices> weights,
      Matrix before,
      Matrix after,
      Matrix output,
      Matrix trace);

  /** Returns the numbers per token and direction that {@link #recurTraced} keeps. */
  int traceSize(RecurrentCell cell, int hiddenSize);

  /**
   * The gradient of {@link #recurTraced}.
   *
   * @param before as recurTraced read it
   * @param output as recurTraced wrote it
   * @param trace as recurTraced wrote it; may be overwritten
   * @param outputGradient of a loss by the output, (tokens, directions * hiddenSize)
   * @param stateGradient of the loss by the states after the last step, beyond what it owes to the
   *     output; replaced by that by the states before the first step
   * @param projectedGradient written: of the loss by the projected input
   * @param gradients added to: of the loss by the weights
   */
  void recurGradient(
      int[] sequenceStarts,
      RecurrentCell cell,
      List<RecurrentMatrices> weights,
      Matrix before,
      Matrix output,
      Matrix trace,
      Matrix outputGradient,
      Matrix stateGradient,
      Matrix projectedGradient,
      List<RecurrentMatrices> gradients);

  /** output[i, column...] = table[rows[i]], whole rows of the table. */
  void gather(Matrix table, int[] rows, Matrix output, int column);

  /** table[rows[i]] += input[i, column...], in the order of i. */
  void scatterAdd(Matrix input, int column, int[] rows, Matrix table);

  /** Adds a row (1, columns) to every row of the matrix. */
  void addRow(Matrix row, Matrix matrix);

  /** row (1, columns) += the sum of all rows of the matrix. */
  void addColumnSums(Matrix matrix, Matrix row);

  /** Multiplies the matrix by the mask, number by number. */
  void multiplyElements(Matrix mask, Matrix matrix);

  /**
   * One step of AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019) as
   * {@code torch.optim.AdamW} computes it.
   *
   * @param scale multiplies the gradient first (clipping by norm)
   * @param step 1 for the first
   */
  void adamW(
      Matrix parameter,
      Matrix gradient,
      Matrix firstMoment,
      Matrix secondMoment,
      AdamW coefficients,
      double learningRate,
      double scale,
      int step);

  /** Writes zeros to all rows. */
  default void zero(Matrix matrix) {
    matrix.data().asSlice(0, matrix.rowOffset(matrix.rows())).fill((byte) 0);
  }

  /** Copies all rows to a matrix of the same columns. */
  default void copy(Matrix from, Matrix to) {
    assert from.columns() == to.columns() && from.stride() == to.stride();
    MemorySegment.copy(from.data(), 0, to.data(), 0, from.rowOffset(from.rows()));
  }

  /** Returns the sum of squares of all numbers. */
  double sumOfSquares(Matrix matrix);

  /** Coefficients of {@link #adamW}. */
  record AdamW(double beta1, double beta2, double epsilon, double weightDecay) {}
}
