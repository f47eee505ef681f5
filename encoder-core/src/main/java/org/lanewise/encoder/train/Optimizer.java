package org.lanewise.encoder.train;

/**
 * AdamW with linear warm-up and linear decay to zero, and clipping of the gradient by its norm.
 * Weight decay leaves biases alone. The weights in use are an exponential moving average of those
 * that are trained (Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging",
 * 1992), as {@code tf.train.ExponentialMovingAverage} computes it: it forgets faster at first.
 *
 * @param learningRate the highest
 * @param warmUpSteps steps until it is reached; the first step has the rate 0 if there are any, as
 *     {@code get_linear_schedule_with_warmup} of transformers has it
 * @param steps all steps of the training
 * @param maxNorm the largest norm of the gradient of all weights together
 * @param averaging share of the average that a step keeps; 0 for the weights as they are
 */
public record Optimizer(
    double learningRate,
    int warmUpSteps,
    int steps,
    double weightDecay,
    double maxNorm,
    double averaging) {
  /** Returns the share of the average that is replaced by the weights after a step. */
  float averagedShare(int step) {
    return (float) (1 - Math.min(averaging, (1.0 + step) / (10 + step)));
  }

  /** Returns the learning rate of a step, 1 for the first. */
  public double learningRate(int step) {
    int done = step - 1;
    if (done < warmUpSteps) {
      return learningRate * done / warmUpSteps;
    }
    return learningRate * Math.max(0, steps - done) / Math.max(1, steps - warmUpSteps);
  }
}
