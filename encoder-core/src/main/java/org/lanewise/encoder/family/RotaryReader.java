package org.lanewise.encoder.family;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import org.lanewise.encoder.model.RotaryPlan;
import org.lanewise.encoder.weights.JsonFile;

/**
 * Reads the angles of rotary position embedding: {@code rope_parameters} since transformers 5,
 * {@code rope_theta} and {@code rope_scaling} before.
 */
final class RotaryReader {
  private static final String SUPPORTED = "default, linear, ntk, llama3";

  private RotaryReader() {}

  /**
   * Returns the angles.
   *
   * @param size rotated numbers of a head
   * @param layerType key of the layer's own parameters inside {@code rope_parameters}, where it may
   *     have some
   * @param oldTheta key of the base before transformers 5
   * @param theta the base where none is stated
   * @param oldScaling whether {@code rope_scaling} is for these layers
   */
  static RotaryPlan read(
      ConfigReader config,
      int size,
      String layerType,
      String oldTheta,
      double theta,
      boolean oldScaling) {
    JsonFile json = config.json();
    if (size % 2 != 0) {
      config
          .problems()
          .add(
              json.name()
                  + ": heads have ["
                  + size
                  + "] numbers, expected an even number, as pairs are rotated");
    }
    JsonNode parameters = json.node("rope_parameters");
    if (parameters.path(layerType).isObject()) {
      parameters = parameters.path(layerType);
    }
    if (parameters.isObject()) {
      String name = json.name() + ": [rope_parameters]";
      JsonFile scaling = JsonFile.of(parameters, name, config.problems());
      return plan(scaling, config, size, number(scaling, "rope_theta", theta));
    }
    double base = number(json, oldTheta, theta);
    JsonNode scaling = json.node("rope_scaling");
    if (oldScaling && scaling.isObject()) {
      JsonFile inside = JsonFile.of(scaling, json.name() + ": [rope_scaling]", config.problems());
      return plan(inside, config, size, base);
    }
    return new RotaryPlan(frequencies(size, base));
  }

  private static double number(JsonFile json, String key, double absent) {
    return json.positiveNumber(key, 1e12).orElse(absent);
  }

  private static RotaryPlan plan(JsonFile json, ConfigReader config, int size, double theta) {
    if (json.has("partial_rotary_factor")
        && json.node("partial_rotary_factor").doubleValue() != 1) {
      json.wrong("partial_rotary_factor", "1: heads are rotated whole");
    }
    String key = json.has("rope_type") ? "rope_type" : "type";
    String type = json.text(key).orElse("default");
    List<Float> frequencies = frequencies(size, theta);
    return new RotaryPlan(
        switch (type) {
          case "default" -> frequencies;
          case "linear" -> divided(frequencies, number(json, "factor", 1));
          case "ntk" -> ntk(json, size, theta);
          case "llama3" -> llama3(json, frequencies);
          default -> {
            config
                .problems()
                .add(
                    json.name()
                        + ": "
                        + key
                        + " ["
                        + type
                        + "] is not supported; supported: "
                        + SUPPORTED);
            yield frequencies;
          }
        });
  }

  /** One for each pair, rounded to fp32 at every step as the reference implementation does. */
  private static List<Float> frequencies(int size, double theta) {
    List<Float> frequencies = new ArrayList<>();
    for (int i = 0; i < size; i += 2) {
      float exponent = (float) i / size;
      frequencies.add(1 / (float) Math.pow(theta, exponent));
    }
    return frequencies;
  }

  private static List<Float> divided(List<Float> frequencies, double factor) {
    return frequencies.stream().map(each -> (float) (each / factor)).toList();
  }

  /** The scaling of gte's own code: a larger base, or a divisor that grows with the pair. */
  private static List<Float> ntk(JsonFile json, int size, double theta) {
    double factor = number(json, "factor", 1);
    if (factor <= 1) {
      return frequencies(size, theta);
    }
    if (!json.has("mixed_b")) {
      return divided(frequencies(size, theta * factor), Math.pow(factor, 2.0 / size));
    }
    double exponent = number(json, "mixed_b", 1);
    double growth = Math.log(factor) / Math.pow(size / 2.0, exponent);
    List<Float> frequencies = new ArrayList<>();
    for (float each : frequencies(size, theta)) {
      double pair = frequencies.size() + 1;
      frequencies.add((float) (each / Math.exp(growth * Math.pow(pair, exponent))));
    }
    return frequencies;
  }

  /** Llama 3's: slow turns become slower by a factor, fast ones stay, with a ramp between. */
  private static List<Float> llama3(JsonFile json, List<Float> frequencies) {
    double factor = number(json, "factor", 1);
    double low = number(json, "low_freq_factor", 1);
    double high = number(json, "high_freq_factor", 4);
    if (high <= low) {
      json.wrong("high_freq_factor", "more than [low_freq_factor]");
    }
    double length = number(json, "original_max_position_embeddings", 8192);
    List<Float> scaled = new ArrayList<>();
    for (float each : frequencies) {
      double turns = length * each / (2 * Math.PI);
      double ramp = Math.min(1, Math.max(0, (turns - low) / (high - low)));
      scaled.add((float) (each * (ramp + (1 - ramp) / factor)));
    }
    return scaled;
  }
}
