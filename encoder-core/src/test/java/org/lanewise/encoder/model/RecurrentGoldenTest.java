package org.lanewise.encoder.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.lanewise.encoder.Goldens;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.weights.Safetensors;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/** Outputs and final states of recurrent networks against PyTorch in float64, each number. */
@Tag("backend")
final class RecurrentGoldenTest {
  private static final String BACKEND = System.getProperty("lanewise.backend", "auto");

  /** Of |a - b| relative to 1 + |b|: the tolerance that the goldens state for floats. */
  private static final double TOLERANCE = 1e-5;

  static List<String> files() {
    List<String> files =
        Stream.of("recurrent/torch", "recurrent/formula")
            .flatMap(folder -> Goldens.list(folder, "").stream().map(name -> folder + "/" + name))
            .toList();
    assertEquals(18, files.size(), "golden recurrent networks: " + files);
    return files;
  }

  @ParameterizedTest
  @MethodSource("files")
  void outputsAndFinalStatesAreThoseOfTheGolden(String name) {
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(2)) {
      Map<String, Tensor> tensors = Safetensors.open(Goldens.path(name), arena).tensors();
      Map<String, double[]> expected = Goldens.doubles(name);
      Backend backend = Backends.create(BACKEND, Optional.of(Precision.FP32), workers);
      RecurrentConfig config = config(name, tensors);
      Weights weights = Weights.of(tensors).in("param");
      RecurrentNetwork network = new RecurrentNetwork(backend, arena, weights, config);
      int[] starts = starts(tensors.get("lengths"));
      int sequences = starts.length - 1;
      int tokens = starts[sequences];
      Matrix input = backend.allocate(arena, tokens, config.inputSize());
      int padded = (int) tensors.get("x").shape()[1];
      for (int sequence = 0; sequence < sequences; sequence++) {
        for (int token = starts[sequence]; token < starts[sequence + 1]; token++) {
          long row = (long) sequence * padded + token - starts[sequence];
          backend.write(row(tensors.get("x"), row, config.inputSize()), input, token, 0);
        }
      }
      RecurrentActivations state =
          RecurrentActivations.allocate(backend, arena, config, tokens, sequences);
      if (tensors.containsKey("h0")) {
        for (int layer = 0; layer < config.layers(); layer++) {
          Matrix states = state.states().get(layer);
          for (int row = 0; row < states.rows(); row++) {
            long from = (long) layer * states.rows() + row;
            int size = config.hiddenSize();
            backend.write(row(tensors.get("h0"), from, size), states, row, 0);
            if (config.cell().states() == 2) {
              backend.write(row(tensors.get("c0"), from, size), states, row, size);
            }
          }
        }
        network.resume(backend, input, starts, state);
      } else {
        network.forward(backend, input, starts, state);
      }
      Errors errors = new Errors();
      for (int sequence = 0; sequence < sequences; sequence++) {
        for (int token = starts[sequence]; token < starts[sequence + 1]; token++) {
          int row = sequence * padded + token - starts[sequence];
          float[] actual = backend.read(state.output(), token, config.outputSize());
          errors.compare("y", expected.get("y"), row, actual, 0, actual.length);
        }
      }
      for (int layer = 0; layer < config.layers(); layer++) {
        Matrix states = state.states().get(layer);
        for (int row = 0; row < states.rows(); row++) {
          int at = layer * states.rows() + row;
          int size = config.hiddenSize();
          float[] actual = backend.read(states, row, states.columns());
          errors.compare("h_n", expected.get("h_n"), at, actual, 0, size);
          if (config.cell().states() == 2) {
            errors.compare("c_n", expected.get("c_n"), at, actual, size, size);
          }
        }
      }
      int stateRows = config.layers() * config.directions() * sequences * config.cell().states();
      System.out.printf(
          Locale.ROOT,
          "%s on %s: %,d numbers compared, largest error %.2e of %.0e%n",
          name,
          backend.name(),
          errors.compared,
          errors.largest,
          TOLERANCE);
      assertEquals(
          (long) tokens * config.outputSize() + (long) stateRows * config.hiddenSize(),
          errors.compared);
      assertTrue(errors.largest <= TOLERANCE, () -> name + " differs at " + errors.worst);
    }
  }

  private static RecurrentConfig config(String name, Map<String, Tensor> tensors) {
    Map<String, RecurrentCell> cells = new LinkedHashMap<>();
    cells.put("/lstm_peephole_", RecurrentCell.LSTM_PEEPHOLE);
    cells.put("/rnn_tanh_", RecurrentCell.RNN_TANH);
    cells.put("/rnn_relu_", RecurrentCell.RNN_RELU);
    cells.put("/gru_", RecurrentCell.GRU);
    cells.put("/lstm_", RecurrentCell.LSTM);
    RecurrentCell cell =
        cells.entrySet().stream()
            .filter(each -> name.contains(each.getKey()))
            .findFirst()
            .orElseThrow()
            .getValue();
    boolean peephole = cell == RecurrentCell.LSTM_PEEPHOLE;
    Tensor recurrent = tensors.get(peephole ? "param.W_hi" : "param.weight_hh_l0");
    return new RecurrentConfig(
        cell,
        (int) tensors.get("x").shape()[2],
        (int) recurrent.shape()[1],
        name.contains("_l3_") ? 3 : 1,
        name.contains("_bi."));
  }

  private static int[] starts(Tensor lengths) {
    int[] starts = new int[(int) lengths.elements() + 1];
    for (int i = 0; i < lengths.elements(); i++) {
      starts[i + 1] = starts[i] + (int) lengths.getLong(i);
    }
    return starts;
  }

  private static float[] row(Tensor tensor, long row, int size) {
    float[] numbers = new float[size];
    for (int i = 0; i < size; i++) {
      numbers[i] = tensor.get(row * size + i);
    }
    return numbers;
  }

  private static final class Errors {
    private long compared;
    private double largest;
    private String worst = "";

    void compare(String what, double[] expected, int row, float[] actual, int from, int count) {
      for (int i = 0; i < count; i++) {
        double value = expected[row * count + i];
        double error = Math.abs(value - actual[from + i]) / (1 + Math.abs(value));
        compared++;
        // A NaN must not slip through a comparison.
        if (!(error <= largest)) {
          largest = Double.isNaN(error) ? Double.POSITIVE_INFINITY : error;
          worst = what + " [" + row + ", " + i + "]: " + actual[from + i] + ", not " + value;
        }
      }
    }
  }
}
