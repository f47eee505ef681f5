package org.lanewise.plugin.models;

import java.util.Optional;
import org.lanewise.encoder.EncodedText;

/** A model that scores how well a text answers a query. */
public non-sealed interface Reranker extends Model<EncodedText, Relevance> {
  /**
   * Returns the tokens of query and text. Where they are too many the text loses its end; a query
   * that leaves no room for it is refused.
   */
  EncodedText read(String query, String text);

  /** Returns the most tokens of query and text together, special tokens included. */
  int maxLength();

  /** Returns the model family, such as {@code bert}. */
  String family();

  @Override
  default ModelKind kind() {
    return ModelKind.RERANKER;
  }

  @Override
  default int tokens(EncodedText pair) {
    return pair.length();
  }

  @Override
  default boolean truncated(EncodedText pair) {
    return pair.tokens().truncated();
  }

  @Override
  default Optional<String> flaw(EncodedText pair, Relevance answer) {
    return Float.isFinite(answer.score())
        ? Optional.empty()
        : Optional.of("the score [" + answer.score() + "], expected a finite number");
  }
}
