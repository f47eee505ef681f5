package org.lanewise.encoder.model;

import java.lang.foreign.Arena;
import java.util.List;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.NormWeight;
import org.lanewise.encoder.weights.Weights;

/**
 * Two linear layers with an activation between them, residual and norm: {@code BertIntermediate}
 * and {@code BertOutput} of transformers' modeling_bert.py.
 */
final class FeedForward {
  private final LinearWeight intermediate;
  private final LinearWeight output;
  private final NormWeight norm;
  private final Activation activation;

  /** Prepares the weights of one layer's scope. */
  FeedForward(Backend backend, Arena arena, Weights weights, BertConfig config) {
    intermediate = linear(backend, arena, weights.in("intermediate.dense"));
    output = linear(backend, arena, weights.in("output.dense"));
    norm = norm(backend, arena, weights.in("output.LayerNorm"), config);
    activation = Activation.named(config.activation());
  }

  static LinearWeight linear(Backend backend, Arena arena, Weights weights) {
    return backend.prepareLinear(
        arena, List.of(weights.tensor("weight")), List.of(weights.tensor("bias")));
  }

  static NormWeight norm(Backend backend, Arena arena, Weights weights, BertConfig config) {
    return backend.prepareNorm(
        arena, weights.tensor("weight"), weights.tensor("bias"), config.layerNormEpsilon());
  }

  /** Replaces the hidden states by norm(feedForward(hidden) + hidden). */
  void forward(Backend backend, Activations state) {
    backend.linear(state.hidden(), intermediate, activation, state.intermediate());
    backend.linear(state.intermediate(), output, Activation.IDENTITY, state.projected());
    backend.addNorm(state.projected(), state.hidden(), norm, state.hidden());
  }
}
