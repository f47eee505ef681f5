package org.lanewise.encoder.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/** What a recurrent network refuses, and what the goldens do not show. */
@Tag("backend")
final class RecurrentNetworkTest {
  private static final String BACKEND = System.getProperty("lanewise.backend", "auto");
  private static final int INPUT = 5;
  private static final int HIDDEN = 6;

  private final Arena arena = Arena.ofShared();
  private final Workers workers = new Workers(1);
  private final Backend backend = Backends.create(BACKEND, Optional.of(Precision.FP32), workers);
  private final Random random = new Random(7);

  @AfterEach
  void close() {
    workers.close();
    arena.close();
  }

  @Test
  void aWeightOfAnotherShapeIsNamedWithBothShapes() {
    Map<String, Tensor> weights = weights(config(RecurrentCell.LSTM, 2, true));
    weights.put("weight_ih_l1_reverse", tensor("weight_ih_l1_reverse", 24, 6));
    assertRefused(
        weights,
        config(RecurrentCell.LSTM, 2, true),
        "weight [weight_ih_l1_reverse] has shape [24, 6], expected [24, 12]");
  }

  @Test
  void weightsOfAnotherCellAreRefused() {
    assertRefused(
        weights(config(RecurrentCell.GRU, 1, false)),
        config(RecurrentCell.LSTM, 1, false),
        "weight [weight_ih_l0] has shape [18, 5], expected [24, 5]");
  }

  @ParameterizedTest
  @ValueSource(strings = {"weight_hh_l0", "bias_ih_l0", "bias_hh_l0_reverse"})
  void aMissingWeightIsNamed(String name) {
    Map<String, Tensor> weights = weights(config(RecurrentCell.GRU, 1, true));
    weights.remove(name);
    assertRefused(weights, config(RecurrentCell.GRU, 1, true), "weight [" + name + "] is missing");
  }

  @Test
  void weightsThatAreNoFloatsAreRefused() {
    Map<String, Tensor> weights = weights(config(RecurrentCell.GRU, 1, false));
    long[] shape = {18};
    weights.put(
        "bias_hh_l0", new Tensor("bias_hh_l0", DataType.I64, shape, arena.allocate(18 * 8)));
    assertRefused(
        weights,
        config(RecurrentCell.GRU, 1, false),
        "weight [bias_hh_l0] has dtype [I64], expected F32, F16 or BF16");
  }

