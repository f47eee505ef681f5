package org.lanewise.encoder.model;

import java.lang.foreign.Arena;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;

/**
 * The state of one forward pass; it belongs to one pass at a time and may be used again by the
 * next.
 *
 * @param hidden (tokens, hiddenSize): the states between the layers
 * @param queryKeyValue (tokens, 3 * hiddenSize)
 * @param context (tokens, hiddenSize): what attention gathered
 * @param projected (tokens, hiddenSize): a sublayer's output before the residual is added
 * @param intermediate (tokens, intermediateSize)
 */
public record Activations(
    Matrix hidden, Matrix queryKeyValue, Matrix context, Matrix projected, Matrix intermediate) {

  /** Returns state for up to {@code tokens} tokens that lives as long as the arena. */
  public static Activations allocate(Backend backend, Arena arena, BertConfig config, int tokens) {
    int hiddenSize = config.hiddenSize();
    return new Activations(
        backend.allocate(arena, tokens, hiddenSize),
        backend.allocate(arena, tokens, 3 * hiddenSize),
        backend.allocate(arena, tokens, hiddenSize),
        backend.allocate(arena, tokens, hiddenSize),
        backend.allocate(arena, tokens, config.intermediateSize()));
  }

  /** Returns the most tokens that fit. */
  public int capacity() {
    return hidden.rows();
  }

  /** Returns the same memory for the given number of tokens. */
  public Activations forTokens(int tokens) {
    return new Activations(
        hidden.firstRows(tokens),
        queryKeyValue.firstRows(tokens),
        context.firstRows(tokens),
        projected.firstRows(tokens),
        intermediate.firstRows(tokens));
  }
}
