package org.lanewise.encoder.model;

import static java.util.Map.entry;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.ScalarBackend;
import org.lanewise.encoder.backend.cuda.TestDevice;
import org.lanewise.encoder.batch.PackedBatch;

/** Every family on a device, or on the host in place of one. */
final class CudaEncoderGoldenTest {
  static List<String> models() {
    return EncoderGoldenTest.models();
  }

  @ParameterizedTest
  @MethodSource("models")
  void hiddenStatesAndPooledVectorsArePyTorchs(String name) {
    try (Arena arena = Arena.ofShared()) {
      Backend backend = TestDevice.backend(Precision.FP32);
      EncoderGoldenTest.compare(name, GoldenEncoder.open(name, arena), arena, backend);
    }
  }

  /**
   * How far PyTorch's own last states in bf16 are from its states in fp32, as a share of their
   * length: torch 2.13 and transformers 5.18 on a processor. The model whose names transformers
   * does not read has its sisters' error.
   */
  private static final Map<String, Double> PYTORCHS_ERRORS =
      Map.ofEntries(
          entry("albert", 0.0238),
          entry("bert_auto_model_prefix", 0.0185),
          entry("bert_bf16", 0.0148),
          entry("bert_fp16", 0.0198),
          entry("bert_gelu", 0.0499),
          entry("bert_gelu_new_oldlayout", 0.0184),
          entry("bert_multi_pooling_old", 0.0191),
          entry("bert_plain_vocab_txt", 0.0166),
          entry("bert_relu_gamma_beta", 0.0218),
          entry("bert_sharded_dense_truncate", 0.0206),
          entry("deberta_v2_conv", 0.0193),
          entry("deberta_v3", 0.0165),
          entry("distilbert", 0.0296),
          entry("electra", 0.0219),
          entry("eurobert", 0.0254),
          entry("gemma3_embedding", 0.0165),
          entry("gte_new", 0.0427),
          entry("gte_new_no_types", 0.0369),
          entry("modernbert", 0.0618),
          entry("modernbert_bias", 0.0274),
          entry("mpnet", 0.0173),
          entry("nomic_bert", 0.0875),
          entry("qwen3_embedding", 0.0162),
          entry("roberta", 0.0188),
          entry("xlm_roberta", 0.0211));

  @ParameterizedTest
  @MethodSource("models")
  void bf16IsNoWorseThanPyTorchs(String name) {
    try (Arena arena = Arena.ofShared()) {
      GoldenEncoder golden = GoldenEncoder.open(name, arena);
      float[][] exact = states(golden, arena, new ScalarBackend(Precision.FP32));
      float[][] rounded = states(golden, arena, TestDevice.backend(Precision.BF16));
      double errors = 0;
      double squares = 0;
      for (int token = 0; token < exact.length; token++) {
        for (int i = 0; i < exact[token].length; i++) {
          errors += Math.pow((double) rounded[token][i] - exact[token][i], 2);
          squares += Math.pow(exact[token][i], 2);
        }
      }
      double error = Math.sqrt(errors / squares);
      double pytorchs = PYTORCHS_ERRORS.get(name);
      assertTrue(error <= 1.25 * pytorchs, name + ": " + error + ", PyTorch's " + pytorchs);
    }
  }

  private static float[][] states(GoldenEncoder golden, Arena arena, Backend backend) {
    TransformerEncoder encoder =
        new TransformerEncoder(backend, arena, golden.weights(), golden.config());
    PackedBatch batch = PackedBatch.pack(golden.sequences());
    Activations state = Activations.allocate(backend, arena, golden.config(), batch.tokens());
    Matrix hidden = encoder.forward(backend, batch, state);
    return backend.read(hidden, hidden.columns());
  }
}
