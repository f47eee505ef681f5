package org.lanewise.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.io.PrintStream;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.weights.Safetensors;
import org.lanewise.encoder.weights.Tensor;

/** {@code embed} against PyTorch and sentence-transformers, and its contract. */
class EmbedCommandTest {
  private static final double TOLERANCE = 1e-4;
  private static final String BUNDLED = "lanewise-mini-en";

  @TempDir private static Path models;

  @BeforeAll
  static void unpack() {
    GoldenModels.unpack("encoders", models);
  }

  @Test
  void vectorsAreSentenceTransformers() throws IOException {
    int compared = 0;
    for (Path model : GoldenModels.in(models, "bert_")) {
      JsonNode golden = Run.JSON.readTree(model.resolve("golden.json").toFile());
      try (Arena arena = Arena.ofShared()) {
        Safetensors tensors = Safetensors.open(model.resolve("golden.safetensors"), arena);
        for (JsonNode call : golden.path("encode")) {
          String tensor = call.get("tensor").textValue();
          List<String> arguments = fp32(model);
          arguments.addAll(
              switch (tensor) {
                case "encode.no_prompt" -> List.of("--no-prompt");
                case "encode.default" -> List.of();
                case "encode.full_dim" -> List.of("--no-prompt", "--dimensions", "all");
                case "encode.truncated_normalized" ->
                    List.of("--no-prompt", "--dimensions", "8", "--normalize");
                default -> List.of("--prompt", call.get("prompt_name").textValue());
              });
          compare(
              model + " " + tensor,
              embed(golden.get("encode_texts"), arguments),
              tensors.tensors().get(tensor));
          compared++;
        }
      }
    }
    assertEquals(15, compared, "calls compared");
  }

  @Test
  void pairsAndPoolingModesArePyTorchs() throws IOException {
    int compared = 0;
    for (Path model : GoldenModels.in(models, "bert_")) {
      JsonNode golden = Run.JSON.readTree(model.resolve("golden.json").toFile());
      try (Arena arena = Arena.ofShared()) {
        Safetensors tensors = Safetensors.open(model.resolve("golden.safetensors"), arena);
        List<String> plain = fp32(model);
        plain.addAll(List.of("--no-prompt", "--dimensions", "all"));
        Tensor pipeline = tensors.tensors().get("pipeline.sentence_embedding");
        if (pipeline != null) {
          compare(model.toString(), embed(golden.get("items"), plain), pipeline);
          compared++;
        }
        if (Files.exists(model.resolve("2_Dense"))) {
          continue;
        }
        for (PoolingMode mode : PoolingMode.values()) {
          for (boolean normalize : new boolean[] {false, true}) {
            List<String> arguments = new ArrayList<>(plain);
            arguments.addAll(List.of("--pooling", mode.label()));
            arguments.add(normalize ? "--normalize" : "--no-normalize");
            String tensor = (normalize ? "pooled_normalized." : "pooled.") + mode.label();
            compare(
                model + " " + tensor,
                embed(golden.get("items"), arguments),
                tensors.tensors().get(tensor));
            compared++;
          }
        }
      }
    }
    assertEquals(104, compared, "calls compared");
  }

  @Test
  void tokenStatesArePyTorchsWithoutAnyPooling() throws IOException {
    Path model = models.resolve("bert_plain_vocab_txt");
    JsonNode golden = Run.JSON.readTree(model.resolve("golden.json").toFile());
    List<String> arguments = fp32(model);
    arguments.add("--per-token");
    List<JsonNode> answers = embed(golden.get("items"), arguments);
    try (Arena arena = Arena.ofShared()) {
      Safetensors tensors = Safetensors.open(model.resolve("golden.safetensors"), arena);
      Tensor states = tensors.tensors().get("last_hidden_state");
      int padded = (int) states.shape()[1];
      int size = (int) states.shape()[2];
      Tensor mask = tensors.tensors().get("attention_mask");
      for (int i = 0; i < answers.size(); i++) {
        int tokens = 0;
        while (tokens < padded && mask.getLong((long) i * padded + tokens) == 1) {
          tokens++;
        }
        assertEquals(tokens, answers.get(i).get("tokens").intValue());
        assertEquals(tokens, answers.get(i).get("token_embeddings").size());
        for (int token = 0; token < tokens; token++) {
          float[] state = Run.floats(answers.get(i).get("token_embeddings").get(token));
          compare("token " + token, state, states, ((long) i * padded + token) * size);
        }
      }
    }
  }

