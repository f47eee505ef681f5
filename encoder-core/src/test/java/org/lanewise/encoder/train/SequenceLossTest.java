package org.lanewise.encoder.train;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
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
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/** Losses of heads and their gradients against the goldens. */
@Tag("backend")
final class SequenceLossTest {
  private static final String BACKEND = System.getProperty("lanewise.backend", "auto");
  private static final double TOLERANCE = 1e-5;

  static List<String> files() {
    return GoldenTensors.names("recurrent/heads", 6);
  }

  @ParameterizedTest
  @MethodSource("files")
  void gradientsAreThoseOfTheGolden(String name) {
    GoldenTensors golden = GoldenTensors.open(name);
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(2)) {
      TrainingBackend backend =
          (TrainingBackend) Backends.create(BACKEND, Optional.of(Precision.FP32), workers);
      int size = golden.size("states", 2);
      int known = golden.size("param.out.b", 0);
      int[] starts = golden.sequenceStarts();
      int texts = starts.length - 1;
      Parameters parameters = new Parameters(backend, 1);
      SequenceLoss loss =
          switch (name.substring(name.indexOf("head_"), name.indexOf('.'))) {
            case "head_tagging" -> TaggingLoss.softmax(backend, parameters, known, size);
            case "head_last" ->
                classifier(backend, parameters, new TrainablePooling.Last(backend, 1), known, size);
            case "head_mean" ->
                classifier(backend, parameters, new TrainablePooling.Mean(backend), known, size);
            case "head_max" ->
                classifier(backend, parameters, new TrainablePooling.Max(backend), known, size);
            case "head_attention_additive" ->
                classifier(
                    backend,
                    parameters,
                    TrainablePooling.Attention.additive(
                        backend, parameters, golden.size("param.att.W", 0), size),
                    known,
                    size);
            case "head_attention_dot" ->
                classifier(
                    backend,
                    parameters,
                    TrainablePooling.Attention.dot(backend, parameters, size),
                    known,
                    size);
            default -> throw new IllegalArgumentException("no head for golden [" + name + "]");
          };
      load(parameters, golden, arena);
      Matrix each = GoldenNetworks.matrix(backend, arena, golden.packed("states"), size);
      Matrix last = backend.allocate(arena, texts, size);
      for (int text = 0; text < texts; text++) {
        backend.write(backend.read(each, starts[text + 1] - 1, size), last, text, 0);
      }
      States gradient =
          new States(
              backend.allocate(arena, each.rows(), size), backend.allocate(arena, texts, size));
      double[] labels =
          name.contains("tagging") ? golden.packed("labels") : golden.numbers("labels");
      double sum =
          loss.backward(
              new Workspace(backend),
              new States(each, last),
              starts,
              Arrays.stream(labels)
                  .mapToObj(label -> new int[] {(int) label})
                  .toArray(int[][]::new),
              0,
              new SplittableRandom(),
              gradient);
      // The goldens have means over the labels.
      double scale = 1.0 / labels.length;
      golden.compare("loss", golden.numbers("loss"), new double[] {sum * scale}, TOLERANCE);
      for (int text = 0; text < texts; text++) {
        float[] byEach = backend.read(gradient.each(), starts[text + 1] - 1, size);
        float[] byLast = backend.read(gradient.last(), text, size);
        for (int i = 0; i < size; i++) {
          byEach[i] += byLast[i];
        }
        backend.write(byEach, gradient.each(), starts[text + 1] - 1, 0);
      }
      golden.compare(
          "grad.states",
          golden.packed("grad.states"),
          scaled(GoldenNetworks.numbers(backend, gradient.each()), scale),
          TOLERANCE);
      Set<String> expected = new HashSet<>(golden.tensors("grad."));
      expected.remove("grad.states");
      parameters
          .gradients()
          .forEach(
              (parameter, tensor) -> {
                String which =
                    "grad." + parameter.replace("head.", "out.").replace("pooling.", "att.");
                double[] actual = new double[(int) tensor.elements()];
                for (int i = 0; i < actual.length; i++) {
                  actual[i] = tensor.get(i);
                }
                golden.compare(which, golden.numbers(which), scaled(actual, scale), TOLERANCE);
                expected.remove(which);
              });
      assertEquals(Set.of(), expected, "gradients that were not compared");
      golden.print();
      parameters.close();
    }
  }

  private static SequenceLoss classifier(
      TrainingBackend backend,
      Parameters parameters,
      TrainablePooling pooling,
      int known,
      int size) {
    return new ClassificationLoss(backend, parameters, pooling, Choice.MULTI_CLASS, known, size);
  }

  /** Loads the golden's weights under our names. */
  private static void load(Parameters parameters, GoldenTensors golden, Arena arena) {
    Weights weights = golden.parameters(arena);
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (String name : parameters.weights().keySet()) {
      String theirs = name.replace("head.", "out.").replace("pooling.", "att.");
      tensors.put(name, weights.tensor(theirs));
    }
    parameters.load(Weights.of(tensors));
  }

  private static double[] scaled(double[] numbers, double scale) {
    return Arrays.stream(numbers).map(number -> number * scale).toArray();
  }
}
