package org.lanewise.benchmarks;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.lanewise.encoder.model.EncoderSizes;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.SafetensorsWriter;
import org.lanewise.encoder.weights.Tensor;

/**
 * Writes BERT directories with random weights that behave as trained ones do: numbers of the size
 * of one all the way through, attention that prefers some tokens, and different vectors for
 * different texts. PyTorch's own initialisation, a deviation of 0.02 everywhere, does none of that.
 */
final class RandomModel {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final String HIDDEN = "hidden_size";

  /** Scores of attention then have a deviation of about 1.5. */
  private static final double QUERY_AND_KEY = 1.2;

  private static final double BIAS = 0.05;
  private static final double NORM = 0.1;
  private static final double WORD = 1;
  private static final double POSITION = 0.2;

  private RandomModel() {}

  /** The sizes that are raced. */
  enum Shape {
    MINILM(6, 384, 12, 1536),
    BASE(12, 768, 12, 3072),
    /** A ModernBERT whose three matrices of the feed-forward block are as large as MiniLM's two. */
    MODERNBERT(6, 384, 12, 1024);

    private final int layers;
    private final int hidden;
    private final int heads;
    private final int intermediate;

    Shape(int layers, int hidden, int heads, int intermediate) {
      this.layers = layers;
      this.hidden = hidden;
      this.heads = heads;
      this.intermediate = intermediate;
    }

    /**
     * Returns the shape of that name.
     *
     * @throws IllegalArgumentException if there is none
     */
    static Shape named(String name) {
      return switch (name) {
        case "minilm" -> MINILM;
        case "base" -> BASE;
        case "modernbert" -> MODERNBERT;
        default ->
            throw new IllegalArgumentException(
                "shape ["
                    + name
                    + "] is unknown; expected minilm, base, modernbert or a model directory");
      };
    }

    /** Returns the sizes with the vocabulary of {@code like}. */
    EncoderSizes sizes(EncoderSizes like, int positions) {
      int types = this == MODERNBERT ? 0 : 2;
      return new EncoderSizes(
          like.vocabularySize(), hidden, layers, heads, intermediate, positions, types, "gelu");
    }
  }

  /**
   * Writes the directory: a BERT, or a ModernBERT where there are no token types.
   *
   * @param tokenizer a directory whose tokenizer is copied
   */
  static void write(Path to, EncoderSizes sizes, Path tokenizer, long seed) throws IOException {
    Files.createDirectories(to);
    for (String file :
        List.of(
            "tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json")) {
      if (Files.exists(tokenizer.resolve(file))) {
        Files.copy(tokenizer.resolve(file), to.resolve(file), StandardCopyOption.REPLACE_EXISTING);
      }
    }
    // What the tokenizer's own model says of its longest text is not true of this one.
    ObjectNode tokenizing = MAPPER.createObjectNode();
    if (Files.exists(to.resolve("tokenizer_config.json"))) {
      tokenizing = (ObjectNode) MAPPER.readTree(to.resolve("tokenizer_config.json").toFile());
    }
    tokenizing.put("model_max_length", sizes.maxPositions());
    MAPPER.writeValue(to.resolve("tokenizer_config.json").toFile(), tokenizing);
    writeConfig(to, sizes);
    writeModules(to, sizes);
    try (Arena arena = Arena.ofShared()) {
      Random random = new Random(seed);
      Map<String, Tensor> tensors = new LinkedHashMap<>();
      for (Map.Entry<String, List<Long>> weight : weightShapes(sizes).entrySet()) {
        long[] shape = weight.getValue().stream().mapToLong(Long::longValue).toArray();
        tensors.put(weight.getKey(), tensor(arena, random, weight.getKey(), shape));
      }
      SafetensorsWriter.write(to.resolve("model.safetensors"), tensors, DataType.F32);
    }
  }

  private static boolean isModern(EncoderSizes sizes) {
    return sizes.typeVocabularySize() == 0;
  }

  private static Map<String, List<Long>> weightShapes(EncoderSizes sizes) {
    return isModern(sizes) ? modernShapes(sizes) : bertShapes(sizes);
  }

  private static Map<String, List<Long>> modernShapes(EncoderSizes sizes) {
    long hidden = sizes.hiddenSize();
    long between = sizes.intermediateSize();
    Map<String, List<Long>> shapes = new LinkedHashMap<>();
    shapes.put("embeddings.tok_embeddings.weight", List.of((long) sizes.vocabularySize(), hidden));
    shapes.put("embeddings.norm.weight", List.of(hidden));
    for (int i = 0; i < sizes.layers(); i++) {
      String layer = "layers." + i + ".";
      if (i > 0) {
        shapes.put(layer + "attn_norm.weight", List.of(hidden));
      }
      shapes.put(layer + "attn.Wqkv.weight", List.of(3 * hidden, hidden));
      shapes.put(layer + "attn.Wo.weight", List.of(hidden, hidden));
      shapes.put(layer + "mlp_norm.weight", List.of(hidden));
      shapes.put(layer + "mlp.Wi.weight", List.of(2 * between, hidden));
      shapes.put(layer + "mlp.Wo.weight", List.of(hidden, between));
    }
    shapes.put("final_norm.weight", List.of(hidden));
    return shapes;
  }

