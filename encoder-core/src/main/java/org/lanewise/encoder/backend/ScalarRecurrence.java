package org.lanewise.encoder.backend;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.lanewise.encoder.weights.Tensor;

/** The definition of a recurrent layer: one sequence and one step after the other. */
final class ScalarRecurrence {
  /** One direction. Peepholes: (peepholes, hiddenSize). */
  private record Direction(ScalarBackend.RowWeight linear, Matrix peepholes) {}

  /** The directions of a layer. */
  record Weight(RecurrentCell cell, int hiddenSize, List<Direction> each)
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
  private final double[] sums;

  private ScalarRecurrence(Matrix projected, Weight weight, Matrix state, Matrix output) {
    this.projected = projected;
    this.weight = weight;
    this.state = state;
    this.output = output;
    sums = new double[weight.cell().gates() * weight.hiddenSize()];
  }

  static Weight prepare(
      ScalarBackend backend, Arena arena, RecurrentCell cell, List<RecurrentTensors> directions) {
    List<Direction> each = new ArrayList<>();
    for (RecurrentTensors tensors : directions) {
      ScalarBackend.RowWeight linear =
          (ScalarBackend.RowWeight)
              backend.prepareLinear(arena, tensors.weights(), tensors.biases());
      Matrix peepholes = Matrix.allocate(arena, cell.peepholes(), linear.inputSize());
      for (int row = 0; row < cell.peepholes(); row++) {
        Tensor peephole = tensors.peepholes().get(row);
        for (int i = 0; i < linear.inputSize(); i++) {
          peepholes.set(row, i, peephole.get(i));
        }
      }
      each.add(new Direction(linear, peepholes));
    }
    return new Weight(cell, each.getFirst().linear().inputSize(), List.copyOf(each));
  }

  static void recur(
      Matrix projected, int[] sequenceStarts, Weight weight, Matrix state, Matrix output) {
    ScalarRecurrence recurrence = new ScalarRecurrence(projected, weight, state, output);
    int sequences = sequenceStarts.length - 1;
    for (int sequence = 0; sequence < sequences; sequence++) {
      int start = sequenceStarts[sequence];
      int end = sequenceStarts[sequence + 1];
      for (int token = start; token < end; token++) {
        recurrence.step(0, sequence, token);
      }
      for (int token = end - 1; token >= start && weight.directions() == 2; token--) {
        recurrence.step(1, sequences + sequence, token);
      }
    }
  }

  /** Takes the state in {@code row} past the token. */
  private void step(int direction, int row, int token) {
    int hiddenSize = weight.hiddenSize();
    Direction part = weight.each().get(direction);
    for (int i = 0; i < sums.length; i++) {
      sums[i] = part.linear().bias().getAtIndex(ValueLayout.JAVA_FLOAT, i);
      for (int k = 0; k < hiddenSize; k++) {
        sums[i] += (double) state.get(row, k) * part.linear().get(i, k);
      }
    }
    int x = direction * sums.length;
    for (int i = 0; i < hiddenSize; i++) {
      float hidden = (float) next(part.peepholes(), row, token, x + i, i);
      state.set(row, i, hidden);
      output.set(token, direction * hiddenSize + i, hidden);
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
        yield out * Math.tanh(after);
      }
    };
  }

  private static double sigmoid(double x) {
    return ScalarBackend.apply(Activation.SIGMOID, x);
  }
}
