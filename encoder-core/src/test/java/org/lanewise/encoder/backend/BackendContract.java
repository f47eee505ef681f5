package org.lanewise.encoder.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.tokenizer.Tokens;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/**
 * What every backend must do: each operation against {@link ScalarBackend}, at sizes around every
 * tail of blocks and vectors, with extremes. {@code -Dlanewise.seed} repeats a run.
 */
public abstract class BackendContract {
  private static final long SEED = Long.getLong("lanewise.seed", 20261120);
  protected static final int[] SIZES = {1, 2, 3, 4, 6, 7, 8, 13, 16, 25, 31, 32, 33, 64, 100};

  protected final Arena arena = Arena.ofShared();
  protected final Random random = new Random(SEED);
  protected final TrainingBackend oracle = new ScalarBackend(Precision.FP32);

  /** Returns the backend under test. */
  protected abstract Backend backend(Precision precision);

  /** Returns the precisions that the backend has. */
  protected Set<Precision> precisions() {
    return Set.of(Precision.values());
  }

  @AfterEach
  void close() {
    arena.close();
  }

  @Test
  void linearIsAProductWithBias() {
    for (int rows : SIZES) {
      for (int inputSize : new int[] {1, 5, 16, 35, 96}) {
        for (int outputSize : new int[] {1, 15, 16, 17, 32, 33, 70}) {
          compareLinear(rows, inputSize, outputSize, Activation.IDENTITY);
        }
      }
    }
    compareLinear(130, 384, 200, Activation.IDENTITY);
    compareLinear(700, 1030, 40, Activation.IDENTITY);
  }

  @ParameterizedTest
  @EnumSource(Activation.class)
  void linearAppliesTheActivation(Activation activation) {
    compareLinear(7, 16, 33, activation);
  }

  private void compareLinear(int rows, int inputSize, int outputSize, Activation activation) {
    Tensor weight = tensor(outputSize, inputSize);
    Tensor bias = tensor(outputSize);
    float[][] input = numbers(rows, inputSize);
    // Sums of n products of about unit size are about sqrt(n) large, and so are their errors.
    double tolerance = 2e-6 * Math.sqrt(inputSize) + 1e-6;
    assertClose(
        "linear " + rows + "x" + inputSize + "x" + outputSize + " " + activation,
        linear(oracle, input, List.of(weight), List.of(bias), activation),
        linear(backend(Precision.FP32), input, List.of(weight), List.of(bias), activation),
        tolerance);
  }

  /** Returns backends that multiply in other ways in the precision. */
  List<? extends Backend> products(Precision precision) {
    assumeTrue(precisions().contains(precision), () -> "the backend has no " + precision);
    return List.of(backend(precision));
  }

  @Test
  void bf16NumbersAreMultipliedAsTheyAre() {
    for (Backend backend : products(Precision.BF16)) {
      for (int outputSize : new int[] {1, 16, 17, 40}) {
        Tensor weight = tensor(outputSize, 50);
        float[][] input = numbers(9, 50);
        for (float[] row : input) {
          for (int i = 0; i < row.length; i++) {
            row[i] = BFloat16.round(row[i]);
          }
        }
        TrainingBackend naive = new ScalarBackend(Precision.BF16);
        assertClose(
            backend.kernels() + " linear to " + outputSize,
            linear(naive, input, List.of(weight), List.of(), Activation.IDENTITY),
            linear(backend, input, List.of(weight), List.of(), Activation.IDENTITY),
            2e-5);
      }
    }
  }

  /** The root mean square error against fp32 is at most twice that of plain rounding. */
  @ParameterizedTest
  @EnumSource(
      value = Precision.class,
      names = {"BF16", "INT8"})
  void lowPrecisionIsNoWorseThanRounding(Precision precision) {
    for (Backend backend : products(precision)) {
      for (int rows : SIZES) {
        for (int inputSize : new int[] {2, 31, 64, 100}) {
          for (int outputSize : new int[] {1, 17, 33, 96}) {
            compareRounding(backend, rows, inputSize, outputSize);
          }
        }
      }
      compareRounding(backend, 200, 1536, 100);
    }
  }

  private void compareRounding(Backend backend, int rows, int inputSize, int outputSize) {
    List<Tensor> weight = List.of(tensor(outputSize, inputSize));
    List<Tensor> bias = List.of(tensor(outputSize));
    float[][] input = numbers(rows, inputSize);
    float[][] exact = linear(oracle, input, weight, bias, Activation.GELU);
    TrainingBackend naive = new ScalarBackend(backend.precision());
    double rounding = error(exact, linear(naive, input, weight, bias, Activation.GELU));
    double actual = error(exact, linear(backend, input, weight, bias, Activation.GELU));
    // The scalar backend rounds bf16 weights alone, kernels may round what they multiply too; and
    // a few numbers are a small sample.
    double allowed = 2 * rounding + 0.01 * Math.sqrt(inputSize) / Math.sqrt(rows * outputSize);
    assertTrue(
        actual <= allowed,
        () ->
            String.format(
                Locale.ROOT,
                "%s %d x %d x %d: error %.3g, of plain rounding %.3g, seed %d",
                backend.kernels(),
                rows,
                inputSize,
                outputSize,
                actual,
                rounding,
                SEED));
  }

