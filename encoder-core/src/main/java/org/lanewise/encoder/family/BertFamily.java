package org.lanewise.encoder.family;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.IntFunction;
import org.lanewise.encoder.backend.AttentionPattern;
import org.lanewise.encoder.model.BiasPlan;
import org.lanewise.encoder.model.EmbeddingPlan;
import org.lanewise.encoder.model.EncoderConfig;
import org.lanewise.encoder.model.EncoderSizes;
import org.lanewise.encoder.model.LayerPlan;
import org.lanewise.encoder.model.LinearPlan;
import org.lanewise.encoder.model.ResidualPlan;
import org.lanewise.encoder.weights.JsonFile;

/**
 * BERT and those that changed little of it: RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA, DistilBERT,
 * MPNet, ALBERT, and Jina's v2 models, which say {@code bert} too.
 */
final class BertFamily {
  private static final String WORDS = "embeddings.word_embeddings.weight";

  private BertFamily() {}

  /** What the members call the weights of a layer. */
  private record Names(
      String query,
      String key,
      String value,
      String attentionOutput,
      String attentionNorm,
      String input,
      String output,
      String norm) {}

  /** The layer of modeling_bert.py, whose names most of the others kept. */
  private static final Names BERT =
      new Names(
          "attention.self.query",
          "attention.self.key",
          "attention.self.value",
          "attention.output.dense",
          "attention.output.LayerNorm",
          "intermediate.dense",
          "output.dense",
          "output.LayerNorm");

  private static final Names DISTILBERT =
      new Names(
          "attention.q_lin",
          "attention.k_lin",
          "attention.v_lin",
          "attention.out_lin",
          "sa_layer_norm",
          "ffn.lin1",
          "ffn.lin2",
          "output_layer_norm");

  private static final Names MPNET =
      new Names(
          "attention.attn.q",
          "attention.attn.k",
          "attention.attn.v",
          "attention.attn.o",
          "attention.LayerNorm",
          "intermediate.dense",
          "output.dense",
          "output.LayerNorm");

  private static final Names ALBERT =
      new Names(
          "attention.query",
          "attention.key",
          "attention.value",
          "attention.dense",
          "attention.LayerNorm",
          "ffn",
          "ffn_output",
          "full_layer_layer_norm");

  /** What the members agree in. */
  private record Shape(
      int vocabulary,
      int hiddenSize,
      int layers,
      int heads,
      int headSize,
      int intermediateSize,
      int positionRows,
      int types,
      float epsilon,
      String activation) {
    EncoderSizes sizes(int maxPositions) {
      return new EncoderSizes(
          vocabulary, hiddenSize, layers, heads, intermediateSize, maxPositions, types, activation);
    }
  }

  private static Shape shape(ConfigReader config) {
    int hiddenSize = config.size("hidden_size");
    int heads = config.size("num_attention_heads");
    int headSize = config.headSize("hidden_size", hiddenSize, "num_attention_heads", heads);
    boolean typed = !config.family().equals("mpnet");
    return new Shape(
        config.vocabulary(),
        hiddenSize,
        config.layers("num_hidden_layers"),
        heads,
        headSize,
        config.size("intermediate_size"),
        config.positions("max_position_embeddings"),
        typed ? config.optionalSize("type_vocab_size", 2) : 0,
        config.epsilon("layer_norm_eps", 1e-12),
        config.activation("hidden_act", config.family().equals("albert") ? "gelu_new" : "gelu"));
  }

  static EncoderConfig read(ConfigReader config) {
    config.expectEncoder();
    if (isJina(config.json())) {
      return JinaBertFamily.read(config);
    }
    config.expectText("position_embedding_type", "absolute");
    Shape shape = shape(config);
    boolean electra = config.family().equals("electra");
    int size = electra ? config.optionalSize("embedding_size", 128) : shape.hiddenSize;
    Optional<LinearPlan> projection =
        size == shape.hiddenSize
            ? Optional.empty()
            : Optional.of(config.linear("embeddings_project", shape.hiddenSize, size, true));
    boolean shifted = !electra && !config.family().equals("bert");
    OptionalInt paddingId = OptionalInt.empty();
    if (shifted) {
      int id = config.json().optionalInteger("pad_token_id", 0, shape.vocabulary - 1).orElse(1);
      paddingId = OptionalInt.of(id);
    }
    EmbeddingPlan embedding = embedding(config, shape, size, paddingId, projection);
    List<LayerPlan> layers =
        layers(config, shape, new BiasPlan.None(), BERT, i -> "encoder.layer." + i + ".");
    if (!electra) {
      config.optionalLinear("pooler.dense", shape.hiddenSize, shape.hiddenSize);
    }
    String prefix = shifted ? "roberta." : config.family() + ".";
    return config.config(
        shape.sizes(maxPositions(config, shape, paddingId)), embedding, layers, prefix);
  }

  /** Jina's v2 models say that they are BERT with ALiBi. */
  static boolean isJina(JsonFile json) {
    return json.node("model_type").asText("").equals("bert")
        && json.node("position_embedding_type").asText("").equals("alibi");
  }

  private static int maxPositions(ConfigReader config, Shape shape, OptionalInt paddingId) {
    int most = shape.positionRows - (paddingId.isPresent() ? paddingId.getAsInt() + 1 : 0);
    if (most < 1) {
      config
          .json()
          .wrong("max_position_embeddings", "more, as positions begin after [pad_token_id]");
    }
    return Math.max(1, most);
  }

