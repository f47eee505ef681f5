package org.lanewise.encoder.model;

import java.lang.foreign.Arena;
import java.util.function.ToIntFunction;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;

/**
 * The state of one forward pass; it belongs to one pass at a time and may be used again by the
 * next.
 *
 * @param hidden (tokens, hiddenSize): the states between the layers
 * @param queryKeyValue (tokens, queries, keys and values of all heads), in the memory of {@code
 *     intermediate}: a layer has done with one before it writes the other
 * @param context (tokens, heads * headSize): what attention gathered
 * @param projected (tokens, hiddenSize): what a sublayer reads where a norm precedes it, then its
 *     output before the residual is added
 * @param intermediate (tokens, intermediateSize, twice where it is gated)
 * @param neighbours (tokens, what a convolution reads), in the memory of {@code intermediate}, too
 * @param side (tokens, embeddings of another size or what a convolution gives)
 */
public record Activations(
    Matrix hidden,
    Matrix queryKeyValue,
    Matrix context,
    Matrix projected,
    Matrix intermediate,
    Matrix neighbours,
    Matrix side) {

  /** Returns state for up to {@code tokens} tokens that lives as long as the arena. */
  public static Activations allocate(
      Backend backend, Arena arena, EncoderConfig config, int tokens) {
    int hiddenSize = config.hiddenSize();
    int queryKeyValueSize = widest(config, EncoderConfig::queryKeyValueSize);
    int betweenSize = widest(config, EncoderConfig::betweenSize);
    int neighboursSize = config.neighboursSize();
    int sharedSize = Math.max(neighboursSize, Math.max(queryKeyValueSize, betweenSize));
    Matrix shared = backend.allocateState(arena, tokens, sharedSize);
    return new Activations(
        backend.allocateState(arena, tokens, hiddenSize),
        shared.firstColumns(queryKeyValueSize),
        backend.allocateState(arena, tokens, widest(config, EncoderConfig::contextSize)),
        backend.allocateState(arena, tokens, hiddenSize),
        shared.firstColumns(betweenSize),
        shared.firstColumns(neighboursSize),
        backend.allocateState(arena, tokens, config.sideSize()));
  }

  private static int widest(EncoderConfig config, ToIntFunction<LayerPlan> columns) {
    return config.plans().stream().mapToInt(columns).max().orElse(0);
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
        intermediate.firstRows(tokens),
        neighbours.firstRows(tokens),
        side.firstRows(tokens));
  }
}
