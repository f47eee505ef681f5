package org.lanewise.encoder.family;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.lanewise.encoder.backend.AttentionPattern;
import org.lanewise.encoder.backend.NormKind;
import org.lanewise.encoder.model.BiasPlan;
import org.lanewise.encoder.model.EmbeddingPlan;
import org.lanewise.encoder.model.EncoderConfig;
import org.lanewise.encoder.model.EncoderSizes;
import org.lanewise.encoder.model.LayerPlan;
import org.lanewise.encoder.model.NormPlan;
import org.lanewise.encoder.model.ResidualPlan;
import org.lanewise.encoder.model.RotaryPlan;

/**
 * ModernBERT: rotary positions, local and global attention in turn, gated feed-forward, pre-norm.
 */
final class ModernBertFamily {
  private ModernBertFamily() {}

  static EncoderConfig read(ConfigReader config) {
    int hidden = config.size("hidden_size");
    int heads = config.size("num_attention_heads");
    int headSize = config.headSize("hidden_size", hidden, "num_attention_heads", heads);
    int intermediate = config.size("intermediate_size");
    int vocabulary = config.vocabulary();
    int count = config.layers("num_hidden_layers");
    float epsilon = config.epsilon("norm_eps", 1e-5);
    boolean normBias = config.json().flag("norm_bias", false);
    boolean attentionBias = config.json().flag("attention_bias", false);
    boolean mlpBias = config.json().flag("mlp_bias", false);
    String activation = config.activation("hidden_activation", "gelu");
    int window = config.optionalSize("local_attention", 128) / 2;
    RotaryPlan global =
        RotaryReader.read(config, headSize, "full_attention", "global_rope_theta", 160_000, true);
    RotaryPlan local =
        RotaryReader.read(config, headSize, "sliding_attention", localTheta(config), 10_000, true);
    EmbeddingPlan embedding =
        new EmbeddingPlan(
            config.table("embeddings.tok_embeddings.weight", vocabulary, hidden),
            hidden,
            1,
            Optional.empty(),
            OptionalInt.empty(),
            Optional.empty(),
            Optional.of(config.norm("embeddings.norm", NormKind.LAYER, hidden, normBias, epsilon)),
            Optional.empty(),
            false);
    boolean[] sliding = sliding(config, count);
    List<LayerPlan> layers = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      String in = "layers." + i + ".";
      Optional<NormPlan> attentionNorm =
          i == 0
              ? Optional.empty()
              : Optional.of(
                  config.norm(in + "attn_norm", NormKind.LAYER, hidden, normBias, epsilon));
      int reach = sliding[i] ? window : AttentionPattern.EVERYTHING;
      layers.add(
          new LayerPlan(
              new LayerPlan.Attention(
                  heads,
                  heads,
                  headSize,
                  (float) (1 / Math.sqrt(headSize)),
                  reach,
                  reach,
                  new BiasPlan.None(),
                  config.linear(in + "attn.Wqkv", 3 * hidden, hidden, attentionBias),
                  Optional.empty(),
                  Optional.empty(),
                  Optional.of(sliding[i] ? local : global),
                  config.linear(in + "attn.Wo", hidden, hidden, attentionBias),
                  ResidualPlan.preNorm(attentionNorm)),
              new LayerPlan.FeedForward(
                  ConfigReader.activation(activation),
                  true,
                  config.linear(in + "mlp.Wi", 2 * intermediate, hidden, mlpBias),
                  config.linear(in + "mlp.Wo", hidden, intermediate, mlpBias),
                  ResidualPlan.preNorm(
                      Optional.of(
                          config.norm(
                              in + "mlp_norm", NormKind.LAYER, hidden, normBias, epsilon))))));
    }
    EncoderSizes sizes =
        new EncoderSizes(
            vocabulary,
            hidden,
            count,
            heads,
            intermediate,
            config.positions("max_position_embeddings"),
            0,
            activation);
    return config.config(
        sizes,
        embedding,
        layers,
        Optional.of(config.norm("final_norm", NormKind.LAYER, hidden, normBias, epsilon)),
        Optional.empty(),
        "model.");
  }

  /** A base that is stated as null is the global one. */
  private static String localTheta(ConfigReader config) {
    boolean none =
        config.json().keys().contains("local_rope_theta") && !config.json().has("local_rope_theta");
    return none ? "global_rope_theta" : "local_rope_theta";
  }

  private static boolean[] sliding(ConfigReader config, int count) {
    if (config.json().has("layer_types")) {
      return config.slidingLayers(count);
    }
    boolean[] sliding = new boolean[count];
    int every =
        config
            .json()
            .optionalInteger("global_attn_every_n_layers", 1, ConfigReader.MAX_SIZE)
            .orElse(3);
    for (int i = 0; i < count; i++) {
      sliding[i] = i % every != 0;
    }
    return sliding;
  }
}
