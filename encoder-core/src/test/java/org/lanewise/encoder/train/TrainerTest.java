package org.lanewise.encoder.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.TextClassifier;
import org.lanewise.encoder.TextTagger;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.backend.TrainingBackend;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.head.ClassScores;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.model.SequenceModelConfig.Head;
import org.lanewise.encoder.model.SequenceModelConfig.Unit;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.tokenizer.WordSegmenter;
import org.lanewise.encoder.weights.DataType;

/** The training loop: its end, its checkpoints, and what it refuses. */
class TrainerTest {
  private static final List<String> WORDS = List.of("red", "green", "blue", "cat", "dog", "runs");

  /** Gives each epoch its score, and an error where there is none. */
  private static final class Scores implements Trainer.Judge {
    private final double[] scores;
    private int next;

    Scores(int from, double... scores) {
      this.scores = scores;
      next = from;
    }

    @Override
    public Trainer.Judgement judge(Path model) {
      if (next == scores.length) {
        throw new IllegalStateException("killed");
      }
      double score = scores[next++];
      return new Trainer.Judgement(score, JsonNodeFactory.instance.objectNode().put("f1", score));
    }
  }

  private static final class Silence implements Progress {
    private final List<Integer> epochs = new ArrayList<>();
    private int resumedAfter;
    private int batches;

    @Override
    public void resumed(Epoch last) {
      resumedAfter = last.number();
    }

    @Override
    public void batch(
        int epoch, double loss, double share, double wordsPerSecond, double secondsLeft) {
      batches++;
    }

    @Override
    public void epoch(Epoch epoch, boolean best) {
      epochs.add(epoch.number());
    }
  }

  /** The last epoch is the best. */
  private static Trainer.Judge rising() {
    double[] scores = IntStream.range(0, 20).asDoubleStream().toArray();
    return new Scores(0, scores);
  }

  @TempDir private Path parent;

  @Test
  void aTrainingThatWasKilledEndsWithTheSameBits() throws IOException {
    double[] scores = {0.1, 0.3, 0.2, 0.4};
    Path whole = train("whole", options(4, 9), new Scores(0, scores), 1, new Silence());

    Scores killed = new Scores(0, 0.1, 0.3);
    assertThrows(
        IllegalStateException.class, () -> train("parts", options(4, 9), killed, 2, new Silence()));
    Silence progress = new Silence();
    Path parts = train("parts", options(4, 9), new Scores(2, scores), 2, progress);

    assertEquals(2, progress.resumedAfter);
    assertEquals(List.of(3, 4), progress.epochs);
    assertArrayEquals(
        Files.readAllBytes(whole.resolve("model.safetensors")),
        Files.readAllBytes(parts.resolve("model.safetensors")));
    Path state = Path.of("epoch-4", "state.safetensors");
    assertEquals(
        -1,
        Files.mismatch(whole.resolveSibling(state), parts.resolveSibling(state)),
        "weights in full precision, and moments");
  }

  @Test
  void aTrainingThatHasEndedIsNotBegunAgain() throws IOException {
    Path first = train("out", options(2, 9), new Scores(0, 0.2, 0.1), 1, new Silence());
    Silence progress = new Silence();
    assertEquals(first, train("out", options(2, 9), new Scores(0), 1, progress));
    assertEquals(0, progress.batches);
    assertEquals("model-1", first.getFileName().toString());
  }

  @Test
  void endsWhenTheScoreDoesNotRiseAnyMore() throws IOException {
    Silence progress = new Silence();
    Path model =
        train(
            "out", options(9, 3), new Scores(0, 0.1, 0.5, 0.4, 0.5, 0.3, 1, 1, 1, 1), 1, progress);
    assertEquals(List.of(1, 2, 3, 4, 5), progress.epochs);
    assertEquals("model-2", model.getFileName().toString(), "the first of the equally good ones");
    var report = new ObjectMapper().readTree(model.resolve("training.json").toFile());
    assertEquals(0.5, report.get("dev_score").doubleValue());
    assertEquals(0.5, report.get("dev").get("f1").doubleValue());
    assertEquals(5, report.get("epochs").size());
    assertEquals(2, report.get("best_epoch").intValue());
    assertEquals("train", report.get("data").get(0).get("use").textValue());
  }

