package org.lanewise.encoder.backend;

import java.util.List;
import org.lanewise.encoder.weights.Tensor;

/**
 * What one direction of a recurrent layer does to its hidden state, as tensors of a file.
 *
 * @param weights W_h, (gates * hiddenSize, hiddenSize) together: one tensor or one for each gate
 * @param biases b_h, (gates * hiddenSize) together; empty for none
 * @param peepholes (hiddenSize) each, one for each of the cell's peepholes
 */
public record RecurrentTensors(List<Tensor> weights, List<Tensor> biases, List<Tensor> peepholes) {
  /** Copies the lists. */
  public RecurrentTensors {
    weights = List.copyOf(weights);
    biases = List.copyOf(biases);
    peepholes = List.copyOf(peepholes);
  }
}
