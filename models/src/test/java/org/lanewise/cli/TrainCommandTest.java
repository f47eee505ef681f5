package org.lanewise.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.TextClassifier;
import org.lanewise.encoder.TextTagger;

/** {@code train}, from files of labelled texts to models that open. */
class TrainCommandTest {
  private static final List<String> SMALL =
      List.of(
          "--word-size=12",
          "--hidden-size=12",
          "--batch-texts=8",
          "--learning-rate=0.02",
          "--min-count=1",
          "--patience=30",
          "--epochs=12",
          "--threads=2");

  @TempDir private Path directory;
  private Path out;

  @BeforeEach
  void name() {
    out = directory.resolve("out");
  }

  @Test
  void aTaggerLearnsWhatItsCorpusSays() throws IOException {
    Path corpus = parts();
    Run run = train("tagger", "--train", corpus, "--dev", corpus, "--license", "CC \"0\"");
    JsonNode answer = Run.JSON.readTree(run.out());
    assertEquals(
        List.of(
            "model", "dev_score", "dev", "best_epoch", "epochs", "seconds", "tokens_per_second"),
        answer.propertyStream().map(Map.Entry::getKey).toList());
    assertEquals(1, answer.get("dev_score").doubleValue(), run.err());
    assertEquals(1, answer.get("dev").get("accuracy").doubleValue());
    assertTrue(answer.get("tokens_per_second").doubleValue() > 0);
    List<String> lines = run.err().lines().toList();
    assertEquals(answer.get("epochs").intValue(), lines.size(), run.err());
    assertTrue(lines.getFirst().matches("epoch 1/12: loss .*, dev .* tokens/s"), run.err());

    try (TextTagger tagger = TextTagger.open(out, EmbedderOptions.defaults(), id -> null)) {
      List<String> tags =
          tagger.tag(List.of("red dogs run")).getFirst().stream()
              .map(TextTagger.Entity::label)
              .toList();
      assertEquals(List.of("ADJ", "NOUN", "VERB"), tags);
    }
    JsonNode report = Run.JSON.readTree(out.resolve("training.json").toFile());
    assertEquals(answer.get("dev"), report.get("dev"));
    assertEquals(12, report.get("options").get("inputs").get("word_size").intValue());
    assertEquals(
        "corpus.tsv", report.get("data").get(0).get("name").textValue(), report.toString());
    String card = Files.readString(out.resolve("README.md"));
    assertTrue(card.startsWith("---\nlicense: \"CC \\\"0\\\"\"\n"), card);
    assertTrue(card.contains("| accuracy | 1.0000 |"), card);
    assertFalse(Files.exists(out.resolve("checkpoint")));
  }

  @Test
  void spansGetACrfAndMappedClasses() throws IOException {
    Path corpus = write("ner.tsv", "Ada\tB-politician\nsaw\tO\nOslo\tI-city\n\nrain\tB-weather\n");
    Path map = write("map.tsv", "politician\tPER\ncity\tLOC\nweather\tO\n");
    Run run =
        train(
            "tagger",
            "--train",
            corpus,
            "--train",
            corpus,
            "--dev",
            corpus,
            "--label-map",
            map,
            "--store",
            "bf16");
    assertEquals(1, Run.JSON.readTree(run.out()).get("dev").get("f1").doubleValue(), run.err());
    JsonNode config = Run.JSON.readTree(out.resolve("config.json").toFile());
    assertEquals("tag_crf", config.get("head").textValue());
    assertEquals("[\"B-PER\",\"O\",\"B-LOC\"]", config.get("labels").toString());
  }

  @Test
  void whatAFileDoesNotLabelIsTakenFromAnother() throws IOException {
    Path whole = write("whole.tsv", "Ada\tB-PER\nsaw\tO\nOslo\tB-city\n\n".repeat(20));
    Path part = write("part.tsv", "Ada\tB-PER\nlikes\tO\nOslo\tO\n\n".repeat(60));
    Path dev = write("dev.tsv", "Ada\tB-PER\nlikes\tO\nOslo\tB-city\n");
    Path map = write("map.tsv", "PER\tPER\ncity\tLOC\n");
    Object[] arguments = {
      "--train", whole, "--train", part, "--dev", dev, "--label-map", map, "--epochs=20"
    };
    Run plain = train("tagger", arguments);
    assertEquals(0.5, Run.JSON.readTree(plain.out()).get("dev").get("recall").doubleValue());
    List<Object> all = new ArrayList<>(List.of(arguments));
    all.addAll(List.of("--overwrite", "--incomplete", part + "=LOC"));
    Run run = train("tagger", all.toArray());
    assertEquals(1, Run.JSON.readTree(run.out()).get("dev").get("f1").doubleValue(), run.err());
    JsonNode source = Run.JSON.readTree(out.resolve("training.json").toFile()).get("data").get(2);
    assertEquals("train without labels of LOC", source.get("use").textValue(), source.toString());
  }

