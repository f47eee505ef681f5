package org.lanewise.encoder;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.lanewise.encoder.model.SequenceInputs;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.tokenizer.Tokens;

/**
 * An encoder's vectors for the words of texts: the mean of the vectors of the tokens that share a
 * character with the word, or zeros where there is none.
 *
 * <p>The encoder reads a text from its first word to its last, without prompt. Longer texts than it
 * takes are read in windows that are cut between words. Thread-safe; the embedder is closed by its
 * owner.
 */
public final class WordEmbedder implements SequenceInputs.WordEncoder {
  private final TextEmbedder embedder;
  private final boolean helped;

  /** Creates an encoder of words that uses the embedder's threads. */
  public WordEmbedder(TextEmbedder embedder) {
    this(embedder, true);
  }

  /**
   * Creates an encoder of words.
   *
   * @param helped whether the embedder's idle threads help the calling one
   */
  WordEmbedder(TextEmbedder embedder, boolean helped) {
    this.embedder = embedder;
    this.helped = helped;
  }

  /**
   * Some tokens of a text, between special ones.
   *
   * @param firstWord number of the text's first word among the words of all texts
   */
  private record Window(SegmentedText text, int firstWord, Tokens tokens) {}

  @Override
  public float[][] encode(List<SegmentedText> texts, int layer) {
    List<Window> windows = new ArrayList<>();
    int words = 0;
    for (SegmentedText text : texts) {
      addWindows(text, words, windows);
      words += text.words();
    }
    int size = embedder.directory().config().hiddenSize();
    float[][] sums = new float[words][size];
    int[] counts = new int[words];
    int most = embedder.batchTokens();
    for (int first = 0; first < windows.size(); ) {
      int end = first;
      int tokens = 0;
      while (end < windows.size()
          && (end == first || tokens + windows.get(end).tokens().length() <= most)) {
        tokens += windows.get(end).tokens().length();
        end++;
      }
      List<Window> batch = windows.subList(first, end);
      float[][][] vectors =
          embedder.forwardTokens(
              batch.stream().map(window -> new EncodedText(window.tokens(), 0)).toList(),
              layer,
              helped);
      for (int i = 0; i < vectors.length; i++) {
        add(batch.get(i), vectors[i], sums, counts);
      }
      first = end;
    }
    for (int word = 0; word < words; word++) {
      for (int i = 0; counts[word] > 1 && i < size; i++) {
        sums[word][i] /= counts[word];
      }
    }
    return sums;
  }

  private static void add(Window window, float[][] vectors, float[][] sums, int[] counts) {
    SegmentedText text = window.text();
    int offset = text.starts()[0];
    int word = 0;
    for (int token = 0; token < vectors.length; token++) {
      if (window.tokens().special()[token]) {
        continue;
      }
      int start = window.tokens().starts()[token] + offset;
      int end = window.tokens().ends()[token] + offset;
      while (word < text.words() && text.ends()[word] <= start) {
        word++;
      }
      for (int each = word; each < text.words() && text.starts()[each] < end; each++) {
        float[] sum = sums[window.firstWord() + each];
        for (int i = 0; i < sum.length; i++) {
          sum[i] += vectors[token][i];
        }
        counts[window.firstWord() + each]++;
      }
    }
  }

  private void addWindows(SegmentedText text, int firstWord, List<Window> windows) {
    String read = text.text().substring(text.starts()[0], text.ends()[text.words() - 1]);
    Tokens tokens =
        embedder
            .directory()
            .tokenizer()
            .encode(embedder.casedInPlace(read), Optional.empty(), true, Optional.empty());
    int leading = 0;
    while (leading < tokens.length() && tokens.special()[leading]) {
      leading++;
    }
    int last = tokens.length();
    while (last > leading && tokens.special()[last - 1]) {
      last--;
    }
    int most = embedder.maxLength() - leading - (tokens.length() - last);
    if (most < 1) {
      throw new IllegalArgumentException(
          "the encoder reads " + embedder.maxLength() + " tokens, all of them special ones");
    }
    for (int from = leading; from < last; ) {
      int to = Math.min(last, from + most);
      // Back to where a word begins, unless one word fills the window.
      int cut = to;
      while (cut < last && cut > from && !beginsWord(text, tokens.starts()[cut])) {
        cut--;
      }
      to = cut > from ? cut : to;
      windows.add(new Window(text, firstWord, slice(tokens, leading, from, to, last)));
      from = to;
    }
  }

  /** Returns whether a token that begins at the unit, counted from the first word, splits none. */
  private static boolean beginsWord(SegmentedText text, int unit) {
    int at = text.starts()[0] + unit;
    int word = Arrays.binarySearch(text.starts(), at);
    return word >= 0 || at >= text.ends()[-word - 2];
  }

  /** Returns the special tokens at both ends with the tokens [from, to) between them. */
  private static Tokens slice(Tokens tokens, int leading, int from, int to, int last) {
    int[] kept =
        IntStream.range(0, tokens.length())
            .filter(i -> i < leading || i >= last || (i >= from && i < to))
            .toArray();
    boolean[] special = new boolean[kept.length];
    for (int i = 0; i < kept.length; i++) {
      special[i] = tokens.special()[kept[i]];
    }
    return new Tokens(
        select(tokens.ids(), kept),
        select(tokens.typeIds(), kept),
        select(tokens.starts(), kept),
        select(tokens.ends(), kept),
        special,
        false,
        List.of());
  }

  private static int[] select(int[] numbers, int[] kept) {
    return Arrays.stream(kept).map(i -> numbers[i]).toArray();
  }
}
