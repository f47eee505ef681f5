package org.lanewise.benchmarks;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.lanewise.encoder.ModelDirectory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code benchmarks random-model}: a BERT directory with random weights. */
@Command(
    name = "random-model",
    description = "Writes a BERT directory with random weights and the tokenizer of another model.",
    mixinStandardHelpOptions = true)
final class RandomModelCommand implements Callable<Integer> {
  @Parameters(paramLabel = "DIR", description = "Where to write.")
  private Path directory;

  @Option(
      names = "--shape",
      paramLabel = "minilm|base|modernbert",
      description = "Its sizes; minilm unless given.")
  private String shape = "minilm";

  @Option(
      names = "--positions",
      paramLabel = "N",
      description = "Most tokens of a text; 512 unless given.")
  private int positions = 512;

  @Option(names = "--seed", paramLabel = "N", description = "Of the weights; 1 unless given.")
  private long seed = 1;

  @Option(
      names = "--tokenizer",
      paramLabel = "DIR",
      description = "Whose tokenizer is copied; models/lanewise-mini-en unless given.")
  private Path tokenizer = RaceCommand.BUNDLED;

  @Override
  public Integer call() throws IOException {
    try (ModelDirectory like = ModelDirectory.open(tokenizer)) {
      RandomModel.write(
          directory,
          RandomModel.Shape.named(shape).sizes(like.config().sizes(), positions),
          tokenizer,
          seed);
    }
    return 0;
  }
}
