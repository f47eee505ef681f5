package org.lanewise.encoder.model;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.List;
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
   * Layers of random weights as small as these multiply every rounding, so the states are compared
   * by their direction.
   */
  @ParameterizedTest
  @MethodSource("models")
  void bf16StatesPointWhereFp32StatesDo(String name) {
    try (Arena arena = Arena.ofShared()) {
      GoldenEncoder golden = GoldenEncoder.open(name, arena);
      float[][] exact = states(golden, arena, new ScalarBackend(Precision.FP32));
      float[][] rounded = states(golden, arena, TestDevice.backend(Precision.BF16));
      double dot = 0;
      double squares = 0;
      double roundedSquares = 0;
      for (int token = 0; token < exact.length; token++) {
        for (int i = 0; i < exact[token].length; i++) {
          dot += (double) exact[token][i] * rounded[token][i];
          squares += (double) exact[token][i] * exact[token][i];
          roundedSquares += (double) rounded[token][i] * rounded[token][i];
        }
      }
      double cosine = dot / Math.sqrt(squares * roundedSquares);
      assertTrue(cosine >= 0.999, name + ": cosine " + cosine);
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
