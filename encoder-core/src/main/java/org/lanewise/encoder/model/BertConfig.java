package org.lanewise.encoder.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.lanewise.encoder.weights.JsonFile;

/**
 * The sizes of a BERT encoder, from config.json.
 *
 * @param vocabularySize rows of the word embeddings
 * @param hiddenSize numbers per token between layers, a multiple of {@code heads}
 * @param layers transformer layers
 * @param heads attention heads of each layer
 * @param intermediateSize width inside the feed-forward block
 * @param maxPositions rows of the position embeddings: the most tokens of one sequence
 * @param typeVocabularySize rows of the token type embeddings
 * @param layerNormEpsilon what LayerNorm adds to the variance
 * @param activation what {@code hidden_act} stands for: {@code gelu} (exact erf), {@code gelu_new}
 *     (the tanh formula, whichever of its names the file uses), {@code relu}, {@code silu} or
 *     {@code tanh}
 */
public record BertConfig(
    int vocabularySize,
    int hiddenSize,
    int layers,
    int heads,
    int intermediateSize,
    int maxPositions,
    int typeVocabularySize,
    float layerNormEpsilon,
    String activation) {

  /** Names of {@code hidden_act} in transformers, by the mathematics that they stand for. */
  private static final Map<String, String> ACTIVATIONS =
      new TreeMap<>(
          Map.ofEntries(
              Map.entry("gelu", "gelu"),
              Map.entry("gelu_python", "gelu"),
              Map.entry("gelu_new", "gelu_new"),
              Map.entry("gelu_pytorch_tanh", "gelu_new"),
              Map.entry("gelu_fast", "gelu_new"),
              Map.entry("relu", "relu"),
              Map.entry("silu", "silu"),
              Map.entry("swish", "silu"),
              Map.entry("tanh", "tanh")));

  private static final int MAX_SIZE = 1 << 20;
  private static final int MAX_LAYERS = 1024;
  private static final int MAX_VOCABULARY = 1 << 28;

  /**
   * Returns the configuration, after adding to {@code problems} everything that is missing, out of
   * bounds or not implemented; where there are problems the result is of no use.
   */
  public static BertConfig read(JsonFile json, List<String> problems) {
    checkFamily(json, problems);
    int before = problems.size();
    int hiddenSize = json.integer("hidden_size", 1, MAX_SIZE);
    int heads = json.integer("num_attention_heads", 1, MAX_SIZE);
    if (problems.size() == before && hiddenSize % heads != 0) {
      problems.add(
          json.name()
              + ": [hidden_size] is "
              + hiddenSize
              + ", expected a multiple of [num_attention_heads], which is "
              + heads);
    }
    String named = json.text("hidden_act").orElse("gelu");
    String activation = ACTIVATIONS.get(named);
    if (activation == null) {
      problems.add(
          json.name()
              + ": hidden_act ["
              + named
              + "] is not supported; supported: "
              + String.join(", ", ACTIVATIONS.keySet()));
    }
    return new BertConfig(
        json.integer("vocab_size", 1, MAX_VOCABULARY),
        hiddenSize,
        json.integer("num_hidden_layers", 1, MAX_LAYERS),
        heads,
        json.integer("intermediate_size", 1, MAX_SIZE),
        json.integer("max_position_embeddings", 1, MAX_VOCABULARY),
        json.optionalInteger("type_vocab_size", 1, MAX_SIZE).orElse(2),
        (float) json.positiveNumber("layer_norm_eps", 1).orElse(1e-12),
        String.valueOf(activation));
  }

  private static void checkFamily(JsonFile json, List<String> problems) {
    String modelType = json.text("model_type").orElse("");
    JsonNode architectures = json.node("architectures");
    String expected = "; supported: bert";
    if (json.has("model_type")) {
      if (!modelType.equals("bert")) {
        problems.add(
            json.name()
                + ": model_type "
                + (modelType.isEmpty()
                    ? JsonFile.shown(json.node("model_type"))
                    : "[" + modelType + "]")
                + " is not supported"
                + expected);
        return;
      }
    } else if (!architectures.path(0).asText("").startsWith("Bert")) {
      problems.add(
          json.name()
              + ": [model_type] is missing and [architectures] is "
              + JsonFile.shown(architectures)
              + expected);
      return;
    }
    if (json.node("auto_map").has("AutoModel")) {
      problems.add(
          json.name()
              + ": [auto_map] brings code of its own, "
              + JsonFile.shown(json.node("auto_map").get("AutoModel"))
              + ", which is not run; expected a model that transformers itself implements");
    }
    String positions = json.text("position_embedding_type").orElse("absolute");
    if (!positions.equals("absolute")) {
      problems.add(
          json.name()
              + ": position_embedding_type ["
              + positions
              + "] is not supported; supported: absolute");
    }
    for (String flag : List.of("is_decoder", "add_cross_attention", "is_encoder_decoder")) {
      if (json.flag(flag, false)) {
        problems.add(json.name() + ": [" + flag + "] is true, expected false: an encoder");
      }
    }
  }

  /** Returns the shape of every weight that the encoder needs, by its name without prefix. */
  public Map<String, List<Long>> weightShapes() {
    Map<String, List<Long>> shapes = new LinkedHashMap<>();
    long hidden = hiddenSize;
    shapes.put("embeddings.word_embeddings.weight", List.of((long) vocabularySize, hidden));
    shapes.put("embeddings.position_embeddings.weight", List.of((long) maxPositions, hidden));
    shapes.put(
        "embeddings.token_type_embeddings.weight", List.of((long) typeVocabularySize, hidden));
    putNorm(shapes, "embeddings.LayerNorm");
    for (int layer = 0; layer < layers; layer++) {
      String in = "encoder.layer." + layer + ".";
      for (String part : List.of("query", "key", "value")) {
        putLinear(shapes, in + "attention.self." + part, hidden, hidden);
      }
      putLinear(shapes, in + "attention.output.dense", hidden, hidden);
      putNorm(shapes, in + "attention.output.LayerNorm");
      putLinear(shapes, in + "intermediate.dense", intermediateSize, hidden);
      putLinear(shapes, in + "output.dense", hidden, intermediateSize);
      putNorm(shapes, in + "output.LayerNorm");
    }
    return shapes;
  }

  /** Returns the shapes of the weights that are read where a file has them: the pooler's. */
  public Map<String, List<Long>> optionalWeightShapes() {
    Map<String, List<Long>> shapes = new LinkedHashMap<>();
    putLinear(shapes, "pooler.dense", hiddenSize, hiddenSize);
    return shapes;
  }

  private static void putLinear(Map<String, List<Long>> shapes, String name, long out, long in) {
    shapes.put(name + ".weight", List.of(out, in));
    shapes.put(name + ".bias", List.of(out));
  }

  private void putNorm(Map<String, List<Long>> shapes, String name) {
    shapes.put(name + ".weight", List.of((long) hiddenSize));
    shapes.put(name + ".bias", List.of((long) hiddenSize));
  }
}
