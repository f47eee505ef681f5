package org.lanewise.encoder.train;

import java.util.random.RandomGenerator;

/** A head and its loss. */
sealed interface SequenceLoss permits TaggingLoss, ClassificationLoss {
  /**
   * Returns the summed loss and adds its gradient by the head's weights.
   *
   * @param labels of each word for tags, of each text for classes
   * @param dropout share of the numbers that the linear layer reads
   * @param gradient written: of the loss by the states
   */
  double backward(
      Workspace workspace,
      States states,
      int[] sequenceStarts,
      int[][] labels,
      double dropout,
      RandomGenerator random,
      States gradient);

  /** Refuses labels for another number of items, and those that are unknown. */
  static void check(int[][] labels, int expected, int known, String what) {
    if (labels.length != expected) {
      throw new IllegalArgumentException(
          "there are "
              + labels.length
              + " labels, expected "
              + expected
              + ": one for each "
              + what);
    }
    for (int i = 0; i < labels.length; i++) {
      for (int label : labels[i]) {
        if (label < 0 || label >= known) {
          throw new IllegalArgumentException(
              what + " [" + i + "] has label " + label + ", expected 0 to " + (known - 1));
        }
      }
    }
  }
}
