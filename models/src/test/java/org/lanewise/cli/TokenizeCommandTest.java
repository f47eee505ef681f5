package org.lanewise.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code tokenize} against the tokenizers library, and its contract. */
class TokenizeCommandTest {
  private static final List<String> FIELDS = List.of("ids", "type_ids", "tokens", "offsets");

  @TempDir private Path directory;

  @Test
  void answersAreTheTokenizersLibrarys() throws IOException {
    int compared = 0;
    GoldenModels.unpack("tokenizers", directory);
    for (Path tokenizer : GoldenModels.in(directory, "bert_")) {
      // One call for each set of options.
      Map<List<String>, List<JsonNode>> calls =
          new TreeMap<>(Comparator.comparing(Object::toString));
      for (String line : Files.readAllLines(tokenizer.resolve("cases.jsonl"))) {
        JsonNode golden = Run.JSON.readTree(line);
        JsonNode truncation = golden.get("truncation");
        List<String> options = new ArrayList<>();
        if (!golden.get("add_special_tokens").booleanValue()) {
          options.add("--no-special");
        }
        if (truncation.isObject()) {
          if (!truncation.get("strategy").textValue().equals("longest_first")
              || !truncation.get("direction").textValue().equals("right")) {
            continue;
          }
          options.addAll(List.of("--max-length", truncation.get("max_length").asText()));
          if (truncation.get("stride").intValue() > 0) {
            options.addAll(List.of("--stride", truncation.get("stride").asText()));
          }
        }
        calls.computeIfAbsent(options, key -> new ArrayList<>()).add(golden);
      }
      for (Map.Entry<List<String>, List<JsonNode>> call : calls.entrySet()) {
        compare(tokenizer, call.getKey(), call.getValue());
        compared += call.getValue().size();
      }
    }
    System.out.println(compared + " tokenizer cases through the command line");
    assertTrue(compared > 800, compared + " cases");
  }

  private static void compare(Path tokenizer, List<String> options, List<JsonNode> cases) {
    StringBuilder lines = new StringBuilder();
    for (JsonNode golden : cases) {
      ObjectNode line = Run.JSON.createObjectNode();
      line.set("text", golden.get("text"));
      line.set("pair", golden.get("pair"));
      lines.append(line).append('\n');
    }
    List<String> arguments =
        new ArrayList<>(List.of("tokenize", "--model", tokenizer.toString(), "--jsonl"));
    arguments.addAll(options);
    List<JsonNode> answers = Run.of(lines.toString(), arguments.toArray(String[]::new)).answers();
    assertEquals(cases.size(), answers.size());
    for (int i = 0; i < cases.size(); i++) {
      JsonNode golden = cases.get(i);
      ObjectNode expected = expected(golden, golden);
      if (options.contains("--stride")) {
        for (JsonNode window : golden.get("overflow")) {
          expected.withArray("overflow").add(expected(window, golden));
        }
        expected.withArray("overflow");
      }
      assertEquals(expected.toString(), answers.get(i).toString(), tokenizer + " " + options);
    }
  }

  /** The golden's fields in our order, its offsets counted in UTF-16 units. */
  private static ObjectNode expected(JsonNode tokens, JsonNode golden) {
    ObjectNode expected = Run.JSON.createObjectNode();
    for (String field : FIELDS.subList(0, 3)) {
      expected.set(field, tokens.get(field));
    }
    for (int i = 0; i < tokens.get("offsets").size(); i++) {
      boolean second = tokens.get("type_ids").get(i).intValue() == 1;
      String text = golden.get(second ? "pair" : "text").textValue();
      JsonNode offsets = tokens.get("offsets").get(i);
      expected
          .withArray("offsets")
          .addArray()
          .add(text.offsetByCodePoints(0, offsets.get(0).intValue()))
          .add(text.offsetByCodePoints(0, offsets.get(1).intValue()));
    }
    expected.withArray("offsets");
    return expected;
  }

  @Test
  void oneFileIsEnough() throws IOException {
    GoldenModels.unpack("encoders/bert_plain_vocab_txt", directory);
    Path vocabulary = Files.createDirectory(directory.resolve("alone"));
    Files.copy(directory.resolve("vocab.txt"), vocabulary.resolve("vocab.txt"));
    String all = Run.of("garden", "tokenize", "--model", directory.toString()).out();
    assertTrue(all.startsWith("{\"ids\":["), all);
    assertEquals(all, Run.of("garden", "tokenize", "--model", vocabulary.toString()).out());
  }

  @Test
  void surrogatesSeparatorsAndEscapesComeThrough() {
    Run run =
        Run.of(
            "{\"text\":\"a\\ud800b\\u2028c 😀 東\"}\n",
            "tokenize",
            "--model",
            "lanewise-mini-en",
            "--jsonl");
    JsonNode answer = run.answers().getFirst();
    assertEquals(1, run.out().lines().count());
    assertTrue(run.out().chars().allMatch(c -> c < 0x80), run.out());
    assertEquals(
        FIELDS, answer.propertyStream().map(Map.Entry::getKey).toList(), answer.toString());
    JsonNode last = answer.get("offsets").get(answer.get("offsets").size() - 2);
    assertEquals("[9,10]", last.toString(), "UTF-16 units");
  }

  @Test
  void badCallsAreOneLine() {
    assertTrue(
        Run.of("", "tokenize", "--model", "lanewise-mini-en", "--stride", "2")
            .complaint()
            .contains("--max-length"));
    assertTrue(
        Run.of("text", "tokenize", "--model", "lanewise-mini-en", "--max-length", "-1")
            .complaint()
            .contains("[max_length]"));
    assertTrue(
        Run.of("", "tokenize", "--model", directory.toString())
            .complaint()
            .contains("tokenizer.json is missing"));
  }
}
