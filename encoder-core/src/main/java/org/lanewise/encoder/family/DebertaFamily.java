package org.lanewise.encoder.family;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import org.lanewise.encoder.backend.AttentionPattern;
import org.lanewise.encoder.model.BiasPlan;
import org.lanewise.encoder.model.ConvolutionPlan;
import org.lanewise.encoder.model.EmbeddingPlan;
import org.lanewise.encoder.model.EncoderConfig;
import org.lanewise.encoder.model.EncoderSizes;
import org.lanewise.encoder.model.LayerPlan;
import org.lanewise.encoder.model.LinearPlan;
import org.lanewise.encoder.model.NormPlan;
import org.lanewise.encoder.model.ResidualPlan;
import org.lanewise.encoder.weights.JsonFile;

/** DeBERTa v2 and v3: disentangled attention, and in some models a convolution. */
final class DebertaFamily {
  private DebertaFamily() {}

  /** How the attention of all layers sees distances. */
  private record Distances(
      boolean relative,
      boolean shared,
      boolean keys,
      boolean queries,
      Optional<NormPlan> norm,
      int buckets,
      int maxDistance) {
    /** Each kind of score that is added is one more term under the root. */
    float scale(int headSize) {
      int terms = 1 + (keys ? 1 : 0) + (queries ? 1 : 0);
      return (float) (1 / Math.sqrt((double) headSize * terms));
    }
  }

