package org.lanewise.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Help, usage errors, {@code bench}, and what is left of the JVM's own lines. */
class MainTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "--help",
        "-h",
        "embed --help",
        "tokenize --help",
        "inspect --help",
        "bench -h",
        "train -h",
        "train tagger -h"
      })
  void helpGoesToStdout(String arguments) {
    Run run = Run.of("", arguments.split(" ", -1));
    assertEquals(0, run.code());
    assertEquals("", run.err());
    assertTrue(run.out().startsWith("Usage: lanewise"), run.out());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "emmbed",
        "train",
        "--modell",
        "embed",
        "embed --model",
        "embed --model a --model b",
        "embed --model lanewise-mini-en stray",
        "tokenize --model lanewise-mini-en --batch 3",
        "bench --model lanewise-mini-en --seconds 0",
        "bench --model lanewise-mini-en --seconds soon",
        "inspect"
      })
  void badUsageIsOneLineAndNothingOnStdout(String arguments) {
    Run run = Run.of("text", arguments.isEmpty() ? new String[0] : arguments.split(" ", -1));
    assertTrue(run.complaint().startsWith("lanewise: "), run.err());
    assertEquals("", run.out());
  }

  @Test
  void benchAnswersTheseFields(@TempDir Path directory) throws IOException {
    GoldenModels.unpack("encoders/bert_plain_vocab_txt", directory);
    Path texts = Files.writeString(directory.resolve("texts"), "garden\nThen she turned\n");
    JsonNode answer =
        Run.of(
                "",
                "bench",
                "--model",
                directory.toString(),
                "--seconds",
                "0.2",
                "--batch-tokens",
                "256",
                "--texts",
                texts.toString())
            .answers()
            .getFirst();
    assertEquals(
        List.of(
            "tokens_per_second", "texts_per_second", "p50_ms", "p99_ms", "backend", "precision"),
        answer.propertyStream().map(Map.Entry::getKey).toList());
    assertTrue(answer.get("tokens_per_second").doubleValue() > 0, answer.toString());
    assertTrue(
        answer.get("p50_ms").doubleValue() <= answer.get("p99_ms").doubleValue(),
        answer.toString());
    assertEquals(
        1, Run.of("", "bench", "--model", "lanewise-mini-en", "--seconds", "0.1").answers().size());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "WARNING: Using incubator modules: jdk.incubator.vector\n",
        "Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nWARNING: Using incubator modules: a\n",
        ""
      })
  void theJvmsOwnLinesAreDroppedAndNothingElse(String greeting) throws IOException {
    for (String rest : List.of("", "W", "WARNING: other\n", "lanewise: caf\u00e9\nPicked up\n")) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      try (PrintStream to = new PrintStream(out, false, StandardCharsets.UTF_8)) {
        Restart.copyAfterGreetings(
            new ByteArrayInputStream((greeting + rest).getBytes(StandardCharsets.UTF_8)), to);
      }
      assertEquals(rest, out.toString(StandardCharsets.UTF_8));
    }
  }
}
