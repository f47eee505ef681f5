package org.lanewise.encoder.family;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.NormKind;
import org.lanewise.encoder.model.ConvolutionPlan;
import org.lanewise.encoder.model.EmbeddingPlan;
import org.lanewise.encoder.model.EncoderConfig;
import org.lanewise.encoder.model.EncoderSizes;
import org.lanewise.encoder.model.LayerPlan;
import org.lanewise.encoder.model.LinearPlan;
import org.lanewise.encoder.model.NormPlan;
import org.lanewise.encoder.weights.JsonFile;

/**
 * One config.json on its way to a plan: typed keys, and blocks that note the shapes of their
 * weights as they are planned.
 */
final class ConfigReader {
  static final int MAX_SIZE = 1 << 20;

  /** Tables of positions are made when a model is opened. */
  static final int MAX_POSITIONS = 1 << 18;

  private static final int MAX_LAYERS = 1024;
  private static final int MAX_VOCABULARY = 1 << 28;

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

  private final JsonFile json;
  private final List<String> problems;
  private final String family;
  private final Map<String, List<Long>> shapes = new LinkedHashMap<>();
  private final Map<String, List<Long>> optionalShapes = new LinkedHashMap<>();

  ConfigReader(JsonFile json, List<String> problems, String family) {
    this.json = json;
    this.problems = problems;
    this.family = family;
  }

  JsonFile json() {
    return json;
  }

  String family() {
    return family;
  }

  List<String> problems() {
    return problems;
  }

  int vocabulary() {
    return json.integer("vocab_size", 1, MAX_VOCABULARY);
  }

  int layers(String key) {
    return json.integer(key, 1, MAX_LAYERS);
  }

  int size(String key) {
    return json.integer(key, 1, MAX_SIZE);
  }

  int optionalSize(String key, int absent) {
    return json.optionalInteger(key, 1, MAX_SIZE).orElse(absent);
  }

  int positions(String key) {
    return json.integer(key, 1, MAX_POSITIONS);
  }

  float epsilon(String key, double absent) {
    return (float) json.positiveNumber(key, 1).orElse(absent);
  }

  /** Returns the size of each of a layer's heads, after a problem where they do not divide it. */
  int headSize(String hiddenKey, int hiddenSize, String headsKey, int heads) {
    if (hiddenSize % heads != 0) {
      problems.add(
          json.name()
              + ": ["
              + hiddenKey
              + "] is "
              + hiddenSize
              + ", expected a multiple of ["
              + headsKey
              + "], which is "
              + heads);
    }
    return Math.max(1, hiddenSize / heads);
  }

  /** Returns the canonical name of the activation. */
  String activation(String key, String absent) {
    String named = json.text(key).orElse(absent);
    String activation = ACTIVATIONS.get(named);
    if (activation == null) {
      problems.add(
          json.name()
              + ": "
              + key
              + " ["
              + named
              + "] is not supported; supported: "
              + String.join(", ", ACTIVATIONS.keySet()));
      return absent;
    }
    return activation;
  }

  static Activation activation(String name) {
    return Activation.named(name);
  }

  /** Returns which layers see a window only, from the list {@code layer_types}. */
  boolean[] slidingLayers(int count) {
    boolean[] sliding = new boolean[count];
    JsonNode types = json.node("layer_types");
    boolean right = types.isArray() && types.size() == count;
    for (int i = 0; right && i < count; i++) {
      sliding[i] = types.get(i).asText("").equals("sliding_attention");
      right = sliding[i] || types.get(i).asText("").equals("full_attention");
    }
    if (!right) {
      json.wrong("layer_types", "[full_attention] or [sliding_attention] for each of the layers");
    }
    return sliding;
  }

  /** Refuses a flag that says what we do not do. */
  void expectFlag(String key, boolean only, String why) {
    if (json.flag(key, only) != only) {
      json.wrong(key, only + ": " + why);
    }
  }

  /** Refuses a name other than the only one that is implemented. */
  void expectText(String key, String only) {
    String found = json.text(key).orElse(only);
    if (!found.equals(only)) {
      problems.add(
          json.name() + ": " + key + " [" + found + "] is not supported; supported: " + only);
    }
  }

