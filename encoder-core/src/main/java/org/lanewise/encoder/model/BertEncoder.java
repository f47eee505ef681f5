package org.lanewise.encoder.model;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.EmbeddingTables;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.NormWeight;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.Weights;

/**
 * The encoder of Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
 * Understanding" (2019): {@code BertModel} of transformers' modeling_bert.py without its pooler.
 *
 * <p>Immutable once prepared, and thread-safe; the weights live as long as the arena.
 */
public final class BertEncoder {
  private final BertConfig config;
  private final EmbeddingTables tables;
  private final NormWeight norm;
  private final List<Layer> layers = new ArrayList<>();

  /** One encoder layer. */
  private record Layer(SelfAttention attention, FeedForward feedForward) {}

  /** Prepares the weights for the backend. */
  public BertEncoder(Backend backend, Arena arena, Weights weights, BertConfig config) {
    this.config = config;
    Weights embeddings = weights.in("embeddings");
    tables =
        new EmbeddingTables(
            embeddings.tensor("word_embeddings.weight"),
            embeddings.tensor("position_embeddings.weight"),
            embeddings.tensor("token_type_embeddings.weight"));
    norm = FeedForward.norm(backend, arena, embeddings.in("LayerNorm"), config);
    for (int i = 0; i < config.layers(); i++) {
      Weights layer = weights.in("encoder.layer." + i);
      layers.add(
          new Layer(
              new SelfAttention(backend, arena, layer.in("attention"), config),
              new FeedForward(backend, arena, layer, config)));
    }
  }

  /** Returns the sizes of the encoder. */
  public BertConfig config() {
    return config;
  }

  /**
   * Returns the hidden states after the last layer, (tokens, hiddenSize), in the memory of {@code
   * state}.
   *
   * @param state for exactly the batch's tokens
   */
  public Matrix forward(Backend backend, PackedBatch batch, Activations state) {
    return forward(backend, batch, state, config.layers());
  }

  /**
   * Like {@link #forward(Backend, PackedBatch, Activations)}, but after so many layers, the rest
   * not being computed: 0 for the input of the first.
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
    backend.embed(batch, tables, norm, state.hidden());
  }

  /** Replaces {@code state.hidden()} by its value after layer {@code i}. */
  void forwardLayer(int i, Backend backend, PackedBatch batch, Activations state) {
    layers.get(i).attention().forward(backend, batch, state);
    layers.get(i).feedForward().forward(backend, state);
  }
}
