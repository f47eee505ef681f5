package org.lanewise.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code tag}, {@code classify} and {@code evaluate}, with models whose answers are known. */
class SequenceModelCommandsTest {
  private static final double SMALL = 1e-9;

  @TempDir private Path directory;

  private String model() {
    return directory.resolve("model").toString();
  }

  @Test
  void tagFindsSpansWithTheirPlaces() throws IOException {
    KnownModels.writeTagger(directory.resolve("model"));
    List<JsonNode> answers =
        Run.of("\ud83d\ude00 Ada Lovelace left London.\n\nnobody\n", "tag", "--model", model())
            .answers();
    assertEquals(3, answers.size());
    JsonNode entities = answers.getFirst().get("entities");
    assertEquals(2, entities.size());
    assertEquals(
        List.of("entity", "class_name", "class_probability", "start_pos", "end_pos"),
        entities.get(0).propertyStream().map(Map.Entry::getKey).toList());
    assertEquals("Ada Lovelace", entities.get(0).get("entity").textValue());
    assertEquals("PER", entities.get(0).get("class_name").textValue());
    assertEquals(3, entities.get(0).get("start_pos").intValue());
    assertEquals(15, entities.get(0).get("end_pos").intValue());
    assertTrue(entities.get(0).get("class_probability").doubleValue() > 0.99);
    assertEquals("LOC", entities.get(1).get("class_name").textValue());
    assertEquals("{\"entities\":[]}", answers.get(1).toString());
    assertEquals("{\"entities\":[]}", answers.get(2).toString());
  }

  @Test
  void tagReadsJsonLinesAndRefusesPairs() throws IOException {
    KnownModels.writeTagger(directory.resolve("model"));
    String text = "{\"text\": \"Ada\\nLondon\"}\n";
    assertEquals(
        2,
        Run.of(text, "tag", "--model", model(), "--jsonl")
            .answers()
            .getFirst()
            .get("entities")
            .size());
    String complaint =
        Run.of("{\"text\": \"a\", \"pair\": \"b\"}", "tag", "--model", model(), "--jsonl")
            .complaint();
    assertTrue(complaint.contains("has a [pair]"), complaint);
  }

  @Test
  void classifyNamesTheBestClassAndTheNext() throws IOException {
    KnownModels.writeLanguages(directory.resolve("model"));
    List<JsonNode> answers =
        Run.of("sch\u00f6n\nfine\n\n", "classify", "--model", model(), "--top", "1").answers();
    assertEquals("deu", answers.get(0).get("predicted_value").textValue());
    assertEquals(
        answers.get(0).get("prediction_probability"),
        answers.get(0).get("top_classes").get(0).get("class_probability"));
    assertEquals(1, answers.get(0).get("top_classes").size());
    assertEquals("eng", answers.get(1).get("predicted_value").textValue());
    assertEquals(0.5, answers.get(2).get("prediction_probability").doubleValue(), SMALL);
    assertEquals(
        2,
        Run.of("fine", "classify", "--model", model())
            .answers()
            .getFirst()
            .get("top_classes")
            .size());
    assertEquals(
        0,
        Run.of("fine", "classify", "--model", model(), "--top", "0")
            .answers()
            .getFirst()
            .get("top_classes")
            .size());
  }

  @Test
  void evaluateCountsSpansAsConllevalDoes() throws IOException {
    KnownModels.writeTagger(directory.resolve("model"));
    Path data =
        write(
            """
            Ada\tB-PER
            Lovelace\tI-PER
            saw\tO
            London\tB-LOC

            London\tB-PER
            Paris\tB-LOC
            Ada\tO
            """);
    JsonNode all = evaluate(data);
    assertEquals(
        List.of("accuracy", "precision", "recall", "f1", "macro_f1", "per_label", "items"),
        all.propertyStream().map(Map.Entry::getKey).toList());
    assertEquals(7, all.get("items").intValue());
    assertEquals(4 / 7.0, all.get("accuracy").doubleValue(), SMALL);
    // Found PER: Ada Lovelace, Ada; LOC: London twice. Expected PER: Ada Lovelace, London; LOC:
    // London, Paris.
    assertEquals(2 / 4.0, all.get("precision").doubleValue(), SMALL);
    assertEquals(2 / 4.0, all.get("recall").doubleValue(), SMALL);
    assertEquals(0.5, all.get("f1").doubleValue(), SMALL);
    assertEquals(0.5, all.get("macro_f1").doubleValue(), SMALL);
    assertEquals(2, all.get("per_label").size());
    assertEquals(1, all.get("per_label").get("PER").get("correct").intValue());
    JsonNode people = evaluate(data, "--labels", "PER");
    assertEquals(1, people.get("per_label").size());
    assertEquals(1 / 2.0, people.get("f1").doubleValue(), SMALL);
    assertEquals(5 / 7.0, people.get("accuracy").doubleValue(), SMALL);
  }

  @Test
  void evaluateReadsGzipAndCountsClasses() throws IOException {
    KnownModels.writeLanguages(directory.resolve("model"));
    Path data = directory.resolve("data.tsv.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(data))) {
      out.write(
          "deu\tsch\u00f6n\ndeu\tgut\neng\tfine\nfra\tbien\n".getBytes(StandardCharsets.UTF_8));
    }
    JsonNode all = evaluate(data);
    assertEquals(4, all.get("items").intValue());
    assertEquals(0.5, all.get("accuracy").doubleValue(), SMALL);
    assertEquals(all.get("accuracy"), all.get("f1"));
    assertEquals((2 / 3.0 + 2 / 4.0 + 0) / 3, all.get("macro_f1").doubleValue(), SMALL);
    JsonNode some = evaluate(data, "--labels", "deu,eng");
    assertEquals(3, some.get("items").intValue());
    assertEquals(2 / 3.0, some.get("accuracy").doubleValue(), SMALL);
    assertEquals(2 / 4.0, some.get("precision").doubleValue(), SMALL);
  }

