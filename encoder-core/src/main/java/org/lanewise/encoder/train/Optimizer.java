package org.lanewise.encoder.train;

/**
 * AdamW with linear warm-up and linear decay to zero, and clipping of the gradient by its norm.
 * Weight decay leaves biases alone.
 *
 * @param learningRate the highest
 * @param warmUpSteps steps until it is reached; the first step has the rate 0 if there are any, as
 *     {@code get_linear_schedule_with_warmup} of transformers has it
 * @param steps all steps of the training
 * @param maxNorm the largest norm of the gradient of all weights together
 */
public record Optimizer(
    double learningRate, int warmUpSteps, int steps, double weightDecay, double maxNorm) {
  /** Returns the learning rate of a step, 1 for the first. */
  public double learningRate(int step) {
    int done = step - 1;
    if (done < warmUpSteps) {
      return learningRate * done / warmUpSteps;
    }
    return learningRate * Math.max(0, steps - done) / Math.max(1, steps - warmUpSteps);
  }
}