  private void assertRefused(Map<String, Tensor> weights, RecurrentConfig config, String message) {
    Weights named = Weights.of(weights);
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> new RecurrentNetwork(backend, arena, named, config));
    assertEquals(message, refused.getMessage());
  }

  @Test
  void sizesOutOfBoundsAreRefused() {
    assertEquals(
        "[layers] is 0, expected 1 to 1024",
        assertThrows(
                IllegalArgumentException.class,
                () -> new RecurrentConfig(RecurrentCell.GRU, 1, 1, 0, false))
            .getMessage());
  }

  @Test
  void inputThatDoesNotFitIsRefused() {
    RecurrentConfig config = config(RecurrentCell.LSTM, 1, true);
    RecurrentNetwork network =
        new RecurrentNetwork(backend, arena, Weights.of(weights(config)), config);
    RecurrentActivations state = RecurrentActivations.allocate(backend, arena, config, 4, 2);
    Matrix input = backend.allocate(arena, 4, INPUT);
    int[] starts = {0, 1, 4};
    network.forward(backend, input, starts, state);
    Map<String, Runnable> wrong =
        Map.of(
            "[input] has 6 columns, expected 5",
            () -> network.forward(backend, backend.allocate(arena, 4, 6), starts, state),
            "[sequenceStarts] begins with nothing, expected 0",
            () -> network.forward(backend, input, new int[0], state),
            "[sequenceStarts] begins with 1, expected 0",
            () -> network.forward(backend, input, new int[] {1, 3, 4}, state),
            "sequence 1 has no tokens, expected at least 1",
            () -> network.forward(backend, input, new int[] {0, 4, 4}, state),
            "[sequenceStarts] ends with 5, expected the rows of [input], 4",
            () -> network.forward(backend, input, new int[] {0, 1, 5}, state),
            "[state] is for 4 tokens and 4 states of 12 in 1 layers, expected 4 tokens and 2 states"
                + " of 12 in 1 layers",
            () -> network.resume(backend, input, new int[] {0, 4}, state));
    wrong.forEach(
        (message, call) ->
            assertEquals(
                message, assertThrows(IllegalArgumentException.class, call::run).getMessage()));
  }

  @ParameterizedTest
  @EnumSource(RecurrentCell.class)
  void aSequenceCutInTwoIsResumedWhereItWasLeft(RecurrentCell cell) {
    RecurrentConfig config = config(cell, 2, false);
    RecurrentNetwork network =
        new RecurrentNetwork(backend, arena, Weights.of(weights(config)), config);
    float[][] tokens = new float[9][INPUT];
    for (float[] token : tokens) {
      for (int i = 0; i < INPUT; i++) {
        token[i] = (float) random.nextGaussian();
      }
    }
    RecurrentActivations all = RecurrentActivations.allocate(backend, arena, config, 9, 1);
    float[] expected = lastRow(network.forward(backend, matrix(tokens), new int[] {0, 9}, all));
    RecurrentActivations part = all.forBatch(5, 1, 1);
    float[][] first = Arrays.copyOf(tokens, 5);
    float[] atTheCut = lastRow(network.forward(backend, matrix(first), new int[] {0, 5}, part));
    assertFalse(Arrays.equals(expected, atTheCut));
    part = all.forBatch(4, 1, 1);
    float[][] rest = Arrays.copyOfRange(tokens, 5, 9);
    Matrix resumed = network.resume(backend, matrix(rest), new int[] {0, 4}, part);
    assertArrayEquals(expected, lastRow(resumed));
    Matrix forgotten = network.forward(backend, matrix(rest), new int[] {0, 4}, part);
    assertFalse(Arrays.equals(expected, lastRow(forgotten)), "forward began with old states");
  }

  @Test
  void anEvenNumberOfLayersRunsOneAfterTheOther() {
    RecurrentConfig both = config(RecurrentCell.GRU, 2, true);
    Map<String, Tensor> weights = weights(both);
    Map<String, Tensor> secondWeights = new HashMap<>();
    for (String name : List.of("weight_ih", "weight_hh", "bias_ih", "bias_hh")) {
      for (String end : List.of("", "_reverse")) {
        secondWeights.put(name + "_l0" + end, weights.get(name + "_l1" + end));
      }
    }
    Matrix input = matrix(new float[][] {{1, 2, 3, 4, 5}, {5, 4, 3, 2, 1}, {-1, 1, 0, 1, -1}});
    Matrix first = forward(weights, config(RecurrentCell.GRU, 1, true), input);
    RecurrentConfig second = new RecurrentConfig(RecurrentCell.GRU, 2 * HIDDEN, HIDDEN, 1, true);
    float[] expected = lastRow(forward(secondWeights, second, first));
    assertArrayEquals(expected, lastRow(forward(weights, both, input)));
    assertFalse(Arrays.equals(expected, lastRow(first)));
  }

  private Matrix forward(Map<String, Tensor> weights, RecurrentConfig config, Matrix input) {
    RecurrentNetwork network = new RecurrentNetwork(backend, arena, Weights.of(weights), config);
    int tokens = input.rows();
    int[] starts = {0, 1, tokens};
    return network.forward(
        backend, input, starts, RecurrentActivations.allocate(backend, arena, config, tokens, 2));
  }

  @Test
  void peepholesOfFurtherDirectionsAndLayersEndAsPyTorchsNamesDo() {
    RecurrentConfig config = config(RecurrentCell.LSTM_PEEPHOLE, 2, true);
    Map<String, Tensor> weights = weights(config);
    for (String name : List.of("W_xi", "w_co_l0_reverse", "b_c_l1", "W_ho_l1_reverse")) {
      Map<String, Tensor> fewer = new HashMap<>(weights);
      assertEquals(name, fewer.remove(name).name());
      assertRefused(fewer, config, "weight [" + name + "] is missing");
    }
    assertEquals(
        12,
        new RecurrentNetwork(backend, arena, Weights.of(weights), config).config().outputSize());
  }

  private float[] lastRow(Matrix matrix) {
    return backend.read(matrix, matrix.rows() - 1, matrix.columns());
  }

  private Matrix matrix(float[][] rows) {
    Matrix matrix = backend.allocate(arena, rows.length, rows[0].length);
    for (int row = 0; row < rows.length; row++) {
      backend.write(rows[row], matrix, row, 0);
    }
    return matrix;
  }

  private static RecurrentConfig config(RecurrentCell cell, int layers, boolean bidirectional) {
    return new RecurrentConfig(cell, INPUT, HIDDEN, layers, bidirectional);
  }

  private Map<String, Tensor> weights(RecurrentConfig config) {
    Map<String, Tensor> weights = new HashMap<>();
    for (int layer = 0; layer < config.layers(); layer++) {
      for (int direction = 0; direction < config.directions(); direction++) {
        String name = "_l" + layer + (direction == 1 ? "_reverse" : "");
        long input = layer == 0 ? INPUT : config.outputSize();
        if (config.cell() == RecurrentCell.LSTM_PEEPHOLE) {
          String suffix = name.equals("_l0") ? "" : name;
          for (String gate : List.of("i", "f", "c", "o")) {
            add(weights, "W_x" + gate + suffix, HIDDEN, input);
            add(weights, "W_h" + gate + suffix, HIDDEN, HIDDEN);
            add(weights, "b_" + gate + suffix, HIDDEN);
          }
          for (String gate : List.of("i", "f", "o")) {
            add(weights, "w_c" + gate + suffix, HIDDEN);
          }
        } else {
          long rows = (long) config.cell().gates() * HIDDEN;
          add(weights, "weight_ih" + name, rows, input);
          add(weights, "weight_hh" + name, rows, HIDDEN);
          add(weights, "bias_ih" + name, rows);
          add(weights, "bias_hh" + name, rows);
        }
      }
    }
    return weights;
  }

  private void add(Map<String, Tensor> weights, String name, long... shape) {
    weights.put(name, tensor(name, shape));
  }

  private Tensor tensor(String name, long... shape) {
    int elements = Math.toIntExact(Arrays.stream(shape).reduce(1, (a, b) -> a * b));
    float[] numbers = new float[elements];
    for (int i = 0; i < elements; i++) {
      numbers[i] = 0.3f * (float) random.nextGaussian();
    }
    MemorySegment data = arena.allocateFrom(ValueLayout.JAVA_FLOAT, numbers);
    return new Tensor(name, DataType.F32, shape, data);
  }
}
