package org.lanewise.encoder.model;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.lanewise.encoder.GoldenTensors;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.RecurrentCell;

/** The recurrent networks of the goldens, in memory of a backend. */
public final class GoldenNetworks {
  private GoldenNetworks() {}

  /** Returns the names of all of them. */
  public static List<String> files() {
    return Stream.concat(
            GoldenTensors.names("recurrent/torch", 16).stream(),
            GoldenTensors.names("recurrent/formula", 2).stream())
        .toList();
  }

  /** Returns the configuration that the name and the shapes say. */
  public static RecurrentConfig config(String name, GoldenTensors golden) {
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
    return new RecurrentConfig(
        cell,
        golden.size("x", 2),
        golden.size(peephole ? "param.W_hi" : "param.weight_hh_l0", 1),
        name.contains("_l3_") ? 3 : 1,
        name.contains("_bi."));
  }

  /** Returns a matrix of the numbers in row-major order. */
  public static Matrix matrix(Backend backend, Arena arena, double[] numbers, int columns) {
    Matrix matrix = backend.allocate(arena, numbers.length / columns, columns);
    for (int row = 0; row < matrix.rows(); row++) {
      float[] floats = new float[columns];
      for (int i = 0; i < columns; i++) {
        floats[i] = (float) numbers[row * columns + i];
      }
      backend.write(floats, matrix, row, 0);
    }
    return matrix;
  }

  /** Returns the numbers of a matrix in row-major order. */
  public static double[] numbers(Backend backend, Matrix matrix) {
    double[] numbers = new double[matrix.rows() * matrix.columns()];
    for (int row = 0; row < matrix.rows(); row++) {
      float[] from = backend.read(matrix, row, matrix.columns());
      for (int i = 0; i < from.length; i++) {
        numbers[row * from.length + i] = from[i];
      }
    }
    return numbers;
  }

  /**
   * Returns the states of each layer, zeros where the golden has none of these names.
   *
   * @param hidden name of the hidden states, (layers * directions, sequences, hiddenSize)
   * @param memory name of what LSTMs remember
   */
  public static List<Matrix> states(
      Backend backend,
      Arena arena,
      GoldenTensors golden,
      RecurrentConfig config,
      String hidden,
      String memory) {
    int rows = config.directions() * (golden.sequenceStarts().length - 1);
    List<Matrix> states = new ArrayList<>();
    for (int layer = 0; layer < config.layers(); layer++) {
      states.add(backend.allocate(arena, rows, config.cell().states() * config.hiddenSize()));
    }
    List<String> names = List.of(hidden, memory).subList(0, config.cell().states());
    for (String name : names) {
      if (golden.tensors(name).contains(name)) {
        int column = names.indexOf(name) * config.hiddenSize();
        Matrix all = matrix(backend, arena, golden.numbers(name), config.hiddenSize());
        for (int row = 0; row < all.rows(); row++) {
          float[] numbers = backend.read(all, row, config.hiddenSize());
          backend.write(numbers, states.get(row / rows), row % rows, column);
        }
      }
    }
    return states;
  }

  /** Compares the states of all layers with those of these names. */
  public static void compareStates(
      Backend backend,
      GoldenTensors golden,
      RecurrentConfig config,
      String hidden,
      String memory,
      List<Matrix> states,
      double tolerance) {
    int size = config.hiddenSize();
    for (int part = 0; part < config.cell().states(); part++) {
      double[] actual = new double[config.layers() * states.getFirst().rows() * size];
      int at = 0;
      for (Matrix layer : states) {
        assertEquals(config.cell().states() * size, layer.columns());
        for (int row = 0; row < layer.rows(); row++) {
          float[] numbers = backend.read(layer, row, layer.columns());
          for (int i = 0; i < size; i++) {
            actual[at++] = numbers[part * size + i];
          }
        }
      }
      String name = part == 0 ? hidden : memory;
      golden.compare(name, golden.numbers(name), actual, tolerance);
    }
  }
}
