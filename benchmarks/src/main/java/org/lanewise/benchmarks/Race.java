package org.lanewise.benchmarks;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.model.EncoderSizes;

/**
 * Runs all contenders over the same weights and texts in one JVM: first it compares their vectors,
 * then it times them, taking turns in every round so that whatever the machine does meanwhile hits
 * all of them.
 */
final class Race {
  /** Ours and rivals, in the order of tables. */
  static final List<String> CONTENDERS =
      List.of(
          "scalar",
          "vector-fp32",
          "vector-bf16",
          "vector-int8",
          "tiles-fp32",
          "tiles-bf16",
          "tiles-int8",
          "ort-fp32",
          "ort-int8",
          "onnx",
          "torch-fp32",
          "torch-bf16",
          "cuda-bf16",
          "cuda-fp32",
          "torch-cuda-bf16");

  /** Those that take part unless others are named: all that need no GPU. */
  static final List<String> ON_PROCESSOR =
      CONTENDERS.stream().filter(name -> !onDevice(name)).toList();

  /** What the others must agree with. */
  static final String REFERENCE = "vector-fp32";

  private static final String SCALAR = "scalar";

  /** Plain loops are compared on so many texts only, and timed on single texts only. */
  private static final int SCALAR_TEXTS = 3;

  private static final int COMPARED_TEXTS = 48;

  /** A wrong network is far below this; the worst eight-bit contender is far above. */
  private static final double LEAST_COSINE = 0.9;

  private static final String LONG_MIX = "long mix text";
  private static final int MIXED_TEXTS = 512;
  private static final int MIXED_TEXTS_OF_LARGE = 128;
  private static final long LARGE = 50_000_000;
  private static final double WARM_UP_SECONDS = 1;
  private static final int WARM_UP_RUNS = 3;

  /** Runs shorter than this are preceded by one that does not count, to wake threads up. */
  private static final double SHORT_SECONDS = 0.1;

  private static final double NANOS = 1e9;

  /**
   * What a race may do.
   *
   * @param contenders names out of {@link #CONTENDERS}
   * @param workloads names of workloads; empty for all
   * @param seconds seconds that each contender is timed for each workload
   * @param rounds turns that the seconds are spread over
   * @param seed of the lengths in the mix
   * @param texts texts of the mix; empty for as many as suit the model on a processor
   * @param onnx a graph for the contender {@code onnx}
   * @param python an interpreter that has torch and transformers
   */
  record Options(
      List<String> contenders,
      List<String> workloads,
      double seconds,
      int rounds,
      long seed,
      OptionalInt texts,
      Optional<Path> onnx,
      Optional<Path> python) {}

  /**
   * How near a contender's vectors are to those of {@link #REFERENCE}.
   *
   * @param error largest difference of two numbers; vectors have length 1
   */
  record Agreement(String shape, String contender, int texts, double leastCosine, double error) {}

  /** A contender that could not start. */
  record Absence(String shape, String contender, String reason) {}

  private final Options options;
  private final Path scratch;
  private final PrintStream log;
  private final List<Timing> timings = new ArrayList<>();
  private final List<Agreement> agreements = new ArrayList<>();
  private final List<Absence> absences = new ArrayList<>();

  /** Prepares a race that keeps graphs in {@code scratch} and says on {@code log} what it does. */
  Race(Options options, Path scratch, PrintStream log) {
    this.options = options;
    this.scratch = scratch;
    this.log = log;
  }

  /** Returns what was timed so far. */
  List<Timing> timings() {
    return timings;
  }

  /** Returns how near the contenders are. */
  List<Agreement> agreements() {
    return agreements;
  }

  /** Returns who could not start. */
  List<Absence> absences() {
    return absences;
  }

