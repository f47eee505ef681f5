package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.head.ClassScores;
import org.lanewise.encoder.model.SequenceModelConfig.Head;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.encoder.model.SequenceModels;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/** Classifiers with random weights. */
@Tag("backend")
final class TextClassifierTest {
  private static final List<String> CLASSES = List.of("deu", "eng", "fra");

  @TempDir private Path directory;

  @ParameterizedTest
  @EnumSource(
      names = {"TAG_SOFTMAX", "TAG_CRF"},
      mode = EnumSource.Mode.EXCLUDE)
  void classesDependNeitherOnBackendNorOnCompanyNorOnThreads(Head head) throws IOException {
    List<String> texts = texts(40);
    for (SequenceModels.Model model :
        List.of(
            SequenceModels.ofCharacters(head, CLASSES, 1),
            SequenceModels.ofWords(RecurrentCell.LSTM, head, CLASSES, 2))) {
      write(model);
      EmbedderOptions defaults = EmbedderOptions.defaults();
      List<ClassScores> expected = classify(defaults.withBackend("scalar"), texts);
      for (ClassScores scores : expected) {
        assertEquals(CLASSES, scores.classes());
        assertEquals(1, Arrays.stream(scores.probabilities()).sum(), 1e-9);
      }
      assertSame(expected, classify(defaults.withThreads(3).withBatchTokens(100), texts));
      assertSame(expected, classify(defaults.withThreads(1), texts));
      try (TextClassifier classifier = open(defaults)) {
        for (int i = 0; i < texts.size(); i++) {
          assertSame(expected.subList(i, i + 1), classifier.classify(List.of(texts.get(i))));
        }
      }
    }
  }

  @Test
  void textsWithoutWordsGetWhatTheBiasSays() throws IOException {
    SequenceModels.Model model =
        SequenceModels.ofWords(RecurrentCell.LSTM, Head.CLASS_MEAN, CLASSES, 3);
    write(model);
    Tensor bias = model.weights().get("head.b");
    double[] expected = IntStream.range(0, 3).mapToDouble(i -> Math.exp(bias.get(i))).toArray();
    double sum = Arrays.stream(expected).sum();
    Arrays.setAll(expected, i -> expected[i] / sum);
    try (TextClassifier classifier = open(EmbedderOptions.defaults())) {
      List<ClassScores> found = classifier.classify(List.of("", " \n", "in"));
      assertArrayEquals(expected, found.get(0).probabilities(), 1e-6);
      assertArrayEquals(expected, found.get(1).probabilities(), 1e-6);
      assertTrue(Math.abs(expected[0] - found.get(2).probabilities()[0]) > 1e-6);
    }
  }

  @Test
  void longTextsAreTheMeanOfTheirParts() throws IOException {
    write(SequenceModels.ofCharacters(Head.CLASS_LAST, CLASSES, 4));
    String text = String.join(" ", texts(200));
    int units = 2048 + 1000;
    String read = text.substring(0, units);
    try (TextClassifier classifier = open(EmbedderOptions.defaults())) {
      ClassScores found = classifier.classify(List.of(read)).getFirst();
      List<ClassScores> parts =
          classifier.classify(List.of(read.substring(0, units / 2), read.substring(units / 2)));
      double[] product = new double[3];
      for (int i = 0; i < 3; i++) {
        product[i] = Math.sqrt(parts.get(0).probabilities()[i] * parts.get(1).probabilities()[i]);
      }
      double sum = Arrays.stream(product).sum();
      for (int i = 0; i < 3; i++) {
        assertEquals(product[i] / sum, found.probabilities()[i], 1e-6);
      }
    }
  }

  @Test
  void anyNumberOfClassesAreJudgedOneByOne() throws IOException {
    SequenceModels.Model model = SequenceModels.ofCharacters(Head.CLASS_MAX, CLASSES, 8);
    List<String> texts = texts(30);
    write(model);
    List<ClassScores> softmax = classify(EmbedderOptions.defaults(), texts);
    write(model.multiLabel());
    List<ClassScores> sigmoid = classify(EmbedderOptions.defaults(), texts);
    for (int i = 0; i < texts.size(); i++) {
      double[] probabilities = sigmoid.get(i).probabilities();
      List<String> expected =
          IntStream.range(0, 3)
              .filter(j -> probabilities[j] >= 0.5)
              .mapToObj(CLASSES::get)
              .toList();
      assertEquals(
          Set.copyOf(expected),
          sigmoid.get(i).chosen().stream()
              .map(ClassScores.ClassScore::name)
              .collect(Collectors.toSet()));
      assertEquals(1, softmax.get(i).chosen().size());
      double odds = probabilities[0] / (1 - probabilities[0]);
      assertEquals(sigmoid.get(i).logits()[0], Math.log(odds), 1e-6);
    }
    String text = "ab".repeat(1600);
    String half = text.substring(0, 1600);
    assertArrayEquals(
        classify(EmbedderOptions.defaults(), List.of(half)).getFirst().probabilities(),
        classify(EmbedderOptions.defaults(), List.of(text)).getFirst().probabilities(),
        1e-6,
        "the mean of two equal parts");
  }

  @Test
  void refusesWhatIsNoClassifier() throws IOException {
    write(SequenceModels.ofWords(RecurrentCell.LSTM, Head.TAG_SOFTMAX, CLASSES, 5));
    ModelException refused =
        assertThrows(ModelException.class, () -> open(EmbedderOptions.defaults()));
    assertTrue(
        refused
            .getMessage()
            .contains("it holds a [lanewise_tagger], expected a [lanewise_classifier]"),
        refused.getMessage());
  }

  @Test
  void closedClassifiersSaySo() throws IOException {
    write(SequenceModels.ofCharacters(Head.CLASS_MAX, CLASSES, 6));
    TextClassifier classifier = open(EmbedderOptions.defaults());
    assertEquals(CLASSES, classifier.labels());
    classifier.close();
    assertThrows(IllegalStateException.class, () -> classifier.classify(List.of("text")));
  }

  private void write(SequenceModels.Model model) throws IOException {
    SequenceModelDirectory.write(
        directory, model.config(), model.vocabularies(), model.weights(), DataType.F32);
  }

  private TextClassifier open(EmbedderOptions options) {
    return TextClassifier.open(directory, options, TextTaggerTest::noEncoder);
  }

  private List<ClassScores> classify(EmbedderOptions options, List<String> texts) {
    try (TextClassifier classifier = open(options)) {
      return classifier.classify(texts);
    }
  }

  private static void assertSame(List<ClassScores> expected, List<ClassScores> found) {
    assertEquals(expected.size(), found.size());
    for (int i = 0; i < expected.size(); i++) {
      assertArrayEquals(expected.get(i).probabilities(), found.get(i).probabilities(), 1e-4);
    }
  }

  private static List<String> texts(int count) {
    Random random = new Random(7);
    return IntStream.range(0, count)
        .mapToObj(
            i ->
                random
                    .ints(i % 11 == 10 ? 3000 : random.nextInt(60), 0, 60)
                    .mapToObj(SequenceModels.CHARACTERS::get)
                    .collect(Collectors.joining()))
        .toList();
  }
}
