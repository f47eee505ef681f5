package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What a main method of the tests printed in a JVM of its own, with the properties that this one
 * was given.
 *
 * @param errors what it printed to the error stream
 */
public record OtherJvm(List<String> lines, String errors) {
  private static final List<String> PROPERTIES =
      List.of("lanewise.backend", "lanewise.vector.bits", "lanewise.tiles");

  /** Runs a main method with options of the JVM, to which the Vector API is added. */
  public static OtherJvm run(List<String> options, Class<?> main, String... arguments)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    for (String property : PROPERTIES) {
      if (System.getProperty(property) != null) {
        command.add("-D" + property + "=" + System.getProperty(property));
      }
    }
    command.add("--add-modules=jdk.incubator.vector");
    command.addAll(options);
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
    command.addAll(List.of(arguments));
    Path errors = Files.createTempFile("errors", ".txt");
    try {
      Process process = new ProcessBuilder(command).redirectError(errors.toFile()).start();
      List<String> lines = process.inputReader(StandardCharsets.UTF_8).lines().toList();
      int code = process.waitFor();
      String printed = Files.readString(errors);
      assertEquals(0, code, printed);
      return new OtherJvm(lines, printed);
    } finally {
      Files.delete(errors);
    }
  }
}
