package org.lanewise.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.ToIntFunction;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.Embedding;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.TextClassifier;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TextTagger;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.model.SequenceModelDirectory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lanewise bench}: how fast a model is on this machine. */
@Command(
    name = "bench",
    description = {
      "Measures bulk throughput, then the latency of single texts, text to answer. Tokens are those"
          + " of an encoder, the words of a tagger, the words or characters of a classifier.",
      "Answers one line: {\"tokens_per_second\",\"texts_per_second\",\"p50_ms\",\"p99_ms\","
          + "\"backend\",\"precision\"}"
    })
final class BenchCommand implements Callable<Integer> {
  /** Texts of one bulk call: found while warming up, so that a call takes about half a second. */
  private static final int FEWEST_TEXTS = 16;

  private static final int MOST_TEXTS = 4096;

  /** Below a hundred single texts the 99th percentile would be the slowest one. */
  private static final int FEWEST_SINGLES = 100;

  private static final int MOST_SINGLES = 1 << 20;
  private static final double NANOS = 1e9;

  private final Streams streams;

  @Mixin private SequenceModelArguments arguments;

  @Option(
      names = "--texts",
      paramLabel = "FILE",
      description = "Measures with these texts, one per line, instead of built-in ones.")
  private String texts;

  @Option(
      names = "--batch-tokens",
      paramLabel = "N",
      description =
          "Most tokens of one packed batch; 4096 unless given, of which an encoder uses 512.")
  private Integer batchTokens;

  @Option(
      names = "--seconds",
      paramLabel = "S",
      description = "How long throughput is measured; 10 unless given.")
  private double seconds = 10;

  BenchCommand(Streams streams) {
    this.streams = streams;
  }

  @Override
  public Integer call() throws IOException {
    if (!(seconds > 0 && seconds <= 86_400)) {
      throw new IllegalArgumentException("--seconds is [" + seconds + "], expected 0 to 86400");
    }
    EmbedderOptions options = arguments.options();
    if (batchTokens != null) {
      options = options.withBatchTokens(batchTokens);
    }
    List<String> sample = texts();
    try (Contender contender = contender(options);
        JsonGenerator json = streams.json()) {
      streams.progress("warming up");
      contender.warmer().run();
      double warmUp = Math.min(seconds, 3);
      int atOnce = bulk(contender, sample, FEWEST_TEXTS, warmUp).textsAtOnce();
      singles(contender, sample, 1, warmUp / 3);
      streams.progress("measuring throughput");
      Throughput throughput = bulk(contender, sample, atOnce, seconds);
      streams.progress("measuring latency");
      long[] nanos = singles(contender, sample, FEWEST_SINGLES, seconds / 2);
      streams.progress("");
      json.writeStartObject();
      json.writeNumberField("tokens_per_second", rounded(throughput.tokensPerSecond()));
      json.writeNumberField("texts_per_second", rounded(throughput.textsPerSecond()));
      json.writeNumberField("p50_ms", rounded(percentile(nanos, 0.5) / 1e6));
      json.writeNumberField("p99_ms", rounded(percentile(nanos, 0.99) / 1e6));
      json.writeStringField("backend", contender.backend());
      json.writeStringField("precision", contender.precision().label());
      json.writeEndObject();
      Streams.endLine(json);
      streams.flush(json);
      return 0;
    } finally {
      streams.progress("");
    }
  }

  /** Reads texts and returns how many tokens, words or characters they have. */
  @FunctionalInterface
  private interface Reader {
    long read(List<String> texts);
  }

  /** A model that is measured. */
  private record Contender(
      Reader reader, Runnable warmer, String backend, Precision precision, Runnable closer)
      implements AutoCloseable {
    @Override
    public void close() {
      closer.run();
    }
  }

  private Contender contender(EmbedderOptions options) {
    Optional<SequenceModelDirectory.Kind> kind = SequenceModelDirectory.kind(arguments.path());
    if (kind.isEmpty()) {
      return embedder(options);
    }
    return switch (kind.get()) {
      case TAGGER -> tagger(options);
      case CLASSIFIER -> classifier(options);
    };
  }

  private Contender embedder(EmbedderOptions given) {
    ModelDirectory directory = arguments.directory();
    // Pooling costs next to nothing, so a model that states none can be measured all the same.
    EmbedderOptions options =
        directory.sentenceModules().isEmpty() ? given.withPooling(PoolingMode.MEAN) : given;
    TextEmbedder embedder = TextEmbedder.open(directory, options);
    return new Contender(
        texts -> embedder.embed(texts).stream().mapToInt(Embedding::tokens).sum(),
        embedder::warmUp,
        embedder.backend(),
        embedder.precision(),
        embedder::close);
  }

