package org.lanewise.encoder.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.lanewise.encoder.GoldenTensors;
import org.lanewise.encoder.Goldens;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.TrainingBackend;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.model.GoldenNetworks;

/** AdamW and its schedule against PyTorch in float64, and clipping. */
@Tag("backend")
final class OptimizerTest {
  private static final String BACKEND = System.getProperty("lanewise.backend", "auto");

  static List<String> folders() {
    List<String> folders = Goldens.list("training", "adamw_vector");
    assertEquals(2, folders.size(), "goldens: " + folders);
    return folders;
  }

  @ParameterizedTest
  @MethodSource("folders")
  void stepsAreThoseOfTheGolden(String folder) throws IOException {
    String path = "training/" + folder;
    GoldenTensors golden = GoldenTensors.open(path + "/golden.safetensors");
    JsonNode options =
        new ObjectMapper().readTree(Files.readAllBytes(Goldens.path(path + "/golden.json")));
    Optimizer optimizer =
        new Optimizer(
            options.get("lr").doubleValue(),
            options.get("warmup_steps").intValue(),
            options.get("total_steps").intValue(),
            options.get("weight_decay").doubleValue(),
            1);
    TrainingBackend.AdamW coefficients =
        new TrainingBackend.AdamW(
            options.get("beta1").doubleValue(),
            options.get("beta2").doubleValue(),
            options.get("eps").doubleValue(),
            options.get("weight_decay").doubleValue());
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(2)) {
      TrainingBackend backend = backend(workers);
      int size = golden.size("initial", 0);
      Matrix value = GoldenNetworks.matrix(backend, arena, golden.numbers("initial"), size);
      Matrix first = backend.allocate(arena, 1, size);
      Matrix second = backend.allocate(arena, 1, size);
      double[] rates = new double[10];
      for (int step = 1; step <= 10; step++) {
        rates[step - 1] = optimizer.learningRate(step);
        Matrix gradient =
            GoldenNetworks.matrix(backend, arena, row(golden, "gradients", step), size);
        // The gradient is scaled down first, so that the scale is tested too.
        double[] half = GoldenNetworks.numbers(backend, gradient);
        for (int i = 0; i < size; i++) {
          half[i] *= 0.5;
        }
        backend.adamW(
            value,
            GoldenNetworks.matrix(backend, arena, half, size),
            first,
            second,
            coefficients,
            rates[step - 1],
            2,
            step);
        compare(backend, golden, "values", step, value);
        compare(backend, golden, "exp_avg", step, first);
        compare(backend, golden, "exp_avg_sq", step, second);
      }
      golden.compare("learning_rates", golden.numbers("learning_rates"), rates, 1e-9);
      golden.print();
    }
  }

  private static double[] row(GoldenTensors golden, String tensor, int step) {
    int size = golden.size(tensor, 1);
    return Arrays.copyOfRange(golden.numbers(tensor), (step - 1) * size, step * size);
  }

  private static void compare(
      TrainingBackend backend, GoldenTensors golden, String tensor, int step, Matrix matrix) {
    golden.compare(
        tensor + " after step " + step,
        row(golden, tensor, step),
        GoldenNetworks.numbers(backend, matrix),
        1e-5);
  }

  @Test
  void theGradientIsClippedByItsNorm() {
    try (Workers workers = new Workers(1);
        Parameters parameters = new Parameters(backend(workers), 1)) {
      TrainingBackend backend = backend(workers);
      Parameter weight = parameters.addWeight("weight", 1, 2, 0);
      Parameter bias = parameters.addVector(Parameter.Kind.BIAS, "bias", 1, 0);
      Parameter frozen = parameters.add(Parameter.Kind.FROZEN, 1, 2, 1, List.of());
      float[] before = backend.read(frozen.value(), 0, 2);
      backend.write(new float[] {3, 0}, weight.gradient(), 0, 0);
      backend.write(new float[] {4}, bias.gradient(), 0, 0);
      Optimizer optimizer = new Optimizer(0.1, 0, 1000, 0, 2.5);
      assertEquals(10, parameters.step(optimizer, 1, 2), 1e-6);
      // The first moment is a tenth of the gradient, whose norm is now 2.5.
      assertEquals(0.15, backend.read(weight.firstMoment(), 0, 1)[0], 1e-6);
      assertEquals(0.2, backend.read(bias.firstMoment(), 0, 1)[0], 1e-6);
      assertEquals(0, backend.sumOfSquares(weight.gradient()));
      assertTrue(Arrays.equals(before, backend.read(frozen.value(), 0, 2)));
      backend.write(new float[] {Float.NaN, 0}, weight.gradient(), 0, 0);
      String message =
          assertThrows(ArithmeticException.class, () -> parameters.step(optimizer, 2, 1))
              .getMessage();
      assertTrue(message.contains("[NaN] at step 2"), message);
    }
  }

  @Test
  void weightDecayLeavesBiasesAlone() {
    try (Workers workers = new Workers(1);
        Parameters parameters = new Parameters(backend(workers), 1)) {
      TrainingBackend backend = backend(workers);
      Parameter weight = parameters.addWeight("weight", 1, 1, 0);
      Parameter bias = parameters.addVector(Parameter.Kind.BIAS, "bias", 1, 0);
      backend.write(new float[] {1}, weight.value(), 0, 0);
      backend.write(new float[] {1}, bias.value(), 0, 0);
      parameters.step(new Optimizer(0.5, 0, 1000, 0.25, 1), 1, 1);
      assertEquals(1 - 0.5 * 0.25, backend.read(weight.value(), 0, 1)[0], 1e-6);
      assertEquals(1, backend.read(bias.value(), 0, 1)[0]);
    }
  }

  private static TrainingBackend backend(Workers workers) {
    return (TrainingBackend) Backends.create(BACKEND, Optional.of(Precision.FP32), workers);
  }
}
