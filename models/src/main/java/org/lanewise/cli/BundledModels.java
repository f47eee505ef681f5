package org.lanewise.cli;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.FileSystem;
import java.nio.file.FileSystemNotFoundException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.lanewise.encoder.ModelException;

/** Finds the directory that {@code --model} means. */
final class BundledModels {
  /** The models that travel with the command line, below {@code models/} on its class path. */
  private static final List<String> IDS =
      List.of("lanewise-mini-en", "pos-en", "ner-en", "language", "sentiment-en");

  private BundledModels() {}

  /** Returns whether a model of that id travels with the command line. */
  static boolean has(String id) {
    return IDS.contains(id);
  }

  /**
   * Returns the directory of that path, or the bundled model of that id; the latter may lie inside
   * the program's jar, which then stays open until the program ends.
   *
   * @throws ModelException if there is neither
   */
  static Path locate(String model) {
    Path path = Path.of(model);
    if (Files.isDirectory(path)) {
      return path;
    }
    if (IDS.contains(model)) {
      return bundled(model);
    }
    throw new ModelException(
        "model ["
            + model
            + (Files.exists(path) ? "] is not a directory" : "] does not exist")
            + "; expected a directory, or the id of a bundled model: "
            + String.join(", ", IDS));
  }

  private static Path bundled(String id) {
    URL config = BundledModels.class.getResource("/models/" + id + "/config.json");
    if (config == null) {
      throw new ModelException("the bundled model [" + id + "] is missing from this build");
    }
    try {
      URI uri = config.toURI();
      if (uri.getScheme().equals("jar")) {
        return archive(uri).getPath("models", id);
      }
      return Path.of(uri).getParent();
    } catch (IOException | URISyntaxException e) {
      throw new ModelException("the bundled model [" + id + "] cannot be opened", e);
    }
  }

  private static FileSystem archive(URI uri) throws IOException {
    try {
      return FileSystems.getFileSystem(uri);
    } catch (FileSystemNotFoundException e) {
      return FileSystems.newFileSystem(uri, Map.of());
    }
  }
}
