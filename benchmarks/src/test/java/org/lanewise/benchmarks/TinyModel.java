package org.lanewise.benchmarks;

import java.io.IOException;
import java.nio.file.Path;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.model.EncoderSizes;

/** A random model that is small enough for tests, with the bundled model's tokenizer. */
final class TinyModel {
  private static final Path BUNDLED = Path.of("..").resolve(RaceCommand.BUNDLED);

  private TinyModel() {}

  /** Writes the model and returns its directory. */
  static Path write(Path directory) throws IOException {
    try (ModelDirectory like = ModelDirectory.open(BUNDLED)) {
      EncoderSizes sizes =
          new EncoderSizes(like.config().vocabularySize(), 32, 2, 4, 64, 256, 2, "gelu");
      RandomModel.write(directory, sizes, BUNDLED, 7);
    }
    return directory;
  }
}
