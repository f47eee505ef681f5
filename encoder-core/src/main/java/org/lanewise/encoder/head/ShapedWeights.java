package org.lanewise.encoder.head;

import java.util.Arrays;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/** The weights of a head, each checked against the shape that the head expects. */
record ShapedWeights(Weights weights) {
  /** Returns the tensor, or an error that names it, the shape or type found and the expected. */
  Tensor tensor(String name, long... shape) {
    return weights.tensor(name, shape);
  }

  /** Returns the numbers of the tensor in row-major order. */
  double[] numbers(String name, long... shape) {
    Tensor tensor = tensor(name, shape);
    double[] numbers = new double[Math.toIntExact(tensor.elements())];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = tensor.get(i);
    }
    return numbers;
  }

  /** Returns the first size of a matrix whose other size is {@code columns}. */
  int rows(String name, int columns) {
    Tensor tensor = weights.tensor(name);
    long[] shape = tensor.shape();
    if (shape.length != 2 || shape[1] != columns || shape[0] < 1 || shape[0] > 1 << 20) {
      throw new IllegalArgumentException(
          "weight ["
              + tensor.name()
              + "] has shape "
              + Arrays.toString(shape)
              + ", expected [rows, "
              + columns
              + "] with 1 to 1048576 rows");
    }
    return (int) shape[0];
  }
}
