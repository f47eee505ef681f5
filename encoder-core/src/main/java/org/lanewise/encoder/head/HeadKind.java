package org.lanewise.encoder.head;

/** What the layers behind an encoder were trained to say. */
public enum HeadKind {
  /** Which tokens of the vocabulary could stand at each token. */
  MASKED_LM("masked_lm"),
  /** The classes or the one score of a text or a pair. */
  SEQUENCE_CLASSIFICATION("sequence_classification"),
  /** Whether the second text follows the first. */
  NEXT_SENTENCE("next_sentence"),
  /** A label for each token. */
  TOKEN_CLASSIFICATION("token_classification"),
  /** Where an answer begins and ends. */
  QUESTION_ANSWERING("question_answering");

  private final String label;

  HeadKind(String label) {
    this.label = label;
  }

  /** Returns the name that users see. */
  public String label() {
    return label;
  }
}
