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
import org.lanewise.encoder.model.LinearPlan;
import org.lanewise.encoder.model.NormPlan;
import org.lanewise.encoder.model.ResidualPlan;
import org.lanewise.encoder.model.RotaryPlan;
import org.lanewise.encoder.weights.JsonFile;

/**
 * Encoders built like decoders: EuroBERT, Qwen3 and Gemma 3. RMSNorm before each block, rotary
 * positions, fewer heads of keys and values than of queries, gated feed-forward.
 */
final class DecoderFamily {
  private DecoderFamily() {}

  /** What the members agree in. */
  private record Shape(
      int vocabulary,
      int hiddenSize,
      int layers,
      int heads,
      int keyValueHeads,
      int headSize,
      int intermediateSize,
      int positions,
      float epsilon,
      String activation,
      boolean attentionBias,
      boolean mlpBias,
      NormKind normKind,
      boolean headNorms,
      boolean sandwiched) {

    Optional<NormPlan> headNorm(ConfigReader config, String name) {
      return headNorms
          ? Optional.of(config.norm(name, normKind, headSize, false, epsilon))
          : Optional.empty();
    }

    float scaleByHead() {
      return (float) (1 / Math.sqrt(headSize));
    }

    NormPlan norm(ConfigReader config, String name) {
      return config.norm(name, normKind, hiddenSize, false, epsilon);
    }
  }

  /** What a layer may read, and how it turns. */
  private record Reach(int behind, int ahead, RotaryPlan rotary) {}

  private static Shape shape(
      ConfigReader config,
      String activationKey,
      String activation,
      OptionalInt absentHeadSize,
      NormKind kind,
      boolean headNorms,
      boolean sandwiched) {
    JsonFile json = config.json();
    int hidden = config.size("hidden_size");
    int heads = config.size("num_attention_heads");
    int headSize =
        json.has("head_dim") || absentHeadSize.isPresent()
            ? config.optionalSize("head_dim", absentHeadSize.orElse(1))
            : config.headSize("hidden_size", hidden, "num_attention_heads", heads);
    int keyValueHeads = config.optionalSize("num_key_value_heads", heads);
    if (heads % keyValueHeads != 0) {
      json.wrong("num_key_value_heads", "a divisor of [num_attention_heads], which is " + heads);
      keyValueHeads = heads;
    }
    if ((long) heads * headSize > ConfigReader.MAX_SIZE) {
      json.wrong("head_dim", "at most " + ConfigReader.MAX_SIZE + " numbers in all heads");
      headSize = 2;
    }
    return new Shape(
        config.vocabulary(),
        hidden,
        config.layers("num_hidden_layers"),
        heads,
        keyValueHeads,
        headSize,
        config.size("intermediate_size"),
        config.positions("max_position_embeddings"),
        config.epsilon("rms_norm_eps", headNorms ? 1e-6 : 1e-5),
        config.activation(activationKey, activation),
        json.flag("attention_bias", false),
        json.flag("mlp_bias", false),
        kind,
        headNorms,
        sandwiched);
  }

  static EncoderConfig readEuroBert(ConfigReader config) {
    Shape shape =
        shape(
            config,
            "hidden_act",
            "silu",
            OptionalInt.empty(),
            NormKind.ROOT_MEAN_SQUARE,
            false,
            false);
    RotaryPlan rotary =
        RotaryReader.read(config, shape.headSize, "full_attention", "rope_theta", 250_000, true);
    Reach reach = new Reach(AttentionPattern.EVERYTHING, AttentionPattern.EVERYTHING, rotary);
    List<Reach> reaches = new ArrayList<>();
    for (int i = 0; i < shape.layers; i++) {
      reaches.add(reach);
    }
    return config(config, shape, 1, reaches, shape.scaleByHead());
  }

  static EncoderConfig readQwen3(ConfigReader config) {
    JsonFile json = config.json();
    Shape shape =
        shape(
            config,
            "hidden_act",
            "silu",
            OptionalInt.of(128),
            NormKind.ROOT_MEAN_SQUARE,
            true,
            false);
    RotaryPlan rotary =
        RotaryReader.read(config, shape.headSize, "full_attention", "rope_theta", 10_000, true);
    boolean windowed = json.flag("use_sliding_window", false);
    int window = windowed ? config.optionalSize("sliding_window", 4096) : 0;
    int firstSliding = windowed ? firstSliding(json) : shape.layers;
    boolean[] sliding = new boolean[shape.layers];
    if (windowed && json.has("layer_types")) {
      sliding = config.slidingLayers(shape.layers);
    } else {
      for (int i = firstSliding; i < shape.layers; i++) {
        sliding[i] = true;
      }
    }
    List<Reach> reaches = new ArrayList<>();
    for (boolean each : sliding) {
      reaches.add(new Reach(each ? window - 1 : AttentionPattern.EVERYTHING, 0, rotary));
    }
    return config(config, shape, 1, reaches, shape.scaleByHead());
  }

  private static int firstSliding(JsonFile json) {
    return json.optionalInteger("max_window_layers", 0, ConfigReader.MAX_SIZE).orElse(28);
  }