  static EncoderConfig read(ConfigReader config) {
    JsonFile json = config.json();
    int hidden = config.size("hidden_size");
    int heads = config.size("num_attention_heads");
    int headSize = config.headSize("hidden_size", hidden, "num_attention_heads", heads);
    if (json.has("attention_head_size")) {
      config.expectNumber("attention_head_size", headSize, "[hidden_size] over the heads");
    }
    int intermediate = config.size("intermediate_size");
    int vocabulary = config.vocabulary();
    int positions = config.positions("max_position_embeddings");
    int types = json.optionalInteger("type_vocab_size", 0, ConfigReader.MAX_SIZE).orElse(0);
    float epsilon = config.epsilon("layer_norm_eps", 1e-7);
    String activation = config.activation("hidden_act", "gelu");
    int size = config.optionalSize("embedding_size", hidden);
    EmbeddingPlan embedding =
        new EmbeddingPlan(
            config.table("embeddings.word_embeddings.weight", vocabulary, size),
            size,
            1,
            json.flag("position_biased_input", true)
                ? Optional.of(
                    config.table("embeddings.position_embeddings.weight", positions, size))
                : Optional.empty(),
            OptionalInt.empty(),
            types == 0
                ? Optional.empty()
                : Optional.of(config.table("embeddings.token_type_embeddings.weight", types, size)),
            Optional.of(config.layerNorm("embeddings.LayerNorm", hidden, epsilon)),
            size == hidden
                ? Optional.empty()
                : Optional.of(config.linear("embeddings.embed_proj", hidden, size, false)),
            true);
    Distances distances = distances(config, hidden, positions, epsilon);
    int count = config.layers("num_hidden_layers");
    List<LayerPlan> layers = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      String in = "encoder.layer." + i + ".";
      String self = in + "attention.self.";
      LinearPlan query = config.linear(self + "query_proj", hidden, hidden, true);
      LinearPlan key = config.linear(self + "key_proj", hidden, hidden, true);
      LinearPlan value = config.linear(self + "value_proj", hidden, hidden, true);
      layers.add(
          new LayerPlan(
              new LayerPlan.Attention(
                  heads,
                  heads,
                  headSize,
                  distances.scale(headSize),
                  AttentionPattern.EVERYTHING,
                  AttentionPattern.EVERYTHING,
                  bias(config, distances, self, query, key, hidden),
                  LinearPlan.stack(query, key, value),
                  Optional.empty(),
                  Optional.empty(),
                  Optional.empty(),
                  config.linear(in + "attention.output.dense", hidden, hidden, true),
                  ResidualPlan.postNorm(
                      config.layerNorm(in + "attention.output.LayerNorm", hidden, epsilon))),
              new LayerPlan.FeedForward(
                  ConfigReader.activation(activation),
                  false,
                  config.linear(in + "intermediate.dense", intermediate, hidden, true),
                  config.linear(in + "output.dense", hidden, intermediate, true),
                  ResidualPlan.postNorm(
                      config.layerNorm(in + "output.LayerNorm", hidden, epsilon)))));
    }
    EncoderSizes sizes =
        new EncoderSizes(
            vocabulary, hidden, count, heads, intermediate, positions, types, activation);
    return config.config(
        sizes,
        embedding,
        layers,
        Optional.empty(),
        convolution(config, hidden, epsilon),
        "deberta.");
  }

  private static Distances distances(
      ConfigReader config, int hidden, int positions, float epsilon) {
    JsonFile json = config.json();
    boolean relative = json.flag("relative_attention", false);
    List<String> kinds = kinds(config);
    int buckets = number(json, "position_buckets");
    int stated = number(json, "max_relative_positions");
    int maxDistance = stated < 1 ? positions : stated;
    Optional<NormPlan> norm = Optional.empty();
    if (relative) {
      int span = buckets > 0 ? buckets : maxDistance;
      config.table("encoder.rel_embeddings.weight", 2L * span, hidden);
      if (normed(config)) {
        norm = Optional.of(config.layerNorm("encoder.LayerNorm", hidden, epsilon));
      }
    }
    if (buckets == 1) {
      json.wrong("position_buckets", "more than 1");
    }
    return new Distances(
        relative,
        json.flag("share_att_key", false),
        kinds.contains("c2p"),
        kinds.contains("p2c"),
        norm,
        buckets,
        maxDistance);
  }

  /** Returns the number, or 0 where there is none or a negative one stands for that. */
  private static int number(JsonFile json, String key) {
    return Math.max(0, json.optionalInteger(key, -1, ConfigReader.MAX_POSITIONS).orElse(0));
  }

  private static List<String> kinds(ConfigReader config) {
    JsonNode node = config.json().node("pos_att_type");
    List<String> kinds = new ArrayList<>();
    if (node.isTextual()) {
      kinds.addAll(split(node.textValue()));
    }
    node.forEach(kind -> kinds.add(kind.asText("")));
    if (!List.of("c2p", "p2c").containsAll(kinds)) {
      config.json().wrong("pos_att_type", "some of c2p, p2c");
    }
    return kinds;
  }

  private static boolean normed(ConfigReader config) {
    List<String> kinds = split(config.json().text("norm_rel_ebd").orElse("none"));
    if (!List.of("none", "layer_norm").containsAll(kinds)) {
      config.json().wrong("norm_rel_ebd", "none or layer_norm");
    }
    return kinds.contains("layer_norm");
  }

  private static List<String> split(String text) {
    return Arrays.stream(text.toLowerCase(Locale.ROOT).split("\\|"))
        .map(String::strip)
        .filter(part -> !part.isEmpty())
        .toList();
  }

  private static BiasPlan bias(
      ConfigReader config,
      Distances distances,
      String self,
      LinearPlan query,
      LinearPlan key,
      int hidden) {
    if (!distances.relative || !(distances.keys || distances.queries)) {
      return new BiasPlan.None();
    }
    Optional<LinearPlan> keys = Optional.empty();
    Optional<LinearPlan> queries = Optional.empty();
    if (distances.keys) {
      keys =
          Optional.of(
              distances.shared ? key : config.linear(self + "pos_key_proj", hidden, hidden, true));
    }
    if (distances.queries) {
      queries =
          Optional.of(
              distances.shared
                  ? query
                  : config.linear(self + "pos_query_proj", hidden, hidden, true));
    }
    return new BiasPlan.Disentangled(
        "encoder.rel_embeddings.weight",
        distances.norm,
        distances.buckets,
        distances.maxDistance,
        keys,
        queries);
  }

  private static Optional<ConvolutionPlan> convolution(
      ConfigReader config, int hidden, float epsilon) {
    JsonFile json = config.json();
    int width = number(json, "conv_kernel_size");
    if (width == 0) {
      return Optional.empty();
    }
    config.expectNumber("conv_groups", 1, "filters that see all numbers of a token");
    if (width % 2 == 0) {
      json.wrong("conv_kernel_size", "an odd number");
    }
    config.tensor("encoder.conv.conv.weight", (long) hidden, (long) hidden, (long) width);
    config.tensor("encoder.conv.conv.bias", (long) hidden);
    return Optional.of(
        new ConvolutionPlan(
            "encoder.conv.conv",
            width,
            ConfigReader.activation(config.activation("conv_act", "tanh")),
            config.layerNorm("encoder.conv.LayerNorm", hidden, epsilon)));
  }
}
