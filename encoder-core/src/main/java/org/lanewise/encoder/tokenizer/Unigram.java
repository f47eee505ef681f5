package org.lanewise.encoder.tokenizer;

import java.util.Arrays;
import java.util.Locale;
import java.util.OptionalInt;

/**
 * The Unigram model of SentencePiece: of all ways to write a piece with tokens the one whose scores
 * have the largest sum. A character that is no token costs ten more than the worst token; such
 * characters in a row are one unknown token, or the tokens of their bytes.
 */
final class Unigram implements TokenModel {
  private static final double UNKNOWN_PENALTY = 10;

  private final Vocabulary vocabulary;
  private final double[] scores;
  private final TokenIndex index;
  private final OptionalInt unknownId;
  private final double unknownScore;
  private final boolean byteFallback;
  private final int[] byteIds = new int[256];
  private final WordCache cache = new WordCache();

  /**
   * Returns the model.
   *
   * @param scores the score of each id
   * @throws IllegalArgumentException if the unknown token is missing from the vocabulary, or is not
   *     stated and needed
   */
  Unigram(Vocabulary vocabulary, double[] scores, OptionalInt unknownId, boolean byteFallback) {
    this.vocabulary = vocabulary;
    this.scores = scores.clone();
    this.index = vocabulary.index("");
    this.unknownId = unknownId;
    this.byteFallback = byteFallback;
    if (unknownId.isEmpty()) {
      throw new IllegalArgumentException(
          "no [unk_id] is stated, expected one because not every text can be written with tokens");
    }
    if (!vocabulary.contains(unknownId.getAsInt())) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "[unk_id] is [%d], expected 0 to %d",
              unknownId.getAsInt(),
              vocabulary.size() - 1));
    }
    double worst = Double.POSITIVE_INFINITY;
    for (double score : scores) {
      worst = Math.min(worst, score);
    }
    this.unknownScore = worst - UNKNOWN_PENALTY;
    for (int value = 0; value < 256; value++) {
      byteIds[value] = vocabulary.id(String.format(Locale.ROOT, "<0x%02X>", value)).orElse(-1);
    }
  }

  @Override
  public String kind() {
    return "Unigram";
  }

  @Override
  public Vocabulary vocabulary() {
    return vocabulary;
  }

  @Override
  public void tokenize(NormalizedText text, int start, int end, TokenBuffer tokens) {
    char[] chars = text.chars();
    boolean cached = end - start <= WordCache.LONGEST_WORD;
    WordCache.Word word = cached ? cache.find(chars, start, end) : null;
    if (word == null) {
      word = new Path(chars, start, end).best();
      if (cached) {
        cache.keep(chars, start, word);
      }
    }
    word.addTo(text, start, tokens);
  }

  /** The search for the best tokens of one piece. */
  private final class Path {
    private final char[] chars;
    private final int start;
    private final int length;
    // For each place the best token that ends there: where it begins, its id, and the sum so far.
    private final int[] from;
    private final int[] ids;
    private final double[] sums;
    private int[] foundIds = new int[16];
    private int[] foundStarts = new int[16];
    private int[] foundEnds = new int[16];
    private int found;

    Path(char[] chars, int start, int end) {
      this.chars = chars;
      this.start = start;
      length = end - start;
      from = new int[length + 1];
      ids = new int[length + 1];
      sums = new double[length + 1];
      Arrays.fill(from, -1);
    }

    WordCache.Word best() {
      search();
      // Back from the end; unknown characters in a row are one.
      int unknown = unknownId.getAsInt();
      for (int end = length; end > 0; ) {
        int begin = from[end];
        if (ids[end] != unknown) {
          add(ids[end], begin, end);
          end = begin;
          continue;
        }
        while (begin > 0 && ids[begin] == unknown) {
          begin = from[begin];
        }
        addUnknown(begin, end);
        end = begin;
      }
      return new WordCache.Word(
          new String(chars, start, length),
          reversed(foundIds),
          reversed(foundStarts),
          reversed(foundEnds));
    }

    private void search() {
      for (int at = 0; at < length; ) {
        int character =
            Character.charCount(Character.codePointAt(chars, start + at, start + length));
        boolean single = false;
        int hash = 0;
        int longest = Math.min(length - at, index.longest());
        for (int size = 1; size <= longest; size++) {
          hash = TokenIndex.step(hash, chars[start + at + size - 1]);
          if (!index.mayBegin(hash)) {
            break;
          }
          int entry = index.find(chars, start + at, size, hash);
          if (entry >= 0) {
            int id = index.id(entry);
            reach(at, at + size, id, scores[id]);
            single |= size == character;
          }
        }
        if (!single) {
          reach(at, at + character, unknownId.getAsInt(), unknownScore);
        }
        at += character;
      }
    }

    private void reach(int at, int end, int id, double score) {
      double sum = score + sums[at];
      if (from[end] < 0 || sum > sums[end]) {
        from[end] = at;
        ids[end] = id;
        sums[end] = sum;
      }
    }

    private void addUnknown(int begin, int end) {
      int entry = index.find(chars, start + begin, end - begin);
      if (entry >= 0) {
        add(index.id(entry), begin, end);
      } else if (byteFallback && hasBytes(begin, end)) {
        for (int at = end; at > begin; ) {
          int codePoint = Character.codePointBefore(chars, start + at, start + begin);
          int count = ByteAlphabet.utf8Length(codePoint);
          for (int i = count - 1; i >= 0; i--) {
            add(byteIds[ByteAlphabet.utf8Byte(codePoint, count, i)], begin, end);
          }
          at -= Character.charCount(codePoint);
        }
      } else {
        add(unknownId.getAsInt(), begin, end);
      }
    }

    private boolean hasBytes(int begin, int end) {
      for (int at = begin; at < end; ) {
        int codePoint = Character.codePointAt(chars, start + at, start + end);
        int count = ByteAlphabet.utf8Length(codePoint);
        for (int i = 0; i < count; i++) {
          if (byteIds[ByteAlphabet.utf8Byte(codePoint, count, i)] < 0) {
            return false;
          }
        }
        at += Character.charCount(codePoint);
      }
      return true;
    }

    private void add(int id, int begin, int end) {
      if (found == foundIds.length) {
        foundIds = Arrays.copyOf(foundIds, found * 2);
        foundStarts = Arrays.copyOf(foundStarts, found * 2);
        foundEnds = Arrays.copyOf(foundEnds, found * 2);
      }
      foundIds[found] = id;
      foundStarts[found] = begin;
      foundEnds[found++] = end;
    }

    private int[] reversed(int[] values) {
      int[] reversed = new int[found];
      for (int i = 0; i < found; i++) {
        reversed[i] = values[found - 1 - i];
      }
      return reversed;
    }
  }
}
