package org.lanewise.encoder.tokenizer;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.IntPredicate;

/**
 * The tokens of one text, cut: the window that is kept and the windows that overflow.
 *
 * @param tokens all tokens of the text
 * @param ranges first and one past the last token of each window, the kept one first; never empty
 */
record Windows(TokenBuffer tokens, List<Range> ranges) {
  /** Tokens that all windows of a call may hold together; more would be a mistake or an attack. */
  static final long MOST_TOKENS = 1L << 26;

  /** The tokens [start, end). */
  record Range(int start, int end) {
    int length() {
      return end - start;
    }
  }

  Windows {
    ranges = List.copyOf(ranges);
  }

  /** Returns the uncut tokens. */
  static Windows whole(TokenBuffer tokens) {
    return new Windows(tokens, List.of(new Range(0, tokens.length())));
  }

  /**
   * Returns windows of at most {@code length} tokens, each repeating {@code stride} tokens of the
   * one before. With a length of 0 the kept window is empty and the whole text overflows.
   */
  static Windows cut(TokenBuffer tokens, int length, int stride, Truncation.Direction direction) {
    int total = tokens.length();
    if (length >= total) {
      return whole(tokens);
    }
    if (length == 0) {
      return new Windows(tokens, List.of(new Range(0, 0), new Range(0, total)));
    }
    if (stride >= length) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "[stride] is %d, expected less than the %d tokens that are left for this text",
              stride,
              length));
    }
    long windows = 1 + (total - length + (length - stride) - 1L) / (length - stride);
    if (stride > 0) {
      requireRoom(windows * length);
    }
    List<Range> ranges = new ArrayList<>();
    switch (direction) {
      case RIGHT -> {
        for (int start = 0; ; start += length - stride) {
          int end = Math.min(start + length, total);
          ranges.add(new Range(start, end));
          if (end == total) {
            break;
          }
        }
      }
      case LEFT -> {
        for (int end = total; ; end -= length - stride) {
          int start = Math.max(end - length, 0);
          ranges.add(new Range(start, end));
          if (start == 0) {
            break;
          }
        }
      }
    }
    return new Windows(tokens, ranges);
  }

  int count() {
    return ranges.size();
  }

  /** Returns only the window that is kept. */
  Windows kept() {
    return new Windows(tokens, ranges.subList(0, 1));
  }

  /** Returns a sequence followed by one of the windows. */
  TokenBuffer appendTo(TokenBuffer sequence, int window, int typeId) {
    Range range = ranges.get(window);
    TokenBuffer longer = new TokenBuffer("", sequence.length() + range.length() + 2);
    longer.addAll(sequence, 0, sequence.length());
    longer.addAll(tokens, range.start(), range.end(), typeId);
    return longer;
  }

  /**
   * Returns the same windows with offsets that leave out the spaces at the ends of tokens.
   *
   * @param added whether a token is an added one
   * @param prefixSpace whether one space at the start of a text, or of a window, stays in
   */
  Windows trimmed(Vocabulary vocabulary, IntPredicate added, boolean prefixSpace) {
    TokenBuffer trimmed = new TokenBuffer(tokens.text(), tokens.length());
    List<Range> trimmedRanges = new ArrayList<>(ranges.size());
    for (Range range : ranges) {
      int first = trimmed.length();
      trimmed.addAll(tokens, range.start(), range.end());
      trimmed.trim(first, vocabulary, added, prefixSpace);
      trimmedRanges.add(new Range(first, trimmed.length()));
    }
    return new Windows(trimmed, trimmedRanges);
  }

  /** Refuses windows that would take gigabytes. */
  static void requireRoom(long tokens) {
    if (tokens > MOST_TOKENS) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "the windows would hold %d tokens, expected at most %d: ask for a larger [max_length]"
                  + " or a smaller [stride]",
              tokens,
              MOST_TOKENS));
    }
  }
}
