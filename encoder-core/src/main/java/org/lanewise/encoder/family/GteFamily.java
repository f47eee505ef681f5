package org.lanewise.encoder.family;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.lanewise.encoder.backend.AttentionPattern;
import org.lanewise.encoder.model.BiasPlan;
import org.lanewise.encoder.model.EmbeddingPlan;
import org.lanewise.encoder.model.EncoderConfig;
import org.lanewise.encoder.model.EncoderSizes;
import org.lanewise.encoder.model.LayerPlan;
import org.lanewise.encoder.model.LinearPlan;
import org.lanewise.encoder.model.ResidualPlan;
import org.lanewise.encoder.model.RotaryPlan;
import org.lanewise.encoder.weights.JsonFile;

/**
 * The encoder of gte v1.5 and its relatives: {@code new} in its own code, {@code gte} in
 * transformers 5. Rotary positions, BERT's norms, a gated feed-forward block.
 */
final class GteFamily {
  private GteFamily() {}

  static EncoderConfig read(ConfigReader config) {
    JsonFile json = config.json();
    config.expectText("position_embedding_type", "rope");
    config.expectText("layer_norm_type", "layer_norm");
    config.expectFlag("logn_attention_scale", false, "scores that do not depend on the length");
    int hidden = config.size("hidden_size");
    int heads = config.size("num_attention_heads");
    int headSize = config.headSize("hidden_size", hidden, "num_attention_heads", heads);
    int intermediate = config.size("intermediate_size");
    int vocabulary = config.vocabulary();
    int types = json.optionalInteger("type_vocab_size", 0, ConfigReader.MAX_SIZE).orElse(1);
    float epsilon = config.epsilon("layer_norm_eps", 1e-12);
    String activation = config.activation("hidden_act", "gelu");
    boolean packed = json.flag("pack_qkv", true);
    double theta = config.family().equals("new") ? 10_000 : 160_000;
    RotaryPlan rotary =
        RotaryReader.read(config, headSize, "full_attention", "rope_theta", theta, true);
    EmbeddingPlan embedding =
        config.wordEmbedding(vocabulary, hidden, types, "embeddings.LayerNorm", epsilon);
    int count = config.layers("num_hidden_layers");
    List<LayerPlan> layers = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      String in = "encoder.layer." + i + ".";
      LinearPlan queryKeyValue =
          packed
              ? config.linear(in + "attention.qkv_proj", 3 * hidden, hidden, true)
              : LinearPlan.stack(
                  config.linear(in + "attention.q_proj", hidden, hidden, true),
                  config.linear(in + "attention.k_proj", hidden, hidden, true),
                  config.linear(in + "attention.v_proj", hidden, hidden, true));
      layers.add(
          new LayerPlan(
              new LayerPlan.Attention(
                  heads,
                  heads,
                  headSize,
                  (float) (1 / Math.sqrt(headSize)),
                  AttentionPattern.EVERYTHING,
                  AttentionPattern.EVERYTHING,
                  new BiasPlan.None(),
                  queryKeyValue,
                  Optional.empty(),
                  Optional.empty(),
                  Optional.of(rotary),
                  config.linear(in + "attention.o_proj", hidden, hidden, true),
                  ResidualPlan.postNorm(config.layerNorm(in + "attn_ln", hidden, epsilon))),
              new LayerPlan.FeedForward(
                  ConfigReader.activation(activation),
                  true,
                  config.swapped(in + "mlp.up_gate_proj", intermediate, hidden, false),
                  config.linear(in + "mlp.down_proj", hidden, intermediate, true),
                  ResidualPlan.postNorm(config.layerNorm(in + "mlp_ln", hidden, epsilon)))));
    }
    config.optionalLinear("pooler.dense", hidden, hidden);
    EncoderSizes sizes =
        new EncoderSizes(
            vocabulary,
            hidden,
            count,
            heads,
            intermediate,
            config.positions("max_position_embeddings"),
            types,
            activation);
    return config.config(sizes, embedding, layers, "new.", "gte.");
  }
}