  @Test
  void aModelWithoutPoolingIsRefusedWithTheCure() {
    String model = models.resolve("bert_plain_vocab_txt").toString();
    String complaint = Run.of("text", "embed", "--model", model).complaint();
    assertTrue(complaint.contains("no pooling"), complaint);
    assertTrue(complaint.contains("weightedmean"), complaint);
    assertEquals(
        1, Run.of("text", "embed", "--model", model, "--pooling", "mean").answers().size());
  }

  @Test
  void everyLineIsOneAnswerWithTheseFieldsInThisOrder() {
    Run run =
        Run.of(
            "Hello world\n\nA line with \u2028 and \u0085 inside\r\nlast 😀",
            "embed",
            "--model",
            BUNDLED);
    List<JsonNode> answers = run.answers();
    assertEquals(4, answers.size());
    assertTrue(run.out().endsWith("}\n"));
    for (JsonNode answer : answers) {
      assertEquals(
          List.of("embedding", "tokens", "truncated"),
          answer.propertyStream().map(Map.Entry::getKey).toList());
      assertEquals(256, answer.get("embedding").size());
      assertFalse(answer.get("truncated").booleanValue());
    }
    assertEquals(5, answers.get(0).get("tokens").intValue());
    assertEquals(2, answers.get(1).get("tokens").intValue(), "an empty line is an empty text");
    assertEquals(
        answers.get(0),
        Run.of("{\"text\":\"Hello\\u0020world\",\"id\":7}", "embed", "--model", BUNDLED, "--jsonl")
            .answers()
            .getFirst());
  }

  @Test
  void cutTextsSaySo() {
    JsonNode answer =
        Run.of("word ".repeat(1000), "embed", "--model", BUNDLED).answers().getFirst();
    assertEquals(512, answer.get("tokens").intValue());
    assertTrue(answer.get("truncated").booleanValue());
  }

  @Test
  void backendsAgree() {
    String text = "Rain is expected in the north.";
    float[] vector =
        Run.floats(
            Run.of(text, "embed", "--model", BUNDLED, "--backend", "vector", "--precision", "fp32")
                .answers()
                .getFirst()
                .get("embedding"));
    float[] scalar =
        Run.floats(
            Run.of(text, "embed", "--model", BUNDLED, "--backend", "scalar", "--threads", "1")
                .answers()
                .getFirst()
                .get("embedding"));
    assertArrayEquals(scalar, vector, 1e-5f);
  }

  @Test
  void systemPropertiesAreDefaultsThatOptionsOverride() {
    System.setProperty("lanewise.backend", "nonsense");
    try {
      String complaint = Run.of("text", "embed", "--model", BUNDLED).complaint();
      assertTrue(complaint.contains("[nonsense]"), complaint);
      Run.of("text", "embed", "--model", BUNDLED, "--backend", "auto").answers();
    } finally {
      System.clearProperty("lanewise.backend");
    }
  }

