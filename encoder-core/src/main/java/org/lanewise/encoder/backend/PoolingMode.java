package org.lanewise.encoder.backend;

import java.util.Arrays;
import java.util.Optional;

/**
 * How the hidden states of a sequence become one vector; the six modes of sentence-transformers.
 */
public enum PoolingMode {
  CLS("cls"),
  MEAN("mean"),
  MAX("max"),
  MEAN_SQRT_LENGTH("mean_sqrt_len_tokens"),
  WEIGHTED_MEAN("weightedmean"),
  LAST_TOKEN("lasttoken");

  private final String label;

  PoolingMode(String label) {
    this.label = label;
  }

  /** Returns the name that sentence-transformers uses. */
  public String label() {
    return label;
  }

  /** Returns the mode that sentence-transformers calls {@code label}. */
  public static Optional<PoolingMode> named(String label) {
    return Arrays.stream(values()).filter(mode -> mode.label.equals(label)).findFirst();
  }
}
