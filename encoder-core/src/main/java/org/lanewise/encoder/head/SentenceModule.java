package org.lanewise.encoder.head;

import java.util.List;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.weights.Tensor;

/** One step from hidden states to a sentence vector, as modules.json lists them in order. */
public sealed interface SentenceModule {
  /**
   * Pools the hidden states; several modes are concatenated in the order of sentence-transformers.
   *
   * @param includePrompt false keeps the prompt's tokens out of the pooling
   */
  record Pooling(List<PoolingMode> modes, boolean includePrompt) implements SentenceModule {
    public Pooling {
      modes = List.copyOf(modes);
    }
  }

  /**
   * A linear layer on the vector.
   *
   * @param weight (outFeatures, inFeatures)
   * @param bias (outFeatures) or null
   * @param activation name of the activation: identity, tanh, relu, gelu, sigmoid, ...
   */
  record Dense(Tensor weight, Tensor bias, String activation) implements SentenceModule {}

  /** Scales the vector to length 1. */
  record Normalize() implements SentenceModule {}
}
