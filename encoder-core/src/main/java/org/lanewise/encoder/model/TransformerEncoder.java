package org.lanewise.encoder.model;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.NormWeight;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.Weights;

/**
 * A transformer encoder of any family: embedding, layers of attention and feed-forward, and what
 * its plan puts between and after them.
 *
 * <p>Immutable once prepared, and thread-safe; the weights live as long as the arena.
 */
public final class TransformerEncoder {
  private final EncoderConfig config;
  private final Embedding embedding;
  private final List<Layer> layers = new ArrayList<>();
  private final Optional<Convolution> convolution;
  private final Optional<NormWeight> finalNorm;

  /** One encoder layer. */
  private record Layer(SelfAttention attention, FeedForward feedForward) {}

  /** Prepares the weights for the backend. */
  public TransformerEncoder(Backend backend, Arena arena, Weights weights, EncoderConfig config) {
    this.config = config;
    Preparation preparation = new Preparation(backend, arena, weights);
    embedding = new Embedding(preparation, config.embedding());
    for (LayerPlan plan : config.plans()) {
      layers.add(preparation.once(plan, each -> layer(preparation, each)));
    }
    convolution = config.convolution().map(plan -> new Convolution(preparation, plan));
    finalNorm = preparation.norm(config.finalNorm());
  }

  private Layer layer(Preparation preparation, LayerPlan plan) {
    return new Layer(
        new SelfAttention(preparation, plan.attention(), config.maxPositions()),
        new FeedForward(preparation, plan.feedForward()));
  }

  /** Returns what the encoder is made of. */
  public EncoderConfig config() {
    return config;
  }

  /**
   * Returns the hidden states after the last layer and its norm, (tokens, hiddenSize), in the
   * memory of {@code state}.
   *
   * @param state for exactly the batch's tokens
   */
  public Matrix forward(Backend backend, PackedBatch batch, Activations state) {
    return forward(backend, batch, state, config.layers());
  }

  /**
   * Like {@link #forward(Backend, PackedBatch, Activations)}, but after so many layers, the rest
   * not being computed: 0 for the input of the first. The final norm belongs to the last layer.
   */
  public Matrix forward(Backend backend, PackedBatch batch, Activations state, int layerCount) {
    embed(backend, batch, state);
    for (int i = 0; i < layerCount; i++) {
      forwardLayer(i, backend, batch, state);
    }
    return state.hidden();
  }

  /** Writes the input of the first layer to {@code state.hidden()}. */
  void embed(Backend backend, PackedBatch batch, Activations state) {
    embedding.forward(backend, batch, state);
  }

  /** Replaces {@code state.hidden()} by its value after layer {@code i}. */
  void forwardLayer(int i, Backend backend, PackedBatch batch, Activations state) {
    if (i == 0) {
      convolution.ifPresent(each -> each.read(backend, batch, state));
    }
    layers.get(i).attention().forward(backend, batch, state);
    layers.get(i).feedForward().forward(backend, state);
    if (i == 0) {
      convolution.ifPresent(each -> each.join(backend, state));
    }
    if (i == layers.size() - 1) {
      finalNorm.ifPresent(norm -> backend.norm(state.hidden(), norm, state.hidden()));
    }
  }
}
