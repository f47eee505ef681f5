package org.lanewise.encoder;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * The expected values that PyTorch and tokenizers wrote, read from goldens.zip, from
 * goldens-training.zip what begins with {@code training}, and from goldens-tokenizers.zip the
 * tokenizers that goldens.zip lacks.
 */
public final class Goldens {
  private static final FileSystem ARCHIVE = open("goldens.zip");
  private static final FileSystem TRAINING = open("goldens-training.zip");
  private static final FileSystem TOKENIZERS = open("goldens-tokenizers.zip");

  private Goldens() {}

  /** Returns a file or directory of the archive, for example {@code encoders/bert_gelu}. */
  public static Path path(String name) {
    Path path = (name.startsWith("training") ? TRAINING : ARCHIVE).getPath(name);
    if (!Files.exists(path)) {
      path = TOKENIZERS.getPath(name);
    }
    if (!Files.exists(path)) {
      throw new IllegalArgumentException("the goldens have no [" + name + "]");
    }
    return path;
  }

  /** Returns the names in a directory of the archive that begin with the prefix, sorted. */
  public static List<String> list(String directory, String prefix) {
    try (Stream<Path> files = Files.list(path(directory))) {
      return files
          .map(file -> file.getFileName().toString().replace("/", ""))
          .filter(name -> name.startsWith(prefix))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static FileSystem open(String archive) {
    try {
      URI uri = Goldens.class.getResource("/" + archive).toURI();
      return FileSystems.newFileSystem(Path.of(uri));
    } catch (IOException | URISyntaxException e) {
      throw new IllegalStateException(archive + " cannot be opened", e);
    }
  }
}
