package org.lanewise.benchmarks;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.Embedding;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.backend.Precision;

/** Ours: {@link TextEmbedder} as users open it. */
final class OurContender implements Contender {
  /** The library's own default, and enough to fill a device. */
  private static final int BATCH_TOKENS = 4096;

  private static final int DEVICE_TOKENS = 32768;

  private final String name;
  private final TextEmbedder embedder;
  private final int threads;
  private Workload workload;
  private float[][] vectors;

  private OurContender(String name, TextEmbedder embedder, int threads) {
    this.name = name;
    this.embedder = embedder;
    this.threads = threads;
  }

  /**
   * Returns the contender of that name: {@code scalar}, or {@code vector-}, {@code tiles-} or
   * {@code cuda-} and a precision.
   *
   * @throws IllegalArgumentException if this machine cannot run it
   */
  static OurContender open(String name, Path directory, int threads) {
    boolean scalar = name.equals("scalar");
    switchTiles(name.startsWith("tiles-"));
    Precision precision =
        scalar
            ? Precision.FP32
            : EmbedderOptions.precision(name.substring(name.indexOf('-') + 1)).orElseThrow();
    EmbedderOptions options =
        EmbedderOptions.defaults()
            .withBackend(scalar ? "scalar" : name.startsWith("cuda-") ? "cuda" : "vector")
            .withPrecision(Optional.of(precision))
            .withBatchTokens(name.startsWith("cuda-") ? DEVICE_TOKENS : BATCH_TOKENS)
            .withThreads(threads);
    TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(directory), options);
    embedder.warmUp();
    return new OurContender(name, embedder, threads);
  }

  @SuppressForbidden("a race sets its own JVM up; backends read the property when they are created")
  private static void switchTiles(boolean on) {
    System.setProperty("lanewise.tiles", String.valueOf(on));
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public void prepare(Workload next) {
    workload = next;
  }

  @Override
  public String setting() {
    return embedder.kernels() + ", " + threads + (threads == 1 ? " thread" : " threads");
  }

  @Override
  public void run() {
    if (workload.fromStrings()) {
      List<Embedding> answers = embedder.embed(workload.texts());
      vectors = answers.stream().map(Embedding::vector).toArray(float[][]::new);
    } else {
      vectors = embedder.embedEncoded(workload.encoded());
    }
  }

  @Override
  public float[][] vectors() {
    return vectors;
  }

  @Override
  public void close() {
    embedder.close();
  }
}