  /** Races on one model with so many threads. */
  void run(String shape, Path directory, int threads) throws IOException {
    List<Contender> open = new ArrayList<>();
    try (ModelDirectory model = ModelDirectory.open(directory)) {
      for (String name : options.contenders()) {
        log.printf(Locale.ROOT, "%s, %d threads: opening %s%n", shape, threads, name);
        try {
          open.add(open(name, shape, directory, threads));
        } catch (IllegalArgumentException
            | IllegalStateException
            | UnsupportedOperationException e) {
          absences.add(new Absence(shape, name, String.valueOf(e.getMessage())));
        }
      }
      compare(shape, model, open);
      for (Workload workload : workloads(model)) {
        if (options.workloads().isEmpty() || options.workloads().contains(workload.name())) {
          time(shape, threads, workload, open);
        }
      }
    } finally {
      open.forEach(Contender::close);
    }
  }

  private Contender open(String name, String shape, Path directory, int threads)
      throws IOException {
    return switch (name) {
      case "ort-fp32", "ort-int8" ->
          new OnnxContender(
              name,
              directory,
              Files.createDirectories(scratch.resolve(shape)),
              Optional.empty(),
              threads);
      case "onnx" ->
          new OnnxContender(
              name,
              directory,
              scratch,
              Optional.of(
                  options
                      .onnx()
                      .orElseThrow(
                          () -> new IllegalArgumentException("no graph was given with --onnx"))),
              threads);
      case "torch-fp32", "torch-bf16", "torch-cuda-bf16" ->
          TorchContender.open(
              name,
              options
                  .python()
                  .orElseThrow(
                      () -> new IllegalArgumentException("no interpreter was given with --python")),
              directory,
              threads);
      default -> OurContender.open(name, directory, threads);
    };
  }

  /**
   * Texts of equal lengths, as tokens; then a realistic mix of lengths, both ways. What is too long
   * for the model is left out.
   */
  private List<Workload> workloads(ModelDirectory model) {
    EncoderSizes sizes = model.config().sizes();
    long weights = 12L * sizes.layers() * sizes.hiddenSize() * sizes.hiddenSize();
    int texts = options.texts().orElse(weights < LARGE ? MIXED_TEXTS : MIXED_TEXTS_OF_LARGE);
    RaceTexts book = new RaceTexts(model.tokenizer());
    int[] mix = RaceTexts.mixedLengths(texts, options.seed());
    Workload mixed = book.cut("mix", false, mix);
    List<Workload> all =
        List.of(
            book.cut("1x12", false, 12),
            book.cut("1x12 text", true, 12),
            book.cut("1x128", false, 128),
            book.cut("32x128", false, repeated(32, 128)),
            book.cut("8x512", false, repeated(8, 512)),
            mixed,
            new Workload("mix text", mixed.texts(), mixed.encoded(), true));
    if (options.workloads().contains(LONG_MIX)) {
      int[] lengths = RaceTexts.longLengths(texts, options.seed());
      all = Stream.concat(all.stream(), Stream.of(book.cut(LONG_MIX, true, lengths))).toList();
    }
    return all.stream()
        .filter(w -> w.encoded().stream().allMatch(text -> text.length() <= model.maxLength()))
        .toList();
  }

  private static int[] repeated(int texts, int tokens) {
    int[] lengths = new int[texts];
    Arrays.fill(lengths, tokens);
    return lengths;
  }

