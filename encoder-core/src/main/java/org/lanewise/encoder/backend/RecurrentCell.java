package org.lanewise.encoder.backend;

/**
 * The recurrent networks, by what one step does with the projected input {@code x = W_x input +
 * b_x} and with {@code u = W_h h + b_h} of the hidden state h before it. The gates follow each
 * other in weights and in x and u in the order in which they are named here.
 */
public enum RecurrentCell {
  /** h' = tanh(x + u): Elman's network. */
  RNN_TANH(1, 1, 0),
  /** h' = max(x + u, 0). */
  RNN_RELU(1, 1, 0),
  /**
   * PyTorch's LSTM, gates i, f, g, o: i, f and o are sigmoid(x + u), g is tanh(x + u); c' = f c + i
   * g and h' = o tanh(c').
   */
  LSTM(4, 2, 0),
  /**
   * The LSTM of Graves, "Generating Sequences With Recurrent Neural Networks" (2013), equations 7
   * to 11: as {@link #LSTM}, but w_i c is added inside gate i, w_f c inside f and w_o c' inside o.
   */
  LSTM_PEEPHOLE(4, 2, 3),
  /**
   * PyTorch's GRU, gates r, z, n: r and z are sigmoid(x + u), n is tanh(x + r u); h' = (1 - z) n +
   * z h.
   */
  GRU(3, 1, 0);

  private final int gates;
  private final int states;
  private final int peepholes;

  RecurrentCell(int gates, int states, int peepholes) {
    this.gates = gates;
    this.states = states;
    this.peepholes = peepholes;
  }

  /** Returns how many times the hidden size x and u are wide. */
  public int gates() {
    return gates;
  }

  /** Returns what is handed from step to step: 1 for h, 2 for h followed by c. */
  public int states() {
    return states;
  }

  /** Returns the diagonal weights through which gates see c: 3 (i, f, o) or none. */
  public int peepholes() {
    return peepholes;
  }
}
