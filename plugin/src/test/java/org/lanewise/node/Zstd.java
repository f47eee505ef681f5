package org.lanewise.node;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** Finds the system's libzstd, which the distribution brings along and Maven Central does not. */
final class Zstd {
  private static final String FILE = "libzstd.so.1";

  /** Where Debian, Fedora, Arch and Alpine keep libraries. */
  private static final List<String> DIRECTORIES =
      List.of(
          "/usr/lib/x86_64-linux-gnu",
          "/lib/x86_64-linux-gnu",
          "/usr/lib/aarch64-linux-gnu",
          "/lib/aarch64-linux-gnu",
          "/usr/lib64",
          "/lib64",
          "/usr/lib",
          "/lib",
          "/usr/local/lib");

  private Zstd() {}

  /** Returns the library's path; a missing one is an error that names the package to install. */
  static Path find() {
    return DIRECTORIES.stream()
        .map(directory -> Path.of(directory, FILE))
        .filter(Files::exists)
        .findFirst()
        .or(Zstd::fromLoaderCache)
        .orElseThrow(
            () ->
                new NodeException(
                    "Elasticsearch needs ["
                        + FILE
                        + "], which this system lacks: install the package libzstd1"
                        + " (Debian, Ubuntu) or libzstd (Fedora, Arch)."));
  }

  private static Optional<Path> fromLoaderCache() {
    try {
      Process process =
          new ProcessBuilder("ldconfig", "-p")
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      String libraries =
          new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      try (Stream<String> lines = libraries.lines()) {
        return lines
            .filter(line -> line.strip().startsWith(FILE + " "))
            .map(line -> Path.of(line.substring(line.indexOf("=>") + 2).strip()))
            .filter(Files::exists)
            .findFirst();
      }
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}
