package org.lanewise.encoder.backend;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/** The number format in which weights are kept. Norms and sums are fp32 in all of them. */
public enum Precision {
  FP32,
  BF16,
  INT8;

  /** Returns the precision of that label. */
  public static Optional<Precision> named(String label) {
    return Arrays.stream(values()).filter(each -> each.label().equals(label)).findFirst();
  }

  /** Returns the bytes of a number. */
  public int bytes() {
    return switch (this) {
      case FP32 -> Float.BYTES;
      case BF16 -> Short.BYTES;
      case INT8 -> Byte.BYTES;
    };
  }

  /** Returns the lower-case name of the setting and the command line. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}