  @ParameterizedTest
  @EnumSource(Precision.class)
  void feedForwardIsTwoProducts(Precision precision) {
    for (Backend backend : products(precision)) {
      for (Activation activation : new Activation[] {Activation.GELU, Activation.RELU}) {
        compareFeedForward(backend, activation, 1, 31, 17, 5);
        compareFeedForward(backend, activation, 12, 64, 100, 40);
        compareFeedForward(backend, activation, 47, 100, 290, 33);
        compareFeedForward(backend, activation, 1100, 64, 160, 96);
      }
    }
  }

  private void compareFeedForward(
      Backend backend, Activation activation, int rows, int size, int between, int outputSize) {
    List<Tensor> weights = List.of(tensor(between, size), tensor(outputSize, between));
    List<Tensor> biases = List.of(tensor(between), tensor(outputSize));
    float[][] input = numbers(rows, size);
    float[][] exact = feedForward(oracle, input, weights, biases, activation);
    TrainingBackend naive = new ScalarBackend(backend.precision());
    double rounding = error(exact, feedForward(naive, input, weights, biases, activation));
    double actual = error(exact, feedForward(backend, input, weights, biases, activation));
    // As for one product, twice.
    double sample = Math.sqrt(size) * Math.sqrt(between) / Math.sqrt(rows * outputSize);
    double allowed = 2 * rounding + (backend.precision() == Precision.FP32 ? 1e-4 : 0.02) * sample;
    assertTrue(
        actual <= allowed,
        () ->
            String.format(
                Locale.ROOT,
                "%s %d x %d x %d x %d: error %.3g, of plain rounding %.3g, seed %d",
                backend.kernels(),
                rows,
                size,
                between,
                outputSize,
                actual,
                rounding,
                SEED));
  }

  private float[][] feedForward(
      Backend backend,
      float[][] input,
      List<Tensor> weights,
      List<Tensor> biases,
      Activation activation) {
    LinearWeight first = prepare(backend, weights.get(0), biases.get(0));
    LinearWeight second = prepare(backend, weights.get(1), biases.get(1));
    Matrix between = backend.allocateState(arena, input.length, first.outputSize());
    Matrix output = backend.allocateState(arena, input.length, second.outputSize());
    backend.feedForward(matrix(backend, input), first, activation, second, between, output);
    return read(backend, output);
  }

  private LinearWeight prepare(Backend backend, Tensor weight, Tensor bias) {
    return backend.prepareLinear(arena, List.of(weight), List.of(bias));
  }

  /** Long enough for kernels that round, and shorter; odd numbers of keys, windows and heads. */
  @ParameterizedTest
  @EnumSource(
      value = Precision.class,
      names = {"BF16", "INT8"})
  void attentionOfLowPrecisionIsNoWorseThanRounding(Precision precision) {
    int all = AttentionPattern.EVERYTHING;
    PositionBias none = new PositionBias.None();
    int reach = 320;
    float[][] distances = numbers(3, 2 * reach + 1 + PositionBias.ByDistance.PADDING);
    for (Backend backend : products(precision)) {
      for (int headSize : new int[] {7, 16, 30, 32, 64, 80}) {
        List<AttentionPattern> patterns =
            List.of(
                AttentionPattern.full(3, headSize),
                new AttentionPattern(4, 2, headSize, 0.2f, 7, 5, none),
                new AttentionPattern(2, 1, headSize, 0.2f, all, 0, none),
                new AttentionPattern(2, 2, headSize, 0.2f, 150, all, none));
        for (AttentionPattern pattern : patterns) {
          compareRounding(backend, each -> pattern, 1, 33, 97, 98, 131, 311);
        }
        compareRounding(
            backend,
            each ->
                new AttentionPattern(
                    3,
                    3,
                    headSize,
                    0.2f,
                    all,
                    all,
                    new PositionBias.ByDistance(matrix(each, distances), reach)),
            40,
            160,
            300);
      }
      // More keys than have their scores kept at once.
      compareRounding(backend, each -> AttentionPattern.full(1, 32), 1153, 1301);
      compareRounding(backend, each -> new AttentionPattern(1, 1, 32, 0.2f, 1200, 0, none), 1301);
    }
  }

  private void compareRounding(
      Backend backend, Function<Backend, AttentionPattern> patterns, int... lengths) {
    PackedBatch batch = batch(lengths);
    AttentionPattern pattern = patterns.apply(oracle);
    float[][] queryKeyValue = numbers(batch.tokens(), pattern.queryKeyValueSize());
    float[][] rounded = new float[queryKeyValue.length][];
    for (int row = 0; row < rounded.length; row++) {
      rounded[row] = queryKeyValue[row].clone();
      for (int i = 0; i < rounded[row].length; i++) {
        rounded[row][i] = BFloat16.round(rounded[row][i]);
      }
    }
    float[][] exact = attend(oracle, patterns, batch, queryKeyValue);
    double rounding = error(exact, attend(oracle, patterns, batch, rounded));
    double actual = error(exact, attend(backend, patterns, batch, queryKeyValue));
    assertTrue(
        actual <= 2 * rounding,
        () ->
            String.format(
                Locale.ROOT,
                "%s %s over %s: error %.3g, of plain rounding %.3g, seed %d",
                backend.kernels(),
                pattern,
                Arrays.toString(lengths),
                actual,
                rounding,
                SEED));
  }

