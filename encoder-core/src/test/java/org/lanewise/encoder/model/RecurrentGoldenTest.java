package org.lanewise.encoder.model;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.lanewise.encoder.GoldenTensors;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.Workers;

/** Outputs and final states of recurrent networks against PyTorch in float64, each number. */
@Tag("backend")
final class RecurrentGoldenTest {
  private static final String BACKEND = System.getProperty("lanewise.backend", "auto");

  /** Of |a - b| relative to 1 + |b|: the tolerance that the goldens state for floats. */
  private static final double TOLERANCE = 1e-5;

  static List<String> files() {
    return GoldenNetworks.files();
  }

  @ParameterizedTest
  @MethodSource("files")
  void outputsAndFinalStatesAreThoseOfTheGolden(String name) {
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(2)) {
      GoldenTensors golden = GoldenTensors.open(name);
      Backend backend = Backends.create(BACKEND, Optional.of(Precision.FP32), workers);
      RecurrentConfig config = GoldenNetworks.config(name, golden);
      RecurrentNetwork network =
          new RecurrentNetwork(backend, arena, golden.parameters(arena), config);
      int[] starts = golden.sequenceStarts();
      int sequences = starts.length - 1;
      Matrix input = GoldenNetworks.matrix(backend, arena, golden.packed("x"), config.inputSize());
      RecurrentActivations state =
          RecurrentActivations.allocate(backend, arena, config, starts[sequences], sequences);
      List<Matrix> before = GoldenNetworks.states(backend, arena, golden, config, "h0", "c0");
      for (int layer = 0; layer < config.layers(); layer++) {
        Matrix states = state.states().get(layer);
        for (int row = 0; row < states.rows(); row++) {
          float[] numbers = backend.read(before.get(layer), row, states.columns());
          backend.write(numbers, states, row, 0);
        }
      }
      network.resume(backend, input, starts, state);
      golden.compare(
          "y", golden.packed("y"), GoldenNetworks.numbers(backend, state.output()), TOLERANCE);
      GoldenNetworks.compareStates(
          backend, golden, config, "h_n", "c_n", state.states(), TOLERANCE);
      golden.print();
    }
  }
}
