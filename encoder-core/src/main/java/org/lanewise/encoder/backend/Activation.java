package org.lanewise.encoder.backend;

import java.util.Locale;

/** The functions that follow a linear layer, each named after its mathematics. */
public enum Activation {
  IDENTITY,
  /** x * Phi(x) with the exact normal distribution function. */
  GELU,
  /** The tanh approximation of GELU: gelu_new, gelu_pytorch_tanh. */
  GELU_TANH,
  RELU,
  /** x * sigmoid(x). */
  SILU,
  TANH,
  SIGMOID;

  /** Returns the function of a {@code hidden_act} or torch activation name. */
  public static Activation named(String name) {
    return switch (name.toLowerCase(Locale.ROOT)) {
      case "identity", "linear" -> IDENTITY;
      case "gelu" -> GELU;
      case "gelu_new", "gelu_pytorch_tanh", "gelu_tanh" -> GELU_TANH;
      case "relu" -> RELU;
      case "silu", "swish" -> SILU;
      case "tanh" -> TANH;
      case "sigmoid" -> SIGMOID;
      default ->
          throw new IllegalArgumentException(
              "activation ["
                  + name
                  + "] is not supported; supported: gelu, gelu_new, gelu_pytorch_tanh, relu, silu,"
                  + " swish, tanh, sigmoid, identity");
    };
  }
}
