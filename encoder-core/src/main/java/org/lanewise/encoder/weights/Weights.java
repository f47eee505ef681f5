package org.lanewise.encoder.weights;

import java.util.Arrays;
import java.util.Map;

/** Named tensors, seen from a scope of their names. Immutable. */
public final class Weights {
  private final Map<String, Tensor> tensors;
  private final String scope;

  private Weights(Map<String, Tensor> tensors, String scope) {
    this.tensors = tensors;
    this.scope = scope;
  }

  /** Returns a view over all tensors. */
  public static Weights of(Map<String, Tensor> tensors) {
    return new Weights(Map.copyOf(tensors), "");
  }

  /** Returns the view of names that begin with {@code name.}. */
  public Weights in(String name) {
    return new Weights(tensors, scope + name + ".");
  }

  /** Returns the tensor, or an error that names it. */
  public Tensor tensor(String name) {
    Tensor tensor = tensors.get(scope + name);
    if (tensor == null) {
      throw new IllegalArgumentException("weight [" + scope + name + "] is missing");
    }
    return tensor;
  }

  /**
   * Returns the tensor of floating-point numbers, or an error that names it, the shape or type
   * found and the expected.
   */
  public Tensor tensor(String name, long... shape) {
    Tensor tensor = tensor(name);
    if (!Arrays.equals(tensor.shape(), shape)) {
      throw new IllegalArgumentException(
          "weight ["
              + tensor.name()
              + "] has shape "
              + Arrays.toString(tensor.shape())
              + ", expected "
              + Arrays.toString(shape));
    }
    if (tensor.type() != DataType.F32
        && tensor.type() != DataType.F16
        && tensor.type() != DataType.BF16) {
      throw new IllegalArgumentException(
          "weight ["
              + tensor.name()
              + "] has dtype ["
              + tensor.type()
              + "], expected F32, F16 or BF16");
    }
    return tensor;
  }

  /** Returns whether the tensor is there. */
  public boolean has(String name) {
    return tensors.containsKey(scope + name);
  }
}
