package org.lanewise.encoder;

import java.util.Optional;
import java.util.OptionalInt;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.backend.Precision;

/**
 * What a caller may set when opening a {@link TextEmbedder}; everything empty means "as the model
 * directory says".
 *
 * @param backend {@code auto}, {@code vector} or {@code scalar}
 * @param precision number format of the weights; empty lets the backend choose
 * @param threads threads that one call may use, the caller's included; at least 1
 * @param batchTokens most tokens of one packed batch; at least 1
 * @param pooling overrides the directory's pooling
 * @param dimensions keeps the first n dimensions, overriding {@code truncate_dim}; 0 keeps all
 * @param normalize overrides whether vectors are scaled to length 1
 */
public record EmbedderOptions(
    String backend,
    Optional<Precision> precision,
    int threads,
    int batchTokens,
    Optional<PoolingMode> pooling,
    OptionalInt dimensions,
    Optional<Boolean> normalize) {

  /** Returns the defaults: automatic backend and precision, all processors. */
  public static EmbedderOptions defaults() {
    return new EmbedderOptions(
        "auto",
        Optional.empty(),
        Runtime.getRuntime().availableProcessors(),
        4096,
        Optional.empty(),
        OptionalInt.empty(),
        Optional.empty());
  }

  public EmbedderOptions withBackend(String backend) {
    return new EmbedderOptions(
        backend, precision, threads, batchTokens, pooling, dimensions, normalize);
  }

  public EmbedderOptions withPrecision(Precision precision) {
    return new EmbedderOptions(
        backend, Optional.of(precision), threads, batchTokens, pooling, dimensions, normalize);
  }

  public EmbedderOptions withThreads(int threads) {
    return new EmbedderOptions(
        backend, precision, threads, batchTokens, pooling, dimensions, normalize);
  }

  public EmbedderOptions withBatchTokens(int batchTokens) {
    return new EmbedderOptions(
        backend, precision, threads, batchTokens, pooling, dimensions, normalize);
  }

  public EmbedderOptions withPooling(PoolingMode pooling) {
    return new EmbedderOptions(
        backend, precision, threads, batchTokens, Optional.of(pooling), dimensions, normalize);
  }

  public EmbedderOptions withDimensions(int dimensions) {
    return new EmbedderOptions(
        backend, precision, threads, batchTokens, pooling, OptionalInt.of(dimensions), normalize);
  }

  public EmbedderOptions withNormalize(boolean normalize) {
    return new EmbedderOptions(
        backend, precision, threads, batchTokens, pooling, dimensions, Optional.of(normalize));
  }
}
