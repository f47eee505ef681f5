package org.lanewise.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lanewise.encoder.backend.Backends;

/** {@code inspect}: what it says of good directories and bad ones. */
class InspectCommandTest {
  @TempDir private Path directory;

  @Test
  void saysWhatTheBundledModelIsAndWhatWouldRun() {
    JsonNode report =
        Run.of("", "inspect", "--model", "lanewise-mini-en", "--json").answers().getFirst();
    assertTrue(report.get("usable").booleanValue());
    assertEquals("bert", report.get("family").textValue());
    assertEquals(4, report.get("layers").intValue());
    assertEquals(256, report.get("dimensions").intValue());
    assertEquals("[\"mean\"]", report.get("pooling").toString());
    assertEquals("[\"BF16\"]", report.get("file_types").toString());
    assertEquals("WordPiece", report.get("tokenizer").textValue());
    // The weights are nearly all of the bf16 file.
    assertEquals(14_978_528 / 2.0, report.get("parameters").doubleValue(), 5_000);
    assertTrue(Backends.vectorApiPresent(), "the tests run with the Vector API");
    assertEquals("vector", report.get("backend").textValue());
    assertEquals("bf16", report.get("precision").textValue());
    assertTrue(report.get("problems").isEmpty());
    assertTrue(report.get("notes").isEmpty());
  }

  @Test
  void theTableSaysTheSame() {
    Run run = Run.of("", "inspect", "--model", "lanewise-mini-en");
    assertEquals(0, run.code());
    assertTrue(run.out().contains("\nparameters              7,485,440\n"), run.out());
    assertTrue(run.out().contains("\nbackend                 vector\n"), run.out());
  }

  @Test
  void saysThatPoolingIsNotStated() {
    GoldenModels.unpack("encoders/bert_plain_vocab_txt", directory);
    JsonNode report =
        Run.of("", "inspect", "--model", directory.toString(), "--json").answers().getFirst();
    assertTrue(report.get("notes").get(0).textValue().contains("--pooling"), report.toString());
  }

  @Test
  void describesAnotherFamily() {
    GoldenModels.unpackFamily("encoders/nomic_bert", directory);
    JsonNode report =
        Run.of("", "inspect", "--model", directory.toString(), "--json").answers().getFirst();
    assertTrue(report.get("usable").booleanValue(), report.toString());
    assertEquals("nomic_bert", report.get("family").textValue());
    assertEquals(30, report.get("hidden_size").intValue());
    assertEquals(14, report.get("max_length").intValue());
    assertEquals("[\"mean\"]", report.get("pooling").toString());
    assertEquals("search_query: ", report.get("prompts").get("query").textValue());
  }

  @Test
  void describesDenseTruncationAndPrompts() {
    GoldenModels.unpack("encoders/bert_sharded_dense_truncate", directory);
    JsonNode report =
        Run.of("", "inspect", "--model", directory.toString(), "--json").answers().getFirst();
    assertEquals(1, report.get("dense").size());
    assertEquals(8, report.get("dimensions").intValue());
    assertEquals(8, report.get("truncate_dim").intValue());
    assertEquals("query: ", report.get("prompts").get("query").textValue());
    assertEquals("query", report.get("default_prompt").textValue());
  }

  @Test
  void listsEveryProblemOfADirectoryThatCannotBeUsed() throws IOException {
    GoldenModels.unpack("encoders/bert_gelu", directory);
    Files.delete(directory.resolve("tokenizer.json"));
    Files.deleteIfExists(directory.resolve("vocab.txt"));
    Files.delete(directory.resolve("model.safetensors"));
    Run run = Run.of("", "inspect", "--model", directory.toString(), "--json");
    assertTrue(run.complaint().contains("tokenizer.json is missing"), run.err());
    JsonNode report = Run.JSON.readTree(run.out());
    assertFalse(report.get("usable").booleanValue());
    assertEquals(2, report.get("problems").size(), report.toString());
    assertTrue(run.err().contains(report.get("problems").get(0).textValue()), run.err());
  }
}
