package org.lanewise.encoder.train;

import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.TrainingBackend;

/**
 * output = input * weight^T + bias, and its gradients.
 *
 * @param weight (outputSize, inputSize)
 * @param bias (1, outputSize)
 */
record TrainableLinear(TrainingBackend backend, Parameter weight, Parameter bias) {
  /** Returns a layer of one weight and one bias, random as {@code torch.nn.Linear} is. */
  static TrainableLinear add(
      TrainingBackend backend, Parameters parameters, String scope, int outputSize, int inputSize) {
    double bound = 1 / Math.sqrt(inputSize);
    return new TrainableLinear(
        backend,
        parameters.addWeight(scope + "W", outputSize, inputSize, bound),
        parameters.addVector(Parameter.Kind.BIAS, scope + "b", outputSize, bound));
  }

  int outputSize() {
    return weight.value().rows();
  }

  int inputSize() {
    return weight.value().columns();
  }

  void forward(Matrix input, Matrix output) {
    backend.multiply(input, false, weight.value(), true, false, output);
    backend.addRow(bias.value(), output);
  }

  /** Adds the gradient by weight and bias. */
  void addGradients(Matrix input, Matrix outputGradient) {
    backend.multiply(outputGradient, true, input, false, true, weight.gradient());
    backend.addColumnSums(outputGradient, bias.gradient());
  }

  /** Writes, or adds, the gradient by as many of the input's columns as there is room for. */
  void inputGradient(Matrix outputGradient, boolean accumulate, Matrix inputGradient) {
    Matrix columns = weight.value().firstColumns(inputGradient.columns());
    backend.multiply(outputGradient, false, columns, false, accumulate, inputGradient);
  }
}