  private Contender tagger(EmbedderOptions options) {
    Encoders encoders = arguments.encoders();
    TextTagger tagger = TextTagger.open(arguments.path(), options, encoders);
    Map<String, Integer> lengths = new HashMap<>();
    return new Contender(
        texts -> {
          tagger.tag(texts);
          return length(texts, lengths, tagger::length);
        },
        tagger::warmUp,
        tagger.backend(),
        tagger.precision(),
        () -> {
          tagger.close();
          encoders.close();
        });
  }

  private Contender classifier(EmbedderOptions options) {
    Encoders encoders = arguments.encoders();
    TextClassifier classifier = TextClassifier.open(arguments.path(), options, encoders);
    Map<String, Integer> lengths = new HashMap<>();
    return new Contender(
        texts -> {
          classifier.classify(texts);
          return length(texts, lengths, classifier::length);
        },
        classifier::warmUp,
        classifier.backend(),
        classifier.precision(),
        () -> {
          classifier.close();
          encoders.close();
        });
  }

  /** Returns the length of the texts, each of which is counted once. */
  private static long length(
      List<String> texts, Map<String, Integer> lengths, ToIntFunction<String> length) {
    return texts.stream().mapToInt(text -> lengths.computeIfAbsent(text, length::applyAsInt)).sum();
  }

  /**
   * How fast bulk calls were.
   *
   * @param textsAtOnce texts of one call that takes about half a second
   */
  private record Throughput(double tokensPerSecond, double textsPerSecond, int textsAtOnce) {}

  private static Throughput bulk(
      Contender contender, List<String> sample, int textsAtOnce, double seconds) {
    long tokens = 0;
    long count = 0;
    long start = System.nanoTime();
    double elapsed = 0;
    while (elapsed < seconds) {
      List<String> texts = new ArrayList<>(textsAtOnce);
      for (int i = 0; i < textsAtOnce; i++) {
        texts.add(sample.get((int) ((count + i) % sample.size())));
      }
      tokens += contender.reader().read(texts);
      count += texts.size();
      double before = elapsed;
      elapsed = (System.nanoTime() - start) / NANOS;
      if (elapsed - before < 0.25) {
        textsAtOnce = Math.min(2 * textsAtOnce, MOST_TEXTS);
      }
    }
    return new Throughput(tokens / elapsed, count / elapsed, textsAtOnce);
  }

  /** Returns how long each single text took, sorted. */
  private static long[] singles(
      Contender contender, List<String> sample, int fewest, double seconds) {
    long[] nanos = new long[1024];
    int count = 0;
    long start = System.nanoTime();
    while (count < MOST_SINGLES
        && (count < fewest || (System.nanoTime() - start) / NANOS < seconds)) {
      List<String> single = List.of(sample.get(count % sample.size()));
      long before = System.nanoTime();
      contender.reader().read(single);
      if (count == nanos.length) {
        nanos = Arrays.copyOf(nanos, 2 * count);
      }
      nanos[count++] = System.nanoTime() - before;
    }
    nanos = Arrays.copyOf(nanos, count);
    Arrays.sort(nanos);
    return nanos;
  }

  private static long percentile(long[] sorted, double share) {
    return sorted[Math.max(0, (int) Math.ceil(share * sorted.length) - 1)];
  }

  private static double rounded(double value) {
    return Math.round(value * 1000) / 1000.0;
  }

  private List<String> texts() throws IOException {
    if (texts == null) {
      try (InputStream own = BenchCommand.class.getResourceAsStream("bench.txt")) {
        return new String(own.readAllBytes(), StandardCharsets.UTF_8).lines().toList();
      }
    }
    List<String> read = new ArrayList<>();
    try (InputLines lines = InputLines.open(texts, false)) {
      for (List<InputLines.Input> chunk = lines.next(MOST_TEXTS);
          !chunk.isEmpty();
          chunk = lines.next(MOST_TEXTS)) {
        chunk.forEach(input -> read.add(input.text()));
      }
    }
    if (read.isEmpty()) {
      throw new IllegalArgumentException("[" + texts + "] is empty, expected one text per line");
    }
    return read;
  }
}
