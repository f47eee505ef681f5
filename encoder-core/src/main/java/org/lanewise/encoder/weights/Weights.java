package org.lanewise.encoder.weights;

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

  /** Returns whether the tensor is there. */
  public boolean has(String name) {
    return tensors.containsKey(scope + name);
  }
}
