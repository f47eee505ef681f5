package org.lanewise.encoder.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.TextClassifier;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TextTagger;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.backend.TrainingBackend;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.head.ClassScores;
import org.lanewise.encoder.model.SequenceInputs;
import org.lanewise.encoder.model.SequenceModelConfig.Head;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.encoder.model.SequenceModels;
import org.lanewise.encoder.tokenizer.WordSegmenter;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Weights;

/**
 * The loss of a model in training is that of the probabilities which it gives in use, so both
 * compute the same network.
 */
@Tag("backend")
final class TrainedAsUsedTest {
  private static final List<String> LABELS = List.of("NOUN", "VERB", "X");

  @TempDir private Path directory;

  @ParameterizedTest
  @EnumSource(Head.class)
  void theLossIsThatOfTheProbabilities(Head head) throws IOException {
    for (RecurrentCell cell : RecurrentCell.values()) {
      SequenceModels.Model model = SequenceModels.ofWords(cell, head, LABELS, 3);
      SequenceModelDirectory.write(
          directory, model.config(), model.vocabularies(), model.weights(), DataType.F32);
      // The marginal of a text of one word is the probability of its path.
      List<String> texts = texts(head == Head.TAG_CRF ? 1 : 12);
      double[] expected = new double[1];
      int[] labels = model.config().tagger() ? tag(texts, expected) : classify(texts, expected);
      SequenceInputs inputs = new SequenceInputs(model.config(), model.vocabularies(), null);
      List<Integer> rows = model.vocabularies().stream().map(words -> words.size() + 1).toList();
      try (Workers workers = new Workers(2);
          TrainableModel trained = new TrainableModel(backend(workers), model.config(), rows, 1)) {
        trained.load(Weights.of(model.weights()));
        double loss =
            trained.accumulate(
                inputs.read(texts.stream().map(WordSegmenter::words).toList()),
                Arrays.stream(labels).mapToObj(label -> new int[] {label}).toArray(int[][]::new),
                TrainableModel.Dropout.NONE,
                new Random(1));
        assertEquals(expected[0], loss, 1e-4 * (1 + expected[0]), cell + " " + head);
        assertTrue(loss > 0.01, "a loss of " + loss + " tells nothing");
      }
    }
  }

  @Test
  void theLossOfAnyNumberOfClassesIsThatOfTheirProbabilities() throws IOException {
    SequenceModels.Model model =
        SequenceModels.ofWords(RecurrentCell.LSTM, Head.CLASS_MAX, LABELS, 3).multiLabel();
    SequenceModelDirectory.write(
        directory, model.config(), model.vocabularies(), model.weights(), DataType.F32);
    List<String> texts = texts(12);
    int[][] sets = {{}, {1}, {0, 2}};
    double expected = 0;
    try (TextClassifier classifier =
        TextClassifier.open(directory, options(), TrainedAsUsedTest::noEncoder)) {
      List<ClassScores> scores = classifier.classify(texts);
      for (int i = 0; i < texts.size(); i++) {
        double[] probabilities = scores.get(i).probabilities();
        double all = 1;
        for (double probability : probabilities) {
          all *= 1 - probability;
        }
        for (int label : sets[i % 3]) {
          all *= probabilities[label] / (1 - probabilities[label]);
        }
        expected -= Math.log(all);
      }
    }
    SequenceInputs inputs = new SequenceInputs(model.config(), model.vocabularies(), null);
    List<Integer> rows = model.vocabularies().stream().map(words -> words.size() + 1).toList();
    try (Workers workers = new Workers(2);
        TrainableModel trained = new TrainableModel(backend(workers), model.config(), rows, 1)) {
      trained.load(Weights.of(model.weights()));
      double loss =
          trained.accumulate(
              inputs.read(texts.stream().map(WordSegmenter::words).toList()),
              IntStream.range(0, texts.size()).mapToObj(i -> sets[i % 3]).toArray(int[][]::new),
              TrainableModel.Dropout.NONE,
              new Random(1));
      assertEquals(expected, loss, 1e-4 * (1 + expected));
    }
  }

  /** Returns the labels of all words and adds what they are worth to the loss. */
  private int[] tag(List<String> texts, double[] loss) {
    try (TextTagger tagger = TextTagger.open(directory, options(), TrainedAsUsedTest::noEncoder)) {
      List<TextTagger.Entity> words = tagger.tag(texts).stream().flatMap(List::stream).toList();
      words.forEach(word -> loss[0] -= Math.log(word.probability()));
      return words.stream().mapToInt(word -> LABELS.indexOf(word.label())).toArray();
    }
  }

  private int[] classify(List<String> texts, double[] loss) {
    try (TextClassifier classifier =
        TextClassifier.open(directory, options(), TrainedAsUsedTest::noEncoder)) {
      List<ClassScores> scores = classifier.classify(texts);
      int[] labels = IntStream.range(0, texts.size()).map(i -> i % LABELS.size()).toArray();
      for (int i = 0; i < labels.length; i++) {
        loss[0] -= Math.log(scores.get(i).probabilities()[labels[i]]);
      }
      return labels;
    }
  }

  private static List<String> texts(int mostWords) {
    Random random = new Random(5);
    return IntStream.range(0, 20)
        .mapToObj(
            i ->
                IntStream.rangeClosed(0, i % mostWords)
                    .mapToObj(
                        word -> SequenceModels.WORDS.get(random.nextInt(5)) + "x".repeat(i % 3))
                    .collect(Collectors.joining(" ")))
        .toList();
  }

  private static EmbedderOptions options() {
    return EmbedderOptions.defaults().withThreads(2);
  }

  private static TrainingBackend backend(Workers workers) {
    return (TrainingBackend)
        Backends.create(options().backend(), Optional.of(Precision.FP32), workers);
  }

  private static TextEmbedder noEncoder(String id) {
    throw new ModelException("no encoder [" + id + "]");
  }
}
