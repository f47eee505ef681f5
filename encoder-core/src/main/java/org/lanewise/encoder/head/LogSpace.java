package org.lanewise.encoder.head;

/** Sums and probabilities of numbers that are kept as logarithms, without overflow. */
final class LogSpace {
  private LogSpace() {}

  /** Returns log(sum(exp(terms))); negative infinity where all terms are. */
  static double logSumExp(double[] terms) {
    double largest = Double.NEGATIVE_INFINITY;
    for (double term : terms) {
      largest = Math.max(largest, term);
    }
    if (Double.isInfinite(largest)) {
      return largest;
    }
    double sum = 0;
    for (double term : terms) {
      sum += Math.exp(term - largest);
    }
    return largest + Math.log(sum);
  }

  /**
   * Returns exp(scores) / sum(exp(scores)).
   *
   * @throws IllegalArgumentException if that is no number, as where a network exceeds all bounds
   */
  static double[] softmax(double[] scores) {
    double logSum = logSumExp(scores);
    if (!Double.isFinite(logSum)) {
      throw new IllegalArgumentException(
          "the scores add up to "
              + logSum
              + ", expected a finite number: the weights or the states are not finite");
    }
    double[] probabilities = new double[scores.length];
    for (int i = 0; i < scores.length; i++) {
      probabilities[i] = Math.exp(scores[i] - logSum);
    }
    return probabilities;
  }

  /**
   * Returns 1 / (1 + exp(-score)) of each score.
   *
   * @throws IllegalArgumentException if one is no number
   */
  static double[] sigmoid(double[] scores) {
    double[] probabilities = new double[scores.length];
    for (int i = 0; i < scores.length; i++) {
      probabilities[i] = 1 / (1 + Math.exp(-scores[i]));
      if (Double.isNaN(probabilities[i])) {
        throw new IllegalArgumentException(
            "score [" + i + "] is no number: the weights or the states are not finite");
      }
    }
    return probabilities;
  }
}
