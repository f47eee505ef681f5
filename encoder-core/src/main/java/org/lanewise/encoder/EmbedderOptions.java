package org.lanewise.encoder;

import java.util.Optional;
import java.util.OptionalInt;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.backend.Precision;

/**
 * What a caller may set when opening a {@link TextEmbedder}; everything empty means "as the model
 * directory says".
 *
 * @param backend {@code auto}, {@code vector}, {@code scalar} or {@code cuda}
 * @param precision number format of the weights; empty lets the backend choose
 * @param threads threads that one call may use, the caller's included; at least 1
 * @param batchTokens most tokens of one packed batch; at least 1
 * @param pooling overrides the directory's pooling
 * @param dimensions keeps the first n dimensions, overriding {@code truncate_dim}; 0 keeps all
 * @param normalize overrides whether vectors are scaled to length 1
 * @param memory what the model's native memory is taken from
 */
public record EmbedderOptions(
    String backend,
    Optional<Precision> precision,
    int threads,
    int batchTokens,
    Optional<PoolingMode> pooling,
    OptionalInt dimensions,
    Optional<Boolean> normalize,
    MemoryBudget memory) {

  /** More threads or tokens than these are mistakes. */
  private static final int MOST_THREADS = 4096;

  private static final int MOST_BATCH_TOKENS = 1 << 20;

  /** Refuses what is out of bounds. */
  public EmbedderOptions {
    check("threads", threads, MOST_THREADS);
    check("batch_tokens", batchTokens, MOST_BATCH_TOKENS);
    if (dimensions.isPresent() && dimensions.getAsInt() < 0) {
      throw new IllegalArgumentException(
          "[dimensions] is " + dimensions.getAsInt() + ", expected 0 or more");
    }
  }

  private static void check(String name, int value, int most) {
    if (value < 1 || value > most) {
      throw new IllegalArgumentException("[" + name + "] is " + value + ", expected 1 to " + most);
    }
  }

  /**
   * Returns the defaults: automatic backend and precision, all processors. The system properties
   * {@code lanewise.backend}, {@code lanewise.precision}, {@code lanewise.threads} and {@code
   * lanewise.batch_tokens} take their place where they are set.
   *
   * @throws IllegalArgumentException if a property has a value that makes no sense
   */
  public static EmbedderOptions defaults() {
    return new EmbedderOptions(
        System.getProperty("lanewise.backend", "auto"),
        precision(System.getProperty("lanewise.precision", "auto")),
        property("lanewise.threads", Runtime.getRuntime().availableProcessors()),
        property("lanewise.batch_tokens", 4096),
        Optional.empty(),
        OptionalInt.empty(),
        Optional.empty(),
        MemoryBudget.UNLIMITED);
  }

  /**
   * Returns the precision of that name, or empty for {@code auto}.
   *
   * @throws IllegalArgumentException if there is none
   */
  public static Optional<Precision> precision(String name) {
    if (name.equals("auto")) {
      return Optional.empty();
    }
    return Optional.of(
        Precision.named(name)
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "precision [" + name + "] is unknown; available: auto, fp32, bf16, int8")));
  }

  private static int property(String name, int otherwise) {
    String value = System.getProperty(name);
    if (value == null) {
      return otherwise;
    }
    try {
      return Integer.parseInt(value);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          "system property [" + name + "] is [" + value + "], expected a whole number", e);
    }
  }

  public EmbedderOptions withBackend(String backend) {
    return new EmbedderOptions(
        backend, precision, threads, batchTokens, pooling, dimensions, normalize, memory);
  }

  public EmbedderOptions withPrecision(Precision precision) {
    return withPrecision(Optional.of(precision));
  }

  public EmbedderOptions withPrecision(Optional<Precision> precision) {
    return new EmbedderOptions(
        backend, precision, threads, batchTokens, pooling, dimensions, normalize, memory);
  }

  public EmbedderOptions withThreads(int threads) {
    return new EmbedderOptions(
        backend, precision, threads, batchTokens, pooling, dimensions, normalize, memory);
  }

  public EmbedderOptions withBatchTokens(int batchTokens) {
    return new EmbedderOptions(
        backend, precision, threads, batchTokens, pooling, dimensions, normalize, memory);
  }

  public EmbedderOptions withPooling(PoolingMode pooling) {
    return new EmbedderOptions(
        backend,
        precision,
        threads,
        batchTokens,
        Optional.of(pooling),
        dimensions,
        normalize,
        memory);
  }

  public EmbedderOptions withDimensions(int dimensions) {
    return new EmbedderOptions(
        backend,
        precision,
        threads,
        batchTokens,
        pooling,
        OptionalInt.of(dimensions),
        normalize,
        memory);
  }

  public EmbedderOptions withNormalize(boolean normalize) {
    return new EmbedderOptions(
        backend,
        precision,
        threads,
        batchTokens,
        pooling,
        dimensions,
        Optional.of(normalize),
        memory);
  }

  public EmbedderOptions withMemory(MemoryBudget memory) {
    return new EmbedderOptions(
        backend, precision, threads, batchTokens, pooling, dimensions, normalize, memory);
  }
}