  @Test
  void badCallsAreOneLineThatNamesTheThing() throws IOException {
    assertNames("[nope]", "embed", "--model", "nope");
    assertNames("[first]", "embed", "--model", BUNDLED, "--pooling", "first");
    assertNames("[257]", "embed", "--model", BUNDLED, "--dimensions", "257");
    assertNames("[0]", "embed", "--model", BUNDLED, "--dimensions", "0");
    assertNames("[question]", "embed", "--model", BUNDLED, "--prompt", "question");
    assertNames("[fp64]", "embed", "--model", BUNDLED, "--precision", "fp64");
    assertNames("[cuda]", "embed", "--model", BUNDLED, "--backend", "cuda");
    assertNames("[threads]", "embed", "--model", BUNDLED, "--threads", "0");
    assertNames("--threads", "embed", "--model", BUNDLED, "--threads", "many");
    assertNames("[/no/such]", "embed", "--model", BUNDLED, "--input", "/no/such");
    assertNames("--no-prompt", "embed", "--model", BUNDLED, "--no-prompt", "--prompt", "query");
    assertNames("--per-token", "embed", "--model", BUNDLED, "--per-token", "--dimensions", "8");
    Path file =
        Files.writeString(models.resolve("lines.jsonl"), "{\"text\":\"fine\"}\n{\"x\":1}\n");
    Run run = Run.of("", "embed", "--model", BUNDLED, "--jsonl", "--input", file.toString());
    assertTrue(run.complaint().contains("line [2] of [" + file + "]"), run.err());
    assertEquals(1, run.out().lines().count(), "the answer of the line before");
    for (String line : List.of("{\"text\":", "\"text\"", "[]", "", "{\"text\":1}", "{} {}")) {
      String complaint = Run.of(line + "\n", "embed", "--model", BUNDLED, "--jsonl").complaint();
      assertTrue(complaint.contains("line [1] of [stdin]"), complaint);
    }
    Run bytes = Run.of(new byte[] {'a', '\n', (byte) 0xff}, "embed", "--model", BUNDLED);
    assertTrue(bytes.complaint().contains("line [2] of [stdin] is not valid UTF-8"), bytes.err());
  }

  @Test
  void noInputIsNoAnswer() {
    assertEquals("", Run.of("", "embed", "--model", BUNDLED).out());
  }

  @Test
  @Timeout(value = 120, unit = TimeUnit.SECONDS)
  void aSlowWriterGetsEachAnswerAtOnce() throws Exception {
    PipedOutputStream writer = new PipedOutputStream();
    PipedInputStream stdin = new PipedInputStream(writer);
    PipedInputStream answers = new PipedInputStream(1 << 16);
    PrintStream stdout =
        new PrintStream(new PipedOutputStream(answers), true, StandardCharsets.UTF_8);
    PrintStream stderr =
        new PrintStream(OutputStream.nullOutputStream(), true, StandardCharsets.UTF_8);
    Thread command =
        Thread.ofPlatform()
            .start(
                () -> {
                  Main.run(new String[] {"embed", "--model", BUNDLED}, stdin, stdout, stderr);
                  stdout.close();
                });
    BufferedReader reader =
        new BufferedReader(new InputStreamReader(answers, StandardCharsets.UTF_8));
    String last = "";
    for (String text : List.of("one", "two", "three")) {
      writer.write((text + "\n").getBytes(StandardCharsets.UTF_8));
      writer.flush();
      String answer = reader.readLine();
      assertNotEquals(last, answer);
      last = answer;
    }
    writer.write("the beginning of a line".getBytes(StandardCharsets.UTF_8));
    writer.close();
    assertNotEquals(last, reader.readLine());
    assertNull(reader.readLine());
    command.join();
  }

  private static void assertNames(String thing, String... arguments) {
    String complaint = Run.of("text\n", arguments).complaint();
    assertTrue(complaint.contains(thing), () -> "[" + complaint + "] names " + thing);
  }

  private static List<String> fp32(Path model) {
    return new ArrayList<>(
        List.of("embed", "--model", model.toString(), "--precision", "fp32", "--jsonl"));
  }

  private static List<JsonNode> embed(JsonNode items, List<String> arguments) {
    StringBuilder lines = new StringBuilder();
    for (JsonNode item : items) {
      ObjectNode line = Run.JSON.createObjectNode();
      line.set("text", item.isArray() ? item.get(0) : item);
      if (item.isArray()) {
        line.set("pair", item.get(1));
      }
      lines.append(line).append('\n');
    }
    List<JsonNode> answers = Run.of(lines.toString(), arguments.toArray(String[]::new)).answers();
    assertEquals(items.size(), answers.size());
    return answers;
  }

  private static void compare(String what, List<JsonNode> answers, Tensor expected) {
    for (int i = 0; i < answers.size(); i++) {
      float[] vector = Run.floats(answers.get(i).get("embedding"));
      assertEquals(expected.shape()[1], vector.length, what);
      compare(what, vector, expected, (long) i * vector.length);
    }
  }

  private static void compare(String what, float[] actual, Tensor expected, long at) {
    for (int i = 0; i < actual.length; i++) {
      float value = expected.get(at + i);
      assertEquals(value, actual[i], TOLERANCE + TOLERANCE * Math.abs(value), what + " at " + i);
    }
  }
}
