package org.lanewise.encoder;

/**
 * A piece of a text that is read by itself.
 *
 * @param start its first UTF-16 unit in the text
 * @param end the UTF-16 unit after it
 * @param tokens how many tokens the model reads of it, special tokens and prompt included
 */
public record Chunk(int start, int end, int tokens) {
  /** Returns the piece as it stands in the text. */
  public String of(String text) {
    return text.substring(start, end);
  }
}
