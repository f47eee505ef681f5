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

  /** Returns the stretch [start, end) of a text; unpaired surrogates become U+FFFD. */
  NormalizedText(String text, int start, int end) {
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

  /** Appends a code point to the next characters; it came from the present one at {@code from}. */
  void emit(int codePoint, int from) {
    int units = Character.charCount(codePoint);
    if (nextLength + units > nextChars.length || nextLength + units > nextStarts.length) {
      grow();
    }
    int start;
    int end;
    if (aligned) {
      start = shift + from;
      end = start + (Character.isHighSurrogate(chars[from]) ? 2 : 1);
    } else {
      start = starts[from];
      end = ends[from];
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
  }

  private void grow() {
    int capacity = Math.max(length + 16, nextLength + (nextLength >> 1) + 2);
    nextChars = Arrays.copyOf(nextChars, capacity);
    nextStarts = Arrays.copyOf(nextStarts, capacity);
    nextEnds = Arrays.copyOf(nextEnds, capacity);
  }
}
