package org.lanewise.plugin.models;

import java.util.List;
import java.util.Optional;

/** A model that finds entities in texts, or says to which class a text belongs. */
public non-sealed interface Tagger extends Model<Tagger.Text, Tags> {
  /**
   * A text and its length.
   *
   * @param text the text as it came
   * @param tokens how many words, characters or tokens the model will read
   * @param truncated whether it does not see the end
   */
  record Text(String text, int tokens, boolean truncated) {}

  /** Returns the text with its length. */
  Text read(String text);

  /** Returns the names of the classes that answers name, in the model's order. */
  List<String> classes();

  /** Returns the ids of the encoders whose vectors the model reads. */
  List<String> encoders();

  @Override
  default int tokens(Text text) {
    return text.tokens();
  }

  @Override
  default boolean truncated(Text text) {
    return text.truncated();
  }

  @Override
  default Optional<String> flaw(Text text, Tags answer) {
    return Optional.empty();
  }
}
