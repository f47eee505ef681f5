package org.lanewise.encoder.train;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.random.RandomGenerator;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.backend.RecurrentMatrices;
import org.lanewise.encoder.backend.TrainingBackend;
import org.lanewise.encoder.model.RecurrentConfig;

/**
 * Stacked recurrent layers that are trained, with the weights of {@code RecurrentNetwork}: forward,
 * and back through time.
 */
final class TrainableRecurrence {
  private static final List<String> PEEPHOLE_GATES = List.of("i", "f", "c", "o");

  private final TrainingBackend backend;
  private final RecurrentConfig config;
  private final List<Layer> layers = new ArrayList<>();

  private record Layer(
      TrainableLinear input, List<RecurrentMatrices> weights, List<RecurrentMatrices> gradients) {}

  /**
   * What the backward pass of a layer needs.
   *
   * @param mask what its input was multiplied with
   */
  private record Kept(
      Optional<Matrix> mask, Matrix input, Matrix before, Matrix output, Matrix trace) {}

  /**
   * A forward pass.
   *
   * @param output of the last layer, (tokens, directions * hiddenSize)
   * @param after for each layer the states after the last step, as {@code Backend.recur} has them
   */
  record Pass(int[] sequenceStarts, List<Kept> kept, Matrix output, List<Matrix> after) {}

  /**
   * Adds the weights to the parameters.
   *
   * @param scope begins their names
   */
  TrainableRecurrence(
      TrainingBackend backend, Parameters parameters, String scope, RecurrentConfig config) {
    this.backend = backend;
    this.config = config;
    for (int layer = 0; layer < config.layers(); layer++) {
      layers.add(layer(parameters, scope, layer));
    }
  }

  private Layer layer(Parameters parameters, String scope, int layer) {
    boolean peepholes = config.cell() == RecurrentCell.LSTM_PEEPHOLE;
    int size = config.hiddenSize();
    int inputSize = layer == 0 ? config.inputSize() : config.outputSize();
    int rows = config.cell().gates() * size;
    double bound = 1 / Math.sqrt(size);
    List<Parameter.Slice> inputWeights = new ArrayList<>();
    List<Parameter.Slice> inputBiases = new ArrayList<>();
    List<RecurrentMatrices> weights = new ArrayList<>();
    List<RecurrentMatrices> gradients = new ArrayList<>();
    for (int direction = 0; direction < config.directions(); direction++) {
      String name = "_l" + layer + (direction == 1 ? "_reverse" : "");
      int first = direction * rows;
      if (!peepholes) {
        inputWeights.add(Parameter.Slice.rows(scope + "weight_ih" + name, first, rows, inputSize));
        inputBiases.add(Parameter.Slice.vector(scope + "bias_ih" + name, 0, first, rows));
        Parameter weight = parameters.addWeight(scope + "weight_hh" + name, rows, size, bound);
        Parameter bias =
            parameters.addVector(Parameter.Kind.BIAS, scope + "bias_hh" + name, rows, bound);
        Matrix none = backend.allocate(Arena.ofAuto(), 0, size);
        weights.add(new RecurrentMatrices(weight.value(), bias.value(), none));
        gradients.add(new RecurrentMatrices(weight.gradient(), bias.gradient(), none));
        continue;
      }
      String suffix = name.equals("_l0") ? "" : name;
      List<Parameter.Slice> recurrent = new ArrayList<>();
      for (int gate = 0; gate < PEEPHOLE_GATES.size(); gate++) {
        String end = PEEPHOLE_GATES.get(gate) + suffix;
        int row = first + gate * size;
        inputWeights.add(Parameter.Slice.rows(scope + "W_x" + end, row, size, inputSize));
        inputBiases.add(Parameter.Slice.vector(scope + "b_" + end, 0, row, size));
        recurrent.add(Parameter.Slice.rows(scope + "W_h" + end, gate * size, size, size));
      }
      Parameter weight = parameters.add(Parameter.Kind.WEIGHT, rows, size, bound, recurrent);
      Parameter seen =
          parameters.add(
              Parameter.Kind.WEIGHT,
              config.cell().peepholes(),
              size,
              bound,
              List.of(
                  Parameter.Slice.vector(scope + "w_ci" + suffix, 0, 0, size),
                  Parameter.Slice.vector(scope + "w_cf" + suffix, 1, 0, size),
                  Parameter.Slice.vector(scope + "w_co" + suffix, 2, 0, size)));
      // The formulas have one bias for each gate: it is the input's, and this one stays 0.
      Matrix bias = backend.allocate(Arena.ofAuto(), 1, rows);
      Matrix unread = backend.allocate(Arena.ofAuto(), 1, rows);
      weights.add(new RecurrentMatrices(weight.value(), bias, seen.value()));
      gradients.add(new RecurrentMatrices(weight.gradient(), unread, seen.gradient()));
    }
    int all = config.directions() * rows;
    return new Layer(
        new TrainableLinear(
            backend,
            parameters.add(Parameter.Kind.WEIGHT, all, inputSize, bound, inputWeights),
            parameters.add(Parameter.Kind.BIAS, 1, all, bound, inputBiases)),
        weights,
        gradients);
  }

