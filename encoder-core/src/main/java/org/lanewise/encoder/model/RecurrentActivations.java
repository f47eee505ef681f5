package org.lanewise.encoder.model;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;

/**
 * The state of one pass of a recurrent network; it belongs to one pass at a time and may be used
 * again by the next.
 *
 * @param projected (tokens, directions * gates * hiddenSize): a layer's input times its weights
 * @param output (tokens, directions * hiddenSize): what the last layer wrote
 * @param between (tokens, directions * hiddenSize): what a layer before it wrote
 * @param states of each layer (directions * sequences, states * hiddenSize), all sequences of a
 *     direction, then of the next: hidden state and, for an LSTM, what it remembers (c)
 */
public record RecurrentActivations(
    Matrix projected, Matrix output, Matrix between, List<Matrix> states) {

  /** Returns state for that many tokens and sequences that lives as long as the arena. */
  public static RecurrentActivations allocate(
      Backend backend, Arena arena, RecurrentConfig config, int tokens, int sequences) {
    int gates = config.cell().gates();
    int stateSize = config.cell().states() * config.hiddenSize();
    List<Matrix> states = new ArrayList<>();
    for (int layer = 0; layer < config.layers(); layer++) {
      states.add(backend.allocate(arena, config.directions() * sequences, stateSize));
    }
    return new RecurrentActivations(
        backend.allocate(arena, tokens, config.outputSize() * gates),
        backend.allocate(arena, tokens, config.outputSize()),
        backend.allocate(arena, tokens, config.outputSize()),
        List.copyOf(states));
  }

  /**
   * Returns the same memory for no more tokens and sequences than it was allocated for.
   *
   * @param directions those of the network
   */
  public RecurrentActivations forBatch(int tokens, int sequences, int directions) {
    return new RecurrentActivations(
        projected.firstRows(tokens),
        output.firstRows(tokens),
        between.firstRows(tokens),
        states.stream().map(each -> each.firstRows(directions * sequences)).toList());
  }
}
