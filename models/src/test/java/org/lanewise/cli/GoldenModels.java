package org.lanewise.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The golden model directories, unpacked to where {@code --model} can name them. */
final class GoldenModels {
  private GoldenModels() {}

  /** Unpacks a directory of goldens.zip, {@code encoders} for instance, and returns where to. */
  static Path unpack(String directory, Path to) {
    return unpack("/goldens.zip", directory, to);
  }

  /** Unpacks a directory of goldens-encoders.zip, and returns where to. */
  static Path unpackFamily(String directory, Path to) {
    return unpack("/goldens-encoders.zip", directory, to);
  }

  /** Unpacks a directory of goldens-heads.zip, and returns where to. */
  static Path unpackHeads(String directory, Path to) {
    return unpack("/goldens-heads.zip", directory, to);
  }

  private static Path unpack(String name, String directory, Path to) {
    try (FileSystem archive =
        FileSystems.newFileSystem(Path.of(GoldenModels.class.getResource(name).toURI()))) {
      Path root = archive.getPath(directory);
      try (Stream<Path> files = Files.walk(root)) {
        for (Path file : files.toList()) {
          Path target = to.resolve(root.relativize(file).toString());
          if (Files.isDirectory(file)) {
            Files.createDirectories(target);
          } else {
            Files.copy(file, target);
          }
        }
      }
      return to;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Returns the unpacked directories whose names begin with the prefix. */
  static List<Path> in(Path unpacked, String prefix) {
    try (Stream<Path> files = Files.list(unpacked)) {
      return files
          .filter(file -> file.getFileName().toString().startsWith(prefix))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
