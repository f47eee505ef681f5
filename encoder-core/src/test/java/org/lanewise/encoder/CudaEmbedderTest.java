package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.DeviceException;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.cuda.HostDevice;
import org.lanewise.encoder.backend.cuda.TestDevice;

/** Texts through a device to vectors, and what happens when it cannot. */
final class CudaEmbedderTest {
  private static final Path BUNDLED = Path.of("..", "models", "lanewise-mini-en");
  private static final EmbedderOptions OPTIONS =
      EmbedderOptions.defaults().withBackend("vector").withThreads(3);

  private static List<String> texts(int count) {
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      texts.add("text " + i + " of a garden" + " by the river".repeat(i % 5));
    }
    return texts;
  }

  private static float[][] vectors(TextEmbedder embedder, List<String> texts) {
    return embedder.embed(texts).stream().map(Embedding::vector).toArray(float[][]::new);
  }

  private static float[][] exact(List<String> texts) {
    try (TextEmbedder embedder =
        TextEmbedder.open(ModelDirectory.open(BUNDLED), OPTIONS.withPrecision(Precision.FP32))) {
      return vectors(embedder, texts);
    }
  }

  private static TextEmbedder open(Backend backend) {
    return TextEmbedder.open(ModelDirectory.open(BUNDLED), OPTIONS, backend);
  }

  private static void assertNear(float[][] expected, float[][] actual) {
    assertEquals(expected.length, actual.length);
    for (int i = 0; i < expected.length; i++) {
      double dot = 0;
      double squares = 0;
      double actualSquares = 0;
      for (int d = 0; d < expected[i].length; d++) {
        dot += (double) expected[i][d] * actual[i][d];
        squares += (double) expected[i][d] * expected[i][d];
        actualSquares += (double) actual[i][d] * actual[i][d];
      }
      double cosine = dot / Math.sqrt(squares * actualSquares);
      assertTrue(cosine >= 0.9999, "text " + i + ": cosine " + cosine);
    }
  }

  @Test
  void vectorsByTheLibraryAreThoseOfTheProcessor() {
    assumeTrue(HostDevice.problem().isEmpty(), () -> HostDevice.problem().orElse(""));
    List<String> texts = texts(6);
    try (TextEmbedder embedder = open(HostDevice.create().blasBackend())) {
      float[][] all = vectors(embedder, texts);
      assertNear(exact(texts), all);
      assertArrayEquals(all, vectors(embedder, texts));
    }
  }

  @Test
  void vectorsAreThoseOfTheProcessor() {
    List<String> texts = texts(12);
    try (TextEmbedder embedder = open(TestDevice.backend(Precision.BF16))) {
      float[][] all = vectors(embedder, texts);
      assertNear(exact(texts), all);
      for (int i : new int[] {0, 7, 11}) {
        float[] alone = embedder.embed(List.of(texts.get(i))).getFirst().vector();
        assertArrayEquals(all[i], alone, "text " + i + " alone");
      }
      assertEquals(
          Optional.of(new DeviceReport(0, 0, Optional.empty(), Optional.empty())),
          embedder.deviceReport());
    }
  }

  @Test
  void batchesThatDoNotFitAreHalvedAndTheRestGoesToTheProcessor() {
    assumeTrue(HostDevice.problem().isEmpty(), () -> HostDevice.problem().orElse(""));
    HostDevice host = HostDevice.create();
    List<String> texts = texts(24);
    try (TextEmbedder embedder = open(host.backend(Precision.BF16))) {
      // Room for a few texts at a time.
      host.limitMemory(host.taken() + (1 << 20));
      assertNear(exact(texts), vectors(embedder, texts));
      DeviceReport some = embedder.deviceReport().orElseThrow();
      assertTrue(some.halvedBatches() > 0, some.toString());
      host.limitMemory(0);
      String longer = "a garden by the river ".repeat(40);
      assertNear(exact(List.of(longer)), vectors(embedder, List.of(longer)));
    }
  }

  /** On the host this would take minutes: DeviceTrialTest has a smaller model. */
  @Test
  void autoTakesADeviceThatIsThere() {
    Optional<String> problem = Backends.gpuProblem();
    assumeTrue(problem.isEmpty(), () -> problem.orElse(""));
    try (TextEmbedder embedder =
        TextEmbedder.open(ModelDirectory.open(BUNDLED), OPTIONS.withBackend("auto"))) {
      DeviceChoice choice = embedder.deviceChoice().orElseThrow();
      assertTrue(choice.usesDevice(), choice.text());
    }
  }

  @Test
  void aLostDeviceIsNotAskedAgain() {
    assumeTrue(HostDevice.problem().isEmpty(), () -> HostDevice.problem().orElse(""));
    HostDevice host = HostDevice.create();
    List<String> texts = texts(2);
    try (TextEmbedder embedder = open(host.backend(Precision.BF16))) {
      vectors(embedder, texts);
      host.lose();
      assertNear(exact(texts), vectors(embedder, texts));
      assertNear(exact(texts), vectors(embedder, texts));
      DeviceReport report = embedder.deviceReport().orElseThrow();
      assertEquals(2, report.processorBatches());
      assertTrue(report.lost().orElseThrow().contains("CUDA_ERROR_LAUNCH_FAILED"));
    }
  }

  @Test
  void aModelThatDoesNotFitLeavesNothingBehind() {
    assumeTrue(HostDevice.problem().isEmpty(), () -> HostDevice.problem().orElse(""));
    HostDevice host = HostDevice.create();
    Backend backend = host.backend(Precision.BF16);
    host.limitMemory(1 << 20);
    try (ModelDirectory directory = ModelDirectory.open(BUNDLED)) {
      for (int i = 0; i < 3; i++) {
        assertThrows(DeviceException.class, () -> TextEmbedder.open(directory, OPTIONS, backend));
      }
    }
    assertTrue(host.taken() <= 1 << 20, "" + host.taken());
  }
}