  private static EmbeddingPlan embedding(
      ConfigReader config,
      Shape shape,
      int size,
      OptionalInt paddingId,
      Optional<LinearPlan> projection) {
    Optional<String> types =
        shape.types == 0
            ? Optional.empty()
            : Optional.of(
                config.table("embeddings.token_type_embeddings.weight", shape.types, size));
    return new EmbeddingPlan(
        config.table(WORDS, shape.vocabulary, size),
        size,
        1,
        Optional.of(
            config.table("embeddings.position_embeddings.weight", shape.positionRows, size)),
        paddingId,
        types,
        Optional.of(config.layerNorm("embeddings.LayerNorm", size, shape.epsilon)),
        projection,
        false);
  }

  private static List<LayerPlan> layers(
      ConfigReader config, Shape shape, BiasPlan bias, Names names, IntFunction<String> prefix) {
    List<LayerPlan> layers = new ArrayList<>();
    for (int i = 0; i < shape.layers; i++) {
      layers.add(layer(config, shape, bias, names, prefix.apply(i)));
    }
    return layers;
  }

  private static LayerPlan layer(
      ConfigReader config, Shape shape, BiasPlan bias, Names names, String in) {
    int hidden = shape.hiddenSize;
    int between = shape.intermediateSize;
    return new LayerPlan(
        new LayerPlan.Attention(
            shape.heads,
            shape.heads,
            shape.headSize,
            (float) (1 / Math.sqrt(shape.headSize)),
            AttentionPattern.EVERYTHING,
            AttentionPattern.EVERYTHING,
            bias,
            LinearPlan.stack(
                config.linear(in + names.query, hidden, hidden, true),
                config.linear(in + names.key, hidden, hidden, true),
                config.linear(in + names.value, hidden, hidden, true)),
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            config.linear(in + names.attentionOutput, hidden, hidden, true),
            ResidualPlan.postNorm(
                config.layerNorm(in + names.attentionNorm, hidden, shape.epsilon))),
        new LayerPlan.FeedForward(
            ConfigReader.activation(shape.activation),
            false,
            config.linear(in + names.input, between, hidden, true),
            config.linear(in + names.output, hidden, between, true),
            ResidualPlan.postNorm(config.layerNorm(in + names.norm, hidden, shape.epsilon))));
  }

  static EncoderConfig readDistilBert(ConfigReader config) {
    int hidden = config.size("dim");
    int heads = config.size("n_heads");
    Shape shape =
        new Shape(
            config.vocabulary(),
            hidden,
            config.layers("n_layers"),
            heads,
            config.headSize("dim", hidden, "n_heads", heads),
            config.size("hidden_dim"),
            config.positions("max_position_embeddings"),
            0,
            1e-12f,
            config.activation("activation", "gelu"));
    EmbeddingPlan embedding =
        embedding(config, shape, hidden, OptionalInt.empty(), Optional.empty());
    List<LayerPlan> layers =
        layers(config, shape, new BiasPlan.None(), DISTILBERT, i -> "transformer.layer." + i + ".");
    return config.config(shape.sizes(shape.positionRows), embedding, layers, "distilbert.");
  }

  /** MPNet has 32 buckets up to a distance of 128 and padding id 1 in its code, not its file. */
  static EncoderConfig readMpnet(ConfigReader config) {
    Shape shape = shape(config);
    int hidden = shape.hiddenSize;
    OptionalInt paddingId = OptionalInt.of(1);
    EmbeddingPlan embedding = embedding(config, shape, hidden, paddingId, Optional.empty());
    int buckets = 32;
    config.expectNumber("relative_attention_num_buckets", buckets, "what MPNet's code assumes");
    String table = config.table("encoder.relative_attention_bias.weight", buckets, shape.heads);
    BiasPlan bias = new BiasPlan.Buckets(table, buckets, 128);
    List<LayerPlan> layers = layers(config, shape, bias, MPNET, i -> "encoder.layer." + i + ".");
    config.optionalLinear("pooler.dense", hidden, hidden);
    return config.config(
        shape.sizes(maxPositions(config, shape, paddingId)), embedding, layers, "mpnet.");
  }

  static EncoderConfig readAlbert(ConfigReader config) {
    config.expectNumber("inner_group_num", 1, "one layer in each group");
    config.expectText("position_embedding_type", "absolute");
    Shape shape = shape(config);
    int hidden = shape.hiddenSize;
    int size = config.size("embedding_size");
    int groups = config.json().optionalInteger("num_hidden_groups", 1, shape.layers).orElse(1);
    LinearPlan projection =
        config.linear("encoder.embedding_hidden_mapping_in", hidden, size, true);
    EmbeddingPlan embedding =
        embedding(config, shape, size, OptionalInt.empty(), Optional.of(projection));
    double layersOfGroup = (double) shape.layers / groups;
    List<LayerPlan> layers =
        layers(
            config,
            shape,
            new BiasPlan.None(),
            ALBERT,
            i -> "encoder.albert_layer_groups." + (int) (i / layersOfGroup) + ".albert_layers.0.");
    config.optionalLinear("pooler", hidden, hidden);
    return config.config(shape.sizes(shape.positionRows), embedding, layers, "albert.");
  }
}
