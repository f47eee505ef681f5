package org.lanewise.encoder.head;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.lanewise.encoder.GoldenTensors;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/** The field against the goldens, and against the enumeration of all paths. */
final class LinearChainCrfTest {
  private static final long SEED = Long.getLong("lanewise.seed", System.nanoTime());
  private static final double TOLERANCE = 1e-10;
  private static final List<String> BIO = List.of("O", "B-A", "I-A", "B-B", "I-B");
  private static final List<String> BIOES = List.of("E-A", "S-B", "O", "B-A", "I-A");

  static List<String> files() {
    return GoldenTensors.names("recurrent/crf", 3);
  }

  @ParameterizedTest
  @MethodSource("files")
  void goldensAreMet(String name) {
    GoldenTensors golden = GoldenTensors.open(name);
    try (Arena arena = Arena.ofConfined()) {
      Weights weights = golden.parameters(arena);
      LinearChainCrf crf = new LinearChainCrf(weights, golden.size("param.start", 0));
      float[] emissions = GoldenTensors.floats(golden.packed("param.emissions"));
      int[] starts = golden.sequenceStarts();
      golden.compare(
          "log_partition",
          golden.numbers("log_partition"),
          crf.logPartition(emissions, starts),
          TOLERANCE);
      golden.compare(
          "gold_score",
          golden.numbers("gold_score"),
          crf.pathScore(emissions, starts, integers(golden.packed("labels"))),
          TOLERANCE);
      LinearChainCrf.Paths best = crf.viterbi(emissions, starts);
      assertArrayEquals(integers(golden.packed("viterbi_path")), best.labels(), name);
      golden.compare("viterbi_score", golden.numbers("viterbi_score"), best.scores(), TOLERANCE);
      golden.compare(
          "marginals", golden.packed("marginals"), crf.marginals(emissions, starts), TOLERANCE);
      LinearChainCrf.Gradient gradient =
          crf.gradient(emissions, starts, integers(golden.packed("labels")));
      golden.compare("loss", golden.numbers("loss"), new double[] {gradient.loss()}, TOLERANCE);
      golden.compare(
          "grad.emissions", golden.packed("grad.emissions"), gradient.emissions(), TOLERANCE);
      golden.compare("grad.start", golden.numbers("grad.start"), gradient.start(), TOLERANCE);
      golden.compare(
          "grad.transitions",
          golden.numbers("grad.transitions"),
          gradient.transitions(),
          TOLERANCE);
      golden.compare("grad.end", golden.numbers("grad.end"), gradient.end(), TOLERANCE);
    }
    golden.print();
  }

  private static int[] integers(double[] numbers) {
    return Arrays.stream(numbers).mapToInt(each -> (int) each).toArray();
  }

  @Test
  void agreesWithTheEnumerationOfAllPaths() {
    System.out.println("LinearChainCrfTest: repeat with -Dlanewise.seed=" + SEED);
    Random random = new Random(SEED);
    for (int round = 0; round < 60; round++) {
      int labels = 1 + random.nextInt(4);
      Case field = Case.random(random, labels, round % 3 == 0 ? -10_000 : 0);
      field.check(field.crf(), new boolean[0][], "-Dlanewise.seed=" + SEED + ", round " + round);
    }
  }

  @Test
  void constrainedAgreesWithTheEnumerationOfTheAllowedPaths() {
    Random random = new Random(SEED);
    for (int round = 0; round < 30; round++) {
      boolean bio = round % 2 == 0;
      LabelConstraints allowed = bio ? LabelConstraints.bio(BIO) : LabelConstraints.bioes(BIOES);
      Case field = Case.random(random, 5, 0);
      boolean[][] mask =
          new boolean[][] {allowed.start(), flat(allowed.transitions()), allowed.end()};
      field.check(
          field.crf().constrained(allowed), mask, "-Dlanewise.seed=" + SEED + ", round " + round);
    }
  }

