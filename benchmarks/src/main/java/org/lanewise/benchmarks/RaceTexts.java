package org.lanewise.benchmarks;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.lanewise.encoder.EncodedText;
import org.lanewise.encoder.tokenizer.Tokenizer;

/**
 * Cuts the words of a book into texts of chosen lengths in tokens. The book is <em>Alice's
 * Adventures in Wonderland</em> by Lewis Carroll (1865), in the public domain, as the Canterbury
 * corpus has it ({@code alice29.txt}).
 */
final class RaceTexts {
  /** Half of the texts are shorter. */
  private static final double MEDIAN = 30;

  /** Puts about one text in five hundred beyond 240 tokens. */
  private static final double SPREAD = 0.72;

  private static final int SHORTEST = 5;
  private static final int LONGEST = 256;

  private final Tokenizer tokenizer;
  private final String[] words;
  private final Map<String, Integer> lengths = new HashMap<>();
  private final int specials;
  private int next;

  /** Prepares the book for a tokenizer that reads words one by one, as WordPiece does. */
  RaceTexts(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
    specials = tokenizer.encode("").length();
    try (InputStream book = RaceTexts.class.getResourceAsStream("wonderland.txt")) {
      words = new String(book.readAllBytes(), StandardCharsets.UTF_8).strip().split("\\s+");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Returns lengths as texts of an index have them: log-normal, median 30, from 5 to 256. */
  static int[] mixedLengths(int texts, long seed) {
    Random random = new Random(seed);
    return random
        .doubles()
        .limit(texts)
        .mapToInt(
            _ ->
                Math.clamp(
                    Math.round(MEDIAN * Math.exp(SPREAD * random.nextGaussian())),
                    SHORTEST,
                    LONGEST))
        .toArray();
  }

  /** Returns lengths as passages of documents have them: any from 128 to 512. */
  static int[] longLengths(int texts, long seed) {
    return new Random(seed).ints(texts, 128, 513).toArray();
  }

  /**
   * Returns texts of exactly these lengths in tokens, special ones included, going on in the book
   * where the last call ended.
   *
   * @param fromStrings whether tokenizing is part of the work
   */
  Workload cut(String name, boolean fromStrings, int... tokens) {
    List<String> texts = new ArrayList<>();
    List<EncodedText> encoded = new ArrayList<>();
    for (int length : tokens) {
      String text = text(length - specials);
      EncodedText made = new EncodedText(tokenizer.encode(text), 0);
      if (made.length() != length) {
        throw new IllegalStateException(
            "a text has " + made.length() + " tokens, expected " + length + ": [" + text + "]");
      }
      texts.add(text);
      encoded.add(made);
    }
    return new Workload(name, texts, encoded, fromStrings);
  }

  private String text(int tokens) {
    StringBuilder text = new StringBuilder();
    int missing = tokens;
    while (missing > 0) {
      String word = words[next];
      next = (next + 1) % words.length;
      int length = lengths.computeIfAbsent(word, w -> tokenizer.encode(w).length() - specials);
      // A word that would make the text too long is left out.
      if (length <= missing) {
        text.append(text.isEmpty() ? "" : " ").append(word);
        missing -= length;
      }
    }
    return text.toString();
  }
}
