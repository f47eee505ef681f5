package org.lanewise.encoder.head;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.lanewise.encoder.GoldenTensors;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.weights.Weights;

/** Classifiers and the tagging layer against the goldens, on the backend that is asked for. */
@Tag("backend")
final class HeadGoldenTest {
  private static final String BACKEND = System.getProperty("lanewise.backend", "auto");
  private static final double TOLERANCE = 1e-5;

  static List<String> files() {
    return GoldenTensors.names("recurrent/heads", 6);
  }

  @ParameterizedTest
  @MethodSource("files")
  void goldensAreMet(String name) {
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(1)) {
      Opened opened = Opened.open(name, arena, workers);
      GoldenTensors golden = opened.golden;
      if (name.contains("tagging")) {
        TaggingHead head = opened.tagging(Optional.empty());
        float[] emissions = head.emissions(opened.backend, arena, opened.states);
        golden.compare("logits", golden.packed("logits"), doubles(emissions), TOLERANCE);
        double[] probabilities = head.probabilities(emissions, golden.sequenceStarts());
        golden.compare("probabilities", golden.packed("probabilities"), probabilities, TOLERANCE);
      } else {
        SequencePooling pooling = opened.pooling(name);
        double[][] pooled = pooling.pool(opened.backend, arena, opened.states, opened.batch);
        golden.compare("pooled", golden.numbers("pooled"), flat(pooled), TOLERANCE);
        if (pooling instanceof AttentionPooling attention) {
          double[] weights =
              attention.attention(opened.backend, arena, opened.states, opened.batch);
          golden.compare("attention", golden.packed("attention"), weights, TOLERANCE);
        }
        List<ClassScores> scores = opened.classify(pooling, Choice.MULTI_CLASS);
        double[][] logits = scores.stream().map(ClassScores::logits).toArray(double[][]::new);
        golden.compare("logits", golden.numbers("logits"), flat(logits), TOLERANCE);
        double[][] probabilities =
            scores.stream().map(ClassScores::probabilities).toArray(double[][]::new);
        golden.compare(
            "probabilities", golden.numbers("probabilities"), flat(probabilities), TOLERANCE);
      }
      golden.print();
    }
  }

  @Test
  void manyLabelsAreJudgedOneByOne() {
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(1)) {
      Opened opened = Opened.open("recurrent/heads/head_mean.safetensors", arena, workers);
      ClassScores scores =
          opened
              .classify(new SequencePooling.Reduction(PoolingMode.MEAN), Choice.MULTI_LABEL)
              .getFirst();
      double[] logits = opened.golden.numbers("logits");
      for (int i = 0; i < scores.classes().size(); i++) {
        assertEquals(1 / (1 + Math.exp(-logits[i])), scores.probabilities()[i], TOLERANCE);
      }
      // The logits of the first sequence are -1.35, -0.32, 0.80, 0.54, 0.07.
      assertEquals(
          List.of("class 2", "class 3", "class 4"),
          scores.top(3).stream().map(ClassScores.ClassScore::name).toList());
      assertEquals(5, scores.top(-1).size());
    }
  }

  @Test
  void labelsCarryTheirProbabilities() {
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(1)) {
      Opened opened = Opened.open("recurrent/heads/head_tagging.safetensors", arena, workers);
      int[] starts = opened.golden.sequenceStarts();
      double[] probabilities = opened.golden.packed("probabilities");
      TaggingHead head = opened.tagging(Optional.empty());
      refused("[emissions] has 4 numbers", () -> head.label(new float[4], new int[] {0, 1}));
      float[] emissions = head.emissions(opened.backend, arena, opened.states);
      TaggingHead.TokenLabels tokens = head.label(emissions, starts);
      for (int token = 0; token < tokens.labels().length; token++) {
        double[] row = Arrays.copyOfRange(probabilities, token * 3, token * 3 + 3);
        assertEquals(Arrays.stream(row).max().orElseThrow(), row[tokens.labels()[token]]);
        assertEquals(row[tokens.labels()[token]], tokens.scores()[token], TOLERANCE);
      }
      // A field whose transitions are all 0 is the softmax of every token.
      LinearChainCrf zeros = new LinearChainCrf(LinearChainCrfTest.zeros(3), 3);
      TaggingHead.TokenLabels path = opened.tagging(Optional.of(zeros)).label(emissions, starts);
      assertArrayEquals(tokens.labels(), path.labels());
      assertArrayEquals(tokens.scores(), path.scores(), 1e-12);
    }
  }

  @Test
  void wrongShapesAreNamed() {
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(1)) {
      Opened opened =
          Opened.open("recurrent/heads/head_attention_additive.safetensors", arena, workers);
      Weights weights = opened.golden.parameters(arena);
      refused(
          "weight [param.att.W] has shape [7, 6], expected [rows, 5]",
          () -> AttentionPooling.additive(opened.backend, arena, weights.in("att"), 5));
      refused("weight [param.att.u] is missing", () -> AttentionPooling.dot(weights.in("att"), 6));
      SequencePooling mean = new SequencePooling.Reduction(PoolingMode.MEAN);
      refused(
          "weight [param.out.W] has shape [5, 6], expected [2, 6]",
          () ->
              new SequenceClassifier(
                  weights.in("out"), mean, Choice.MULTI_CLASS, List.of("a", "b"), 6));
      refused(
          "classes are [a, a]",
          () ->
              new SequenceClassifier(
                  weights.in("out"), mean, Choice.MULTI_CLASS, List.of("a", "a"), 6));
    }
  }

  @Test
  void lastStatesAreThoseThatEachDirectionEndsWith() {
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(1)) {
      Backend backend = Backends.create(BACKEND, Optional.of(Precision.FP32), workers);
      Matrix states = backend.allocate(arena, 3, 4);
      for (int token = 0; token < 3; token++) {
        backend.write(new float[] {token, token + 10, token + 20, token + 30}, states, token, 0);
      }
      int[] none = new int[3];
      PackedBatch batch = new PackedBatch(none, none, none, new int[] {0, 1, 3}, new int[] {0, 1});
      assertArrayEquals(
          new double[][] {{0, 10, 20, 30}, {2, 12, 21, 31}},
          new SequencePooling.LastStates(2).pool(backend, arena, states, batch));
      assertArrayEquals(
          new double[][] {{0, 10, 20, 30}, {2, 12, 22, 32}},
          new SequencePooling.LastStates(1).pool(backend, arena, states, batch));
    }
  }

  private static void refused(String words, Runnable call) {
    String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
    assertTrue(message.contains(words), message);
  }

  private static double[] flat(double[][] rows) {
    return Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray();
  }

  private static double[] doubles(float[] numbers) {
    return IntStream.range(0, numbers.length).mapToDouble(i -> numbers[i]).toArray();
  }

  /** A golden with its states packed in the backend's memory. */
  private record Opened(
      GoldenTensors golden, Backend backend, Arena arena, Matrix states, PackedBatch batch) {
    static Opened open(String name, Arena arena, Workers workers) {
      GoldenTensors golden = GoldenTensors.open(name);
      Backend backend = Backends.create(BACKEND, Optional.of(Precision.FP32), workers);
      int[] starts = golden.sequenceStarts();
      int tokens = starts[starts.length - 1];
      int[] none = new int[tokens];
      int[] pooled = Arrays.copyOf(starts, starts.length - 1);
      PackedBatch batch = new PackedBatch(none, none, none, starts, pooled);
      Matrix states = backend.allocate(arena, tokens, golden.size("states", 2));
      float[] numbers = GoldenTensors.floats(golden.packed("states"));
      for (int i = 0; i < numbers.length; i++) {
        long at = (long) (i / states.columns()) * states.stride() + i % states.columns();
        states.data().setAtIndex(ValueLayout.JAVA_FLOAT, at, numbers[i]);
      }
      return new Opened(golden, backend, arena, states, batch);
    }

    SequencePooling pooling(String name) {
      Weights weights = golden.parameters(arena).in("att");
      return switch (name) {
        case "recurrent/heads/head_last.safetensors" ->
            new SequencePooling.Reduction(PoolingMode.LAST_TOKEN);
        case "recurrent/heads/head_mean.safetensors" ->
            new SequencePooling.Reduction(PoolingMode.MEAN);
        case "recurrent/heads/head_max.safetensors" ->
            new SequencePooling.Reduction(PoolingMode.MAX);
        case "recurrent/heads/head_attention_additive.safetensors" ->
            AttentionPooling.additive(backend, arena, weights, states.columns());
        case "recurrent/heads/head_attention_dot.safetensors" ->
            AttentionPooling.dot(weights, states.columns());
        default -> throw new IllegalArgumentException("no pooling for golden [" + name + "]");
      };
    }

    List<ClassScores> classify(SequencePooling pooling, Choice choice) {
      List<String> classes =
          IntStream.range(0, golden.size("param.out.b", 0)).mapToObj(i -> "class " + i).toList();
      return new SequenceClassifier(
              golden.parameters(arena).in("out"), pooling, choice, classes, states.columns())
          .forward(backend, arena, states, batch);
    }

    TaggingHead tagging(Optional<LinearChainCrf> crf) {
      return new TaggingHead(
          backend,
          arena,
          golden.parameters(arena).in("out"),
          golden.size("param.out.b", 0),
          states.columns(),
          crf);
    }
  }
}
