package org.lanewise.encoder.train;

import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.TrainingBackend;

/** The loss of a softmax. */
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

  private static int only(int[] labels, int row) {
    if (labels.length != 1) {
      throw new IllegalArgumentException(
          "row [" + row + "] has " + labels.length + " labels, expected one");
    }
    return labels[0];
  }
}