  /** Returns states of zeros for each layer, (directions * sequences, states * hiddenSize). */
  List<Matrix> zeroStates(Workspace workspace, int sequences) {
    List<Matrix> states = new ArrayList<>();
    for (int layer = 0; layer < layers.size(); layer++) {
      states.add(
          workspace.zeros(
              config.directions() * sequences, config.cell().states() * config.hiddenSize()));
    }
    return states;
  }

  /**
   * Runs the layers.
   *
   * @param input (tokens, inputSize); must stay as it is until the backward pass
   * @param before states before the first step, for each layer
   * @param dropout share of the numbers between layers
   */
  Pass forward(
      Workspace workspace,
      Matrix input,
      int[] sequenceStarts,
      List<Matrix> before,
      double dropout,
      RandomGenerator random) {
    int tokens = input.rows();
    int traceSize = backend.traceSize(config.cell(), config.hiddenSize());
    List<Kept> kept = new ArrayList<>();
    List<Matrix> after = new ArrayList<>();
    Matrix from = input;
    for (int i = 0; i < layers.size(); i++) {
      Layer layer = layers.get(i);
      Optional<Matrix> mask =
          i == 0 ? Optional.empty() : workspace.mask(tokens, from.columns(), dropout, random);
      if (mask.isPresent()) {
        Matrix dropped = workspace.matrix(tokens, from.columns());
        backend.copy(from, dropped);
        backend.multiplyElements(mask.get(), dropped);
        from = dropped;
      }
      Matrix projected = workspace.matrix(tokens, layer.input().outputSize());
      layer.input().forward(from, projected);
      Matrix state = before.get(i);
      Matrix last = workspace.matrix(state.rows(), state.columns());
      Matrix output = workspace.matrix(tokens, config.outputSize());
      Matrix trace = workspace.matrix(tokens, config.directions() * traceSize);
      backend.recurTraced(
          projected, sequenceStarts, config.cell(), layer.weights(), state, last, output, trace);
      kept.add(new Kept(mask, from, state, output, trace));
      after.add(last);
      from = output;
    }
    return new Pass(sequenceStarts, kept, from, after);
  }

  /**
   * Adds the gradients by the weights.
   *
   * @param outputGradient by the output of the last layer
   * @param stateGradients by the states after the last step, for each layer; replaced by those by
   *     the states before the first
   * @param inputGradient written: by the input; empty if nobody asks
   */
  void backward(
      Workspace workspace,
      Pass pass,
      Matrix outputGradient,
      List<Matrix> stateGradients,
      Optional<Matrix> inputGradient) {
    Matrix gradient = outputGradient;
    for (int i = layers.size() - 1; i >= 0; i--) {
      Layer layer = layers.get(i);
      Kept kept = pass.kept().get(i);
      Matrix projectedGradient = workspace.matrix(gradient.rows(), layer.input().outputSize());
      backend.recurGradient(
          pass.sequenceStarts(),
          config.cell(),
          layer.weights(),
          kept.before(),
          kept.output(),
          kept.trace(),
          gradient,
          stateGradients.get(i),
          projectedGradient,
          layer.gradients());
      layer.input().addGradients(kept.input(), projectedGradient);
      if (i > 0) {
        gradient = workspace.matrix(gradient.rows(), config.outputSize());
        layer.input().inputGradient(projectedGradient, false, gradient);
        if (kept.mask().isPresent()) {
          backend.multiplyElements(kept.mask().get(), gradient);
        }
      } else if (inputGradient.isPresent()) {
        layer.input().inputGradient(projectedGradient, false, inputGradient.get());
      }
    }
  }
}
