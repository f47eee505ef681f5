package org.lanewise.encoder.backend;

/** The upper half of a float: the same range with 8 bits of precision. */
public final class BFloat16 {
  private BFloat16() {}

  /** Returns the 16 bits of the nearest bf16 number, ties to even. */
  public static int bits(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (bits >>> 16) | 0x40;
    }
    return (bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16;
  }

  /** Returns the nearest bf16 number, as a float. */
  public static float round(float value) {
    return Float.intBitsToFloat(bits(value) << 16);
  }
}