  static EncoderConfig readGemma3(ConfigReader config) {
    JsonFile json = config.json();
    config.expectAbsent("attn_logit_softcapping", "scores that are not capped");
    Shape shape =
        shape(
            config,
            "hidden_activation",
            "gelu_new",
            OptionalInt.of(256),
            NormKind.ROOT_MEAN_SQUARE_FROM_ONE,
            true,
            true);
    RotaryPlan global =
        RotaryReader.read(config, shape.headSize, "full_attention", "rope_theta", 1_000_000, true);
    RotaryPlan local =
        RotaryReader.read(
            config, shape.headSize, "sliding_attention", "rope_local_base_freq", 10_000, false);
    boolean both = json.flag("use_bidirectional_attention", false);
    int window = config.optionalSize("sliding_window", 4096);
    int behind = both ? window / 2 : window - 1;
    boolean[] sliding = gemmaSliding(config, shape.layers);
    List<Reach> reaches = new ArrayList<>();
    for (boolean each : sliding) {
      int ahead = each ? behind : AttentionPattern.EVERYTHING;
      reaches.add(
          new Reach(
              each ? behind : AttentionPattern.EVERYTHING,
              both ? ahead : 0,
              each ? local : global));
    }
    double scalar = json.positiveNumber("query_pre_attn_scalar", ConfigReader.MAX_SIZE).orElse(256);
    return config(
        config,
        shape,
        (float) Math.sqrt(shape.hiddenSize),
        reaches,
        (float) (1 / Math.sqrt(scalar)));
  }

  private static boolean[] gemmaSliding(ConfigReader config, int count) {
    if (config.json().has("layer_types")) {
      return config.slidingLayers(count);
    }
    String key =
        config.json().has("sliding_window_pattern")
            ? "sliding_window_pattern"
            : "_sliding_window_pattern";
    int every = config.optionalSize(key, 6);
    boolean[] sliding = new boolean[count];
    for (int i = 0; i < count; i++) {
      sliding[i] = (i + 1) % every != 0;
    }
    return sliding;
  }

  private static EncoderConfig config(
      ConfigReader config, Shape shape, float embeddingScale, List<Reach> reaches, float scale) {
    EmbeddingPlan embedding =
        new EmbeddingPlan(
            config.table("embed_tokens.weight", shape.vocabulary, shape.hiddenSize),
            shape.hiddenSize,
            embeddingScale,
            Optional.empty(),
            OptionalInt.empty(),
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            false);
    List<LayerPlan> layers = new ArrayList<>();
    for (int i = 0; i < shape.layers; i++) {
      layers.add(layer(config, shape, reaches.get(i), scale, "layers." + i + "."));
    }
    EncoderSizes sizes =
        new EncoderSizes(
            shape.vocabulary,
            shape.hiddenSize,
            shape.layers,
            shape.heads,
            shape.intermediateSize,
            shape.positions,
            0,
            shape.activation);
    return config.config(
        sizes,
        embedding,
        layers,
        Optional.of(shape.norm(config, "norm")),
        Optional.empty(),
        "model.");
  }

  private static LayerPlan layer(
      ConfigReader config, Shape shape, Reach reach, float scale, String in) {
    int hidden = shape.hiddenSize;
    int querySize = shape.heads * shape.headSize;
    int keySize = shape.keyValueHeads * shape.headSize;
    int between = shape.intermediateSize;
    boolean bias = shape.attentionBias;
    return new LayerPlan(
        new LayerPlan.Attention(
            shape.heads,
            shape.keyValueHeads,
            shape.headSize,
            scale,
            reach.behind,
            reach.ahead,
            new BiasPlan.None(),
            LinearPlan.stack(
                config.linear(in + "self_attn.q_proj", querySize, hidden, bias),
                config.linear(in + "self_attn.k_proj", keySize, hidden, bias),
                config.linear(in + "self_attn.v_proj", keySize, hidden, bias)),
            shape.headNorm(config, in + "self_attn.q_norm"),
            shape.headNorm(config, in + "self_attn.k_norm"),
            Optional.of(reach.rotary),
            config.linear(in + "self_attn.o_proj", hidden, querySize, bias),
            residual(config, shape, in + "input_layernorm", in + "post_attention_layernorm")),
        new LayerPlan.FeedForward(
            ConfigReader.activation(shape.activation),
            true,
            LinearPlan.stack(
                config.linear(in + "mlp.gate_proj", between, hidden, shape.mlpBias),
                config.linear(in + "mlp.up_proj", between, hidden, shape.mlpBias)),
            config.linear(in + "mlp.down_proj", hidden, between, shape.mlpBias),
            shape.sandwiched
                ? residual(
                    config,
                    shape,
                    in + "pre_feedforward_layernorm",
                    in + "post_feedforward_layernorm")
                : ResidualPlan.preNorm(
                    Optional.of(shape.norm(config, in + "post_attention_layernorm")))));
  }

  /** Gemma puts a second norm behind each block, inside the residual. */
  private static ResidualPlan residual(
      ConfigReader config, Shape shape, String before, String inside) {
    Optional<NormPlan> first = Optional.of(shape.norm(config, before));
    return shape.sandwiched
        ? new ResidualPlan(first, Optional.of(shape.norm(config, inside)), false, Optional.empty())
        : ResidualPlan.preNorm(first);
  }
}
