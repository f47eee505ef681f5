package org.lanewise.encoder.tokenizer;

import java.text.BreakIterator;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Cuts raw text into sentences and words. */
public final class WordSegmenter {
  private WordSegmenter() {}

  /** Returns the words of a text. */
  public static SegmentedText words(String text) {
    return words(text, 0, text.length());
  }

  /** Returns the sentences of a text, each with its words; none where there are no words. */
  public static List<SegmentedText> sentences(String text) {
    BreakIterator breaks = BreakIterator.getSentenceInstance(Locale.ROOT);
    breaks.setText(text);
    List<SegmentedText> sentences = new ArrayList<>();
    int start = breaks.first();
    for (int end = breaks.next(); end != BreakIterator.DONE; start = end, end = breaks.next()) {
      SegmentedText sentence = words(text, start, end);
      if (sentence.words() > 0) {
        sentences.add(sentence);
      }
    }
    return sentences;
  }

  private static SegmentedText words(String text, int from, int to) {
    BreakIterator breaks = BreakIterator.getWordInstance(Locale.ROOT);
    breaks.setText(text.substring(from, to));
    List<int[]> words = new ArrayList<>();
    int start = breaks.first();
    for (int end = breaks.next(); end != BreakIterator.DONE; start = end, end = breaks.next()) {
      if (!Character.isWhitespace(text.codePointAt(from + start))) {
        words.add(new int[] {from + start, from + end});
      }
    }
    return new SegmentedText(
        text,
        words.stream().mapToInt(word -> word[0]).toArray(),
        words.stream().mapToInt(word -> word[1]).toArray());
  }
}