  private float[][] attend(
      Backend backend,
      Function<Backend, AttentionPattern> patterns,
      PackedBatch batch,
      float[][] queryKeyValue) {
    AttentionPattern pattern = patterns.apply(backend);
    Matrix input = backend.allocateState(arena, batch.tokens(), pattern.queryKeyValueSize());
    fill(backend, input, queryKeyValue);
    Matrix context = backend.allocateState(arena, batch.tokens(), pattern.contextSize());
    backend.attention(input, batch, pattern, context);
    return read(backend, context);
  }

  private static double error(float[][] expected, float[][] actual) {
    double squares = 0;
    for (int row = 0; row < expected.length; row++) {
      for (int i = 0; i < expected[row].length; i++) {
        squares += Math.pow(expected[row][i] - actual[row][i], 2);
      }
    }
    return Math.sqrt(squares / expected.length / expected[0].length);
  }

  @ParameterizedTest
  @EnumSource(Precision.class)
  void zerosAreZerosInEveryPrecision(Precision precision) {
    for (Backend backend : products(precision)) {
      float[][] answer =
          linear(
              backend,
              new float[3][70],
              List.of(tensor(new float[5 * 70], 5, 70)),
              List.of(),
              Activation.IDENTITY);
      assertClose("zeros", new float[3][5], answer, 0);
    }
  }

  @Test
  void stackedLinearsFollowEachOther() {
    List<Tensor> weights = List.of(tensor(5, 12), tensor(33, 12), tensor(1, 12));
    List<Tensor> biases = List.of(tensor(5), tensor(33), tensor(1));
    float[][] input = numbers(4, 12);
    assertClose(
        "stacked",
        linear(oracle, input, weights, biases, Activation.IDENTITY),
        linear(backend(Precision.FP32), input, weights, biases, Activation.IDENTITY),
        1e-5);
  }

  private float[][] linear(
      Backend backend,
      float[][] input,
      List<Tensor> weights,
      List<Tensor> biases,
      Activation activation) {
    LinearWeight weight = backend.prepareLinear(arena, weights, biases);
    Matrix output = backend.allocate(arena, input.length, weight.outputSize());
    backend.linear(matrix(backend, input), weight, activation, output);
    return read(backend, output);
  }

  @Test
  void activationsHoldAtExtremes() {
    float[] extremes = {
      0f, -0f, 1e-30f, -1e-30f, 0.5f, -0.5f, 3f, -3f, 5.3f, -5.3f, 5.5f, -5.5f, 20f, -20f, 90f,
      -90f, 1e4f, -1e4f
    };
    // A weight of ones makes the input the activation's argument.
    Tensor one = tensor(new float[] {1}, 1, 1);
    float[][] input = new float[extremes.length][];
    for (int i = 0; i < input.length; i++) {
      input[i] = new float[] {extremes[i]};
    }
    for (Activation activation : Activation.values()) {
      float[][] expected = linear(oracle, input, List.of(one), List.of(), activation);
      float[][] actual =
          linear(backend(Precision.FP32), input, List.of(one), List.of(), activation);
      for (int i = 0; i < input.length; i++) {
        assertEquals(
            expected[i][0],
            actual[i][0],
            2e-6 + 1e-6 * Math.abs(expected[i][0]),
            activation + " of " + extremes[i]);
      }
    }
  }

  @Test
  void addNormNormalisesTheSum() {
    for (int size : SIZES) {
      for (int rows : new int[] {1, 3, 65}) {
        Tensor weight = tensor(size);
        Tensor bias = tensor(size);
        float[][] left = numbers(rows, size);
        float[][] right = numbers(rows, size);
        assertClose(
            "addNorm of " + size,
            addNorm(oracle, left, right, weight, bias),
            addNorm(backend(Precision.FP32), left, right, weight, bias),
            // A row of two close numbers is divided by their tiny difference.
            size < 4 ? 2e-3 : 2e-5);
      }
    }
  }

  @Test
  void addNormOfARowFarFromZeroKeepsItsDigits() {
    float[][] left = numbers(2, 50);
    for (float[] row : left) {
      for (int i = 0; i < row.length; i++) {
        row[i] += 1000;
      }
    }
    float[][] zeros = new float[2][50];
    Tensor weight = tensor(50);
    Tensor bias = tensor(50);
    assertClose(
        "addNorm at 1000",
        addNorm(oracle, left, zeros, weight, bias),
        addNorm(backend(Precision.FP32), left, zeros, weight, bias),
        5e-4);
  }

  private float[][] addNorm(
      Backend backend, float[][] left, float[][] right, Tensor weight, Tensor bias) {
    NormWeight norm = backend.prepareNorm(arena, NormKind.LAYER, weight, Optional.of(bias), 1e-12f);
    Matrix residual = matrix(backend, right);
    backend.addNorm(matrix(backend, left), residual, norm, residual);
    return read(backend, residual);
  }

