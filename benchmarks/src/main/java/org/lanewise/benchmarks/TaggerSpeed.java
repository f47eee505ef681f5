package org.lanewise.benchmarks;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.MemoryBudget;
import org.lanewise.encoder.TextTagger;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.train.Corpus;
import org.lanewise.encoder.train.Example;

/**
 * Prints how many words per second a tagger without an encoder labels, texts already cut into
 * words: what {@code peers/tagger_in_pytorch.py} prints of the same network.
 */
public final class TaggerSpeed {
  private static final int ROUNDS = 60;
  private static final int WARM_UP = 30;
  private static final double NANOS = 1e9;

  private TaggerSpeed() {}

  /**
   * Runs.
   *
   * @param arguments model directory, word-tab-tag file, threads
   */
  public static void main(String[] arguments) throws IOException {
    List<Example> examples = Corpus.readTagged(Path.of(arguments[1]));
    List<SegmentedText> texts = examples.stream().map(Example::text).toList();
    long words = texts.stream().mapToLong(SegmentedText::words).sum();
    int threads = Integer.parseInt(arguments[2]);
    EmbedderOptions options =
        new EmbedderOptions(
            "vector",
            Optional.empty(),
            threads,
            1024,
            Optional.empty(),
            OptionalInt.empty(),
            Optional.empty(),
            MemoryBudget.UNLIMITED);
    try (TextTagger tagger =
        TextTagger.open(
            Path.of(arguments[0]),
            options,
            id -> {
              throw new IllegalArgumentException("the model reads the encoder [" + id + "]");
            })) {
      double[] seconds = new double[ROUNDS - WARM_UP];
      for (int round = 0; round < ROUNDS; round++) {
        long began = System.nanoTime();
        tagger.labels(texts);
        if (round >= WARM_UP) {
          seconds[round - WARM_UP] = (System.nanoTime() - began) / NANOS;
        }
      }
      Arrays.sort(seconds);
      System.out.printf(
          Locale.ROOT,
          "lanewise, %d thread(s): inference %,.0f words/s%n",
          threads,
          words / seconds[seconds.length / 2]);
    }
  }
}
