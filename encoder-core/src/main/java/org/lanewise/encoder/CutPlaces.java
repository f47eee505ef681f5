package org.lanewise.encoder;

import java.util.Arrays;
import java.util.List;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.tokenizer.Tokens;
import org.lanewise.encoder.tokenizer.WordSegmenter;

/**
 * Where a text may be cut: before tokens that share no character with those before them, and of
 * these the places where words and sentences begin. Immutable.
 */
final class CutPlaces {
  private final String text;
  private final SegmentedText words;

  /** Places between tokens, ascending: the text's beginning and end, too. */
  private final int[] places;

  /** How many tokens lie before each place. */
  private final int[] before;

  private final int[] wordPlaces;
  private final int[] sentencePlaces;

  /**
   * Finds the places.
   *
   * @param tokens all tokens of the text, with offsets into it
   */
  CutPlaces(String text, Tokens tokens) {
    this.text = text;
    int length = tokens.length();
    int[] firstLater = new int[length + 1];
    firstLater[length] = text.length();
    for (int i = length - 1; i >= 0; i--) {
      int start = tokens.special()[i] ? text.length() : tokens.starts()[i];
      firstLater[i] = Math.min(start, firstLater[i + 1]);
    }
    int[] found = new int[length + 2];
    int[] counts = new int[length + 2];
    int count = 1;
    int last = 0;
    int seen = 0;
    for (int i = 0; i < length; i++) {
      if (tokens.special()[i]) {
        continue;
      }
      int place = firstLater[i];
      if (place >= last && place > found[count - 1] && !splitsPair(text, place)) {
        found[count] = place;
        counts[count++] = seen;
      }
      last = Math.max(last, tokens.ends()[i]);
      seen++;
    }
    if (found[count - 1] < text.length()) {
      found[count] = text.length();
      counts[count++] = seen;
    }
    places = Arrays.copyOf(found, count);
    before = Arrays.copyOf(counts, count);
    List<SegmentedText> sentences = WordSegmenter.sentences(text);
    int[] starts = sentences.stream().flatMapToInt(each -> Arrays.stream(each.starts())).toArray();
    int[] ends = sentences.stream().flatMapToInt(each -> Arrays.stream(each.ends())).toArray();
    words = new SegmentedText(text, starts, ends);
    wordPlaces = placesBefore(starts);
    sentencePlaces = placesBefore(sentences.stream().mapToInt(each -> each.starts()[0]).toArray());
  }

  /** The places before words, where only blanks lie between; without what is no place. */
  private int[] placesBefore(int[] starts) {
    int[] found = new int[starts.length];
    int count = 0;
    for (int start : starts) {
      int place = places[floor(places, start)];
      int word = floor(words.starts(), start);
      int free = word == 0 ? 0 : words.ends()[word - 1];
      if (place >= free && (count == 0 || place > found[count - 1])) {
        found[count++] = place;
      }
    }
    return Arrays.copyOf(found, count);
  }

  private static boolean splitsPair(String text, int place) {
    return place > 0
        && place < text.length()
        && Character.isSurrogatePair(text.charAt(place - 1), text.charAt(place));
  }

  /** The index of the largest number that is no larger; -1 where all are. */
  private static int floor(int[] ascending, int number) {
    int found = Arrays.binarySearch(ascending, number);
    return found >= 0 ? found : -found - 2;
  }

  String text() {
    return text;
  }

  /** Returns where the text ends. */
  int end() {
    return text.length();
  }

  /** Returns how many of the text's tokens lie before a place. */
  private int before(int place) {
    return before[floor(places, place)];
  }

  /** Returns how many of the text's tokens lie between two places. */
  int tokens(int from, int to) {
    return before(to) - before(from);
  }

  /** Returns the first unit of a word between the places; {@code to} where there is none. */
  int firstOfWord(int from, int to) {
    int word = floor(words.ends(), from) + 1;
    return word == words.words() ? to : Math.min(to, Math.max(from, words.starts()[word]));
  }

  /** Returns the unit after the last one of a word between the places. */
  int endOfWord(int from, int to) {
    int word = floor(words.starts(), to - 1);
    return word < 0 ? from : Math.max(from, Math.min(to, words.ends()[word]));
  }

  /** Returns the next place between tokens. */
  int next(int from) {
    return places[floor(places, from) + 1];
  }

  /**
   * Returns the last place to cut at so that at most so many tokens lie between, by preference one
   * before a sentence, then one before a word; the next one where not even one token may.
   */
  int furthest(int from, int tokens, boolean sentences) {
    int limit = before(from) + tokens;
    int index = floor(before, limit);
    while (index + 1 < before.length && before[index + 1] == limit) {
      index++;
    }
    int reach = Math.max(places[Math.max(0, index)], next(from));
    if (reach == end()) {
      return reach;
    }
    if (sentences) {
      int sentence = floor(sentencePlaces, reach);
      if (sentence >= 0 && sentencePlaces[sentence] > from) {
        return sentencePlaces[sentence];
      }
    }
    int word = floor(wordPlaces, reach);
    return word >= 0 && wordPlaces[word] > from ? wordPlaces[word] : reach;
  }

  /**
   * Returns the first place before a word with at most so many tokens between it and {@code to};
   * {@code to} where none lies behind {@code from}.
   */
  int back(int from, int to, int tokens) {
    int least = before(to) - tokens;
    int word = floor(wordPlaces, to - 1);
    int place = to;
    while (word >= 0 && wordPlaces[word] > from && before(wordPlaces[word]) >= least) {
      place = wordPlaces[word--];
    }
    return place;
  }

  /**
   * Returns the place before the last so many sentences that begin between the places, or before as
   * many as there are; {@code to} where there is none.
   */
  int backSentences(int from, int to, int sentences) {
    int place = to;
    int index = floor(sentencePlaces, to - 1);
    for (int i = 0; i < sentences && index >= 0 && sentencePlaces[index] > from; i++) {
      place = sentencePlaces[index--];
    }
    return place;
  }
}