  @ParameterizedTest
  @EnumSource(
      value = DataType.class,
      names = {"F32", "F16", "BF16"})
  void embedScalesTheWordsAndTakesTheTablesThatAreThere(DataType type) {
    PackedBatch batch = batch(5, 1, 33);
    for (int size : SIZES) {
      Tensor words = table(type, 9, size);
      Tensor positions = table(type, 40, size);
      Tensor types = table(type, 2, size);
      for (EmbeddingTables tables :
          List.of(
              new EmbeddingTables(words, 5.5f, Optional.empty(), Optional.empty()),
              new EmbeddingTables(words, 1, Optional.of(positions), Optional.empty()),
              new EmbeddingTables(words, 1, Optional.empty(), Optional.of(types)))) {
        compareAll(
            "embed of " + size,
            1e-6,
            backend -> {
              Matrix hidden = backend.allocate(arena, batch.tokens(), size);
              backend.embed(
                  batch, backend.prepareEmbeddings(arena, tables), Optional.empty(), hidden);
              return hidden;
            });
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = DataType.class,
      names = {"F32", "F16", "BF16"})
  void embedSumsThreeLookups(DataType type) {
    for (int size : SIZES) {
      EmbeddingTables tables =
          new EmbeddingTables(table(type, 9, size), table(type, 40, size), table(type, 2, size));
      PackedBatch batch = batch(5, 1, 33);
      Tensor weight = tensor(size);
      Tensor bias = tensor(size);
      float[][][] answers = new float[2][][];
      Backend[] both = {oracle, backend(Precision.FP32)};
      for (int i = 0; i < 2; i++) {
        Matrix hidden = both[i].allocate(arena, batch.tokens(), size);
        NormWeight norm =
            both[i].prepareNorm(arena, NormKind.LAYER, weight, Optional.of(bias), 1e-5f);
        both[i].embed(batch, both[i].prepareEmbeddings(arena, tables), Optional.of(norm), hidden);
        answers[i] = read(both[i], hidden);
      }
      assertClose("embed of " + size, answers[0], answers[1], size < 4 ? 2e-3 : 2e-5);
    }
  }

  @Test
  void memoryOfACallIsZeroedForTheNext() {
    Backend backend = backend(Precision.FP32);
    for (int call = 0; call < 3; call++) {
      try (Arena memory = backend.callMemory()) {
        Matrix matrix = backend.allocate(memory, 5, 3 + call);
        for (int row = 0; row < 5; row++) {
          assertArrayEquals(new float[3 + call], backend.read(matrix, row, 3 + call));
          backend.write(numbers(1, 3 + call)[0], matrix, row, 0);
        }
      }
    }
  }

  @Test
  void attentionStaysWithinItsSequence() {
    for (int headSize : new int[] {1, 3, 7, 16, 20, 32, 64}) {
      for (int heads : new int[] {1, 3}) {
        compareAttention(heads, headSize, 1f, 1, 2, 5, 6, 7, 12, 13, 31, 32, 33, 70);
      }
    }
    compareAttention(2, 32, 1f, 300);
  }

  /** More keys than a kernel looks at once. */
  @Test
  void attentionReadsLongSequences() {
    int all = AttentionPattern.EVERYTHING;
    PositionBias none = new PositionBias.None();
    compareAttention(1, 16, 4f, 575, 576, 577, 1300);
    compareAttention(new AttentionPattern(1, 1, 16, 0.3f, all, 0, none), 4, 1300);
    compareAttention(new AttentionPattern(1, 1, 16, 0.3f, 700, 3, none), 4, 1300);
    compareAttention(new AttentionPattern(1, 1, 16, 0.3f, 1300, 3, none), 4, 2500);
  }

  @Test
  void attentionRefusesAScaleThatTurnsScoresAround() {
    for (float scale : new float[] {0, -1, Float.NaN}) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () -> new AttentionPattern(1, 1, 16, scale, 1, 1, new PositionBias.None()));
      assertEquals(
          "attention scales by [" + scale + "], expected a positive number", e.getMessage());
    }
  }

  @Test
  void attentionHoldsWhereScoresAreExtreme() {
    compareAttention(1, 8, 60f, 1200);
    compareAttention(2, 8, 60f, 1, 9, 40);
  }

  @Test
  void attentionReadsNoFurtherThanItsPatternReaches() {
    int all = AttentionPattern.EVERYTHING;
    PositionBias none = new PositionBias.None();
    for (int headSize : new int[] {6, 16, 33}) {
      for (int reach : new int[] {0, 1, 3, 6, 20, 64}) {
        compareAttention(
            new AttentionPattern(2, 2, headSize, 0.3f, reach, reach, none), 1, LENGTHS);
        compareAttention(new AttentionPattern(2, 2, headSize, 0.3f, reach, 0, none), 1, LENGTHS);
        compareAttention(new AttentionPattern(2, 2, headSize, 0.3f, all, reach, none), 1, LENGTHS);
      }
    }
    compareAttention(new AttentionPattern(1, 1, 64, 0.125f, 64, 64, none), 1, 400);
    compareAttention(new AttentionPattern(1, 1, 64, 0.125f, all, 0, none), 1, 400);
  }

  @Test
  void attentionSharesKeysAndValuesAmongHeads() {
    PositionBias none = new PositionBias.None();
    int all = AttentionPattern.EVERYTHING;
    compareAttention(new AttentionPattern(6, 2, 10, 0.5f, all, 0, none), 1, LENGTHS);
    compareAttention(new AttentionPattern(3, 1, 8, 0.5f, 4, 4, none), 1, LENGTHS);
  }

  @Test
  void attentionAddsWhatTheDistanceSays() {
    int reach = 80;
    int columns = 2 * reach + 1 + PositionBias.ByDistance.PADDING;
    float[][] numbers = numbers(3, columns);
    for (int headSize : new int[] {5, 32}) {
      for (int window : new int[] {4, AttentionPattern.EVERYTHING}) {
        compareAttention(
            backend ->
                new AttentionPattern(
                    3,
                    3,
                    headSize,
                    0.2f,
                    window,
                    window,
                    new PositionBias.ByDistance(matrix(backend, numbers), reach)),
            1,
            LENGTHS);
      }
    }
  }

