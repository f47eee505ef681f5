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

/** The expected values that PyTorch and tokenizers wrote, read from goldens.zip. */
public final class Goldens {
  private static final FileSystem ARCHIVE = open();

  private Goldens() {}

  /** Returns a file or directory of the archive, for example {@code encoders/bert_gelu}. */
  public static Path path(String name) {
    Path path = ARCHIVE.getPath(name);
    if (!Files.exists(path)) {
      throw new IllegalArgumentException("goldens.zip has no [" + name + "]");
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

  private static FileSystem open() {
    try {
      URI uri = Goldens.class.getResource("/goldens.zip").toURI();
      return FileSystems.newFileSystem(Path.of(uri));
    } catch (IOException | URISyntaxException e) {
      throw new IllegalStateException("goldens.zip cannot be opened", e);
    }
  }
}
