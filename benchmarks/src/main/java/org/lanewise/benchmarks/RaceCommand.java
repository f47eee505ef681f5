package org.lanewise.benchmarks;

import ai.onnxruntime.OrtEnvironment;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.lanewise.encoder.ModelDirectory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code benchmarks race}: ours beside ONNX Runtime and, where there is one, PyTorch. */
@Command(
    name = "race",
    description = "Races all contenders and writes a report and a chart.",
    mixinStandardHelpOptions = true)
final class RaceCommand implements Callable<Integer> {
  /** The model whose tokenizer random models take, seen from the root of the project. */
  static final Path BUNDLED = Path.of("models", "lanewise-mini-en");

  private static final int POSITIONS = 512;
  private static final int MANY_POSITIONS = 8192;

  @Spec private CommandSpec spec;

  @Option(
      names = "--shape",
      split = ",",
      paramLabel = "minilm|base|modernbert|DIR",
      description = "Random models of these sizes, or model directories; minilm unless given.")
  private List<String> shapes = List.of("minilm");

  @Option(
      names = "--threads",
      split = ",",
      paramLabel = "N",
      description = "Threads of every contender; 1,2 unless given.")
  private List<Integer> threads = List.of(1, 2);

  @Option(
      names = "--contenders",
      split = ",",
      paramLabel = "NAME",
      description =
          "Who takes part; all that need no GPU unless given (cuda-bf16, cuda-fp32,"
              + " torch-cuda-bf16 do).")
  private List<String> contenders = Race.ON_PROCESSOR;

  @Option(
      names = "--workloads",
      split = ",",
      paramLabel = "NAME",
      description =
          "1x12, 1x12 text, 1x128, 32x128, 8x512, mix, mix text; all unless given. Also: long mix"
              + " text.")
  private List<String> workloads = List.of();

  @Option(
      names = "--seconds",
      paramLabel = "S",
      description = "How long each contender is timed for each workload; 4 unless given.")
  private double seconds = 4;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      description = "Turns that these seconds are spread over; 7 unless given.")
  private int rounds = 7;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Of weights and lengths; 1 unless given.")
  private long seed = 1;

  @Option(
      names = "--texts",
      paramLabel = "N",
      description = "Texts of the mixes; 512, or 128 of a large model, unless given.")
  private Integer texts;

  @Option(
      names = "--onnx",
      paramLabel = "FILE",
      description = "A graph of the same model, optimised by hand, for the contender onnx.")
  private Path onnx;

  @Option(
      names = "--python",
      paramLabel = "PATH",
      description = "An interpreter with torch and transformers.")
  private Path python;

  @Option(
      names = "--tokenizer",
      paramLabel = "DIR",
      description = "Whose tokenizer random models get; models/lanewise-mini-en unless given.")
  private Path tokenizer = BUNDLED;

  @Option(
      names = "--own",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description =
          "Also measures opening, memory, long texts and tokenizing of ours; --no-own does not.")
  private boolean own;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description = "Where race.md and race.svg go; benchmarks/results unless given.")
  private Path out = Path.of("benchmarks", "results");

  @Override
  public Integer call() throws IOException {
    check();
    Path scratch = Files.createTempDirectory("lanewise-race");
    PrintStream log = System.err;
    // A race that somebody ends early cleans up too.
    Runtime.getRuntime().addShutdownHook(new Thread(() -> delete(scratch)));
    Race race =
        new Race(
            new Race.Options(
                contenders,
                workloads,
                seconds,
                rounds,
                seed,
                texts == null ? OptionalInt.empty() : OptionalInt.of(texts),
                Optional.ofNullable(onnx),
                Optional.ofNullable(python)),
            scratch,
            log);
    Optional<OwnFigures> figures = own ? Optional.of(new OwnFigures(log)) : Optional.empty();
    if (own) {
      figures
          .get()
          .measure(
              random("minilm", POSITIONS, scratch),
              random("minilm", MANY_POSITIONS, scratch),
              Collections.max(threads));
    }
    for (String shape : shapes) {
      Path directory =
          Files.isDirectory(Path.of(shape)) ? Path.of(shape) : random(shape, POSITIONS, scratch);
      if (own) {
        try (ModelDirectory model = ModelDirectory.open(directory)) {
          figures.get().limits(name(shape), model.config().sizes());
        }
      }
      for (int each : threads) {
        race.run(name(shape), directory, each);
        // Whoever ends a long race early keeps what it found.
        write(race, figures);
      }
    }
    System.out.println(out.resolve("race.md"));
    return 0;
  }

  private void check() {
    for (String contender : contenders) {
      if (!Race.CONTENDERS.contains(contender)) {
        throw new IllegalArgumentException(
            "contender [" + contender + "] is unknown; available: " + Race.CONTENDERS);
      }
    }
    if (rounds < 1 || !(seconds > 0)) {
      throw new IllegalArgumentException(
          "--rounds is [" + rounds + "] and --seconds is [" + seconds + "], expected more than 0");
    }
  }

  private static String name(String shape) {
    return Path.of(shape).getFileName().toString();
  }

  private Path random(String shape, int positions, Path scratch) throws IOException {
    Path directory = scratch.resolve(shape + "-" + positions);
    if (!Files.exists(directory)) {
      try (ModelDirectory like = ModelDirectory.open(tokenizer)) {
        RandomModel.write(
            directory,
            RandomModel.Shape.named(shape).sizes(like.config().sizes(), positions),
            tokenizer,
            seed);
      }
    }
    return directory;
  }

  private void write(Race race, Optional<OwnFigures> figures) throws IOException {
    Map<String, String> facts = Machine.description();
    if (contenders.stream().anyMatch(each -> each.startsWith("o"))) {
      facts.put("ONNX Runtime", OrtEnvironment.getEnvironment().getVersion());
    }
    String command =
        "java -jar benchmarks/target/benchmarks.jar "
            + String.join(" ", spec.commandLine().getParent().getParseResult().originalArgs());
    Files.createDirectories(out);
    Files.writeString(out.resolve("race.md"), Report.markdown(race, figures, command, facts));
    Files.writeString(out.resolve("race.svg"), Report.chart(race));
  }

  private static void delete(Path directory) {
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
