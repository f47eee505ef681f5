package org.lanewise.encoder.train;

import java.util.random.RandomGenerator;

/** A head and its loss. */
sealed interface SequenceLoss permits TaggingLoss, ClassificationLoss {
  /**
   * Returns the summed loss and adds its gradient by the head's weights.
   *
   * @param labels (words) for tags, (texts) for classes
   * @param dropout share of the numbers that the linear layer reads
   * @param gradient written: of the loss by the states
   */
  double backward(
      Workspace workspace,
      States states,
      int[] sequenceStarts,
      int[] labels,
      double dropout,
      RandomGenerator random,
      States gradient);

  /** Refuses labels that are too many, too few or unknown. */
  static void check(int[] labels, int expected, int known, String what) {
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
      if (labels[i] < 0 || labels[i] >= known) {
        throw new IllegalArgumentException(
            what + " [" + i + "] has label " + labels[i] + ", expected 0 to " + (known - 1));
      }
    }
  }
}