  /** Refuses a number other than the only one that is implemented. */
  void expectNumber(String key, double only, String why) {
    JsonNode node = json.node(key);
    if (!node.isMissingNode() && (!node.isNumber() || node.doubleValue() != only)) {
      json.wrong(key, only + ": " + why);
    }
  }

  /** Refuses a key that must not be there, or be null. */
  void expectAbsent(String key, String why) {
    if (json.has(key)) {
      json.wrong(key, "none: " + why);
    }
  }

  /** Refuses decoders. */
  void expectEncoder() {
    for (String flag : List.of("is_decoder", "add_cross_attention", "is_encoder_decoder")) {
      if (json.flag(flag, false)) {
        problems.add(json.name() + ": [" + flag + "] is true, expected false: an encoder");
      }
    }
  }

  /** Notes a table and returns its name. */
  String table(String name, long rows, long columns) {
    shapes.put(name, List.of(rows, columns));
    return name;
  }

  /** Notes a tensor of any shape. */
  void tensor(String name, Long... shape) {
    shapes.put(name, List.of(shape));
  }

  /** Notes and returns a linear layer. */
  LinearPlan linear(String name, int out, int in, boolean bias) {
    shapes.put(name + ".weight", List.of((long) out, (long) in));
    if (bias) {
      shapes.put(name + ".bias", List.of((long) out));
    }
    return new LinearPlan(List.of(new LinearPlan.Piece(name, 0, out, bias)));
  }

  /** Notes a linear layer of two halves and returns it with the second half first. */
  LinearPlan swapped(String name, int half, int in, boolean bias) {
    linear(name, 2 * half, in, bias);
    return new LinearPlan(
        List.of(
            new LinearPlan.Piece(name, half, half, bias),
            new LinearPlan.Piece(name, 0, half, bias)));
  }

  /** Notes a linear layer that is read where it is there. */
  void optionalLinear(String name, int out, int in) {
    optionalShapes.put(name + ".weight", List.of((long) out, (long) in));
    optionalShapes.put(name + ".bias", List.of((long) out));
  }

  /** Notes and returns embeddings of words and, if there are any, of types, under a LayerNorm. */
  EmbeddingPlan wordEmbedding(int vocabulary, int size, int types, String norm, float epsilon) {
    return new EmbeddingPlan(
        table("embeddings.word_embeddings.weight", vocabulary, size),
        size,
        1,
        Optional.empty(),
        OptionalInt.empty(),
        types == 0
            ? Optional.empty()
            : Optional.of(table("embeddings.token_type_embeddings.weight", types, size)),
        Optional.of(layerNorm(norm, size, epsilon)),
        Optional.empty(),
        false);
  }

  /** Notes and returns a LayerNorm with a bias. */
  NormPlan layerNorm(String name, int size, float epsilon) {
    return norm(name, NormKind.LAYER, size, true, epsilon);
  }

  /** Notes and returns a norm. */
  NormPlan norm(String name, NormKind kind, int size, boolean bias, float epsilon) {
    shapes.put(name + ".weight", List.of((long) size));
    if (bias) {
      shapes.put(name + ".bias", List.of((long) size));
    }
    return new NormPlan(name, kind, bias, epsilon);
  }

  /** Returns the configuration of layers that nothing joins or follows. */
  EncoderConfig config(
      EncoderSizes sizes, EmbeddingPlan embedding, List<LayerPlan> layers, String... prefixes) {
    return config(sizes, embedding, layers, Optional.empty(), Optional.empty(), prefixes);
  }

  /** Returns the configuration with all shapes that were noted. */
  EncoderConfig config(
      EncoderSizes sizes,
      EmbeddingPlan embedding,
      List<LayerPlan> layers,
      Optional<NormPlan> finalNorm,
      Optional<ConvolutionPlan> convolution,
      String... prefixes) {
    List<String> all = new ArrayList<>(List.of(""));
    all.addAll(List.of(prefixes));
    all.add("0.auto_model.");
    return new EncoderConfig(
        family, sizes, embedding, layers, finalNorm, convolution, all, shapes, optionalShapes);
  }
}
