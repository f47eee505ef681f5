package org.lanewise.encoder.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.AttentionPattern;
import org.lanewise.encoder.backend.BFloat16;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.BackendContract;
import org.lanewise.encoder.backend.EmbeddingTables;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.NormKind;
import org.lanewise.encoder.backend.NormWeight;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.backend.PositionBias;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.RotaryTable;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.Tensor;

/**
 * What every backend must do, and what this one does to states in bf16: each operation against the
 * scalar backend on numbers that bf16 has, within the rounding of its result.
 */
abstract class CudaBackendContract extends BackendContract {
  /** Half a unit in the last of bf16's 8 bits, and as much again for what was rounded before. */
  private static final double ROUNDING = 1.0 / 128;

  private final Map<Precision, Backend> backends = new EnumMap<>(Precision.class);

  /** Returns the device under test. */
  abstract CudaDevice device();

  /** Returns the choices of what cuBLASLt multiplies; none here. */
  Optional<ProductChoices> choices() {
    return Optional.empty();
  }

  @Override
  protected Backend backend(Precision precision) {
    return backends.computeIfAbsent(precision, each -> new CudaBackend(device(), each, choices()));
  }

  @Override
  protected Set<Precision> precisions() {
    return Set.of(Precision.FP32, Precision.BF16);
  }

  private float[][] halves(int rows, int columns) {
    float[][] numbers = numbers(rows, columns);
    for (float[] row : numbers) {
      for (int i = 0; i < row.length; i++) {
        row[i] = BFloat16.round(row[i]);
      }
    }
    return numbers;
  }

  /** Compares what a computation on states leaves in its answer. */
  private void compareStates(String what, Function<Backend, Matrix> computation) {
    Backend backend = backend(Precision.BF16);
    float[][] expected = read(oracle, computation.apply(oracle));
    float[][] actual = read(backend, computation.apply(backend));
    for (int row = 0; row < expected.length; row++) {
      for (int i = 0; i < expected[row].length; i++) {
        assertEquals(
            expected[row][i],
            actual[row][i],
            ROUNDING * (1 + Math.abs(expected[row][i])),
            what + " at " + row + ", " + i);
      }
    }
    float[][] again = read(backend, computation.apply(backend));
    for (int row = 0; row < expected.length; row++) {
      assertArrayEquals(actual[row], again[row], what + " again, row " + row);
    }
  }

  @ParameterizedTest
  @EnumSource(Activation.class)
  void statesGoThroughLinearLayers(Activation activation) {
    boolean once = activation != Activation.GELU;
    for (int rows : once ? new int[] {9} : new int[] {1, 63, 65, 130}) {
      for (int inputSize : once ? new int[] {33} : new int[] {8, 33, 64, 200}) {
        for (int outputSize : once ? new int[] {70} : new int[] {1, 64, 70, 130}) {
          float[][] input = halves(rows, inputSize);
          List<Tensor> weight = List.of(halfTensor(outputSize, inputSize));
          List<Tensor> bias = List.of(tensor(outputSize));
          compareStates(
              "linear " + rows + "x" + inputSize + "x" + outputSize + " " + activation,
              backend -> {
                LinearWeight prepared = backend.prepareLinear(arena, weight, bias);
                Matrix output = backend.allocateState(arena, rows, outputSize);
                backend.linear(state(backend, input), prepared, activation, output);
                return output;
              });
        }
      }
    }
  }

  private Tensor halfTensor(int rows, int columns) {
    float[] numbers = halves(1, rows * columns)[0];
    return tensor(numbers, rows, columns);
  }

  /** Many tiles of each kind: what is chosen depends on the device. */
  @Test
  void largeProductsAreCutIntoTiles() {
    float[][] input = halves(700, 72);
    List<Tensor> weight = List.of(halfTensor(520, 72));
    compareStates(
        "linear 700x72x520",
        backend -> {
          LinearWeight prepared = backend.prepareLinear(arena, weight, List.of());
          Matrix output = backend.allocateState(arena, 700, 520);
          backend.linear(state(backend, input), prepared, Activation.IDENTITY, output);
          return output;
        });
  }