  @Test
  void aClassifierReadsCharactersAndPieces() throws IOException {
    StringBuilder lines = new StringBuilder();
    Random random = new Random(5);
    for (int i = 0; i < 120; i++) {
      boolean first = i % 2 == 0;
      lines.append(first ? "ab" : "xy").append('\t');
      for (int at = 0; at < 12; at++) {
        lines.append((first ? "abc " : "xyz ").charAt(random.nextInt(4)));
      }
      lines.append('z').append('\n');
    }
    Path corpus = write("classes.tsv", lines.toString());
    Run run =
        train(
            "classifier",
            "--train",
            corpus,
            "--dev",
            corpus,
            "--unit",
            "character",
            "--crop",
            "3-6",
            "--head",
            "mean",
            "--cell",
            "gru");
    assertEquals(1, Run.JSON.readTree(run.out()).get("dev_score").doubleValue(), run.err());
    try (TextClassifier classifier =
        TextClassifier.open(out, EmbedderOptions.defaults(), id -> null)) {
      assertEquals("ab", classifier.classify(List.of("cabba")).getFirst().top(1).getFirst().name());
    }
  }

  @Test
  void aTextGetsAnyNumberOfClasses() throws IOException {
    String lines = "art|war\tpaint and guns\nart\tpaint\nfight\tguns\n\tnothing\n";
    Path corpus = write("topics.tsv", lines.repeat(20));
    Path map = write("map.tsv", "art\tart\nwar\twar\nfight\twar\n");
    Object[] data = {"--train", corpus, "--dev", corpus, "--label-map", map, "--multi-label"};
    Run run = train("classifier", data);
    JsonNode dev = Run.JSON.readTree(run.out()).get("dev");
    assertEquals(1, dev.get("f1").doubleValue(), run.err());
    assertEquals(1, dev.get("accuracy").doubleValue());
    assertEquals(80, dev.get("items").intValue());
    assertTrue(run.err().contains("F1"), run.err());
    assertEquals(
        "multi_label",
        Run.JSON.readTree(out.resolve("config.json").toFile()).get("choice").textValue());
    assertTrue(Files.readString(out.resolve("README.md")).contains("any number of classes"));

    List<JsonNode> answers =
        Run.of("guns and paint\nguns\nnothing\n", "classify", "--model", out.toString()).answers();
    List<String> both = new ArrayList<>();
    answers.getFirst().get("predicted_values").forEach(each -> both.add(each.textValue()));
    assertEquals(Set.of("art", "war"), Set.copyOf(both));
    assertEquals("[\"war\"]", answers.get(1).get("predicted_values").toString());
    assertEquals("war", answers.get(1).get("predicted_value").textValue());
    assertEquals("[]", answers.get(2).get("predicted_values").toString());
    assertEquals(2, answers.get(2).get("top_classes").size());

    Path other = write("other.tsv", "war\tpaint and guns\nart|war\tguns\n\tnothing\n");
    Run evaluated = Run.of("", "evaluate", "--model", out.toString(), "--data", other.toString());
    JsonNode scores = Run.JSON.readTree(evaluated.out());
    assertEquals(1 / 3.0, scores.get("accuracy").doubleValue(), 1e-9, evaluated.err());
    assertEquals(2 / 3.0, scores.get("f1").doubleValue(), 1e-9);
  }

