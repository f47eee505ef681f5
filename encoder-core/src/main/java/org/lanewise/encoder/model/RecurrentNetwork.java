package org.lanewise.encoder.model;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.backend.RecurrentTensors;
import org.lanewise.encoder.backend.RecurrentWeight;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/**
 * Stacked recurrent layers over packed sequences: {@code torch.nn.RNN}, {@code LSTM} and {@code
 * GRU} with their names and layouts ({@code weight_ih_l0}, {@code bias_hh_l1_reverse}), and the
 * LSTM with peepholes with the names of its formulas: {@code W_xi}, {@code W_hi}, {@code b_i} and
 * so on for the gates i, f, c and o, and {@code w_ci}, {@code w_cf}, {@code w_co}; beyond the
 * forward direction of the first layer these end as PyTorch's do: {@code W_xi_l0_reverse}, {@code
 * W_xi_l1}.
 *
 * <p>Immutable once prepared, and thread-safe; the weights live as long as the arena.
 */
public final class RecurrentNetwork {
  /** Gates of the peephole LSTM in the order of the cell, as its weights name them. */
  static final List<String> PEEPHOLE_GATES = List.of("i", "f", "c", "o");

  private final RecurrentConfig config;
  private final List<Layer> layers = new ArrayList<>();

  /**
   * One layer.
   *
   * @param input the projections of all directions, one after the other
   */
  private record Layer(LinearWeight input, RecurrentWeight recurrent) {}

  /**
   * Prepares the weights for the backend.
   *
   * @throws IllegalArgumentException naming the first weight that is missing or that has another
   *     shape or type than the configuration says
   */
  public RecurrentNetwork(Backend backend, Arena arena, Weights weights, RecurrentConfig config) {
    this.config = config;
    for (int layer = 0; layer < config.layers(); layer++) {
      List<Tensor> inputWeights = new ArrayList<>();
      List<Tensor> inputBiases = new ArrayList<>();
      List<RecurrentTensors> directions = new ArrayList<>();
      for (int direction = 0; direction < config.directions(); direction++) {
        String name = "_l" + layer + (direction == 1 ? "_reverse" : "");
        if (config.cell() == RecurrentCell.LSTM_PEEPHOLE) {
          String suffix = name.equals("_l0") ? "" : name;
          inputWeights.addAll(ofGates(weights, "W_x", suffix, hidden(), config.inputSize(layer)));
          inputBiases.addAll(ofGates(weights, "b_", suffix, hidden()));
          directions.add(
              new RecurrentTensors(
                  ofGates(weights, "W_h", suffix, hidden(), hidden()),
                  List.of(),
                  List.of(
                      weights.tensor("w_ci" + suffix, hidden()),
                      weights.tensor("w_cf" + suffix, hidden()),
                      weights.tensor("w_co" + suffix, hidden()))));
        } else {
          long rows = config.cell().gates() * hidden();
          inputWeights.add(weights.tensor("weight_ih" + name, rows, config.inputSize(layer)));
          inputBiases.add(weights.tensor("bias_ih" + name, rows));
          directions.add(
              new RecurrentTensors(
                  List.of(weights.tensor("weight_hh" + name, rows, hidden())),
                  List.of(weights.tensor("bias_hh" + name, rows)),
                  List.of()));
        }
      }
      layers.add(
          new Layer(
              backend.prepareLinear(arena, inputWeights, inputBiases),
              backend.prepareRecurrent(arena, config.cell(), directions)));
    }
  }

  private long hidden() {
    return config.hiddenSize();
  }

  private static List<Tensor> ofGates(
      Weights weights, String prefix, String suffix, long... shape) {
    return PEEPHOLE_GATES.stream()
        .map(gate -> weights.tensor(prefix + gate + suffix, shape))
        .toList();
  }

  /** Returns the kind and the sizes of the network. */
  public RecurrentConfig config() {
    return config;
  }

  /**
   * Returns what the last layer wrote, (tokens, directions * hiddenSize), in the memory of {@code
   * state}; {@code state.states()} are then those after the last step. All sequences begin with
   * states of zeros.
   *
   * @param input (tokens, inputSize)
   * @param sequenceStarts n + 1 ascending offsets, the first 0, the last the number of tokens
   * @param state for exactly these tokens and sequences
   * @throws IllegalArgumentException where these do not fit together
   */
  public Matrix forward(
      Backend backend, Matrix input, int[] sequenceStarts, RecurrentActivations state) {
    check(input, sequenceStarts, state);
    for (Matrix each : state.states()) {
      float[] zeros = new float[each.columns()];
      for (int row = 0; row < each.rows(); row++) {
        backend.write(zeros, each, row, 0);
      }
    }
    return resume(backend, input, sequenceStarts, state);
  }

  /** Like {@link #forward}, but the sequences begin with the states that they find. */
  public Matrix resume(
      Backend backend, Matrix input, int[] sequenceStarts, RecurrentActivations state) {
    check(input, sequenceStarts, state);
    Matrix from = input;
    for (int i = 0; i < layers.size(); i++) {
      Layer layer = layers.get(i);
      // Layers write to two matrices by turns, the last one to the output.
      Matrix to = (layers.size() - i) % 2 == 1 ? state.output() : state.between();
      backend.linear(from, layer.input(), Activation.IDENTITY, state.projected());
      backend.recur(
          state.projected(), sequenceStarts, layer.recurrent(), state.states().get(i), to);
      from = to;
    }
    return state.output();
  }

  private void check(Matrix input, int[] sequenceStarts, RecurrentActivations state) {
    if (input.columns() != config.inputSize()) {
      throw new IllegalArgumentException(
          "[input] has " + input.columns() + " columns, expected " + config.inputSize());
    }
    if (sequenceStarts.length == 0 || sequenceStarts[0] != 0) {
      throw new IllegalArgumentException(
          "[sequenceStarts] begins with "
              + (sequenceStarts.length == 0 ? "nothing" : sequenceStarts[0])
              + ", expected 0");
    }
    int sequences = sequenceStarts.length - 1;
    for (int i = 0; i < sequences; i++) {
      if (sequenceStarts[i + 1] <= sequenceStarts[i]) {
        throw new IllegalArgumentException("sequence " + i + " has no tokens, expected at least 1");
      }
    }
    if (sequenceStarts[sequences] != input.rows()) {
      throw new IllegalArgumentException(
          "[sequenceStarts] ends with "
              + sequenceStarts[sequences]
              + ", expected the rows of [input], "
              + input.rows());
    }
    int stateRows = config.directions() * sequences;
    int stateSize = config.cell().states() * config.hiddenSize();
    Matrix first = state.states().getFirst();
    if (state.output().rows() != input.rows()
        || state.output().columns() != config.outputSize()
        || state.projected().columns() != config.cell().gates() * config.outputSize()
        || state.states().size() != config.layers()
        || first.rows() != stateRows
        || first.columns() != stateSize) {
      throw new IllegalArgumentException(
          "[state] is for "
              + state.output().rows()
              + " tokens and "
              + first.rows()
              + " states of "
              + first.columns()
              + " in "
              + state.states().size()
              + " layers, expected "
              + input.rows()
              + " tokens and "
              + stateRows
              + " states of "
              + stateSize
              + " in "
              + config.layers()
              + " layers");
    }
  }
}
