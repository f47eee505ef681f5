package org.lanewise.encoder.backend;

/**
 * Weight and bias of a linear layer, in the layout and precision of the backend that prepared it.
 */
public interface LinearWeight {
  /** Returns the columns that the input must have. */
  int inputSize();

  /** Returns the columns of the output. */
  int outputSize();
}
