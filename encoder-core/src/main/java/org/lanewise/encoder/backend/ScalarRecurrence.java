package org.lanewise.encoder.backend;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.lanewise.encoder.weights.Tensor;

/** The definition of a recurrent layer: one sequence and one step after the other. */
final class ScalarRecurrence {
  /** The directions of a layer. */
  record Weight(RecurrentCell cell, int hiddenSize, List<RecurrentMatrices> each)
      implements RecurrentWeight {
    @Override
    public int directions() {
      return each.size();
    }
  }

  private final Matrix projected;
  private final Weight weight;
  private final Matrix state;
  private final Matrix output;
  private final Optional<Matrix> trace;
  private final double[] sums;
  private final double[] kept;

  private ScalarRecurrence(
      Matrix projected, Weight weight, Matrix state, Matrix output, Optional<Matrix> trace) {
    this.projected = projected;
    this.weight = weight;
    this.state = state;
    this.output = output;
    this.trace = trace;
    sums = new double[weight.cell().gates() * weight.hiddenSize()];
    kept = new double[traced(weight.cell())];
  }

  /**
   * Returns how many numbers a trace keeps for each number of the hidden state: the gates in their
   * order, then what an LSTM remembers (c), or the u of a GRU's gate n. What an Elman network needs
   * is in its output.
   */
  static int traced(RecurrentCell cell) {
    return switch (cell) {
      case RNN_TANH, RNN_RELU -> 0;
      case LSTM, LSTM_PEEPHOLE -> 5;
      case GRU -> 4;
    };
  }

  static Weight prepare(
      Precision precision, Arena arena, RecurrentCell cell, List<RecurrentTensors> directions) {
    List<RecurrentMatrices> each = new ArrayList<>();
    for (RecurrentTensors tensors : directions) {
      int hiddenSize = Math.toIntExact(tensors.weights().getFirst().shape()[1]);
      int rows = cell.gates() * hiddenSize;
      Matrix weight = Matrix.allocate(arena, rows, hiddenSize);
      fill(tensors.weights(), weight, precision);
      Matrix bias = Matrix.allocate(arena, 1, rows);
      fill(tensors.biases(), bias, Precision.FP32);
      Matrix peepholes = Matrix.allocate(arena, cell.peepholes(), hiddenSize);
      fill(tensors.peepholes(), peepholes, Precision.FP32);
      each.add(new RecurrentMatrices(weight, bias, peepholes));
    }
    return new Weight(cell, each.getFirst().weight().columns(), List.copyOf(each));
  }

  private static void fill(List<Tensor> tensors, Matrix matrix, Precision precision) {
    int at = 0;
    for (Tensor tensor : tensors) {
      for (long i = 0; i < tensor.elements(); i++, at++) {
        float value = tensor.get(i);
        matrix.set(
            at / matrix.columns(),
            at % matrix.columns(),
            precision == Precision.BF16 ? BFloat16.round(value) : value);
      }
    }
  }

  static void recur(
      Matrix projected, int[] sequenceStarts, Weight weight, Matrix state, Matrix output) {
    new ScalarRecurrence(projected, weight, state, output, Optional.empty()).run(sequenceStarts);
  }

  static void recurTraced(
      Matrix projected,
      int[] sequenceStarts,
      RecurrentCell cell,
      List<RecurrentMatrices> weights,
      Matrix state,
      Matrix output,
      Matrix trace) {
    Weight weight = new Weight(cell, weights.getFirst().weight().columns(), weights);
    new ScalarRecurrence(projected, weight, state, output, Optional.of(trace)).run(sequenceStarts);
  }

  private void run(int[] sequenceStarts) {
    int sequences = sequenceStarts.length - 1;
    for (int sequence = 0; sequence < sequences; sequence++) {
      int start = sequenceStarts[sequence];
      int end = sequenceStarts[sequence + 1];
      for (int token = start; token < end; token++) {
        step(0, sequence, token);
      }
      for (int token = end - 1; token >= start && weight.directions() == 2; token--) {
        step(1, sequences + sequence, token);
      }
    }
  }

  /** Takes the state in {@code row} past the token. */
  private void step(int direction, int row, int token) {
    int hiddenSize = weight.hiddenSize();
    RecurrentMatrices part = weight.each().get(direction);
    for (int i = 0; i < sums.length; i++) {
      sums[i] = part.bias().get(0, i);
      for (int k = 0; k < hiddenSize; k++) {
        sums[i] += (double) state.get(row, k) * part.weight().get(i, k);
      }
    }
    int x = direction * sums.length;
    for (int i = 0; i < hiddenSize; i++) {
      float hidden = (float) next(part.peepholes(), row, token, x + i, i);
      state.set(row, i, hidden);
      output.set(token, direction * hiddenSize + i, hidden);
      for (int k = 0; k < kept.length && trace.isPresent(); k++) {
        int column = (direction * kept.length + k) * hiddenSize + i;
        trace.get().set(token, column, (float) kept[k]);
      }
    }
  }

  /**
   * Returns number {@code i} of the next hidden state.
   *
   * @param x column of the projected input that belongs to it in the first gate
   */
  private double next(Matrix peepholes, int row, int token, int x, int i) {
    int size = weight.hiddenSize();
    return switch (weight.cell()) {
      case RNN_TANH -> Math.tanh(projected.get(token, x) + sums[i]);
      case RNN_RELU -> Math.max(projected.get(token, x) + sums[i], 0);
      case GRU -> {
        double r = sigmoid(projected.get(token, x) + sums[i]);
        double z = sigmoid(projected.get(token, x + size) + sums[size + i]);
        double n = Math.tanh(projected.get(token, x + 2 * size) + r * sums[2 * size + i]);
        keep(r, z, n, sums[2 * size + i]);
        yield (1 - z) * n + z * state.get(row, i);
      }
      case LSTM, LSTM_PEEPHOLE -> {
        boolean peeps = weight.cell() == RecurrentCell.LSTM_PEEPHOLE;
        double before = state.get(row, size + i);
        double seenByI = peeps ? peepholes.get(0, i) * before : 0;
        double seenByF = peeps ? peepholes.get(1, i) * before : 0;
        double in = sigmoid(projected.get(token, x) + sums[i] + seenByI);
        double forget = sigmoid(projected.get(token, x + size) + sums[size + i] + seenByF);
        double g = Math.tanh(projected.get(token, x + 2 * size) + sums[2 * size + i]);
        double after = forget * before + in * g;
        double seenByO = peeps ? peepholes.get(2, i) * after : 0;
        double out = sigmoid(projected.get(token, x + 3 * size) + sums[3 * size + i] + seenByO);
        state.set(row, size + i, (float) after);
        keep(in, forget, g, out, after);
        yield out * Math.tanh(after);
      }
    };
  }

  private void keep(double... numbers) {
    System.arraycopy(numbers, 0, kept, 0, numbers.length);
  }

  private static double sigmoid(double x) {
    return ScalarBackend.apply(Activation.SIGMOID, x);
  }
}
