package org.lanewise.encoder.model;

import java.lang.foreign.Arena;
import java.util.List;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.NormWeight;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.Weights;

/**
 * Multi-head self-attention with its output layer, residual and norm: {@code BertAttention} of
 * transformers' modeling_bert.py.
 */
final class SelfAttention {
  private final LinearWeight queryKeyValue;
  private final LinearWeight output;
  private final NormWeight norm;
  private final int heads;

  /** Prepares the weights of the scope {@code attention} of one layer. */
  SelfAttention(Backend backend, Arena arena, Weights weights, BertConfig config) {
    Weights self = weights.in("self");
    queryKeyValue =
        backend.prepareLinear(
            arena,
            List.of(
                self.tensor("query.weight"),
                self.tensor("key.weight"),
                self.tensor("value.weight")),
            List.of(self.tensor("query.bias"), self.tensor("key.bias"), self.tensor("value.bias")));
    output = FeedForward.linear(backend, arena, weights.in("output.dense"));
    norm = FeedForward.norm(backend, arena, weights.in("output.LayerNorm"), config);
    heads = config.heads();
  }

  /** Replaces the hidden states by norm(attention(hidden) + hidden). */
  void forward(Backend backend, PackedBatch batch, Activations state) {
    backend.linear(state.hidden(), queryKeyValue, Activation.IDENTITY, state.queryKeyValue());
    backend.attention(state.queryKeyValue(), batch, heads, state.context());
    backend.linear(state.context(), output, Activation.IDENTITY, state.projected());
    backend.addNorm(state.projected(), state.hidden(), norm, state.hidden());
  }
}
