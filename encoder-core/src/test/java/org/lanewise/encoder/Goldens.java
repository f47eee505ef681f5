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
 * The expected values that PyTorch and tokenizers wrote, read from goldens.zip and from the
 * archives that joined it later.
 */
public final class Goldens {
  private static final List<FileSystem> ARCHIVES =
      Stream.of(
              "goldens.zip",
              "goldens-training.zip",
              "goldens-encoders.zip",
              "goldens-tokenizers.zip",
              "goldens-heads.zip")
          .map(Goldens::open)
          .toList();

  private Goldens() {}

  /** Returns a file or directory of the archives, for example {@code encoders/bert_gelu}. */
  public static Path path(String name) {
    return paths(name)
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("the goldens have no [" + name + "]"));
  }

  private static Stream<Path> paths(String name) {
    return ARCHIVES.stream().map(archive -> archive.getPath(name)).filter(Files::exists);
  }

  /** Returns the names in a directory of the archives that begin with the prefix, sorted. */
  public static List<String> list(String directory, String prefix) {
    return paths(directory)
        .flatMap(each -> names(each).stream())
        .filter(name -> name.startsWith(prefix))
        .sorted()
        .toList();
  }

  private static List<String> names(Path directory) {
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(file -> file.getFileName().toString().replace("/", "")).toList();
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
