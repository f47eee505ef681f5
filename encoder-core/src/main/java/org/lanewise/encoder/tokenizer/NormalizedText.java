package org.lanewise.encoder.tokenizer;

import java.util.Arrays;

/**
 * A stretch of the original text while normalizers rewrite it: the present characters, and for each
 * the range of the original text that it came from.
 *
 * <p>As long as characters were only replaced one for one there are no range arrays: character i
 * came from {@code shift + i}. A normalizer that changes lengths reads the present characters and
 * {@link #emit emits} the new ones, then calls {@link #replace}. Both units of a surrogate pair
 * carry the range of the whole pair. Belongs to one call; not thread-safe.
 */
final class NormalizedText {
  /**
   * How many times longer normalizers may make a text: NFKC makes 18 characters of U+FDFA, and
   * letters for bytes three of most of these.
   */
  private static final int MOST_GROWTH = 64;

  private static final int ALWAYS_ALLOWED = 4096;

  private final long mostUnits;
  private char[] chars;
  private int length;
  private int shift;
  private boolean aligned = true;
  private int[] starts = {};
  private int[] ends = {};
  private char[] nextChars = {};
  private int nextLength;
  private int[] nextStarts = {};
  private int[] nextEnds = {};
  private int[] scratch = {};
  private int cursor;
  private NormalizedText derived;

  private NormalizedText() {
    mostUnits = Long.MAX_VALUE;
    chars = new char[64];
    starts = new int[64];
    ends = new int[64];
    aligned = false;
  }

  /** Returns the stretch [start, end) of a text; unpaired surrogates become U+FFFD. */
  NormalizedText(String text, int start, int end) {
    mostUnits = ALWAYS_ALLOWED + (long) MOST_GROWTH * (end - start);
    chars = new char[end - start];
    length = chars.length;
    shift = start;
    text.getChars(start, end, chars, 0);
    for (int i = 0; i < length; i++) {
      if (Character.isSurrogate(chars[i])) {
        if (i + 1 < length && Character.isSurrogatePair(chars[i], chars[i + 1])) {
          i++;
        } else {
          chars[i] = '\uFFFD';
        }
      }
    }
  }

  /** Returns the present characters; only the first {@link #length} count. Writable in place. */
  char[] chars() {
    return chars;
  }

  int length() {
    return length;
  }

  int codePointAt(int index) {
    return Character.codePointAt(chars, index, length);
  }

  /** Returns whether all present characters are ASCII. */
  boolean isAscii() {
    int or = 0;
    for (int i = 0; i < length; i++) {
      or |= chars[i];
    }
    return or < 0x80;
  }

  /** Returns where the character at the index begins in the original text. */
  int originalStart(int index) {
    return aligned ? shift + index : starts[index];
  }

  /** Returns where the character before the index ends in the original text. */
  int originalEnd(int index) {
    return aligned ? shift + index : ends[index - 1];
  }

  /** Returns room for at least {@code size} numbers, which the next call may hand out again. */
  int[] scratch(int size) {
    if (scratch.length < size) {
      scratch = new int[Math.max(size, 128)];
    }
    return scratch;
  }

  /**
   * Returns a text for what a pre-tokenizer makes of a piece of this one: empty, and the same
   * object at every call.
   */
  NormalizedText derived() {
    if (derived == null) {
      derived = new NormalizedText();
    }
    derived.length = 0;
    return derived;
  }

  /**
   * Appends a character to a derived text; it stands for the one of {@code source} at {@code at}.
   */
  void append(char c, NormalizedText source, int at) {
    reserve(1);
    boolean pair = source.aligned && Character.isHighSurrogate(source.chars[at]);
    starts[length] = source.originalStart(at);
    ends[length] = source.originalEnd(at + (pair ? 2 : 1));
    chars[length++] = c;
  }

  /** Appends the characters [from, to) of {@code source} to a derived text. */
  void append(NormalizedText source, int from, int to) {
    int count = to - from;
    reserve(count);
    System.arraycopy(source.chars, from, chars, length, count);
    if (source.aligned) {
      for (int i = 0; i < count; i++) {
        char c = source.chars[from + i];
        starts[length + i] = source.shift + from + i - (Character.isLowSurrogate(c) ? 1 : 0);
        ends[length + i] = source.shift + from + i + (Character.isHighSurrogate(c) ? 2 : 1);
      }
    } else {
      System.arraycopy(source.starts, from, starts, length, count);
      System.arraycopy(source.ends, from, ends, length, count);
    }
    length += count;
  }

  private void reserve(int count) {
    if (count > chars.length - length) {
      int capacity = Math.max(length + count, length + (length >> 1) + 16);
      chars = Arrays.copyOf(chars, capacity);
      starts = Arrays.copyOf(starts, capacity);
      ends = Arrays.copyOf(ends, capacity);
    }
  }

  /**
   * Emits a code point as the reference's transformations describe it, by what they change: 0
   * stands for the next present code point, -n for the next one and takes n more with it, and a
   * positive number is an insertion, which stands for the code point that was taken last.
   */
  void emitChange(int codePoint, int change) {
    if (change <= 0 && cursor < length) {
      emit(codePoint, cursor);
      for (int i = change; i <= 0 && cursor < length; i++) {
        cursor += Character.charCount(codePointAt(cursor));
      }
    } else if (cursor > 0) {
      emit(codePoint, cursor - (Character.isLowSurrogate(chars[cursor - 1]) ? 2 : 1));
    } else {
      emit(codePoint, shift, shift);
    }
  }

  /** Appends a code point to the next characters; it came from the present one at {@code from}. */
  void emit(int codePoint, int from) {
    int start;
    int end;
    if (aligned) {
      start = shift + from;
      end = start + (Character.isHighSurrogate(chars[from]) ? 2 : 1);
    } else {
      start = starts[from];
      end = ends[from];
    }
    emit(codePoint, start, end);
  }

  private void emit(int codePoint, int start, int end) {
    int units = Character.charCount(codePoint);
    if (nextLength + units > nextChars.length || nextLength + units > nextStarts.length) {
      grow();
    }
    for (int unit = 0; unit < units; unit++) {
      nextStarts[nextLength + unit] = start;
      nextEnds[nextLength + unit] = end;
    }
    nextLength += Character.toChars(codePoint, nextChars, nextLength);
  }

  /** Makes the emitted characters the present ones. */
  void replace() {
    char[] oldChars = chars;
    int[] oldStarts = starts;
    int[] oldEnds = ends;
    chars = nextChars;
    starts = nextStarts;
    ends = nextEnds;
    length = nextLength;
    aligned = false;
    nextChars = oldChars;
    nextStarts = oldStarts;
    nextEnds = oldEnds;
    nextLength = 0;
    cursor = 0;
  }

  private void grow() {
    if (nextLength > mostUnits) {
      throw new IllegalArgumentException(
          "the normalizer makes more than [" + mostUnits + "] characters of a text: it is refused");
    }
    int capacity = Math.max(length + 16, nextLength + (nextLength >> 1) + 2);
    nextChars = Arrays.copyOf(nextChars, capacity);
    nextStarts = Arrays.copyOf(nextStarts, capacity);
    nextEnds = Arrays.copyOf(nextEnds, capacity);
  }
}
