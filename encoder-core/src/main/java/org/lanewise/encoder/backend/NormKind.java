package org.lanewise.encoder.backend;

/** How a row is normalised. */
public enum NormKind {
  /** LayerNorm: to mean 0 and variance 1, then times the weight and plus the bias. */
  LAYER,
  /** RMSNorm: to a mean square of 1, then times the weight. */
  ROOT_MEAN_SQUARE,
  /** RMSNorm whose weight is stored as the difference from 1. */
  ROOT_MEAN_SQUARE_FROM_ONE
}
