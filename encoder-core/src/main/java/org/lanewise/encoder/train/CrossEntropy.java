package org.lanewise.encoder.train;

import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.TrainingBackend;

/** The losses of a softmax and of sigmoids. */
final class CrossEntropy {
  private CrossEntropy() {}

  /**
   * Returns the sum of -log softmax(scores)[label] over the rows.
   *
   * @param scores (rows, labels), replaced by the gradient of the sum by them
   * @param labels one for each row
   */
  static double backward(TrainingBackend backend, Matrix scores, int[][] labels) {
    double loss = 0;
    double[] exponentials = new double[scores.columns()];
    for (int row = 0; row < labels.length; row++) {
      int label = only(labels[row], row);
      float[] numbers = backend.read(scores, row, scores.columns());
      float largest = Float.NEGATIVE_INFINITY;
      for (float number : numbers) {
        largest = Math.max(largest, number);
      }
      double sum = 0;
      for (int i = 0; i < numbers.length; i++) {
        exponentials[i] = Math.exp(numbers[i] - (double) largest);
        sum += exponentials[i];
      }
      loss += Math.log(sum) + largest - numbers[label];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = (float) (exponentials[i] / sum - (i == label ? 1 : 0));
      }
      backend.write(numbers, scores, row, 0);
    }
    return loss;
  }

  /**
   * Returns the sum over the rows of -log of the probability that they have just their labels, by a
   * sigmoid for each label.
   *
   * @param scores (rows, labels), replaced by the gradient of the sum by them
   * @param labels any number for each row
   */
  static double binary(TrainingBackend backend, Matrix scores, int[][] labels) {
    double loss = 0;
    for (int row = 0; row < labels.length; row++) {
      float[] numbers = backend.read(scores, row, scores.columns());
      double[] expected = new double[numbers.length];
      for (int label : labels[row]) {
        expected[label] = 1;
      }
      for (int i = 0; i < numbers.length; i++) {
        double score = numbers[i];
        // log(1 + exp(score)), which does not overflow in this form.
        double logSum = Math.max(score, 0) + Math.log1p(Math.exp(-Math.abs(score)));
        loss += logSum - expected[i] * score;
        numbers[i] = (float) (Math.exp(score - logSum) - expected[i]);
      }
      backend.write(numbers, scores, row, 0);
    }
    return loss;
  }

  private static int only(int[] labels, int row) {
    if (labels.length != 1) {
      throw new IllegalArgumentException(
          "row [" + row + "] has " + labels.length + " labels, expected one");
    }
    return labels[0];
  }
}
