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
 * Nomic's BERT: rotary positions and a gated feed-forward block, in the schema of transformers 5
 * or, with {@code n_embd}, of its own code, which most directories carry.
 */
final class NomicBertFamily {
  private NomicBertFamily() {}

  static EncoderConfig read(ConfigReader config) {
    JsonFile json = config.json();
    boolean own = json.has("n_embd");
    int hidden = config.size(own ? "n_embd" : "hidden_size");
    String headsKey = own ? "n_head" : "num_attention_heads";
    int heads = config.size(headsKey);
    int headSize = config.headSize(own ? "n_embd" : "hidden_size", hidden, headsKey, heads);
    if (json.has("head_dim")) {
      config.expectNumber("head_dim", headSize, "the hidden size over the heads");
    }
    int vocabulary = config.vocabulary();
    int types = json.optionalInteger("type_vocab_size", 0, ConfigReader.MAX_SIZE).orElse(2);
    float epsilon =
        own ? config.epsilon("layer_norm_epsilon", 1e-5) : config.epsilon("layer_norm_eps", 1e-12);
    int intermediate =
        own ? config.optionalSize("n_inner", 4 * hidden) : config.size("intermediate_size");
    int positions = config.positions(own ? "n_positions" : "max_position_embeddings");
    String activation = own ? gate(config) : config.activation("hidden_act", "silu");
    if (own) {
      positions = checkOwnCode(config, positions);
    }
    refuseExperts(config);
    boolean qkvBias = own && json.flag("qkv_proj_bias", true);
    boolean upBias = own && json.flag("mlp_fc1_bias", true);
    boolean downBias = own && json.flag("mlp_fc2_bias", true);
    RotaryPlan rotary =
        RotaryReader.read(
            config,
            headSize,
            "full_attention",
            own ? "rotary_emb_base" : "rope_theta",
            own ? 10_000 : 1000,
            !own);
    EmbeddingPlan embedding = config.wordEmbedding(vocabulary, hidden, types, "emb_ln", epsilon);
    int count = config.layers(own ? "n_layer" : "num_hidden_layers");
    List<LayerPlan> layers = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      String in = "encoder.layers." + i + ".";
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
                  config.linear(in + "attn.Wqkv", 3 * heads * headSize, hidden, qkvBias),
                  Optional.empty(),
                  Optional.empty(),
                  Optional.of(rotary),
                  config.linear(in + "attn.out_proj", hidden, heads * headSize, qkvBias),
                  ResidualPlan.postNorm(config.layerNorm(in + "norm1", hidden, epsilon))),
              new LayerPlan.FeedForward(
                  ConfigReader.activation(activation),
                  true,
                  LinearPlan.stack(
                      config.linear(in + "mlp.fc12", intermediate, hidden, upBias),
                      config.linear(in + "mlp.fc11", intermediate, hidden, upBias)),
                  config.linear(in + "mlp.fc2", hidden, intermediate, downBias),
                  ResidualPlan.postNorm(config.layerNorm(in + "norm2", hidden, epsilon)))));
    }
    EncoderSizes sizes =
        new EncoderSizes(
            vocabulary, hidden, count, heads, intermediate, positions, types, activation);
    return config.config(sizes, embedding, layers, "bert.", "nomic_bert.");
  }

  private static String gate(ConfigReader config) {
    String named = config.json().text("activation_function").orElse("gelu");
    return switch (named) {
      case "swiglu" -> "silu";
      case "geglu" -> "gelu";
      default -> {
        config
            .problems()
            .add(
                config.json().name()
                    + ": activation_function ["
                    + named
                    + "] is not supported; supported: swiglu, geglu");
        yield "silu";
      }
    };
  }

  /**
   * Refuses what Nomic's own code can do beyond its text models, and returns the longest input:
   * with {@code rotary_scaling_factor} the angles depend on the length beyond {@code
   * max_trained_positions}, so that nothing longer is read.
   */
  private static int checkOwnCode(ConfigReader config, int positions) {
    JsonFile json = config.json();
    config.expectFlag("prenorm", false, "norms that follow the sum");
    config.expectFlag("parallel_block", false, "attention before feed-forward");
    config.expectFlag("use_rms_norm", false, "LayerNorm");
    config.expectFlag("causal", false, "an encoder");
    config.expectFlag("rotary_emb_interleaved", false, "pairs that lie half a head apart");
    config.expectFlag("scale_attn_weights", true, "scores divided by the root of the head size");
    config.expectFlag("scale_attn_by_inverse_layer_idx", false, "the same scale in every layer");
    if (json.node("rotary_emb_fraction").doubleValue() != 1) {
      json.wrong("rotary_emb_fraction", "1: heads are rotated whole; where it is missing none is");
    }
    config.expectAbsent("rotary_emb_scale_base", "rotation without decay");
    if (!json.has("rotary_scaling_factor")) {
      return positions;
    }
    int trained =
        json.optionalInteger("max_trained_positions", 1, ConfigReader.MAX_POSITIONS).orElse(2048);
    return Math.min(positions, trained);
  }

  private static void refuseExperts(ConfigReader config) {
    JsonFile json = config.json();
    if (json.optionalInteger("moe_every_n_layers", 0, ConfigReader.MAX_SIZE).orElse(0) > 0
        || json.optionalInteger("num_experts", 0, ConfigReader.MAX_SIZE).orElse(0) > 0) {
      json.wrong(
          json.has("moe_every_n_layers") ? "moe_every_n_layers" : "num_experts",
          "0: mixtures of experts such as nomic-embed-text-v2-moe are not supported");
    }
  }
}
