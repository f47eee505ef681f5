package org.lanewise.encoder.tokenizer;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * How a text that is too long is cut.
 *
 * @param maxLength most tokens to keep, special tokens included
 * @param stride tokens of each further window that repeat the end of the one before; empty asks for
 *     no further windows
 * @param strategy which text of a pair loses tokens
 * @param direction which end loses tokens
 */
public record Truncation(
    int maxLength, OptionalInt stride, Strategy strategy, Direction direction) {
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

  /** Refuses lengths below 0. */
  public Truncation {
    if (maxLength < 0 || stride.orElse(0) < 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "[max_length] is %d and [stride] is %d, expected both to be 0 or more",
              maxLength,
              stride.orElse(0)));
    }
  }

  /** Returns the usual cut: the longer text first, from its end, no further windows. */
  public static Truncation to(int maxLength) {
    return new Truncation(maxLength, OptionalInt.empty(), Strategy.LONGEST_FIRST, Direction.RIGHT);
  }

  /** Returns the windows of one text or two so that they fit beside {@code added} tokens. */
  List<Windows> cut(TokenBuffer first, Optional<TokenBuffer> second, int added) {
    int room = maxLength - added;
    if (room < 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "[max_length] is %d, expected at least the %d special tokens",
              maxLength,
              added));
    }
    int repeated = stride.orElse(0);
    if (repeated > room) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "[stride] is %d, expected no more than the %d tokens that [max_length] leaves for"
                  + " text",
              repeated,
              room));
    }
    int firstLength = first.length();
    int secondLength = second.map(TokenBuffer::length).orElse(0);
    long excess = (long) firstLength + secondLength - room;
    if (room == 0) {
      firstLength = 0;
      secondLength = 0;
    } else if (excess > 0) {
      switch (strategy) {
        case LONGEST_FIRST -> {
          int shorter = Math.min(firstLength, secondLength);
          int longer = Math.max(shorter, room - shorter);
          if (shorter + longer > room) {
            shorter = room / 2;
            longer = room - shorter;
          }
          boolean firstIsLonger = firstLength > secondLength;
          firstLength = firstIsLonger ? longer : shorter;
          secondLength = firstIsLonger ? shorter : longer;
        }
        case ONLY_FIRST -> firstLength = shorten("first", firstLength, excess, room);
        case ONLY_SECOND -> secondLength = shorten("second", secondLength, excess, room);
      }
    }
    Windows firstWindows = Windows.cut(first, firstLength, repeated, direction);
    if (second.isEmpty()) {
      return List.of(firstWindows);
    }
    Windows secondWindows = Windows.cut(second.get(), secondLength, repeated, direction);
    if (stride.isPresent()) {
      Windows.requireRoom((long) firstWindows.count() * secondWindows.count() * maxLength);
    }
    return List.of(firstWindows, secondWindows);
  }

  private static int shorten(String text, int length, long excess, int room) {
    if (length <= excess) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "the %s text has %d tokens, expected more than the %d that must go to leave %d",
              text,
              length,
              excess,
              room));
    }
    return (int) (length - excess);
  }
}