  @Test
  void readsEncodersAndVectorsThatAreThere() throws IOException {
    Path corpus = parts();
    Path vectors = write("vectors.txt", "red 1 0\ndogs 0 1\nrun 1 1\n");
    Run run =
        train(
            "tagger",
            "--train",
            corpus,
            "--dev",
            corpus,
            "--encoder",
            "lanewise-mini-en",
            "--encoder-layers",
            "0,4",
            "--static",
            vectors,
            "--epochs=3");
    assertTrue(Run.JSON.readTree(run.out()).get("dev_score").doubleValue() > 0.9, run.err());
    JsonNode inputs = Run.JSON.readTree(out.resolve("config.json").toFile()).get("inputs");
    assertEquals("static_vectors", inputs.get(2).get("kind").textValue());
    assertEquals("lanewise-mini-en", inputs.get(3).get("model").textValue());
    assertEquals(4, inputs.get(4).get("layer").intValue());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "tagger --train F --dev F|line 1 of [F] has no tag",
        "tagger --train none --dev none|[none] does not exist",
        "classifier --train F --dev F|line 1 of [F] has no text",
        "tagger --train G --dev G --head mean|--head is [mean], expected softmax or crf",
        "tagger --train G --dev G --crop 3-5|[crop] is for classifiers",
        "tagger --train G --dev G --crop 5|--crop is [5]",
        "tagger --train G --dev G --epochs 0|[epochs] is 0, expected 1 to 10000",
        "tagger --train G --dev G --word-size 0 --character-size 0|would read nothing",
        "tagger --train G --dev G --encoder lanewise-mini-en --encoder-layers 9|0 to 4",
        "tagger --train G --dev G --backend cuda|cuda",
        "tagger --train G --dev G --cell rnn|--cell",
        "tagger --train H --dev G|the training data mark spans",
        "tagger --train H --dev H --incomplete H|--incomplete is [H], expected a file, =",
        "tagger --train H --dev H --incomplete H=X,|--incomplete is [H=X,], expected a file, =",
        "tagger --train H --dev H --incomplete G=X|the file [G], expected one of --train, [H]",
        "tagger --train H --dev H --incomplete H=Y|of the classes [Y], which no other text has",
        "tagger --train H --dev H --incomplete H=X --head softmax|[head] must be TAG_CRF",
        "classifier --train G --dev G --incomplete G=X|Unknown option",
        "tagger --train G --dev G --multi-label|[multi-label] is for classifiers",
        "tagger --train G|--dev",
        "--train G|Unknown option",
        "''|expected tagger or classifier"
      })
  void whatIsWrongIsOneLine(String arguments, String message) throws IOException {
    Path bad = write("bad.tsv", "a\t\nb\n");
    Path good = write("good.tsv", "a\tX\nb\tY\n");
    Path spans = write("spans.tsv", "a\tB-X\nb\tO\n");
    Map<String, Path> files = Map.of("F", bad, "G", good, "H", spans);
    List<String> all = new ArrayList<>(List.of("train"));
    for (String argument : arguments.split(" ", -1)) {
      if (!argument.isEmpty()) {
        all.add(located(argument, files));
      }
    }
    if (!arguments.isEmpty()) {
      all.add("--out=" + out);
    }
    Run run = Run.of("", all.toArray(String[]::new));
    String expected = message;
    for (String name : files.keySet()) {
      expected = expected.replace("[" + name, "[" + files.get(name));
    }
    assertTrue(run.complaint().contains(expected), run.err());
    assertEquals("", run.out());
    assertFalse(Files.exists(out.resolve("config.json")));
  }

  /** Returns the argument with the path of the file whose name it is, or begins with before =. */
  private static String located(String argument, Map<String, Path> files) {
    int sign = argument.indexOf('=');
    String name = sign < 0 ? argument : argument.substring(0, sign);
    Path file = files.get(name);
    return file == null ? argument : file + argument.substring(name.length());
  }

  @Test
  void aModelIsReplacedOnlyWhenThatIsAsked() throws IOException {
    Path corpus = parts();
    train("tagger", "--train", corpus, "--dev", corpus, "--epochs=1");
    byte[] before = Files.readAllBytes(out.resolve("model.safetensors"));
    Run refused = run("tagger", "--train", corpus, "--dev", corpus, "--epochs=1", "--seed=2");
    assertTrue(refused.complaint().contains("holds a model"), refused.err());
    train("tagger", "--train", corpus, "--dev", corpus, "--epochs=1", "--overwrite");
    assertEquals(-1, Arrays.mismatch(before, Files.readAllBytes(out.resolve("model.safetensors"))));
  }

  @Test
  void theLastOfAnOptionCounts() throws IOException {
    Path corpus = parts();
    Run run = train("tagger", "--train", corpus, "--dev", corpus, "--epochs=1", "--epochs=2");
    assertEquals(2, Run.JSON.readTree(run.out()).get("epochs").intValue());
  }

  private Run train(String kind, Object... arguments) {
    Run run = run(kind, arguments);
    assertEquals(0, run.code(), run::err);
    assertEquals(1, run.out().lines().count(), run::out);
    return run;
  }

  private Run run(String kind, Object... arguments) {
    List<String> all = new ArrayList<>(List.of("train", kind, "--out", out.toString()));
    List<String> given = Arrays.stream(arguments).map(Object::toString).toList();
    for (String option : SMALL) {
      String name = option.substring(0, option.indexOf('='));
      if (given.stream().noneMatch(each -> each.startsWith(name + "="))) {
        all.add(option);
      }
    }
    all.addAll(given);
    return Run.of("", all.toArray(String[]::new));
  }

  /** Texts whose words say what they are. */
  private Path parts() throws IOException {
    List<String> adjectives = List.of("red", "big", "old");
    List<String> nouns = List.of("dogs", "cats", "trees");
    List<String> verbs = List.of("run", "sleep", "grow");
    StringBuilder lines = new StringBuilder();
    Random random = new Random(3);
    for (int i = 0; i < 40; i++) {
      lines.append(adjectives.get(random.nextInt(3))).append("\tADJ\n");
      lines.append(nouns.get(random.nextInt(3))).append("\tNOUN\n");
      lines.append(verbs.get(random.nextInt(3))).append("\tVERB\n\n");
    }
    return write("corpus.tsv", lines.toString());
  }

  private Path write(String name, String text) throws IOException {
    return Files.writeString(directory.resolve(name), text);
  }
}
