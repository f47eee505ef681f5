package org.lanewise.encoder;

import java.util.Arrays;
import org.lanewise.encoder.tokenizer.Tokens;

/**
 * A text ready for the forward pass.
 *
 * @param tokens tokens with prompt and special tokens, cut to the model's length
 * @param promptTokens leading tokens that belong to the prompt and stay out of the pooling; 0
 *     unless the model says {@code include_prompt: false}
 * @param unread tokens at the end that attention does not read: what fills up ColBERT's queries
 */
public record EncodedText(Tokens tokens, int promptTokens, int unread) {
  /** Returns a text all of whose tokens are read. */
  public EncodedText(Tokens tokens, int promptTokens) {
    this(tokens, promptTokens, 0);
  }

  /** Returns the number of tokens. */
  public int length() {
    return tokens.length();
  }

  /** Returns whether the encoder reads both alike. */
  boolean readsAs(EncodedText other) {
    return unread == other.unread
        && Arrays.equals(tokens.ids(), other.tokens.ids())
        && Arrays.equals(tokens.typeIds(), other.tokens.typeIds());
  }

  /** Returns whether the encoder reads both alike, and the tokens stand at the same places. */
  boolean standsAs(EncodedText other) {
    return readsAs(other)
        && Arrays.equals(tokens.starts(), other.tokens.starts())
        && Arrays.equals(tokens.ends(), other.tokens.ends());
  }
}
