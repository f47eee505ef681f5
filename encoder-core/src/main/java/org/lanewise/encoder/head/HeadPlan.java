package org.lanewise.encoder.head;

import java.util.Optional;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.weights.Tensor;

/**
 * The layers of a head: output = linear(transform(rows)).
 *
 * @param pooling how the states of a sequence become one row; empty for a row per token
 * @param transform what comes before the last layer
 * @param weight (outputs, columns) of the last layer
 * @param bias (outputs)
 */
public record HeadPlan(
    Optional<PoolingMode> pooling,
    Optional<Transform> transform,
    Tensor weight,
    Optional<Tensor> bias) {
  /**
   * norm(activation(linear(rows))).
   *
   * @param weight (columns, hiddenSize)
   * @param bias (columns)
   */
  public record Transform(
      Tensor weight, Optional<Tensor> bias, Activation activation, Optional<Norm> norm) {}

  /**
   * A LayerNorm.
   *
   * @param weight (columns)
   * @param bias (columns)
   * @param epsilon what it adds to the variance
   */
  public record Norm(Tensor weight, Optional<Tensor> bias, float epsilon) {}

  /** Returns the number of outputs. */
  public int outputs() {
    return (int) weight.shape()[0];
  }
}
