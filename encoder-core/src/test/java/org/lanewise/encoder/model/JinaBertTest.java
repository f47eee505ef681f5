package org.lanewise.encoder.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.family.Families;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.JsonFile;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/**
 * Jina's v2 models, of which there is no golden: one sequence against the formulas of the published
 * code, computed here once more in double precision and without our blocks.
 */
@Tag("backend")
class JinaBertTest {
  private static final String BACKEND = System.getProperty("lanewise.backend", "auto");
  private static final int HIDDEN = 24;
  private static final int HEADS = 3;
  private static final int INTERMEDIATE = 20;
  private static final int TOKENS = 37;
  private static final double EPSILON = 1e-12;

  private final Map<String, Tensor> weights = new HashMap<>();

  @ParameterizedTest
  @ValueSource(strings = {"jina-bert-implementation", "jina-bert-v2-qk-post-norm"})
  void hiddenStatesFollowTheFormulas(String code) throws JsonProcessingException {
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(2)) {
      EncoderConfig config = config(code);
      Random random = new Random(7);
      config
          .weightShapes()
          .forEach((name, shape) -> weights.put(name, tensor(arena, random, name, shape)));
      int[] ids = random.ints(TOKENS, 0, 50).toArray();
      int[] positions = new int[TOKENS];
      int[] types = new int[TOKENS];
      for (int i = 0; i < TOKENS; i++) {
        positions[i] = i;
        types[i] = i / 20;
      }
      PackedBatch batch =
          new PackedBatch(ids, types, positions, new int[] {0, TOKENS}, new int[] {0});
      Backend backend = Backends.create(BACKEND, Optional.of(Precision.FP32), workers);
      TransformerEncoder encoder =
          new TransformerEncoder(backend, arena, Weights.of(weights), config);
      Activations state = Activations.allocate(backend, arena, config, TOKENS);
      encoder.forward(backend, batch, state);
      double[][] expected = reference(ids, types, code.contains("qk"));
      for (int token = 0; token < TOKENS; token++) {
        float[] row = backend.read(state.hidden(), token, HIDDEN);
        for (int i = 0; i < HIDDEN; i++) {
          double error = Math.abs(row[i] - expected[token][i]);
          double allowed = 2e-5 * (1 + Math.abs(expected[token][i]));
          assertTrue(error <= allowed, code + " token " + token + ": error " + error);
        }
      }
    }
  }

  private static EncoderConfig config(String code) throws JsonProcessingException {
    String json =
        """
        {"model_type": "bert", "auto_map": {"AutoModel": "jinaai/%s--modeling_bert.JinaBertModel"},
         "vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3,
         "intermediate_size": 20, "max_position_embeddings": 64, "type_vocab_size": 2,
         "position_embedding_type": "alibi", "feed_forward_type": "geglu"}
        """
            .replace("%s", code);
    List<String> problems = new ArrayList<>();
    JsonFile file = JsonFile.of(new ObjectMapper().readTree(json), "config.json", problems);
    Optional<EncoderConfig> config = Families.read(file, problems);
    assertEquals(List.of(), problems);
    return config.orElseThrow();
  }

  private static Tensor tensor(Arena arena, Random random, String name, List<Long> shape) {
    long[] sizes = shape.stream().mapToLong(Long::longValue).toArray();
    int elements = (int) shape.stream().mapToLong(Long::longValue).reduce(1, (a, b) -> a * b);
    MemorySegment data = arena.allocate(elements * 4L, 64);
    for (int i = 0; i < elements; i++) {
      data.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) (random.nextGaussian() * 0.3));
    }
    return new Tensor(name, DataType.F32, sizes, data);
  }

  private double[][] reference(int[] ids, int[] types, boolean code) {
    double[][] hidden = new double[TOKENS][HIDDEN];
    for (int token = 0; token < TOKENS; token++) {
      for (int i = 0; i < HIDDEN; i++) {
        hidden[token][i] =
            number("embeddings.word_embeddings.weight", ids[token] * HIDDEN + i)
                + number("embeddings.token_type_embeddings.weight", types[token] * HIDDEN + i);
      }
    }
    hidden = norm(hidden, "embeddings.LayerNorm");
    for (int layer = 0; layer < 2; layer++) {
      String in = "encoder.layer." + layer + ".";
      double[][] query = linear(hidden, in + "attention.self.query", HIDDEN, true);
      double[][] key = linear(hidden, in + "attention.self.key", HIDDEN, true);
      double[][] value = linear(hidden, in + "attention.self.value", HIDDEN, true);
      if (code) {
        query = norm(query, in + "attention.self.layer_norm_q");
        key = norm(key, in + "attention.self.layer_norm_k");
      }
      double[][] output =
          linear(attention(query, key, value), in + "attention.output.dense", HIDDEN, true);
      double[][] attended = norm(sum(output, hidden), in + "attention.output.LayerNorm");
      if (code) {
        attended = norm(sum(attended, hidden), in + "layer_norm_1");
      }
      String up = in + (code ? "mlp.up_gated_layer" : "mlp.gated_layers");
      double[][] between = linear(attended, up, 2 * INTERMEDIATE, false);
      double[][] gated = new double[TOKENS][INTERMEDIATE];
      for (int token = 0; token < TOKENS; token++) {
        for (int i = 0; i < INTERMEDIATE; i++) {
          double first = between[token][i];
          double second = between[token][INTERMEDIATE + i];
          gated[token][i] = code ? first * gelu(second) : gelu(first) * second;
        }
      }
      double[][] down = linear(gated, in + (code ? "mlp.down_layer" : "mlp.wo"), HIDDEN, true);
      hidden = norm(sum(down, attended), in + (code ? "layer_norm_2" : "mlp.layernorm"));
    }
    return hidden;
  }

  private static double[][] attention(double[][] query, double[][] key, double[][] value) {
    // Three heads: the two slopes of a power of two, and the first of four for the rest.
    double[] slopes = {1 / 16.0, 1 / 256.0, 1 / 4.0};
    int size = HIDDEN / HEADS;
    double[][] context = new double[TOKENS][HIDDEN];
    for (int head = 0; head < HEADS; head++) {
      for (int i = 0; i < TOKENS; i++) {
        double[] scores = new double[TOKENS];
        double total = 0;
        for (int j = 0; j < TOKENS; j++) {
          double dot = 0;
          for (int k = head * size; k < (head + 1) * size; k++) {
            dot += query[i][k] * key[j][k];
          }
          scores[j] = Math.exp(dot / Math.sqrt(size) - slopes[head] * Math.abs(i - j));
          total += scores[j];
        }
        for (int k = head * size; k < (head + 1) * size; k++) {
          for (int j = 0; j < TOKENS; j++) {
            context[i][k] += scores[j] / total * value[j][k];
          }
        }
      }
    }
    return context;
  }

  private double[][] linear(double[][] input, String name, int out, boolean bias) {
    double[][] output = new double[TOKENS][out];
    int in = input[0].length;
    for (int token = 0; token < TOKENS; token++) {
      for (int row = 0; row < out; row++) {
        double sum = bias ? number(name + ".bias", row) : 0;
        for (int i = 0; i < in; i++) {
          sum += input[token][i] * number(name + ".weight", row * in + i);
        }
        output[token][row] = sum;
      }
    }
    return output;
  }

  private double[][] norm(double[][] input, String name) {
    double[][] output = new double[TOKENS][HIDDEN];
    for (int token = 0; token < TOKENS; token++) {
      double mean = 0;
      for (double each : input[token]) {
        mean += each / HIDDEN;
      }
      double variance = 0;
      for (double each : input[token]) {
        variance += (each - mean) * (each - mean) / HIDDEN;
      }
      for (int i = 0; i < HIDDEN; i++) {
        double scaled = (input[token][i] - mean) / Math.sqrt(variance + EPSILON);
        output[token][i] = scaled * number(name + ".weight", i) + number(name + ".bias", i);
      }
    }
    return output;
  }

  private static double[][] sum(double[][] left, double[][] right) {
    double[][] sum = new double[TOKENS][HIDDEN];
    for (int token = 0; token < TOKENS; token++) {
      for (int i = 0; i < HIDDEN; i++) {
        sum[token][i] = left[token][i] + right[token][i];
      }
    }
    return sum;
  }

  /** x * Phi(x), the normal distribution function by Simpson's rule. */
  private static double gelu(double x) {
    int steps = 2000;
    double width = x / steps;
    double area = 0;
    for (int i = 0; i <= steps; i++) {
      double at = i * width;
      int weight = i == 0 || i == steps ? 1 : i % 2 == 1 ? 4 : 2;
      area += weight * Math.exp(-at * at / 2);
    }
    return x * (0.5 + area * width / 3 / Math.sqrt(2 * Math.PI));
  }

  private double number(String name, int index) {
    return weights.get(name).get(index);
  }
}
