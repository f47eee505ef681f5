package org.lanewise.encoder.tokenizer;

import java.util.function.IntPredicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a text is split at, or what is replaced in it. */
sealed interface TextPattern
    permits TextPattern.Literal, TextPattern.Characters, TextPattern.Expression, WordPattern {
  /** Takes the matches in reading order. */
  @FunctionalInterface
  interface Matches {
    /** Takes the match [start, end). */
    void match(int start, int end);
  }

  /** Hands over the matches in the characters [start, end), which are all that the pattern sees. */
  void find(char[] chars, int start, int end, Matches matches);

  /** Every occurrence of a text that is not empty. */
  record Literal(String literal) implements TextPattern {
    @Override
    public void find(char[] chars, int start, int end, Matches matches) {
      char first = literal.charAt(0);
      for (int i = start; i <= end - literal.length(); ) {
        if (chars[i] == first && isAt(chars, i)) {
          matches.match(i, i + literal.length());
          i += literal.length();
        } else {
          i++;
        }
      }
    }

    private boolean isAt(char[] chars, int at) {
      for (int i = 1; i < literal.length(); i++) {
        if (chars[at + i] != literal.charAt(i)) {
          return false;
        }
      }
      return true;
    }
  }

  /** Every single code point of some kind. */
  record Characters(IntPredicate kind) implements TextPattern {
    @Override
    public void find(char[] chars, int start, int end, Matches matches) {
      for (int i = start; i < end; ) {
        int codePoint = Character.codePointAt(chars, i, end);
        int after = i + Character.charCount(codePoint);
        if (kind.test(codePoint)) {
          matches.match(i, after);
        }
        i = after;
      }
    }
  }

  /**
   * Every match of a regular expression that never matches nothing. One that looks at a text over
   * and over is refused, because its time can grow with any power of the length.
   */
  record Expression(Pattern expression) implements TextPattern {
    @Override
    public void find(char[] chars, int start, int end, Matches matches) {
      Matcher matcher = expression.matcher(new Counted(chars, start, end - start));
      while (matcher.find()) {
        if (matcher.end() > matcher.start()) {
          matches.match(start + matcher.start(), start + matcher.end());
        }
      }
    }

    /** Characters that may be looked at a number of times. Published expressions need some tens. */
    private static final class Counted implements CharSequence {
      private static final int LOOKS_AT_EACH = 1000;
      private static final int LOOKS_AT_ALL = 10_000;

      private final char[] chars;
      private final int start;
      private final int length;
      private long left;

      Counted(char[] chars, int start, int length) {
        this.chars = chars;
        this.start = start;
        this.length = length;
        left = LOOKS_AT_ALL + (long) LOOKS_AT_EACH * length;
      }

      @Override
      public int length() {
        return length;
      }

      @Override
      public char charAt(int index) {
        if (left-- == 0) {
          throw new IllegalArgumentException(
              "the tokenizer's regular expression looks at the ["
                  + length
                  + "] characters of a text"
                  + " more than ["
                  + LOOKS_AT_EACH
                  + "] times each and is stopped");
        }
        return chars[start + index];
      }

      @Override
      public CharSequence subSequence(int from, int to) {
        return new String(chars, start + from, to - from);
      }

      @Override
      public String toString() {
        return new String(chars, start, length);
      }
    }
  }
}