  @Test
  void evaluateOnRawTextCountsPlacesToo() throws IOException {
    KnownModels.writePartsOfSpeech(directory.resolve("model"));
    Path data =
        write(
            """
            # text = Dog runs.Cat
            Dog\tNOUN
            runs\tVERB
            .\tPUNCT
            Cat\tNOUN

            # text = a-b runs
            a-b\tNOUN
            runs\tVERB
            """);
    assertEquals(1, evaluate(data).get("accuracy").doubleValue());
    JsonNode raw = evaluate(data, "--raw");
    assertEquals(6, raw.get("items").intValue());
    assertEquals(5 / 6.0, raw.get("accuracy").doubleValue(), SMALL);
    assertEquals(5 / 8.0, raw.get("precision").doubleValue(), SMALL);
    assertEquals(5 / 8.0, raw.get("words").get("precision").doubleValue(), SMALL);
    KnownModels.writeTagger(directory.resolve("model"));
    Path names =
        write(
            """
            # text = Ada Lovelace-London
            Ada\tB-PER
            Lovelace\tI-PER
            -\tO
            London\tB-LOC
            """);
    assertEquals(1, evaluate(names, "--raw").get("f1").doubleValue());
  }

  @Test
  void theTableGoesToStderr() throws IOException {
    KnownModels.writePartsOfSpeech(directory.resolve("model"));
    Path data = write("Dog\tNOUN\nbarks\tVERB\n");
    Run run = Run.of("", "evaluate", "--model", model(), "--data", data.toString());
    assertEquals(0, run.code());
    assertEquals(1, run.out().lines().count());
    assertTrue(run.err().contains("accuracy 50.00 of 2 items"), run.err());
    assertTrue(run.err().contains("1 times NOUN instead of VERB"), run.err());
    assertTrue(run.err().matches("(?s).*\nNOUN +50.00 +100.00 +66.67 +1\n.*"), run.err());
  }

  @Test
  void badUsageIsOneLine() throws IOException {
    KnownModels.writePartsOfSpeech(directory.resolve("model"));
    Path data = write("Dog\tNOUN\nbarks VERB\n");
    assertComplaint(
        "line 2 of [" + data, "evaluate", "--model", model(), "--data", data.toString());
    assertComplaint("does not exist", "evaluate", "--model", model(), "--data", "none.tsv");
    write("Dog\tNOUN\n");
    assertComplaint(
        "label [VERBS] is neither",
        "evaluate",
        "--model",
        model(),
        "--data",
        data.toString(),
        "--labels",
        "VERBS");
    assertComplaint("expected a [lanewise_classifier]", "classify", "--model", model());
    assertComplaint("is a tagger, expected an encoder", "embed", "--model", model());
    KnownModels.writeLanguages(directory.resolve("model"));
    assertComplaint("expected a [lanewise_tagger]", "tag", "--model", model());
    assertComplaint(
        "--raw is for taggers",
        "evaluate",
        "--raw",
        "--model",
        model(),
        "--data",
        write("deu\tx\n").toString());
    assertComplaint("no [token_classification] head", "tag", "--model", "lanewise-mini-en");
  }

  @Test
  void inspectAndBenchKnowTaggersAndClassifiers() throws IOException {
    KnownModels.writeTagger(directory.resolve("model"));
    JsonNode report = Run.of("", "inspect", "--model", model(), "--json").answers().getFirst();
    assertEquals("lanewise_tagger", report.get("family").textValue());
    assertEquals("[\"O\",\"B-PER\",\"I-PER\",\"B-LOC\"]", report.get("labels").toString());
    assertEquals("spans", report.get("entities").textValue());
    assertEquals(16 + 2 * 20 + 4 + 16, report.get("parameters").intValue());
    assertTrue(report.get("usable").booleanValue());
    for (String kind : List.of("tagger", "classifier")) {
      JsonNode speed =
          Run.of("", "bench", "--model", model(), "--seconds", "0.05").answers().getFirst();
      assertTrue(speed.get("tokens_per_second").doubleValue() > 0, kind);
      assertEquals("fp32", speed.get("precision").textValue());
      KnownModels.writeLanguages(directory.resolve("model"));
    }
    Files.delete(directory.resolve("model").resolve("inputs.0.txt"));
    Run run = Run.of("", "inspect", "--model", model(), "--json");
    assertTrue(run.complaint().contains("inputs.0.txt is missing"), run.err());
    assertFalse(Run.JSON.readTree(run.out()).get("usable").booleanValue());
  }

  private void assertComplaint(String expected, String... arguments) {
    String complaint = Run.of("text", arguments).complaint();
    assertTrue(complaint.contains(expected), complaint);
  }

  private Path write(String data) throws IOException {
    return Files.writeString(directory.resolve("data.tsv"), data);
  }

  private JsonNode evaluate(Path data, String... more) throws IOException {
    List<String> arguments =
        new ArrayList<>(List.of("evaluate", "--model", model(), "--data", data.toString()));
    arguments.addAll(List.of(more));
    Run run = Run.of("", arguments.toArray(String[]::new));
    assertEquals(0, run.code(), run.err());
    return Run.JSON.readTree(run.out());
  }
}
