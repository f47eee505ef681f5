package org.lanewise.encoder.tokenizer;

import java.util.Arrays;

/**
 * A text and the words that a tagger sees in it.
 *
 * @param text the text as it came
 * @param starts first UTF-16 unit of each word, ascending
 * @param ends the UTF-16 unit after each word; the arrays are not copied: treat them as read-only
 */
public record SegmentedText(String text, int[] starts, int[] ends) {
  /** Checks that the words lie in the text, one after the other, none empty. */
  public SegmentedText {
    if (starts.length != ends.length) {
      throw new IllegalArgumentException(
          "there are " + starts.length + " starts, expected one for each of " + ends.length);
    }
    int previous = 0;
    for (int i = 0; i < starts.length; i++) {
      if (starts[i] < previous || ends[i] <= starts[i] || ends[i] > text.length()) {
        throw new IllegalArgumentException(
            "word ["
                + i
                + "] is "
                + starts[i]
                + " to "
                + ends[i]
                + ", expected at least one unit between "
                + previous
                + " and "
                + text.length());
      }
      previous = ends[i];
    }
  }

  /** Returns the number of words. */
  public int words() {
    return starts.length;
  }

  /** Returns a word as it stands in the text. */
  public String word(int index) {
    return text.substring(starts[index], ends[index]);
  }

  /** Returns the text with every code point, white space included, as a word. */
  public static SegmentedText characters(String text) {
    int[] starts = new int[text.codePointCount(0, text.length())];
    int[] ends = new int[starts.length];
    int unit = 0;
    for (int i = 0; i < starts.length; i++) {
      starts[i] = unit;
      unit += Character.charCount(text.codePointAt(unit));
      ends[i] = unit;
    }
    return new SegmentedText(text, starts, ends);
  }

  /** Returns the words from {@code first} up to, and without, {@code end}, of the same text. */
  public SegmentedText part(int first, int end) {
    return new SegmentedText(
        text, Arrays.copyOfRange(starts, first, end), Arrays.copyOfRange(ends, first, end));
  }
}
