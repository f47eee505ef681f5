package org.lanewise.plugin.models;

/**
 * How well a text answers a query.
 *
 * @param score as the model's own configuration makes it, which is how its makers compare scores
 * @param signed whether scores of the model may be below zero
 * @param truncated whether the model does not see the end of the text
 */
public record Relevance(float score, boolean signed, boolean truncated) {
  /**
   * Returns the score as a hit can have it, which Elasticsearch wants at zero or above: the score
   * itself where the model has no others, else {@code 1 + score}, or {@code e^score} below zero.
   * The larger score stays the larger one.
   */
  public float hitScore() {
    if (!signed) {
      return score;
    }
    return score >= 0 ? 1 + score : (float) Math.exp(score);
  }

  /** Returns how {@link #hitScore()} comes about, in words. */
  public String formula() {
    if (!signed) {
      return "the score of the model";
    }
    return (score >= 0 ? "1 + s" : "e^s") + " of the model's score s [" + score + "]";
  }
}
