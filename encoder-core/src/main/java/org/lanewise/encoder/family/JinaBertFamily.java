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
import org.lanewise.encoder.model.NormPlan;
import org.lanewise.encoder.model.ResidualPlan;

/**
 * Jina's v2 models: BERT with ALiBi and a gated feed-forward block. Those for code ({@code
 * jina-bert-v2-qk-post-norm}) normalise queries and keys as well, and call the block's weights
 * otherwise.
 */
final class JinaBertFamily {
  private JinaBertFamily() {}

  static EncoderConfig read(ConfigReader config) {
    int hidden = config.size("hidden_size");
    int heads = config.size("num_attention_heads");
    int headSize = config.headSize("hidden_size", hidden, "num_attention_heads", heads);
    int intermediate = config.size("intermediate_size");
    float epsilon = config.epsilon("layer_norm_eps", 1e-12);
    int vocabulary = config.vocabulary();
    int types = config.optionalSize("type_vocab_size", 2);
    String activation = gateActivation(config);
    EmbeddingPlan embedding =
        config.wordEmbedding(vocabulary, hidden, types, "embeddings.LayerNorm", epsilon);
    boolean code =
        config.json().node("auto_map").path("AutoModel").asText("").contains("qk-post-norm");
    int count = config.layers("num_hidden_layers");
    List<LayerPlan> layers = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      String in = "encoder.layer." + i + ".";
      NormPlan attended = config.layerNorm(in + "attention.output.LayerNorm", hidden, epsilon);
      LayerPlan.Attention attention =
          new LayerPlan.Attention(
              heads,
              heads,
              headSize,
              (float) (1 / Math.sqrt(headSize)),
              AttentionPattern.EVERYTHING,
              AttentionPattern.EVERYTHING,
              new BiasPlan.Alibi(),
              LinearPlan.stack(
                  config.linear(in + "attention.self.query", hidden, hidden, true),
                  config.linear(in + "attention.self.key", hidden, hidden, true),
                  config.linear(in + "attention.self.value", hidden, hidden, true)),
              headNorm(config, code, in + "attention.self.layer_norm_q", hidden, epsilon),
              headNorm(config, code, in + "attention.self.layer_norm_k", hidden, epsilon),
              Optional.empty(),
              config.linear(in + "attention.output.dense", hidden, hidden, true),
              code
                  ? new ResidualPlan(
                      Optional.empty(),
                      Optional.of(attended),
                      true,
                      Optional.of(config.layerNorm(in + "layer_norm_1", hidden, epsilon)))
                  : ResidualPlan.postNorm(attended));
      LinearPlan input =
          code
              ? config.swapped(in + "mlp.up_gated_layer", intermediate, hidden, false)
              : config.linear(in + "mlp.gated_layers", 2 * intermediate, hidden, false);
      LinearPlan output =
          config.linear(in + (code ? "mlp.down_layer" : "mlp.wo"), hidden, intermediate, true);
      NormPlan last =
          config.layerNorm(in + (code ? "layer_norm_2" : "mlp.layernorm"), hidden, epsilon);
      layers.add(
          new LayerPlan(
              attention,
              new LayerPlan.FeedForward(
                  ConfigReader.activation(activation),
                  true,
                  input,
                  output,
                  ResidualPlan.postNorm(last))));
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
    return config.config(sizes, embedding, layers, "bert.");
  }

  private static String gateActivation(ConfigReader config) {
    String type = config.json().text("feed_forward_type").orElse("original");
    return switch (type) {
      case "geglu" -> "gelu";
      case "reglu" -> "relu";
      default -> {
        config
            .problems()
            .add(
                config.json().name()
                    + ": feed_forward_type ["
                    + type
                    + "] is not supported with ALiBi; supported: geglu, reglu");
        yield "gelu";
      }
    };
  }

  private static Optional<NormPlan> headNorm(
      ConfigReader config, boolean code, String name, int size, float epsilon) {
    return code ? Optional.of(config.layerNorm(name, size, epsilon)) : Optional.empty();
  }
}
