package org.lanewise.encoder.backend;

/** The definition of the gradient of one direction of a recurrent layer, sums in double. */
final class ScalarRecurrenceGradient {
  private final RecurrentCell cell;
  private final int direction;
  private final RecurrentMatrices weights;
  private final Matrix before;
  private final Matrix output;
  private final Matrix trace;
  private final int size;

  /** Of the loss by x and by u, (gates * hiddenSize). */
  private final double[] byInput;

  private final double[] byRecurrent;

  /** Of the loss by the states before the step that was done last, (hiddenSize). */
  private final double[] byHidden;

  private final double[] byMemory;

  private final double[][] weightSums; // (gates * hiddenSize, hiddenSize)
  private final double[] biasSums; // (gates * hiddenSize)
  private final double[][] peepholeSums; // (peepholes, hiddenSize)

  ScalarRecurrenceGradient(
      RecurrentCell cell,
      int direction,
      RecurrentMatrices weights,
      Matrix before,
      Matrix output,
      Matrix trace) {
    this.cell = cell;
    this.direction = direction;
    this.weights = weights;
    this.before = before;
    this.output = output;
    this.trace = trace;
    size = weights.weight().columns();
    int rows = weights.weight().rows();
    byInput = new double[rows];
    byRecurrent = new double[rows];
    byHidden = new double[size];
    byMemory = new double[size];
    weightSums = new double[rows][size];
    biasSums = new double[rows];
    peepholeSums = new double[cell.peepholes()][size];
  }

  /** Goes back through all sequences, from the step that was last to the first. */
  void run(
      int[] sequenceStarts, Matrix outputGradient, Matrix stateGradient, Matrix projectedGradient) {
    int sequences = sequenceStarts.length - 1;
    for (int sequence = 0; sequence < sequences; sequence++) {
      int row = direction * sequences + sequence;
      for (int i = 0; i < size; i++) {
        byHidden[i] = stateGradient.get(row, i);
        byMemory[i] = cell.states() == 2 ? stateGradient.get(row, size + i) : 0;
      }
      int start = sequenceStarts[sequence];
      int steps = sequenceStarts[sequence + 1] - start;
      for (int step = steps - 1; step >= 0; step--) {
        int token = direction == 0 ? start + step : start + steps - 1 - step;
        int previous = step == 0 ? -1 : direction == 0 ? token - 1 : token + 1;
        step(token, previous, row, outputGradient);
        for (int i = 0; i < byInput.length; i++) {
          projectedGradient.set(token, direction * byInput.length + i, (float) byInput[i]);
        }
      }
      for (int i = 0; i < size; i++) {
        stateGradient.set(row, i, (float) byHidden[i]);
        if (cell.states() == 2) {
          stateGradient.set(row, size + i, (float) byMemory[i]);
        }
      }
    }
  }

  /** Adds the gradient of all steps. */
  void addTo(RecurrentMatrices gradients) {
    for (int row = 0; row < weightSums.length; row++) {
      add(weightSums[row], gradients.weight(), row);
    }
    add(biasSums, gradients.bias(), 0);
    for (int row = 0; row < peepholeSums.length; row++) {
      add(peepholeSums[row], gradients.peepholes(), row);
    }
  }

  private static void add(double[] sums, Matrix gradient, int row) {
    for (int i = 0; i < sums.length; i++) {
      gradient.set(row, i, (float) (gradient.get(row, i) + sums[i]));
    }
  }

  /**
   * Goes back through one step.
   *
   * @param previous token of the step before, or -1 for the first step
   * @param row of the sequence's states
   */
  private void step(int token, int previous, int row, Matrix outputGradient) {
    for (int i = 0; i < size; i++) {
      double byOutput = byHidden[i] + outputGradient.get(token, direction * size + i);
      switch (cell) {
        case RNN_TANH -> {
          double hidden = output.get(token, direction * size + i);
          elman(i, byOutput * (1 - hidden * hidden));
        }
        case RNN_RELU -> elman(i, output.get(token, direction * size + i) > 0 ? byOutput : 0);
        case GRU -> gru(i, token, hiddenBefore(previous, row, i), byOutput);
        case LSTM, LSTM_PEEPHOLE -> lstm(i, token, memoryBefore(previous, row, i), byOutput);
      }
    }
    for (int gate = 0; gate < byRecurrent.length; gate++) {
      biasSums[gate] += byRecurrent[gate];
      for (int k = 0; k < size; k++) {
        weightSums[gate][k] += byRecurrent[gate] * hiddenBefore(previous, row, k);
        byHidden[k] += byRecurrent[gate] * weights.weight().get(gate, k);
      }
    }
  }

  private void elman(int i, double byGate) {
    byInput[i] = byGate;
    byRecurrent[i] = byGate;
    byHidden[i] = 0;
  }

  private void gru(int i, int token, double before, double byOutput) {
    double r = traced(token, 0, i);
    double z = traced(token, 1, i);
    double n = traced(token, 2, i);
    double byN = byOutput * (1 - z) * (1 - n * n);
    byInput[i] = byN * traced(token, 3, i) * r * (1 - r);
    byInput[size + i] = byOutput * (before - n) * z * (1 - z);
    byInput[2 * size + i] = byN;
    byRecurrent[i] = byInput[i];
    byRecurrent[size + i] = byInput[size + i];
    byRecurrent[2 * size + i] = byN * r;
    byHidden[i] = byOutput * z;
  }

  private void lstm(int i, int token, double before, double byOutput) {
    double in = traced(token, 0, i);
    double forget = traced(token, 1, i);
    double g = traced(token, 2, i);
    double out = traced(token, 3, i);
    double memory = traced(token, 4, i);
    double squashed = Math.tanh(memory);
    boolean peeps = cell == RecurrentCell.LSTM_PEEPHOLE;
    double byOut = byOutput * squashed * out * (1 - out);
    double byAfter = byMemory[i] + byOutput * out * (1 - squashed * squashed);
    if (peeps) {
      byAfter += byOut * weights.peepholes().get(2, i);
    }
    double byIn = byAfter * g * in * (1 - in);
    double byForget = byAfter * before * forget * (1 - forget);
    byMemory[i] = byAfter * forget;
    if (peeps) {
      byMemory[i] +=
          byIn * weights.peepholes().get(0, i) + byForget * weights.peepholes().get(1, i);
      peepholeSums[0][i] += byIn * before;
      peepholeSums[1][i] += byForget * before;
      peepholeSums[2][i] += byOut * memory;
    }
    byInput[i] = byIn;
    byInput[size + i] = byForget;
    byInput[2 * size + i] = byAfter * in * (1 - g * g);
    byInput[3 * size + i] = byOut;
    for (int gate = i; gate < byInput.length; gate += size) {
      byRecurrent[gate] = byInput[gate];
    }
    byHidden[i] = 0;
  }

  private double traced(int token, int which, int i) {
    return trace.get(token, (direction * ScalarRecurrence.traced(cell) + which) * size + i);
  }

  private double hiddenBefore(int previous, int row, int i) {
    return previous < 0 ? before.get(row, i) : output.get(previous, direction * size + i);
  }

  private double memoryBefore(int previous, int row, int i) {
    return previous < 0 ? before.get(row, size + i) : traced(previous, 4, i);
  }
}
