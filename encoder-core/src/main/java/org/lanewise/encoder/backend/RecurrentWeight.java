package org.lanewise.encoder.backend;

/**
 * What a recurrent layer does to its hidden state, in the layout and precision of the backend that
 * prepared it.
 */
public interface RecurrentWeight {
  /** Returns what one step computes. */
  RecurrentCell cell();

  /** Returns the width of the hidden state of one direction. */
  int hiddenSize();

  /** Returns 1, or 2 for a layer that also reads its sequences backwards. */
  int directions();
}
