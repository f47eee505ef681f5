package org.lanewise.encoder.model;

import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;

/** Two linear layers with an activation between them, which may be a gate. */
final class FeedForward {
  private final LinearWeight input;
  private final LinearWeight output;
  private final Activation activation;
  private final boolean gated;
  private final Residual residual;

  FeedForward(Preparation preparation, LayerPlan.FeedForward plan) {
    input = preparation.linear(plan.input());
    output = preparation.linear(plan.output());
    activation = plan.activation();
    gated = plan.gated();
    residual = new Residual(preparation, plan.residual());
  }

  void forward(Backend backend, Activations state) {
    Matrix intermediate = state.intermediate().firstColumns(input.outputSize());
    Matrix read = residual.enter(backend, state);
    if (gated) {
      backend.linear(read, input, Activation.IDENTITY, intermediate);
      Matrix half = intermediate.firstColumns(output.inputSize());
      backend.gate(intermediate, activation, half);
      backend.linear(half, output, Activation.IDENTITY, state.projected());
    } else {
      backend.feedForward(read, input, activation, output, intermediate, state.projected());
    }
    residual.leave(backend, state);
  }
}
