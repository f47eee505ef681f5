package org.lanewise.encoder.train;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.lanewise.encoder.GoldenTensors;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.TrainingBackend;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.model.GoldenNetworks;
import org.lanewise.encoder.model.RecurrentConfig;
import org.lanewise.encoder.weights.Tensor;

/** Gradients of recurrent networks against PyTorch in float64, each number. */
@Tag("backend")
final class TrainableRecurrenceTest {
  private static final String BACKEND = System.getProperty("lanewise.backend", "auto");

  /** Of |a - b| relative to 1 + |b|: the tolerance that the goldens state for floats. */
  private static final double TOLERANCE = 1e-5;

  static List<String> files() {
    return GoldenNetworks.files();
  }

  @ParameterizedTest
  @MethodSource("files")
  void gradientsAreThoseOfTheGolden(String name) {
    GoldenTensors golden = GoldenTensors.open(name);
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(2)) {
      TrainingBackend backend =
          (TrainingBackend) Backends.create(BACKEND, Optional.of(Precision.FP32), workers);
      RecurrentConfig config = GoldenNetworks.config(name, golden);
      int[] starts = golden.sequenceStarts();
      Parameters parameters = new Parameters(backend, 1);
      TrainableRecurrence recurrence = new TrainableRecurrence(backend, parameters, "", config);
      parameters.load(golden.parameters(arena));
      Workspace workspace = new Workspace(backend);
      TrainableRecurrence.Pass pass =
          recurrence.forward(
              workspace,
              GoldenNetworks.matrix(backend, arena, golden.packed("x"), config.inputSize()),
              starts,
              GoldenNetworks.states(backend, arena, golden, config, "h0", "c0"),
              0,
              new SplittableRandom());
      golden.compare(
          "y", golden.packed("y"), GoldenNetworks.numbers(backend, pass.output()), TOLERANCE);
      GoldenNetworks.compareStates(backend, golden, config, "h_n", "c_n", pass.after(), TOLERANCE);
      List<Matrix> stateGradients =
          GoldenNetworks.states(
              backend, arena, golden, config, "loss_weight.h_n", "loss_weight.c_n");
      Matrix inputGradient = backend.allocate(arena, starts[starts.length - 1], config.inputSize());
      recurrence.backward(
          workspace,
          pass,
          GoldenNetworks.matrix(
              backend, arena, golden.packed("loss_weight.y"), config.outputSize()),
          stateGradients,
          Optional.of(inputGradient));
      Set<String> expected = new HashSet<>(golden.tensors("grad."));
      golden.compare(
          "grad.x",
          golden.packed("grad.x"),
          GoldenNetworks.numbers(backend, inputGradient),
          TOLERANCE);
      expected.remove("grad.x");
      if (expected.contains("grad.h0")) {
        GoldenNetworks.compareStates(
            backend, golden, config, "grad.h0", "grad.c0", stateGradients, TOLERANCE);
        expected.removeAll(List.of("grad.h0", "grad.c0"));
      }
      for (Map.Entry<String, Tensor> gradient : parameters.gradients().entrySet()) {
        String which = "grad." + gradient.getKey();
        Tensor tensor = gradient.getValue();
        double[] actual = new double[(int) tensor.elements()];
        for (int i = 0; i < actual.length; i++) {
          actual[i] = tensor.get(i);
        }
        golden.compare(which, golden.numbers(which), actual, TOLERANCE);
        expected.remove(which);
      }
      assertEquals(Set.of(), expected, "gradients that were not compared");
      golden.print();
      parameters.close();
    }
  }
}
