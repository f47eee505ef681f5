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
  void taggersAndTheirEncoderAreReadInsideTheJar() throws Exception {
    String text = "A wonderful film.\n";
    JsonNode tags = jar(List.of(), text, "tag", "--model", "pos-en").answers().getFirst();
    assertEquals(4, tags.get("entities").size());
    JsonNode classes =
        jar(List.of(), text, "classify", "--model", "sentiment-en").answers().getFirst();
    assertEquals("positive", classes.get("predicted_value").textValue());
  }

  @Test
  void aBadModelIsExitCode2AndOneLine() throws Exception {
    Run run = jar(List.of(), "text\n", "embed", "--model", directory.toString());
    assertTrue(run.complaint().contains("config.json is missing"), run.err());
    assertEquals("", run.out());
    assertTrue(jar(List.of(), "", "tokenise").complaint().contains("tokenise"));
  }

  @Test
  void aTrainingThatIsKilledGoesOnAndEndsWithTheSameBits() throws Exception {
    String text = "red\tADJ\ndogs\tNOUN\nrun\tVERB\n\nrun\tVERB\nold\tADJ\ndogs\tNOUN\n\n";
    Path corpus = Files.writeString(directory.resolve("corpus.tsv"), text.repeat(100));
    Path err = directory.resolve("err");
    Process process = start(List.of(), training(corpus, "killed"));
    while (process.isAlive() && Files.readString(err).lines().count() < 3) {
      Thread.sleep(20);
    }
    assertTrue(process.isAlive(), "it ended before it could be killed: " + Files.readString(err));
    process.destroyForcibly().waitFor();
    assertTrue(Files.notExists(directory.resolve("killed/config.json")));

    Run resumed = jar(List.of(), "", training(corpus, "killed"));
    assertEquals(0, resumed.code(), resumed::err);
    assertTrue(resumed.err().startsWith("resuming after epoch "), resumed.err());
    assertEquals(0, jar(List.of(), "", training(corpus, "whole")).code());
    assertEquals(
        -1,
        Files.mismatch(
            directory.resolve("killed/model.safetensors"),
            directory.resolve("whole/model.safetensors")));
  }

  private String[] training(Path corpus, String out) {
    return new String[] {
      "train",
      "tagger",
      "--train=" + corpus,
      "--dev=" + corpus,
      "--out=" + directory.resolve(out),
      "--hidden-size=16",
      "--epochs=30",
      "--patience=30"
    };
  }

  private Run jar(List<String> options, String stdin, String... arguments) throws Exception {
    Process process = start(options, arguments);
    try (OutputStream in = process.getOutputStream()) {
      in.write(stdin.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      // A call that is refused need not read its input.
    }
    return new Run(
        process.waitFor(),
        Files.readString(directory.resolve("out")),
        Files.readString(directory.resolve("err")));
  }

  /** Starts the jar with its stdout and stderr in files. */
  private Process start(List<String> options, String... arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(options);
    command.addAll(List.of("-jar", JAR.toString()));
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command)
        .redirectOutput(directory.resolve("out").toFile())
        .redirectError(directory.resolve("err").toFile())
        .start();
  }
}
