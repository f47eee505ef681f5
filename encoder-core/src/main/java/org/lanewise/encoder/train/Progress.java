package org.lanewise.encoder.train;

/** Is told how a training goes, on the thread that trains. */
public interface Progress {
  /**
   * An epoch that ended.
   *
   * @param number 1 for the first
   * @param loss mean loss per text, or per word where words are tagged without a CRF
   * @param score of the model on the dev data
   * @param words that were read
   * @param seconds without those of judging the model
   */
  record Epoch(int number, double loss, double score, long words, double seconds) {
    /** Returns the epoch with another score. */
    Epoch scored(double other) {
      return new Epoch(number, loss, other, words, seconds);
    }
  }

  /** A checkpoint was found, and training goes on after this epoch. */
  void resumed(Epoch last);

  /**
   * A batch has been learned.
   *
   * @param epoch 1 for the first
   * @param loss mean loss of the epoch so far, as in {@link Epoch}
   * @param share of the epoch that is done
   * @param wordsPerSecond in this epoch so far
   * @param secondsLeft until the last epoch ends, if training does not end earlier
   */
  void batch(int epoch, double loss, double share, double wordsPerSecond, double secondsLeft);

  /**
   * An epoch has ended.
   *
   * @param best whether its model is the best so far
   */
  void epoch(Epoch epoch, boolean best);
}
