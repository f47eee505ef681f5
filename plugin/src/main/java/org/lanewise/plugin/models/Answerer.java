package org.lanewise.plugin.models;

import java.util.Optional;
import org.lanewise.encoder.AnswerFinder.Answer;
import org.lanewise.encoder.AnswerFinder.Reading;

/** A model that finds the answer to a question in a text. */
public non-sealed interface Answerer extends Model<Reading, Optional<Answer>> {
  /**
   * Returns the tokens of question and text; a question that leaves no room for a text is refused.
   *
   * @param mostTokens most tokens of the answer, at least 1
   */
  Reading read(String question, String text, int mostTokens);

  /** Returns the most tokens of question and text that are read at once. */
  int maxLength();

  /** Returns the model family, such as {@code bert}. */
  String family();

  @Override
  default ModelKind kind() {
    return ModelKind.ANSWERER;
  }

  @Override
  default int tokens(Reading reading) {
    return reading.length();
  }

  /** Long texts are read in windows, to their end. */
  @Override
  default boolean truncated(Reading reading) {
    return false;
  }

  @Override
  default Optional<String> flaw(Reading reading, Optional<Answer> answer) {
    return answer
        .filter(found -> !Float.isFinite(found.score()))
        .map(found -> "an answer of score [" + found.score() + "], expected a finite number");
  }
}
