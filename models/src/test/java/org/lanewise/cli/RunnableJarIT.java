package org.lanewise.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The packaged jar as a user starts it: plain {@code java -jar}, in a JVM of its own. */
class RunnableJarIT {
  private static final Path JAR = Path.of("target", "lanewise.jar").toAbsolutePath();

  @TempDir private Path directory;

  @Test
  void runsVectorisedWithoutFlags() throws Exception {
    Run run = jar(List.of(), "", "inspect", "--model", "lanewise-mini-en", "--json");
    JsonNode report = run.answers().getFirst();
    assertEquals("vector", report.get("backend").textValue());
    assertTrue(report.get("vector_api").booleanValue());
    assertTrue(report.get("vector_bits").intValue() >= 128, report.toString());
  }

  @Test
  void keepsTheJvmsOptions() throws Exception {
    Run run =
        jar(
            List.of("-Xmx200m", "-Dlanewise.backend=scalar", "-Dlanewise.threads=1"),
            "",
            "inspect",
            "--model",
            "lanewise-mini-en",
            "--json");
    JsonNode report = run.answers().getFirst();
    assertEquals("scalar", report.get("backend").textValue());
    assertEquals(1, report.get("threads").intValue());
  }

  @Test
  void stdoutCarriesTheAnswersAndNothingElse() throws Exception {
    Run run =
        jar(
            List.of(),
            "{\"text\":\"a\\ud800b\\u2028 \\\"caf\\u00e9\\\"\",\"pair\":null}\n{\"text\":\"\"}\n",
            "embed",
            "--model",
            "lanewise-mini-en",
            "--jsonl");
    List<JsonNode> answers = run.answers();
    assertEquals(2, answers.size());
    assertEquals(256, answers.get(0).get("embedding").size());
    assertEquals(2, answers.get(1).get("tokens").intValue());
  }

  @Test
  void aBadModelIsExitCode2AndOneLine() throws Exception {
    Run run = jar(List.of(), "text\n", "embed", "--model", directory.toString());
    assertTrue(run.complaint().contains("config.json is missing"), run.err());
    assertEquals("", run.out());
    assertTrue(jar(List.of(), "", "tokenise").complaint().contains("tokenise"));
  }

  private Run jar(List<String> options, String stdin, String... arguments) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(options);
    command.addAll(List.of("-jar", JAR.toString()));
    command.addAll(List.of(arguments));
    Path out = directory.resolve("out");
    Path err = directory.resolve("err");
    Process process =
        new ProcessBuilder(command)
            .redirectOutput(out.toFile())
            .redirectError(err.toFile())
            .start();
    try (OutputStream in = process.getOutputStream()) {
      in.write(stdin.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      // A call that is refused need not read its input.
    }
    return new Run(process.waitFor(), Files.readString(out), Files.readString(err));
  }
}