  private static Map<String, List<Long>> bertShapes(EncoderSizes sizes) {
    long hidden = sizes.hiddenSize();
    long between = sizes.intermediateSize();
    Map<String, List<Long>> shapes = new LinkedHashMap<>();
    String embeddings = "embeddings.";
    shapes.put(
        embeddings + "word_embeddings.weight", List.of((long) sizes.vocabularySize(), hidden));
    shapes.put(
        embeddings + "position_embeddings.weight", List.of((long) sizes.maxPositions(), hidden));
    shapes.put(
        embeddings + "token_type_embeddings.weight",
        List.of((long) sizes.typeVocabularySize(), hidden));
    putNorm(shapes, embeddings + "LayerNorm", hidden);
    for (int i = 0; i < sizes.layers(); i++) {
      String layer = "encoder.layer." + i + ".";
      for (String part : List.of("query", "key", "value")) {
        putLinear(shapes, layer + "attention.self." + part, hidden, hidden);
      }
      putLinear(shapes, layer + "attention.output.dense", hidden, hidden);
      putNorm(shapes, layer + "attention.output.LayerNorm", hidden);
      putLinear(shapes, layer + "intermediate.dense", between, hidden);
      putLinear(shapes, layer + "output.dense", hidden, between);
      putNorm(shapes, layer + "output.LayerNorm", hidden);
    }
    return shapes;
  }

  private static void putLinear(Map<String, List<Long>> shapes, String name, long out, long in) {
    shapes.put(name + ".weight", List.of(out, in));
    shapes.put(name + ".bias", List.of(out));
  }

  private static void putNorm(Map<String, List<Long>> shapes, String name, long size) {
    shapes.put(name + ".weight", List.of(size));
    shapes.put(name + ".bias", List.of(size));
  }

  private static Tensor tensor(Arena arena, Random random, String name, long[] shape) {
    long elements = 1;
    for (long size : shape) {
      elements *= size;
    }
    double mean = name.endsWith("orm.weight") ? 1 : 0;
    double deviation = deviation(name, shape);
    MemorySegment data = arena.allocate(ValueLayout.JAVA_FLOAT, elements);
    for (long i = 0; i < elements; i++) {
      data.setAtIndex(
          ValueLayout.JAVA_FLOAT, i, (float) (mean + deviation * random.nextGaussian()));
    }
    return new Tensor(name, DataType.F32, shape, data);
  }

  private static double deviation(String name, long[] shape) {
    if (name.endsWith("orm.weight") || name.endsWith("orm.bias")) {
      return NORM;
    }
    if (name.endsWith("bias")) {
      return BIAS;
    }
    if (name.startsWith("embeddings.")) {
      return name.contains("position") || name.contains("type") ? POSITION : WORD;
    }
    double gain = name.contains("query") || name.contains("key") ? QUERY_AND_KEY : 1;
    return gain / Math.sqrt((double) shape[1]);
  }

  private static void writeConfig(Path to, EncoderSizes sizes) throws IOException {
    ObjectNode json = MAPPER.createObjectNode();
    json.put("model_type", isModern(sizes) ? "modernbert" : "bert");
    json.put("vocab_size", sizes.vocabularySize());
    json.put(HIDDEN, sizes.hiddenSize());
    json.put("num_hidden_layers", sizes.layers());
    json.put("num_attention_heads", sizes.heads());
    json.put("intermediate_size", sizes.intermediateSize());
    json.put(isModern(sizes) ? "hidden_activation" : "hidden_act", sizes.activation());
    json.put("max_position_embeddings", sizes.maxPositions());
    json.put("pad_token_id", 0);
    if (isModern(sizes)) {
      json.put("norm_eps", 1e-5);
      json.put("local_attention", 128);
      json.put("global_attn_every_n_layers", 3);
      json.put("global_rope_theta", 160_000);
      json.put("local_rope_theta", 10_000);
    } else {
      json.put("type_vocab_size", sizes.typeVocabularySize());
      json.put("layer_norm_eps", 1e-12);
    }
    MAPPER.writeValue(to.resolve("config.json").toFile(), json);
  }

  private static void writeModules(Path to, EncoderSizes sizes) throws IOException {
    var modules = MAPPER.createArrayNode();
    String[][] parts = {
      {"Transformer", ""}, {"Pooling", "1_Pooling"}, {"Normalize", "2_Normalize"}
    };
    for (int i = 0; i < parts.length; i++) {
      modules
          .addObject()
          .put("idx", i)
          .put("name", String.valueOf(i))
          .put("path", parts[i][1])
          .put("type", "sentence_transformers.models." + parts[i][0]);
      Files.createDirectories(to.resolve(parts[i][1]));
    }
    MAPPER.writeValue(to.resolve("modules.json").toFile(), modules);
    ObjectNode pooling = MAPPER.createObjectNode();
    pooling.put("word_embedding_dimension", sizes.hiddenSize());
    pooling.put("pooling_mode_mean_tokens", true);
    pooling.put("pooling_mode_cls_token", false);
    MAPPER.writeValue(to.resolve("1_Pooling").resolve("config.json").toFile(), pooling);
    ObjectNode length = MAPPER.createObjectNode();
    length.put("max_seq_length", sizes.maxPositions());
    length.put("do_lower_case", false);
    MAPPER.writeValue(to.resolve("sentence_bert_config.json").toFile(), length);
  }
}
