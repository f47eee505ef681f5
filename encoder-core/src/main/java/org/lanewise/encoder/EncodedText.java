package org.lanewise.encoder;

import org.lanewise.encoder.tokenizer.Tokens;

/**
 * A text ready for the forward pass.
 *
 * @param tokens tokens with prompt and special tokens, cut to the model's length
 * @param promptTokens leading tokens that belong to the prompt and stay out of the pooling; 0
 *     unless the model says {@code include_prompt: false}
 */
public record EncodedText(Tokens tokens, int promptTokens) {
  /** Returns the number of tokens. */
  public int length() {
    return tokens.length();
  }
}