  @Test
  void attentionIsDisentangledByDistance() {
    int reach = 80;
    int[] rows = new int[2 * reach + 1];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = Math.min(Math.max(i - reach + 20, 0), 39);
    }
    for (int headSize : new int[] {5, 32}) {
      float[][] keys = numbers(40, 2 * headSize);
      float[][] queries = numbers(40, 2 * headSize);
      for (int kinds = 1; kinds < 4; kinds++) {
        boolean hasKeys = (kinds & 1) != 0;
        boolean hasQueries = (kinds & 2) != 0;
        compareAttention(
            backend ->
                new AttentionPattern(
                    2,
                    2,
                    headSize,
                    0.2f,
                    AttentionPattern.EVERYTHING,
                    AttentionPattern.EVERYTHING,
                    new PositionBias.Disentangled(
                        matrix(backend, keys),
                        hasKeys,
                        matrix(backend, queries),
                        hasQueries,
                        rows,
                        reach)),
            1,
            LENGTHS);
      }
    }
  }

  protected static final int[] LENGTHS = {1, 2, 5, 6, 7, 12, 16, 17, 31, 32, 33, 70};

  private void compareAttention(int heads, int headSize, float spread, int... lengths) {
    compareAttention(AttentionPattern.full(heads, headSize), spread, lengths);
  }

  private void compareAttention(AttentionPattern pattern, float spread, int... lengths) {
    compareAttention(backend -> pattern, spread, lengths);
  }

  private void compareAttention(
      Function<Backend, AttentionPattern> patterns, float spread, int... lengths) {
    PackedBatch batch = batch(lengths);
    AttentionPattern pattern = patterns.apply(oracle);
    float[][] queryKeyValue = numbers(batch.tokens(), pattern.queryKeyValueSize());
    for (float[] row : queryKeyValue) {
      for (int i = 0; i < pattern.valueColumn(0); i++) {
        row[i] *= spread;
      }
    }
    float[][][] answers = new float[2][][];
    Backend[] both = {oracle, backend(Precision.FP32)};
    for (int i = 0; i < 2; i++) {
      Matrix context = both[i].allocate(arena, batch.tokens(), pattern.contextSize());
      both[i].attention(matrix(both[i], queryKeyValue), batch, patterns.apply(both[i]), context);
      answers[i] = read(both[i], context);
    }
    // Scores of size s carry errors of s * 2^-24, and the softmax turns them into relative ones.
    double tolerance = 2e-5 + 3e-6 * spread * spread;
    String what = "attention " + pattern + " over " + Arrays.toString(lengths);
    assertClose(what, answers[0], answers[1], tolerance);
  }

  @ParameterizedTest
  @EnumSource(NormKind.class)
  void normTakesEachGroupOfColumnsByItself(NormKind kind) {
    for (int size : SIZES) {
      for (int groups : new int[] {1, 3}) {
        Tensor weight = tensor(size);
        Tensor bias = tensor(size);
        float[][] input = numbers(7, groups * size);
        compareAll(
            "norm " + kind + " of " + groups + "x" + size,
            size < 4 ? 2e-3 : 2e-5,
            backend -> {
              Optional<Tensor> added =
                  kind == NormKind.LAYER ? Optional.of(bias) : Optional.empty();
              NormWeight norm = backend.prepareNorm(arena, kind, weight, added, 1e-6f);
              Matrix matrix = matrix(backend, input);
              backend.norm(matrix, norm, matrix);
              return matrix;
            });
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {5, 64})
  void normOfSomeColumnsLeavesTheOthers(int size) {
    Tensor weight = tensor(size);
    int columns = 2 * size;
    float[][] input = numbers(9, columns + 13);
    compareAll(
        "norm of two times " + size + " columns",
        2e-5,
        backend -> {
          NormWeight norm =
              backend.prepareNorm(
                  arena, NormKind.ROOT_MEAN_SQUARE, weight, Optional.empty(), 1e-6f);
          Matrix matrix = matrix(backend, input);
          backend.norm(matrix.columns(3, columns), norm, matrix.columns(3, columns));
          return matrix;
        });
  }

  @Test
  void addLeavesWhatLiesBeside() {
    for (int size : SIZES) {
      float[][] left = numbers(65, size);
      float[][] right = numbers(65, size + 3);
      compareAll(
          "add of " + size,
          1e-6,
          backend -> {
            Matrix sum = matrix(backend, right);
            backend.add(matrix(backend, left), sum.firstColumns(size));
            return sum;
          });
    }
  }

  @ParameterizedTest
  @EnumSource(Activation.class)
  void gateActivatesTheFirstHalf(Activation activation) {
    for (int size : SIZES) {
      float[][] input = numbers(67, 2 * size);
      compareAll(
          "gate " + activation + " of " + size,
          4e-6,
          backend -> {
            Matrix output = backend.allocate(arena, 67, size);
            backend.gate(matrix(backend, input), activation, output);
            return output;
          });
      compareAll(
          "gate in place " + activation + " of " + size,
          4e-6,
          backend -> {
            Matrix matrix = matrix(backend, input);
            backend.gate(matrix, activation, matrix.firstColumns(size));
            return matrix;
          });
    }
  }

  @Test
  void rotateTurnsPairsByTheTokensPositions() {
    for (int headSize : new int[] {2, 6, 10, 32, 34, 64}) {
      PackedBatch batch = batch(1, 40, 7);
      float[][] input = numbers(batch.tokens(), 4 * headSize);
      float[][] cosines = numbers(40, headSize / 2);
      float[][] sines = numbers(40, headSize / 2);
      compareAll(
          "rotate heads of " + headSize,
          2e-6,
          backend -> {
            Matrix matrix = matrix(backend, input);
            RotaryTable table = new RotaryTable(matrix(backend, cosines), matrix(backend, sines));
            backend.rotate(matrix, batch, 3, headSize, table);
            return matrix;
          });
    }
  }

  @Test
  void neighboursEndWithTheSequence() {
    PackedBatch batch = batch(1, 2, 9);
    float[][] input = numbers(batch.tokens(), 5);
    compareAll(
        "neighbours",
        0,
        backend -> {
          Matrix output = backend.allocate(arena, batch.tokens(), 25);
          backend.neighbours(matrix(backend, input), batch, 5, output);
          return output;
        });
  }

  private void compareAll(String what, double tolerance, Function<Backend, Matrix> run) {
    Backend backend = backend(Precision.FP32);
    assertClose(
        what, read(oracle, run.apply(oracle)), read(backend, run.apply(backend)), tolerance);
  }

  @ParameterizedTest
  @EnumSource(RecurrentCell.class)
  void recurHandsStatesAlongEachSequence(RecurrentCell cell) {
    for (int hiddenSize : new int[] {1, 3, 4, 8, 16, 33}) {
      for (int directions : new int[] {1, 2}) {
        compareRecurrence(cell, hiddenSize, directions, 1);
        compareRecurrence(cell, hiddenSize, directions, 11);
        // 36 tokens are whole blocks of rows: nothing follows them that could be read by mistake.
        compareRecurrence(cell, hiddenSize, directions, 2, 7, 1, 7, 4, 12, 3);
      }
    }
    // More sequences than one group of rows holds, and lengths in no order.
    int[] lengths = new int[113];
    for (int i = 0; i < lengths.length; i++) {
      lengths[i] = 1 + i * 37 % 10;
    }
    compareRecurrence(cell, 17, 2, lengths);
  }

  private void compareRecurrence(
      RecurrentCell cell, int hiddenSize, int directions, int... lengths) {
    Recurrence recurrence = new Recurrence(cell, hiddenSize, directions, lengths);
    float[][] expected = recurrence.run(oracle);
    float[][] actual = recurrence.run(backend(Precision.FP32));
    String what = cell + " " + directions + "x" + hiddenSize + " over " + Arrays.toString(lengths);
    assertClose(what, expected, actual, 1e-5);
  }

  @ParameterizedTest
  @EnumSource(RecurrentCell.class)
  void recurGivesASequenceTheSameNumbersInAnyCompany(RecurrentCell cell) {
    Recurrence together = new Recurrence(cell, 19, 2, 5, 3, 9, 9, 1, 4, 6, 2, 12);
    Backend backend = backend(Precision.FP32);
    float[][] expected = together.run(backend);
    int tokens = together.starts[9];
    for (int sequence = 0; sequence < 9; sequence++) {
      float[][] alone = together.only(sequence).run(backend);
      int length = alone.length - 2;
      for (int i = 0; i < length; i++) {
        int token = together.starts[sequence] + i;
        assertArrayEquals(expected[token], alone[i], cell + " of token " + token);
      }
      assertArrayEquals(expected[tokens + sequence], alone[length], cell + " forward state");
      assertArrayEquals(expected[tokens + 9 + sequence], alone[length + 1], cell + " backward");
    }
  }

  @ParameterizedTest
  @EnumSource(RecurrentCell.class)
  void recurRoundsWeightsToBf16AndNothingElse(RecurrentCell cell) {
    Recurrence recurrence = new Recurrence(cell, 21, 2, 3, 8, 5, 1);
    float[][] expected = recurrence.run(new ScalarBackend(Precision.BF16));
    assertClose("bf16 " + cell, expected, recurrence.run(backend(Precision.BF16)), 2e-5);
  }

  /** A recurrent layer with its input and initial states. */
  final class Recurrence {
    private final RecurrentCell cell;
    private final List<RecurrentTensors> directions = new ArrayList<>();
    final int[] starts;
    final float[][] projected;
    private final float[][] state;
    private final float[][] outputGradient;
    private final float[][] stateGradient;
    private final int outputSize;

    Recurrence(RecurrentCell cell, int hiddenSize, int directions, int... lengths) {
      this.cell = cell;
      starts = new int[lengths.length + 1];
      for (int i = 0; i < lengths.length; i++) {
        starts[i + 1] = starts[i] + lengths[i];
      }
      for (int direction = 0; direction < directions; direction++) {
        List<Tensor> weights = new ArrayList<>();
        List<Tensor> peepholes = new ArrayList<>();
        for (int gate = 0; gate < cell.gates(); gate++) {
          // Larger weights would make the unbounded network grow with every step.
          float[] weight = numbers(1, hiddenSize * hiddenSize)[0];
          for (int i = 0; i < weight.length; i++) {
            weight[i] *= 0.7f / (float) Math.sqrt(hiddenSize);
          }
          weights.add(tensor(weight, hiddenSize, hiddenSize));
        }
        for (int i = 0; i < cell.peepholes(); i++) {
          peepholes.add(tensor(hiddenSize));
        }
        List<Tensor> biases = List.of(tensor((long) cell.gates() * hiddenSize));
        this.directions.add(new RecurrentTensors(weights, biases, peepholes));
      }
      outputSize = directions * hiddenSize;
      projected = numbers(starts[lengths.length], outputSize * cell.gates());
      state = numbers(directions * lengths.length, cell.states() * hiddenSize);
      outputGradient = numbers(projected.length, outputSize);
      stateGradient = numbers(state.length, cell.states() * hiddenSize);
    }

    private Recurrence(Recurrence all, int sequence) {
      cell = all.cell;
      directions.addAll(all.directions);
      outputSize = all.outputSize;
      int first = all.starts[sequence];
      int end = all.starts[sequence + 1];
      starts = new int[] {0, end - first};
      projected = Arrays.copyOfRange(all.projected, first, end);
      int sequences = all.starts.length - 1;
      state = new float[][] {all.state[sequence], all.state[sequences + sequence]};
      outputGradient = Arrays.copyOfRange(all.outputGradient, first, end);
      stateGradient =
          new float[][] {all.stateGradient[sequence], all.stateGradient[sequences + sequence]};
    }

    /** Returns one sequence of a bidirectional layer alone. */
    Recurrence only(int sequence) {
      return new Recurrence(this, sequence);
    }

    /** Returns what a traced forward pass and its gradient compute. */
    List<Matrix> trainingStep(TrainingBackend backend) {
      List<RecurrentMatrices> weights = new ArrayList<>();
      List<RecurrentMatrices> gradients = new ArrayList<>();
      List<Matrix> results = new ArrayList<>();
      for (RecurrentTensors tensors : directions) {
        Matrix weight = matrix(backend, tensors.weights());
        Matrix bias = matrix(backend, tensors.biases());
        Matrix peepholes = matrix(backend, tensors.peepholes());
        weights.add(new RecurrentMatrices(weight, bias, peepholes));
        // Gradients are added to what is there: numbers that are there already.
        RecurrentMatrices gradient =
            new RecurrentMatrices(
                matrix(backend, tensors.weights()),
                matrix(backend, tensors.biases()),
                matrix(backend, tensors.peepholes()));
        gradients.add(gradient);
        results.addAll(List.of(gradient.weight(), gradient.bias(), gradient.peepholes()));
      }
      int tokens = projected.length;
      int hiddenSize = outputSize / directions.size();
      Matrix before = matrix(backend, state);
      Matrix after = backend.allocate(arena, before.rows(), before.columns());
      Matrix output = backend.allocate(arena, tokens, outputSize);
      int traceSize = directions.size() * backend.traceSize(cell, hiddenSize);
      Matrix trace = backend.allocate(arena, tokens, traceSize);
      Matrix input = matrix(backend, projected);
      backend.recurTraced(input, starts, cell, weights, before, after, output, trace);
      Matrix byState = matrix(backend, stateGradient);
      Matrix byInput = backend.allocate(arena, tokens, input.columns());
      Matrix byOutput = matrix(backend, outputGradient);
      backend.recurGradient(
          starts, cell, weights, before, output, trace, byOutput, byState, byInput, gradients);
      results.addAll(List.of(output, after, byState, byInput));
      return results;
    }

    /** Returns the rows of the output, and then those of the states. */
    float[][] run(Backend backend) {
      RecurrentWeight weight = backend.prepareRecurrent(arena, cell, directions);
      assertEquals(directions.size(), weight.directions());
      Matrix states = matrix(backend, state);
      Matrix output = backend.allocate(arena, projected.length, outputSize);
      backend.recur(matrix(backend, projected), starts, weight, states, output);
      List<float[]> rows = new ArrayList<>(Arrays.asList(read(backend, output)));
      rows.addAll(Arrays.asList(read(backend, states)));
      return rows.toArray(float[][]::new);
    }
  }

  @Test
  void whatIsWrittenIsReadAndNothingElse() {
    Backend backend = backend(Precision.FP32);
    Matrix matrix = matrix(backend, new float[][] {{1, 2, 3}, {4, 5, 6}});
    backend.write(new float[] {7, 8}, matrix, 1, 1);
    assertArrayEquals(new float[] {1, 2, 3}, backend.read(matrix, 0, 3));
    assertArrayEquals(new float[] {4, 7, 8}, backend.read(matrix, 1, 3));
  }

  @ParameterizedTest
  @EnumSource(PoolingMode.class)
  void poolReducesThePooledTokens(PoolingMode mode) {
    PackedBatch whole = batch(1, 4, 33);
    PackedBatch partial =
        new PackedBatch(
            whole.ids(),
            whole.typeIds(),
            whole.positions(),
            whole.sequenceStarts(),
            new int[] {0, 3, 20});
    for (PackedBatch batch : List.of(whole, partial)) {
      float[][] hidden = numbers(batch.tokens(), 17);
      float[][][] answers = new float[2][][];
      Backend[] both = {oracle, backend(Precision.FP32)};
      for (int i = 0; i < 2; i++) {
        Matrix vectors = both[i].allocate(arena, 3, 20);
        both[i].pool(matrix(both[i], hidden), batch, mode, vectors, 3);
        both[i].normalize(vectors);
        answers[i] = read(both[i], vectors);
      }
      assertClose("pool " + mode, answers[0], answers[1], 1e-6);
    }
  }

  @Test
  void aRowOfZerosStaysZeroWhenNormalised() {
    Backend backend = backend(Precision.FP32);
    Matrix vectors = matrix(backend, new float[2][5]);
    backend.normalize(vectors);
    assertEquals(0f, backend.read(vectors, 1, 5)[4]);
  }

  protected PackedBatch batch(int... lengths) {
    List<Tokens> sequences = new ArrayList<>();
    for (int length : lengths) {
      int[] ids = IntStream.range(0, length).map(i -> random.nextInt(9)).toArray();
      int[] typeIds = IntStream.range(0, length).map(i -> random.nextInt(2)).toArray();
      int[] offsets = new int[length];
      sequences.add(
          new Tokens(ids, typeIds, offsets, offsets, new boolean[length], false, List.of()));
    }
    return PackedBatch.pack(sequences);
  }

  protected float[][] numbers(int rows, int columns) {
    float[][] numbers = new float[rows][columns];
    for (float[] row : numbers) {
      for (int i = 0; i < columns; i++) {
        row[i] = (float) random.nextGaussian();
      }
    }
    return numbers;
  }

  protected Tensor tensor(long... shape) {
    int elements = Math.toIntExact(Arrays.stream(shape).reduce(1, (a, b) -> a * b));
    return tensor(numbers(1, elements)[0], shape);
  }

  protected Tensor tensor(float[] numbers, long... shape) {
    MemorySegment data = arena.allocateFrom(ValueLayout.JAVA_FLOAT, numbers);
    return new Tensor("test", DataType.F32, shape, data);
  }

  /** A table at the very end of its memory and at an odd address, as files have them. */
  private Tensor table(DataType type, int rows, int size) {
    MemorySegment memory = arena.allocate((long) rows * size * type.bytes() + 1);
    MemorySegment data = memory.asSlice(1);
    for (int i = 0; i < rows * size; i++) {
      float value = (float) random.nextGaussian();
      switch (type) {
        case F32 -> data.set(ValueLayout.JAVA_FLOAT_UNALIGNED, i * 4L, value);
        case F16 -> data.set(ValueLayout.JAVA_SHORT_UNALIGNED, i * 2L, Float.floatToFloat16(value));
        case BF16 ->
            data.set(ValueLayout.JAVA_SHORT_UNALIGNED, i * 2L, (short) BFloat16.bits(value));
        case I64, I32, U8 -> throw new IllegalArgumentException("no table of " + type);
      }
    }
    return new Tensor("table", type, new long[] {rows, size}, data);
  }

  /** Returns the rows of all tensors; a tensor of one dimension is a row. */
  protected Matrix matrix(Backend backend, List<Tensor> tensors) {
    List<float[]> rows = new ArrayList<>();
    for (Tensor tensor : tensors) {
      int columns = Math.toIntExact(tensor.shape()[tensor.shape().length - 1]);
      for (long at = 0; at < tensor.elements(); at += columns) {
        float[] row = new float[columns];
        for (int i = 0; i < columns; i++) {
          row[i] = tensor.get(at + i);
        }
        rows.add(row);
      }
    }
    return matrix(backend, rows.toArray(float[][]::new));
  }

  /** What lies outside of the matrix is not a number, so that a kernel that uses it is found. */
  protected Matrix matrix(Backend backend, float[][] numbers) {
    int columns = numbers.length == 0 ? 0 : numbers[0].length;
    Matrix matrix = backend.allocate(arena, numbers.length, columns);
    fill(backend, matrix, numbers);
    return matrix;
  }

  private static void fill(Backend backend, Matrix matrix, float[][] numbers) {
    int stride = matrix.stride();
    if (stride == 0) {
      return;
    }
    int rows = (int) (matrix.data().byteSize() / matrix.rowOffset(1));
    Matrix whole = new Matrix(matrix.data(), rows, stride, stride, matrix.format());
    float[] none = new float[stride];
    Arrays.fill(none, Float.NaN);
    for (int row = 0; row < rows; row++) {
      backend.write(none, whole, row, 0);
    }
    for (int row = 0; row < numbers.length; row++) {
      backend.write(numbers[row], matrix, row, 0);
    }
  }

  /** Like {@link #matrix}, for states between layers. */
  protected Matrix state(Backend backend, float[][] numbers) {
    Matrix matrix = backend.allocateState(arena, numbers.length, numbers[0].length);
    fill(backend, matrix, numbers);
    return matrix;
  }

  protected static float[][] read(Backend backend, Matrix matrix) {
    float[][] numbers = new float[matrix.rows()][];
    for (int row = 0; row < numbers.length; row++) {
      numbers[row] = backend.read(matrix, row, matrix.columns());
    }
    return numbers;
  }

  protected static void assertClose(
      String what, float[][] expected, float[][] actual, double tolerance) {
    assertEquals(expected.length, actual.length, what);
    for (int row = 0; row < expected.length; row++) {
      for (int i = 0; i < expected[row].length; i++) {
        double error = Math.abs(expected[row][i] - actual[row][i]);
        double allowed = tolerance * (1 + Math.abs(expected[row][i]));
        String where = what + " [" + row + ", " + i + "], seed " + SEED + ": ";
        assertTrue(error <= allowed, () -> where + "error " + error + ", allowed " + allowed);
      }
    }
  }
}