  @Test
  void theLossOfSetsOfLabelsIsThatOfAllTheirPaths() {
    Random random = new Random(SEED);
    LabelConstraints scheme = LabelConstraints.bio(BIO);
    int[][] choices = {{0}, {3}, {0, 3, 4}, {0, 1, 2, 3, 4}};
    double h = 1.0 / 1024;
    for (int round = 0; round < 30; round++) {
      Case field = Case.random(random, 5, 0);
      int[][] allowed =
          random
              .ints(field.emissions.length / 5, 0, choices.length)
              .mapToObj(each -> choices[each])
              .toArray(int[][]::new);
      String which = "-Dlanewise.seed=" + SEED + ", round " + round;
      LinearChainCrf.Gradient gradient =
          field.crf().constrained(scheme).gradient(field.emissions, field.starts, allowed);
      double expected = field.lossOfPaths(scheme, allowed);
      assertEquals(expected, gradient.loss(), TOLERANCE * (1 + expected), which);
      double[][] derivatives = {
        gradient.emissions(), gradient.start(), gradient.transitions(), gradient.end()
      };
      float[][] numbers = {field.emissions, field.start, field.transitions, field.end};
      for (int i = 0; i < numbers.length; i++) {
        int at = random.nextInt(numbers[i].length);
        float before = numbers[i][at];
        // Steps as far as numbers of their size can tell them apart.
        numbers[i][at] = (float) (before + h);
        double above = field.lossOfPaths(scheme, allowed);
        double step = numbers[i][at];
        numbers[i][at] = (float) (before - h);
        double slope = (above - field.lossOfPaths(scheme, allowed)) / (step - numbers[i][at]);
        numbers[i][at] = before;
        assertEquals(slope, derivatives[i][at], 1e-5, which);
      }
    }
  }

  @Test
  void constraintsAllowWhatAnyPathMayHave() {
    LabelConstraints bioes = LabelConstraints.bioes(BIOES);
    assertTrue(bioes.allow(new int[][] {{2, 3}, {0}}), "B-A E-A");
    assertTrue(bioes.allow(new int[][] {{2, 3}, {4, 1}}), "O S-B");
    assertFalse(bioes.allow(new int[][] {{2, 1}, {0}}), "nothing begins what E-A ends");
    assertFalse(bioes.allow(new int[][] {{0, 4}}), "nothing may begin");
    assertFalse(bioes.allow(new int[][] {{3}, {4, 3}}), "nothing may end");
  }

  private static boolean[] flat(boolean[][] rows) {
    boolean[] flat = new boolean[rows.length * rows.length];
    for (int row = 0; row < rows.length; row++) {
      System.arraycopy(rows[row], 0, flat, row * rows.length, rows.length);
    }
    return flat;
  }

  @Test
  void longSequencesNeitherOverflowNorVanish() {
    int tokens = 20_000;
    LinearChainCrf crf = new LinearChainCrf(zeros(3), 3);
    float[] emissions = new float[tokens * 3];
    Arrays.fill(emissions, 50);
    int[] starts = {0, tokens};
    double expected = tokens * (50 + Math.log(3));
    assertEquals(expected, crf.logPartition(emissions, starts)[0], 1e-10 * expected);
    for (double marginal : crf.marginals(emissions, starts)) {
      assertEquals(1.0 / 3, marginal, 1e-6);
    }
  }

  @Test
  void whatOnlyExtremePathsReachIsExact() {
    // The label that emissions prefer by far may not go on; only the one that vanishes beside it.
    float forbidden = -10_000;
    LinearChainCrf crf =
        new LinearChainCrf(
            weights(new float[2], new float[] {forbidden, forbidden, 0, 0}, new float[2]), 2);
    float[] emissions = {900, 0, 0, 0};
    int[] starts = {0, 2};
    // The two paths from the second label have score 0, those from the first 900 - 10000.
    assertEquals(Math.log(2), crf.logPartition(emissions, starts)[0], TOLERANCE);
    LinearChainCrf.Gradient gradient = crf.gradient(emissions, starts, new int[] {1, 0});
    assertEquals(Math.log(2), gradient.loss(), TOLERANCE);
    assertArrayEquals(new double[] {0, 0, -0.5, 0.5}, gradient.transitions(), TOLERANCE);
    assertArrayEquals(new double[] {0, 0, -0.5, 0.5}, gradient.emissions(), TOLERANCE);
  }

  @Test
  void forbiddenTransitionsHaveNoGradient() {
    LinearChainCrf crf = new LinearChainCrf(zeros(5), 5).constrained(LabelConstraints.of(BIO));
    int[] path = {0, 1, 2, 0};
    LinearChainCrf.Gradient gradient = crf.gradient(new float[20], starts(0, 4), path);
    LabelConstraints allowed = LabelConstraints.bio(BIO);
    for (int from = 0; from < 5; from++) {
      for (int to = 0; to < 5; to++) {
        assertEquals(allowed.transitions()[from][to], gradient.transitions()[from * 5 + to] != 0);
      }
    }
    refused(
        "sequence [0] has the score -Infinity",
        () -> crf.gradient(new float[10], starts(0, 2), starts(0, 2)));
  }

  @Test
  void theSchemeIsThatOfTheLabels() {
    assertSame(LabelConstraints.bio(BIO), LabelConstraints.of(BIO));
    assertSame(LabelConstraints.bioes(BIOES), LabelConstraints.of(BIOES));
    LabelConstraints none = LabelConstraints.of(List.of("NOUN", "VERB"));
    assertArrayEquals(new boolean[] {true, true}, none.start());
    assertArrayEquals(new boolean[][] {{true, true}, {true, true}}, none.transitions());
    assertArrayEquals(new boolean[] {true, true}, none.end());
    refused("label [I-A] needs [B-A]", () -> LabelConstraints.of(List.of("O", "I-A")));
  }

