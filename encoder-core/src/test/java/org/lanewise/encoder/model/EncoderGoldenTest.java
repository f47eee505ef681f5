package org.lanewise.encoder.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lanewise.encoder.Goldens;
import org.lanewise.encoder.SupportTable;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.ScalarBackend;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.Tensor;

/**
 * Every hidden state and every pooled vector of every family against PyTorch, element by element.
 */
@Tag("backend")
class EncoderGoldenTest {
  /** Families whose own arithmetic in fp32 is five times as far from fp64 as the others'. */
  private static final Set<String> NOISY = Set.of("modernbert", "nomic_bert", "gte", "new");

  private static final String BACKEND = System.getProperty("lanewise.backend", "auto");

  static List<String> models() {
    List<String> models = Goldens.list("encoders", "");
    assertEquals(25, models.size(), "golden models: " + models);
    return models;
  }

  @ParameterizedTest
  @MethodSource("models")
  void hiddenStatesAndPooledVectorsArePyTorchs(String name) {
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(2)) {
      double largest = compare(name, GoldenEncoder.open(name, arena), arena, workers);
      double stated = SupportTable.error(name);
      assertTrue(largest <= stated, name + ": the README says " + stated + ", but " + largest);
    }
  }

  /** On many threads, one may have written beside its columns before another has read a row. */
  @ParameterizedTest
  @MethodSource("models")
  void nothingLiesBesideColumnsThatLinearLayersWrite(String name) {
    ScalarBackend scalar = new ScalarBackend(Precision.FP32);
    InvocationHandler scribbling =
        (proxy, method, arguments) -> {
          if (method.getName().equals("feedForward")) {
            return InvocationHandler.invokeDefault(proxy, method, arguments);
          }
          if (method.getName().equals("linear")) {
            scribble((Matrix) arguments[3]);
          }
          return method.invoke(scalar, arguments);
        };
    Class<?>[] type = {Backend.class};
    ClassLoader loader = Backend.class.getClassLoader();
    try (Arena arena = Arena.ofShared()) {
      Backend backend = (Backend) Proxy.newProxyInstance(loader, type, scribbling);
      compare(name, GoldenEncoder.open(name, arena), arena, backend);
    }
  }

  /** Writes NaN where {@link Backend#linear} may write anything. */
  private static void scribble(Matrix output) {
    MemorySegment numbers = output.data();
    for (int row = 0; row < output.rows(); row++) {
      for (int column = output.columns(); column % 32 != 0; column++) {
        long at = output.rowOffset(row) + 4L * column;
        numbers.set(ValueLayout.JAVA_FLOAT, at, Float.NaN);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "modernbert",
        "modernbert_bias",
        "eurobert",
        "qwen3_embedding",
        "gemma3_embedding"
      })
  void configurationsOfTransformers4AreReadAlike(String name) {
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(2)) {
      GoldenEncoder golden = GoldenEncoder.open(name, "config_v4.json", json -> json, arena);
      compare(name + " (transformers 4)", golden, arena, workers);
    }
  }

  @Test
  void nomicsOwnConfigurationIsReadAlike() {
    Map<String, String> renamed =
        Map.of(
            "hidden_size", "n_embd",
            "num_attention_heads", "n_head",
            "num_hidden_layers", "n_layer",
            "intermediate_size", "n_inner",
            "max_position_embeddings", "n_positions",
            "layer_norm_eps", "layer_norm_epsilon");
    Map<String, Object> added =
        Map.of(
            "activation_function", "swiglu",
            "rotary_emb_fraction", 1.0,
            "rotary_emb_interleaved", false,
            "qkv_proj_bias", false,
            "mlp_fc1_bias", false,
            "mlp_fc2_bias", false,
            "prenorm", false);
    compareRenamed("nomic_bert", "nomic_bert", renamed, added);
  }

  @ParameterizedTest
  @ValueSource(strings = {"gte_new", "gte_new_no_types"})
  void gtesOwnConfigurationIsReadAlike(String name) {
    Map<String, Object> added =
        Map.of(
            "position_embedding_type",
            "rope",
            "layer_norm_type",
            "layer_norm",
            "pack_qkv",
            true,
            "logn_attention_scale",
            false);
    compareRenamed(name, "new", Map.of(), added);
  }

  private static void compareRenamed(
      String name, String family, Map<String, String> renamed, Map<String, Object> added) {
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(2)) {
      GoldenEncoder golden =
          GoldenEncoder.open(
              name,
              "config.json",
              json -> {
                String base = family.equals("new") ? "rope_theta" : "rotary_emb_base";
                json.set(base, json.at("/rope_parameters/rope_theta"));
                renamed.forEach((from, to) -> json.set(to, json.remove(from)));
                added.forEach(json::putPOJO);
                json.remove("rope_parameters");
                json.put("model_type", family);
                return GoldenEncoder.parsed(json);
              },
              arena);
      assertEquals(family, golden.config().family());
      compare(name + " (own code)", golden, arena, workers);
    }
  }

  private static double compare(String name, GoldenEncoder golden, Arena arena, Workers workers) {
    Backend backend = Backends.create(BACKEND, Optional.of(Precision.FP32), workers);
    return compare(name, golden, arena, backend);
  }

  static double compare(String name, GoldenEncoder golden, Arena arena, Backend backend) {
    TransformerEncoder encoder =
        new TransformerEncoder(backend, arena, golden.weights(), golden.config());
    PackedBatch batch = PackedBatch.pack(golden.sequences());
    Activations state = Activations.allocate(backend, arena, golden.config(), batch.tokens());
    Errors errors = new Errors(NOISY.contains(golden.config().family()) ? 5e-4 : 1e-4);
    encoder.embed(backend, batch, state);
    compareTokens(golden, "hidden_states.0", backend, state.hidden(), batch, errors);
    for (int layer = 0; layer < golden.config().layers(); layer++) {
      encoder.forwardLayer(layer, backend, batch, state);
      String tensor = "hidden_states." + (layer + 1);
      compareTokens(golden, tensor, backend, state.hidden(), batch, errors);
    }
    for (PoolingMode mode : PoolingMode.values()) {
      if (mode == PoolingMode.WEIGHTED_MEAN && golden.leftPadded()) {
        // The reference weighs by the position in the padded row.
        continue;
      }
      Matrix pooled = backend.allocate(arena, batch.sequences(), golden.config().hiddenSize());
      backend.pool(state.hidden(), batch, mode, pooled, 0);
      compareRows(golden, "pooled." + mode.label(), backend, pooled, errors);
      backend.normalize(pooled);
      compareRows(golden, "pooled_normalized." + mode.label(), backend, pooled, errors);
    }
    System.out.printf(
        Locale.ROOT,
        "%s on %s: %,d numbers compared, largest error %.2e, largest share of the tolerance %.3f%n",
        name,
        backend.name(),
        errors.compared,
        errors.largest,
        errors.largestShare);
    assertTrue(errors.largestShare <= 1, () -> name + " differs from PyTorch at " + errors.worst);
    return errors.largest;
  }

  private static void compareTokens(
      GoldenEncoder golden,
      String tensor,
      Backend backend,
      Matrix hidden,
      PackedBatch batch,
      Errors errors) {
    for (int i = 0; i < batch.sequences(); i++) {
      for (int token = 0; token < batch.length(i); token++) {
        float[] row = backend.read(hidden, batch.sequenceStarts()[i] + token, hidden.columns());
        long at = (golden.rows().get(i) + token) * row.length;
        errors.compare(golden.answers().get(tensor), at, row);
      }
    }
  }

  private static void compareRows(
      GoldenEncoder golden, String tensor, Backend backend, Matrix vectors, Errors errors) {
    for (int i = 0; i < vectors.rows(); i++) {
      float[] row = backend.read(vectors, i, vectors.columns());
      errors.compare(golden.answers().get(tensor), (long) i * row.length, row);
    }
  }

  /** The largest error, and the largest share of |a - b| <= tolerance * (1 + |b|). */
  private static final class Errors {
    private final double tolerance;
    private long compared;
    private double largest;
    private double largestShare;
    private String worst = "";

    Errors(double tolerance) {
      this.tolerance = tolerance;
    }

    void compare(Tensor expected, long at, float[] actual) {
      for (int i = 0; i < actual.length; i++) {
        float value = expected.get(at + i);
        double error = Math.abs(value - actual[i]);
        double share = error / (tolerance * (1 + Math.abs(value)));
        compared++;
        largest = Math.max(largest, error);
        // A NaN must not slip through a comparison.
        if (!(share <= largestShare)) {
          largestShare = Double.isNaN(share) ? Double.POSITIVE_INFINITY : share;
          worst = expected.name() + " [" + (at + i) + "]: " + actual[i] + " instead of " + value;
        }
      }
    }
  }
}