  @Test
  void theCheckpointOfAnotherTrainingIsRefused() throws IOException {
    train("out", options(2, 9), new Scores(0, 0.2, 0.3), 1, new Silence());
    assertEquals(
        "the checkpoint ["
            + parent.resolve("out/checkpoint/epoch-2")
            + "] is from another training: [schedule.epochs] was 2 and is 3; give the same options"
            + " and data, or delete it to begin anew",
        assertThrows(
                IllegalArgumentException.class,
                () -> train("out", options(3, 9), new Scores(0), 1, new Silence()))
            .getMessage());
    TrainingData other = data(examples(), "ff");
    Trainer trainer = new Trainer(backend(1), options(2, 9), other, new Scores(0), new Silence());
    TrainingDirectory directory = TrainingDirectory.open(parent.resolve("out"), false);
    Exception e = assertThrows(IllegalArgumentException.class, () -> trainer.train(directory));
    assertTrue(e.getMessage().contains("[data file 1, train] was 00 and is ff"), e.getMessage());
  }

  @Test
  void dataThatDoNotFitAreRefused() {
    Example text = example("red cat", "ADJ", "NOUN");
    Example short1 = new Example(text.text(), List.of("ADJ"));
    assertRefused(List.of(text, short1), "text [red cat] has 1 labels, expected 2");
    assertRefused(List.of(), "the training data have the labels [] in 0 texts");
    assertRefused(
        List.of(example("a", "B-X"), example("b c", "B-X", "E-X"), example("d", "O")),
        "text [a] has the labels [B-X], which break their scheme");
    assertRefused(List.of(example("red", "ADJ")), "the training data have the labels [ADJ]");
  }

  @Test
  void spansThatBeginWithInsideAreRewritten() throws IOException {
    List<Example> examples =
        List.of(example("a b c", "I-X", "I-X", "I-Y"), example("d", "O"), example("e", "B-X"));
    Path model =
        train("out", options(1, 1), new Scores(0, 1), 1, new Silence(), data(examples, "00"));
    List<String> labels = new ArrayList<>();
    new ObjectMapper()
        .readTree(model.resolve("config.json").toFile())
        .get("labels")
        .forEach(label -> labels.add(label.textValue()));
    assertEquals(List.of("B-X", "I-X", "B-Y", "O"), labels);
  }

  @Test
  void whatSomeTextsDoNotLabelIsLearnedFromTheOthers() throws IOException {
    assertEquals(List.of("B-X", "O", "O"), learned("as said", Set.of()));
    assertEquals(List.of("B-X", "O", "B-Y"), learned("as meant", Set.of("Y")));
  }