  private static void assertSame(LabelConstraints expected, LabelConstraints actual) {
    assertArrayEquals(expected.start(), actual.start());
    assertArrayEquals(expected.transitions(), actual.transitions());
    assertArrayEquals(expected.end(), actual.end());
  }

  @Test
  void badInputIsNamed() {
    LinearChainCrf crf = new LinearChainCrf(zeros(2), 2);
    refused("[emissions] has 3 numbers, expected 4", () -> crf.viterbi(new float[3], starts(0, 2)));
    refused("sequence [1] has no tokens", () -> crf.viterbi(new float[4], starts(0, 2, 2)));
    refused("[sequenceStarts] must begin with 0", () -> crf.viterbi(new float[4], starts(1, 2)));
    refused("[sequenceStarts] must begin with 0", () -> crf.marginals(new float[0], starts()));
    refused(
        "token [1] has label 2, expected 0 to 1",
        () -> crf.pathScore(new float[4], starts(0, 2), starts(0, 2)));
    refused(
        "path has 1 labels, expected 2",
        () -> crf.pathScore(new float[4], starts(0, 2), starts(0)));
    float[] nan = {0, 0, Float.NaN, Float.NaN};
    refused("sequence [1] has the score NaN", () -> crf.marginals(nan, starts(0, 1, 2)));
    refused("sequence [1] has the score NaN", () -> crf.viterbi(nan, starts(0, 1, 2)));
    refused(
        "constraints are for 5 labels, expected 2",
        () -> crf.constrained(LabelConstraints.bio(BIO)));
    refused(
        "weight [transitions] has shape [2, 2], expected [3, 3]",
        () -> new LinearChainCrf(weights(new float[3], new float[4], new float[3]), 3));
    refused("there are 0 labels", () -> new LinearChainCrf(Weights.of(Map.of()), 0));
    assertEquals(0, crf.viterbi(new float[0], starts(0)).scores().length);
  }

  private static int[] starts(int... starts) {
    return starts;
  }

  private static void refused(String words, Runnable call) {
    String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
    assertTrue(message.contains(words), message);
  }

  /** Returns a field that has no opinion. */
  static Weights zeros(int labels) {
    return weights(new float[labels], new float[labels * labels], new float[labels]);
  }

  private static Weights weights(float[] start, float[] transitions, float[] end) {
    int size = (int) Math.sqrt(transitions.length);
    return Weights.of(
        Map.of(
            "start", tensor("start", start, start.length),
            "transitions", tensor("transitions", transitions, size, size),
            "end", tensor("end", end, end.length)));
  }

  private static Tensor tensor(String name, float[] numbers, long... shape) {
    return new Tensor(
        name,
        DataType.F32,
        shape,
        Arena.ofAuto()
            .allocateFrom(ValueLayout.JAVA_FLOAT.withOrder(ByteOrder.LITTLE_ENDIAN), numbers));
  }

