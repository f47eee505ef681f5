package org.lanewise.encoder.tokenizer;

/**
 * The tokens of words that were met before: natural text repeats its words, and a look-up costs a
 * tenth of finding the tokens again.
 *
 * <p>Each word has one place, where the last one that came stays, so memory is bounded. Threads
 * share the cache without locks: an entry is immutable, and who misses one makes it again.
 */
final class WordCache {
  /** Longest word that is kept, in UTF-16 units. */
  static final int LONGEST_WORD = 48;

  private static final int PLACES = 1 << 14;

  /**
   * The tokens of one word.
   *
   * @param starts first UTF-16 unit of each token, counted from the start of the word
   * @param ends one past the last one
   */
  record Word(String word, int[] ids, int[] starts, int[] ends) {
    /** Appends the tokens of this word, which stands in a text at {@code at}. */
    void addTo(NormalizedText text, int at, TokenBuffer tokens) {
      for (int i = 0; i < ids.length; i++) {
        tokens.add(ids[i], text.originalStart(at + starts[i]), text.originalEnd(at + ends[i]));
      }
    }

    private boolean is(char[] chars, int start, int end) {
      if (word.length() != end - start) {
        return false;
      }
      for (int i = start; i < end; i++) {
        if (word.charAt(i - start) != chars[i]) {
          return false;
        }
      }
      return true;
    }
  }

  private final Word[] words = new Word[PLACES];

  /** Returns the word that the characters [start, end) are, or null if it is not here. */
  Word find(char[] chars, int start, int end) {
    Word word = words[place(chars, start, end)];
    return word != null && word.is(chars, start, end) ? word : null;
  }

  /** Keeps the tokens of the word that the characters [start, end) are. */
  void keep(char[] chars, int start, Word word) {
    words[place(chars, start, start + word.word().length())] = word;
  }

  private static int place(char[] chars, int start, int end) {
    int hash = 0;
    for (int i = start; i < end; i++) {
      hash = TokenIndex.step(hash, chars[i]);
    }
    return (hash ^ hash >>> 15) & PLACES - 1;
  }
}