  private void compare(String shape, ModelDirectory model, List<Contender> contenders) {
    Workload texts =
        new RaceTexts(model.tokenizer())
            .cut("agreement", true, RaceTexts.mixedLengths(COMPARED_TEXTS, options.seed()));
    Workload few =
        new Workload(
            texts.name(),
            texts.texts().subList(0, SCALAR_TEXTS),
            texts.encoded().subList(0, SCALAR_TEXTS),
            true);
    float[][] expected = null;
    for (Contender contender : contenders) {
      if (contender.name().equals(REFERENCE)) {
        expected = vectors(contender, texts);
      }
    }
    for (Contender contender : contenders) {
      if (agreements.stream()
          .anyMatch(a -> a.shape().equals(shape) && a.contender().equals(contender.name()))) {
        continue;
      }
      if (expected == null) {
        throw new IllegalArgumentException(
            "the contenders "
                + options.contenders()
                + " lack ["
                + REFERENCE
                + "], which all others are compared with: add it");
      }
      float[][] found = vectors(contender, contender.name().equals(SCALAR) ? few : texts);
      double cosine = 1;
      double error = 0;
      for (int i = 0; i < found.length; i++) {
        double dot = 0;
        double ours = 0;
        double theirs = 0;
        for (int d = 0; d < found[i].length; d++) {
          dot += (double) found[i][d] * expected[i][d];
          ours += (double) found[i][d] * found[i][d];
          theirs += (double) expected[i][d] * expected[i][d];
          error = Math.max(error, Math.abs(found[i][d] - expected[i][d]));
        }
        cosine = Math.min(cosine, dot / Math.sqrt(ours * theirs));
      }
      log.printf(
          Locale.ROOT,
          "%s: %s agrees on %d texts, cosine %.7f or more, largest error %.2e%n",
          shape,
          contender.name(),
          found.length,
          cosine,
          error);
      if (!(cosine >= LEAST_COSINE)) {
        throw new IllegalStateException(
            "["
                + contender.name()
                + "] computes something else: a vector has the cosine "
                + cosine
                + " with that of ["
                + REFERENCE
                + "], expected at least "
                + LEAST_COSINE);
      }
      agreements.add(new Agreement(shape, contender.name(), found.length, cosine, error));
    }
  }

  private static float[][] vectors(Contender contender, Workload texts) {
    contender.prepare(texts);
    contender.run();
    return contender.vectors();
  }

  private void time(String shape, int threads, Workload workload, List<Contender> open)
      throws IOException {
    List<Contender> racing =
        open.stream().filter(c -> workload.single() || !outclassed(c, open)).toList();
    for (Contender contender : racing) {
      contender.prepare(workload);
      log.printf(
          Locale.ROOT,
          "%s, %d threads, %s: %s runs on %s%n",
          shape,
          threads,
          workload.name(),
          contender.name(),
          contender.setting());
      double warm = 0;
      for (int i = 0; i < WARM_UP_RUNS || warm < WARM_UP_SECONDS; i++) {
        warm += seconds(contender);
      }
    }
    double busy = Machine.busySeconds();
    double own = Machine.ownSeconds();
    long began = System.nanoTime();
    double[][] rounds = new double[racing.size()][options.rounds()];
    for (int round = 0; round < options.rounds(); round++) {
      for (int i = 0; i < racing.size(); i++) {
        rounds[i][round] = round(racing.get(i));
      }
    }
    double elapsed = (System.nanoTime() - began) / NANOS;
    double others = (Machine.busySeconds() - busy - (Machine.ownSeconds() - own)) / elapsed;
    for (int i = 0; i < racing.size(); i++) {
      Timing timing =
          new Timing(
              shape,
              threads,
              workload.name(),
              workload.tokens(),
              racing.get(i).name(),
              racing.get(i).setting(),
              others,
              rounds[i]);
      timings.add(timing);
      log.printf(
          Locale.ROOT,
          "%s, %d threads, %s: %s %.3f ms, %.0f tokens/s%n",
          shape,
          threads,
          workload.name(),
          timing.contender(),
          timing.seconds() * 1e3,
          timing.tokens() / timing.seconds());
    }
  }

  /** Whether a contender is compared, but would take too long on many texts. */
  private static boolean outclassed(Contender contender, List<Contender> open) {
    boolean device = open.stream().anyMatch(each -> onDevice(each.name()));
    return contender.name().equals(SCALAR) || (device && !onDevice(contender.name()));
  }

  private static boolean onDevice(String name) {
    return name.contains("cuda");
  }

  private double round(Contender contender) {
    double slice = options.seconds() / options.rounds();
    List<Double> runs = new ArrayList<>();
    double first = seconds(contender);
    double elapsed = 0;
    if (first >= SHORT_SECONDS) {
      runs.add(first);
      elapsed = first;
    }
    while (runs.isEmpty() || elapsed < slice) {
      double run = seconds(contender);
      runs.add(run);
      elapsed += run;
    }
    return Timing.median(runs.stream().mapToDouble(Double::doubleValue).toArray());
  }

  private static double seconds(Contender contender) {
    long began = System.nanoTime();
    contender.run();
    return (System.nanoTime() - began) / NANOS;
  }
}