  /** A random field with sequences of 1 to 5 tokens, and what enumeration says of it. */
  private record Case(
      int labels,
      float[] start,
      float[] transitions,
      float[] end,
      float[] emissions,
      int[] starts) {
    static Case random(Random random, int labels, float forbidden) {
      int[] starts = new int[4];
      for (int i = 1; i < starts.length; i++) {
        starts[i] = starts[i - 1] + 1 + random.nextInt(5);
      }
      float[] transitions = gauss(random, labels * labels);
      // From the first label to itself stays free, so that a path without the large number exists.
      for (int i = 1; i < transitions.length; i++) {
        transitions[i] = random.nextInt(3) == 0 && forbidden < 0 ? forbidden : transitions[i];
      }
      return new Case(
          labels,
          gauss(random, labels),
          transitions,
          gauss(random, labels),
          gauss(random, starts[3] * labels),
          starts);
    }

    private static float[] gauss(Random random, int size) {
      float[] numbers = new float[size];
      for (int i = 0; i < size; i++) {
        numbers[i] = (float) (2 * random.nextGaussian());
      }
      return numbers;
    }

    LinearChainCrf crf() {
      return new LinearChainCrf(weights(start, transitions, end), labels);
    }

    /** Compares everything; the mask is empty or says what is allowed: start, transitions, end. */
    void check(LinearChainCrf crf, boolean[][] mask, String which) {
      double[] partitions = crf.logPartition(emissions, starts);
      double[] marginals = crf.marginals(emissions, starts);
      LinearChainCrf.Paths best = crf.viterbi(emissions, starts);
      double[] bestScores = crf.pathScore(emissions, starts, best.labels());
      double[] expectedTransitions = new double[labels * labels];
      double expectedLoss = 0;
      for (int sequence = 0; sequence < starts.length - 1; sequence++) {
        int first = starts[sequence];
        int tokens = starts[sequence + 1] - first;
        int paths = (int) Math.pow(labels, tokens);
        double[] scores = new double[paths];
        for (int code = 0; code < paths; code++) {
          scores[code] = score(path(code, tokens), first, mask);
        }
        double highest = Arrays.stream(scores).max().orElseThrow();
        double sum = Arrays.stream(scores).map(score -> Math.exp(score - highest)).sum();
        double partition = highest + Math.log(sum);
        String where = which + ", sequence " + sequence;
        assertEquals(partition, partitions[sequence], TOLERANCE * (1 + Math.abs(partition)), where);
        assertEquals(highest, best.scores()[sequence], TOLERANCE * (1 + Math.abs(highest)), where);
        assertEquals(highest, bestScores[sequence], TOLERANCE * (1 + Math.abs(highest)), where);
        double[] expected = new double[tokens * labels];
        for (int code = 0; code < paths; code++) {
          int[] path = path(code, tokens);
          for (int token = 0; token < tokens; token++) {
            expected[token * labels + path[token]] += Math.exp(scores[code] - partition);
            if (token > 0) {
              expectedTransitions[path[token - 1] * labels + path[token]] +=
                  Math.exp(scores[code] - partition);
            }
          }
        }
        for (int token = first + 1; token < first + tokens; token++) {
          expectedTransitions[best.labels()[token - 1] * labels + best.labels()[token]] -= 1;
        }
        expectedLoss += partition - highest;
        double[] actual = Arrays.copyOfRange(marginals, first * labels, (first + tokens) * labels);
        assertArrayEquals(expected, actual, TOLERANCE, where);
      }
      LinearChainCrf.Gradient gradient = crf.gradient(emissions, starts, best.labels());
      assertEquals(expectedLoss, gradient.loss(), TOLERANCE * (1 + expectedLoss), which);
      assertArrayEquals(expectedTransitions, gradient.transitions(), TOLERANCE, which);
      double[] expectedStart = new double[labels];
      double[] expectedEnd = new double[labels];
      for (int token = 0; token < best.labels().length; token++) {
        for (int label = 0; label < labels; label++) {
          double derivative =
              marginals[token * labels + label] - (best.labels()[token] == label ? 1 : 0);
          assertEquals(derivative, gradient.emissions()[token * labels + label], TOLERANCE, which);
          expectedStart[label] += Arrays.binarySearch(starts, token) >= 0 ? derivative : 0;
          expectedEnd[label] += Arrays.binarySearch(starts, token + 1) >= 0 ? derivative : 0;
        }
      }
      assertArrayEquals(expectedStart, gradient.start(), TOLERANCE, which);
      assertArrayEquals(expectedEnd, gradient.end(), TOLERANCE, which);
    }

    /** Returns the sum over the sequences of log Z of all paths - log Z of the allowed ones. */
    double lossOfPaths(LabelConstraints scheme, int[][] allowed) {
      boolean[][] mask = {scheme.start(), flat(scheme.transitions()), scheme.end()};
      double loss = 0;
      for (int sequence = 0; sequence < starts.length - 1; sequence++) {
        int first = starts[sequence];
        int tokens = starts[sequence + 1] - first;
        double all = 0;
        double some = 0;
        for (int code = 0; code < Math.pow(labels, tokens); code++) {
          int[] path = path(code, tokens);
          double weight = Math.exp(score(path, first, mask));
          boolean kept = true;
          for (int token = 0; token < tokens; token++) {
            int label = path[token];
            kept &= Arrays.stream(allowed[first + token]).anyMatch(each -> each == label);
          }
          all += weight;
          some += kept ? weight : 0;
        }
        loss += Math.log(all) - Math.log(some);
      }
      return loss;
    }

    private int[] path(int code, int tokens) {
      int[] path = new int[tokens];
      for (int token = 0; token < tokens; token++) {
        path[token] = code % labels;
        code /= labels;
      }
      return path;
    }

    private double score(int[] path, int first, boolean[][] mask) {
      double score = start[path[0]];
      boolean allowed = mask.length == 0 || mask[0][path[0]] && mask[2][path[path.length - 1]];
      for (int token = 0; token < path.length; token++) {
        score += emissions[(first + token) * labels + path[token]];
        if (token > 0) {
          int step = path[token - 1] * labels + path[token];
          score += transitions[step];
          allowed &= mask.length == 0 || mask[1][step];
        }
      }
      return allowed ? score + end[path[path.length - 1]] : Double.NEGATIVE_INFINITY;
    }
  }
}