  @ParameterizedTest
  @EnumSource(ProductTile.class)
  void statesAreMultipliedByEveryTile(ProductTile tile) {
    assumeTrue(!tile.ofWarpgroups() || device().hasWarpgroups(), "the device has no warpgroups");
    assumeTrue(tile.sharedBytes() <= device().sharedMemory(), "the device has no room for it");
    CudaBackend backend = (CudaBackend) backend(Precision.BF16);
    int[][] sizes = {{1, 8, 1}, {130, 72, 300}, {65, 330, 70}, {300, 200, 256}};
    for (int[] size : sizes) {
      float[][] input = halves(size[0], size[1]);
      List<Tensor> weight = List.of(halfTensor(size[2], size[1]));
      List<Tensor> bias = List.of(tensor(size[2]));
      for (Activation activation : new Activation[] {Activation.IDENTITY, Activation.GELU}) {
        compareStates(
            tile + " " + size[0] + "x" + size[1] + "x" + size[2] + " " + activation,
            each -> {
              LinearWeight prepared = each.prepareLinear(arena, weight, bias);
              Matrix output = each.allocateState(arena, size[0], size[2]);
              Matrix states = state(each, input);
              if (each == backend) {
                backend.multiply(tile, states, prepared, activation, output);
              } else {
                each.linear(states, prepared, activation, output);
              }
              return output;
            });
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {8, 12, 16, 24, 32, 40, 64, 96, 128, 200, 256, 264})
  void statesAttend(int headSize) {
    int all = AttentionPattern.EVERYTHING;
    float scale = (float) (1 / Math.sqrt(headSize));
    PositionBias none = new PositionBias.None();
    int[] lengths = {1, 16, 63, 65, 130};
    compareAttention(backend -> AttentionPattern.full(2, headSize), lengths);
    compareAttention(backend -> new AttentionPattern(4, 2, headSize, scale, all, 0, none), lengths);
    compareAttention(backend -> new AttentionPattern(1, 1, headSize, scale, 20, 20, none), lengths);
    int reach = 140;
    float[][] table = numbers(2, 2 * reach + 1 + PositionBias.ByDistance.PADDING);
    compareAttention(
        backend ->
            new AttentionPattern(
                2,
                1,
                headSize,
                scale,
                70,
                all,
                new PositionBias.ByDistance(matrix(backend, table), reach)),
        lengths);
  }

  @Test
  void statesAttendByDistance() {
    int reach = 80;
    int[] rows = new int[2 * reach + 1];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = Math.min(Math.max(i - reach + 20, 0), 39);
    }
    float[][] keys = numbers(40, 32);
    float[][] queries = numbers(40, 32);
    int all = AttentionPattern.EVERYTHING;
    compareAttention(
        backend ->
            new AttentionPattern(
                2,
                2,
                16,
                0.1f,
                all,
                all,
                new PositionBias.Disentangled(
                    matrix(backend, keys), true, matrix(backend, queries), true, rows, reach)),
        1,
        7,
        70);
  }

  private void compareAttention(Function<Backend, AttentionPattern> patterns, int... lengths) {
    PackedBatch batch = batch(lengths);
    AttentionPattern pattern = patterns.apply(oracle);
    float[][] queryKeyValue = halves(batch.tokens(), pattern.queryKeyValueSize());
    compareStates(
        "attention " + pattern,
        backend -> {
          Matrix context = backend.allocateState(arena, batch.tokens(), pattern.contextSize());
          Matrix input = state(backend, queryKeyValue);
          backend.attention(input, batch, patterns.apply(backend), context);
          return context;
        });
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 8, 24, 256, 264, 384, 512, 768, 1024, 1032, 1100})
  void statesAreNormalised(int size) {
    Tensor weight = tensor(size);
    Tensor bias = tensor(size);
    float[][] left = halves(9, size);
    float[][] right = halves(9, size);
    for (NormKind kind : NormKind.values()) {
      Optional<Tensor> added = kind == NormKind.LAYER ? Optional.of(bias) : Optional.empty();
      compareStates(
          "norm " + kind + " of " + size,
          backend -> {
            NormWeight norm = backend.prepareNorm(arena, kind, weight, added, 0.01f);
            Matrix states = state(backend, left);
            backend.addNorm(state(backend, right), states, norm, states);
            backend.norm(states, norm, states);
            return states;
          });
    }
    EmbeddingTables tables =
        new EmbeddingTables(tensor(9, size), tensor(40, size), tensor(2, size));
    PackedBatch batch = batch(5, 1, 33);
    compareStates(
        "embed of " + size,
        backend -> {
          NormWeight norm =
              backend.prepareNorm(arena, NormKind.LAYER, weight, Optional.of(bias), 0.01f);
          Matrix states = backend.allocateState(arena, batch.tokens(), size);
          EmbeddingTables prepared = backend.prepareEmbeddings(arena, tables);
          backend.embed(batch, prepared, Optional.of(norm), states);
          return states;
        });
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 6, 33, 64})
  void statesAreAddedGatedAndTurned(int size) {
    PackedBatch batch = batch(1, 40, 7);
    float[][] wide = halves(batch.tokens(), 4 * size);
    float[][] narrow = halves(batch.tokens(), 2 * size);
    float[][] cosines = numbers(40, size / 2);
    float[][] sines = numbers(40, size / 2);
    compareStates(
        "rows of " + size,
        backend -> {
          Matrix states = state(backend, wide);
          backend.gate(states, Activation.SILU, states.firstColumns(2 * size));
          Matrix half = states.firstColumns(2 * size);
          backend.add(state(backend, narrow), half);
          return half;
        });
    if (size > 1) {
      compareStates(
          "rotate " + size,
          backend -> {
            Matrix states = state(backend, wide);
            RotaryTable table = new RotaryTable(matrix(backend, cosines), matrix(backend, sines));
            backend.rotate(states, batch, 3, size, table);
            return states;
          });
    }
    compareStates(
        "neighbours of " + size,
        backend -> {
          Matrix output = backend.allocateState(arena, batch.tokens(), 6 * size);
          backend.neighbours(state(backend, narrow), batch, 3, output);
          return output;
        });
  }

  @ParameterizedTest
  @EnumSource(PoolingMode.class)
  void statesArePooledToFp32(PoolingMode mode) {
    PackedBatch batch = batch(1, 40, 7);
    float[][] hidden = halves(batch.tokens(), 150);
    Backend backend = backend(Precision.BF16);
    float[][][] answers = new float[2][][];
    Backend[] both = {oracle, backend};
    for (int i = 0; i < 2; i++) {
      Matrix vectors = both[i].allocate(arena, 3, 160);
      both[i].pool(state(both[i], hidden), batch, mode, vectors, 10);
      both[i].normalize(vectors);
      answers[i] = read(both[i], vectors);
    }
    assertClose("pool " + mode, answers[0], answers[1], 1e-6);
  }

  @Test
  void allRowsAreReadAtOnce() {
    Backend backend = backend(Precision.BF16);
    float[][] numbers = halves(300, 9000);
    assertArrayEquals(numbers, backend.read(state(backend, numbers), 9000));
    assertArrayEquals(new float[0][], backend.read(backend.allocate(arena, 0, 3), 3));
  }

  @Test
  void whatWasNotPreparedIsRefused() {
    Backend backend = backend(Precision.BF16);
    Tensor table = tensor(9, 8);
    PackedBatch batch = batch(3);
    Matrix hidden = backend.allocateState(arena, 3, 8);
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                backend.embed(
                    batch, new EmbeddingTables(table, table, table), Optional.empty(), hidden));
    assertEquals("the embeddings [test] were not prepared by this backend", refused.getMessage());
    Matrix exact = backend.allocate(arena, 3, 8);
    assertThrows(IllegalArgumentException.class, () -> backend.add(exact, hidden));
    assertTrue(backend.kernelsReason().contains(device().name()));
  }

  @Test
  void int8IsRefused() {
    assertEquals(
        "backend [cuda] has no precision [int8]; available: bf16, fp32",
        assertThrows(IllegalArgumentException.class, () -> backend(Precision.INT8)).getMessage());
  }
}
