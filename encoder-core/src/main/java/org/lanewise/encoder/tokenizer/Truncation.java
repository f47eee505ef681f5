package org.lanewise.encoder.tokenizer;

/**
 * How a text that is too long is cut.
 *
 * @param maxLength most tokens to keep, special tokens included
 * @param stride tokens of each further window that repeat the end of the one before; 0 asks for no
 *     further windows
 * @param strategy which text of a pair loses tokens
 * @param direction which end loses tokens
 */
public record Truncation(int maxLength, int stride, Strategy strategy, Direction direction) {
  /** Which text of a pair is cut. */
  public enum Strategy {
    LONGEST_FIRST,
    ONLY_FIRST,
    ONLY_SECOND
  }

  /** Which end is cut. */
  public enum Direction {
    RIGHT,
    LEFT
  }

  /** Returns the usual cut: the longer text first, from its end, no further windows. */
  public static Truncation to(int maxLength) {
    return new Truncation(maxLength, 0, Strategy.LONGEST_FIRST, Direction.RIGHT);
  }
}
