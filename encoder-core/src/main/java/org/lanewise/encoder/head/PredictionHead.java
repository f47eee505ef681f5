package org.lanewise.encoder.head;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.NormKind;
import org.lanewise.encoder.backend.NormWeight;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.Tensor;

/**
 * The layers of one head, prepared: logits of sequences or of tokens. Immutable and thread-safe;
 * weights live as long as the arena that they were prepared in.
 */
public final class PredictionHead {
  private final Optional<PoolingMode> pooling;
  private final Optional<Transform> transform;
  private final LinearWeight output;

  private record Transform(LinearWeight weight, Activation activation, Optional<NormWeight> norm) {}

  /** Prepares the weights for the backend. */
  public PredictionHead(Backend backend, Arena arena, HeadPlan plan) {
    pooling = plan.pooling();
    transform =
        plan.transform()
            .map(
                step ->
                    new Transform(
                        linear(backend, arena, step.weight(), step.bias()),
                        step.activation(),
                        step.norm().map(norm -> norm(backend, arena, norm))));
    output = linear(backend, arena, plan.weight(), plan.bias());
  }

  private static LinearWeight linear(
      Backend backend, Arena arena, Tensor weight, Optional<Tensor> bias) {
    return backend.prepareLinear(arena, List.of(weight), bias.map(List::of).orElse(List.of()));
  }

  private static NormWeight norm(Backend backend, Arena arena, HeadPlan.Norm norm) {
    return backend.prepareNorm(arena, NormKind.LAYER, norm.weight(), norm.bias(), norm.epsilon());
  }

  /** Returns the number of logits of a row. */
  public int outputs() {
    return output.outputSize();
  }

  /**
   * Returns the logits in memory of the arena: (sequences, outputs) where the head pools, else
   * (tokens, outputs).
   *
   * @param hidden (tokens, hiddenSize), left as they are
   */
  public Matrix forward(Backend backend, Arena arena, Matrix hidden, PackedBatch batch) {
    Matrix rows = hidden;
    if (pooling.isPresent()) {
      rows = backend.allocate(arena, batch.sequences(), hidden.columns());
      backend.pool(hidden, batch, pooling.get(), rows, 0);
    }
    Matrix logits = backend.allocate(arena, rows.rows(), outputs());
    project(backend, transform(backend, arena, rows), logits);
    return logits;
  }

  /** Returns what the last layer reads; the rows themselves where nothing comes before it. */
  Matrix transform(Backend backend, Arena arena, Matrix rows) {
    if (transform.isEmpty()) {
      return rows;
    }
    Transform step = transform.get();
    Matrix transformed = backend.allocate(arena, rows.rows(), step.weight().outputSize());
    backend.linear(rows, step.weight(), step.activation(), transformed);
    step.norm().ifPresent(norm -> backend.norm(transformed, norm, transformed));
    return transformed;
  }

  /** Writes the logits of rows that {@link #transform} returned. */
  void project(Backend backend, Matrix transformed, Matrix logits) {
    backend.linear(transformed, output, Activation.IDENTITY, logits);
  }
}