  /** Returns the labels of a text whose like has them, but for Y, after a training. */
  private List<String> learned(String name, Set<String> unlabelled) throws IOException {
    List<Example> examples = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      examples.add(example("ada saw oslo", "B-X", "O", "B-Y"));
      Example silent = example("ada likes oslo", "B-X", "O", "O");
      examples.add(new Example(silent.text(), silent.labels(), unlabelled));
    }
    Path model = train(name, options(20, 20), rising(), 1, new Silence(), data(examples, "00"));
    try (TextTagger tagger = TextTagger.open(model, EmbedderOptions.defaults(), id -> null)) {
      return tagger.labels(List.of(examples.getLast().text())).getFirst();
    }
  }

  @Test
  void classesThatCannotBeUnlabelledAreRefused() {
    Example text = example("a b", "B-X", "O");
    Example lacks = new Example(text.text(), text.labels(), Set.of("X", "Z"));
    assertRefused(
        List.of(text, lacks),
        "texts lack the labels of the classes [Z], which no other text has either; there are [X]");
    Example plain = new Example(text.text(), List.of("NOUN", "VERB"), Set.of("NOUN"));
    assertRefused(List.of(plain), "label [NOUN] is not a span label");
    TrainingOptions defaults = TrainingOptions.tagger();
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                new Trainer(
                    backend(1),
                    defaults,
                    data(List.of(lacks), "00"),
                    new Scores(0),
                    new Silence()));
    assertEquals(
        "texts lack the labels of the classes [X, Z], for which [head] must be TAG_CRF, but it is"
            + " TAG_SOFTMAX",
        e.getMessage());
  }

  @Test
  void textsWithoutAClassTeachToo() throws IOException {
    List<Example> examples = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      SegmentedText text = WordSegmenter.words(i % 2 == 0 ? "red cat" : "blue dog");
      examples.add(new Example(text, i % 2 == 0 ? List.of("A") : List.of()));
    }
    TrainingOptions tagger = options(20, 20);
    TrainingOptions options =
        new TrainingOptions(
            tagger.unit(),
            tagger.inputs(),
            tagger.network(),
            Head.CLASS_MEAN,
            Choice.MULTI_LABEL,
            tagger.dropout(),
            tagger.schedule(),
            tagger.crop(),
            1,
            DataType.F32,
            7);
    Path model = train("out", options, rising(), 1, new Silence(), data(examples, "00"));
    try (TextClassifier classifier =
        TextClassifier.open(model, EmbedderOptions.defaults(), id -> null)) {
      List<ClassScores> scores = classifier.classify(List.of("red cat", "blue dog"));
      assertEquals("A", scores.get(0).chosen().getFirst().name());
      assertEquals(List.of(), scores.get(1).chosen());
    }
    List<Example> none = List.of(new Example(examples.getFirst().text(), List.of()));
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () -> new Trainer(backend(1), options, data(none, "00"), new Scores(0), new Silence()));
    assertTrue(e.getMessage().contains("expected at least 1 label"), e.getMessage());
  }

  @Test
  void divergenceSaysWhatMayHelp() {
    TrainingData data =
        new TrainingData(
            examples(),
            Optional.of(new StaticVectors(List.of("red"), 1, new float[] {Float.NaN})),
            Optional.empty(),
            List.of());
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () -> train("out", options(1, 1), new Scores(0, 1), 1, new Silence(), data));
    assertTrue(e.getMessage().contains("learning rate below 0.01"), e.getMessage());
  }

  private void assertRefused(List<Example> examples, String message) {
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                new Trainer(
                    backend(1), options(1, 1), data(examples, "00"), new Scores(0), new Silence()));
    assertTrue(e.getMessage().startsWith(message), e.getMessage());
  }

  private Path train(
      String name, TrainingOptions options, Trainer.Judge judge, int threads, Progress progress)
      throws IOException {
    return train(name, options, judge, threads, progress, data(examples(), "00"));
  }

  private Path train(
      String name,
      TrainingOptions options,
      Trainer.Judge judge,
      int threads,
      Progress progress,
      TrainingData data)
      throws IOException {
    TrainingDirectory directory = TrainingDirectory.open(parent.resolve(name), false);
    return new Trainer(backend(threads), options, data, judge, progress).train(directory).model();
  }

  private static TrainingBackend backend(int threads) {
    return (TrainingBackend)
        Backends.create("auto", Optional.of(Precision.FP32), new Workers(threads));
  }

  private static TrainingOptions options(int epochs, int patience) {
    return new TrainingOptions(
        Unit.WORD,
        new TrainingOptions.Inputs(8, false, 2, 4, 5),
        new TrainingOptions.Network(RecurrentCell.LSTM, 9, 2, true),
        Head.TAG_CRF,
        Choice.MULTI_CLASS,
        new TrainableModel.Dropout(0.2, 0.2, 0.2, 0.1),
        new TrainingOptions.Schedule(8, 100, epochs, patience, 0.01, 0.1, 0.01, 5, 0.9),
        TrainingOptions.Crop.NONE,
        1,
        DataType.F16,
        7);
  }

  private static TrainingData data(List<Example> examples, String digest) {
    return new TrainingData(
        examples,
        Optional.empty(),
        Optional.empty(),
        List.of(new TrainingData.Source("train", "a.tsv", digest)));
  }

  private static List<Example> examples() {
    Random random = new Random(3);
    List<Example> examples = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      List<String> words = new ArrayList<>();
      List<String> tags = new ArrayList<>();
      int length = 1 + random.nextInt(12);
      for (int word = 0; word < length; word++) {
        int chosen = random.nextInt(WORDS.size());
        words.add(WORDS.get(chosen));
        tags.add(chosen < 3 ? "ADJ" : chosen < 5 ? "NOUN" : "VERB");
      }
      examples.add(example(String.join(" ", words), tags.toArray(String[]::new)));
    }
    return examples;
  }

  private static Example example(String text, String... labels) {
    int[] starts = new int[labels.length];
    int[] ends = new int[labels.length];
    int at = 0;
    for (int i = 0; i < labels.length; i++) {
      starts[i] = at;
      int space = text.indexOf(' ', at);
      ends[i] = space < 0 ? text.length() : space;
      at = ends[i] + 1;
    }
    return new Example(new SegmentedText(text, starts, ends), List.of(labels));
  }
}
