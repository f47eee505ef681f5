package org.lanewise.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.TextEmbedder;

/**
 * Finds and opens the encoders that a tagger or classifier reads: the one that was given, or a
 * bundled one, or a directory beside the model's own. Keeps them open until it is closed.
 */
final class Encoders implements Function<String, TextEmbedder>, AutoCloseable {
  private final Path model;
  private final Optional<String> given;
  private final EmbedderOptions options;
  private final Map<String, TextEmbedder> open = new HashMap<>();

  Encoders(Path model, Optional<String> given, EmbedderOptions options) {
    this.model = model.toAbsolutePath().normalize();
    this.given = given;
    this.options = options;
  }

  /** Returns where the encoder is. */
  Path locate(String id) {
    if (given.isPresent()) {
      return BundledModels.locate(given.get());
    }
    if (BundledModels.has(id)) {
      return BundledModels.locate(id);
    }
    boolean name = id.matches("[\\p{Alnum}_-][\\p{Alnum}._-]*");
    if (name && model.getParent() != null && Files.isDirectory(model.resolveSibling(id))) {
      return model.resolveSibling(id);
    }
    throw new ModelException(
        "model ["
            + model
            + "] reads the encoder ["
            + id
            + "], which is neither bundled nor a directory beside it; name its directory with"
            + " --encoder");
  }

  @Override
  public TextEmbedder apply(String id) {
    return open.computeIfAbsent(
        id, key -> TextEmbedder.open(ModelDirectory.open(locate(key)), options));
  }

  @Override
  public void close() {
    open.values().forEach(TextEmbedder::close);
  }
}
