package org.lanewise.encoder.model;

import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.NormWeight;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.Tensor;

/**
 * The convolution beside the first layer of DeBERTa v2: a linear layer over each token and its
 * neighbours.
 */
final class Convolution {
  private final int width;
  private final LinearWeight weight;
  private final Activation activation;
  private final NormWeight norm;

  Convolution(Preparation preparation, ConvolutionPlan plan) {
    width = plan.width();
    Tensor filters = preparation.tensor(plan.name() + ".weight");
    int out = (int) filters.shape()[0];
    int in = (int) filters.shape()[1];
    float[] rows = new float[Math.multiplyExact(Math.multiplyExact(out, in), width)];
    for (int row = 0; row < out; row++) {
      for (int column = 0; column < in; column++) {
        for (int i = 0; i < width; i++) {
          rows[(row * width + i) * in + column] =
              filters.get(((long) row * in + column) * width + i);
        }
      }
    }
    weight = preparation.linear(plan.name(), new long[] {out, (long) width * in}, rows);
    activation = plan.activation();
    norm = preparation.norm(plan.norm());
  }

  /** Keeps in {@code state.side()} what the embeddings in {@code state.hidden()} give. */
  void read(Backend backend, PackedBatch batch, Activations state) {
    backend.neighbours(state.hidden(), batch, width, state.neighbours());
    backend.linear(state.neighbours(), weight, activation, kept(state));
  }

  /** Joins what was kept to the first layer's output. */
  void join(Backend backend, Activations state) {
    backend.addNorm(kept(state), state.hidden(), norm, state.hidden());
  }

  private static Matrix kept(Activations state) {
    return state.side().firstColumns(state.hidden().columns());
  }
}
