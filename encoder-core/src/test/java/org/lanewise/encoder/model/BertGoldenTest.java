package org.lanewise.encoder.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.lanewise.encoder.Goldens;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.tokenizer.Tokens;
import org.lanewise.encoder.weights.Safetensors;
import org.lanewise.encoder.weights.Tensor;

/** Every hidden state and every pooled vector against PyTorch, element by element. */
@Tag("backend")
class BertGoldenTest {
  private static final String BACKEND = System.getProperty("lanewise.backend", "auto");

  static List<String> models() {
    List<String> models = Goldens.list("encoders", "bert_");
    assertEquals(9, models.size(), "golden bert models: " + models);
    return models;
  }

  @ParameterizedTest
  @MethodSource("models")
  void hiddenStatesAndPooledVectorsArePyTorchs(String name) {
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(2);
        ModelDirectory directory = ModelDirectory.open(Goldens.path("encoders/" + name))) {
      Golden golden = Golden.open(name, arena);
      Backend backend = Backends.create(BACKEND, Optional.of(Precision.FP32), workers);
      BertEncoder encoder =
          new BertEncoder(backend, arena, directory.weights(), directory.config());
      PackedBatch batch = PackedBatch.pack(golden.sequences());
      Activations state = Activations.allocate(backend, arena, directory.config(), batch.tokens());
      Errors errors = new Errors();
      encoder.embed(backend, batch, state);
      compareTokens(golden, "hidden_states.0", backend, state.hidden(), batch, errors);
      for (int layer = 0; layer < directory.config().layers(); layer++) {
        encoder.forwardLayer(layer, backend, batch, state);
        compareTokens(
            golden, "hidden_states." + (layer + 1), backend, state.hidden(), batch, errors);
      }
      for (PoolingMode mode : PoolingMode.values()) {
        Matrix pooled = backend.allocate(arena, batch.sequences(), directory.config().hiddenSize());
        backend.pool(state.hidden(), batch, mode, pooled, 0);
        compareRows(golden, "pooled." + mode.label(), backend, pooled, errors);
        backend.normalize(pooled);
        compareRows(golden, "pooled_normalized." + mode.label(), backend, pooled, errors);
      }
      System.out.printf(
          Locale.ROOT,
          "%s on %s: %,d numbers compared, largest error %.2e, largest share of the tolerance"
              + " %.3f%n",
          name, backend.name(), errors.compared, errors.largest, errors.largestShare);
      assertTrue(errors.largestShare <= 1, () -> name + " differs from PyTorch at " + errors.worst);
    }
  }

  private static void compareTokens(
      Golden golden,
      String tensor,
      Backend backend,
      Matrix hidden,
      PackedBatch batch,
      Errors errors) {
    for (int i = 0; i < batch.sequences(); i++) {
      for (int token = 0; token < batch.length(i); token++) {
        float[] row = backend.read(hidden, batch.sequenceStarts()[i] + token, hidden.columns());
        long at = ((long) i * golden.paddedLength() + token) * row.length;
        errors.compare(golden.tensors().tensors().get(tensor), at, row);
      }
    }
  }

  private static void compareRows(
      Golden golden, String tensor, Backend backend, Matrix vectors, Errors errors) {
    for (int i = 0; i < vectors.rows(); i++) {
      float[] row = backend.read(vectors, i, vectors.columns());
      errors.compare(golden.tensors().tensors().get(tensor), (long) i * row.length, row);
    }
  }

  /** The batch that PyTorch ran, unpadded, and what it answered. */
  private record Golden(Safetensors tensors, List<Tokens> sequences, int paddedLength) {
    static Golden open(String name, Arena arena) {
      Safetensors tensors =
          Safetensors.open(Goldens.path("encoders/" + name + "/golden.safetensors"), arena);
      Tensor ids = tensors.tensors().get("input_ids");
      Tensor mask = tensors.tensors().get("attention_mask");
      Tensor types = tensors.tensors().get("token_type_ids");
      int padded = (int) ids.shape()[1];
      List<Tokens> sequences = new ArrayList<>();
      for (int i = 0; i < ids.shape()[0]; i++) {
        int length = 0;
        while (length < padded && mask.getLong((long) i * padded + length) == 1) {
          length++;
        }
        int[] sequence = new int[length];
        int[] typeIds = new int[length];
        for (int token = 0; token < length; token++) {
          sequence[token] = (int) ids.getLong((long) i * padded + token);
          typeIds[token] = (int) types.getLong((long) i * padded + token);
        }
        sequences.add(
            new Tokens(
                sequence,
                typeIds,
                new int[length],
                new int[length],
                new boolean[length],
                false,
                List.of()));
      }
      return new Golden(tensors, sequences, padded);
    }
  }

  /** The largest error, and the largest share of |a - b| <= 1e-4 + 1e-4 |b|. */
  private static final class Errors {
    private long compared;
    private double largest;
    private double largestShare;
    private String worst = "";

    void compare(Tensor expected, long at, float[] actual) {
      for (int i = 0; i < actual.length; i++) {
        float value = expected.get(at + i);
        double error = Math.abs(value - actual[i]);
        double share = error / (1e-4 + 1e-4 * Math.abs(value));
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
