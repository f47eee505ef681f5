package org.lanewise.encoder.tokenizer;

import java.util.Optional;
import java.util.OptionalInt;

/** Cuts text into the tokens of one vocabulary. Implementations are immutable and thread-safe. */
public interface Tokenizer {
  /** Returns the name of the algorithm, as tokenizer.json calls it: {@code WordPiece}. */
  String kind();

  /**
   * Returns the tokens of {@code text}, followed by those of {@code pair} if there is one.
   *
   * @param addSpecialTokens whether the post-processor adds [CLS], [SEP] and the like
   * @param truncation how to cut; empty keeps everything
   */
  Tokens encode(
      String text,
      Optional<String> pair,
      boolean addSpecialTokens,
      Optional<Truncation> truncation);

  /** Returns all tokens of {@code text}, with special tokens. */
  default Tokens encode(String text) {
    return encode(text, Optional.empty(), true, Optional.empty());
  }

  /** Returns the token that the id stands for. */
  String token(int id);

  /** Returns the id of a token of the vocabulary. */
  OptionalInt id(String token);

  /** Returns the number of ids, added tokens included. */
  int vocabularySize();

  /** Returns the text that the ids stand for. */
  String decode(int[] ids, boolean skipSpecialTokens);
}
