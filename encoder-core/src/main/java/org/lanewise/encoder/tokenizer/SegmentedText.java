package org.lanewise.encoder.tokenizer;

/**
 * A text and the words that a tagger sees in it.
 *
 * @param text the text as it came
 * @param starts first UTF-16 unit of each word, ascending
 * @param ends the UTF-16 unit after each word
 */
public record SegmentedText(String text, int[] starts, int[] ends) {
  /** Returns the number of words. */
  public int words() {
    return starts.length;
  }

  /** Returns a word as it stands in the text. */
  public String word(int index) {
    return text.substring(starts[index], ends[index]);
  }
}
