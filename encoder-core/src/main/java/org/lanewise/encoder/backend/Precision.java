package org.lanewise.encoder.backend;

/** The number format in which weights are kept. Norms and sums are fp32 in all of them. */
public enum Precision {
  FP32,
  BF16,
  INT8;

  /** Returns the lower-case name of the setting and the command line. */
  public String label() {
    return name().toLowerCase(java.util.Locale.ROOT);
  }
}
