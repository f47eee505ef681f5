package org.lanewise.encoder.head;

import java.util.Arrays;
import java.util.Locale;

/** What the numbers of a stored vector are. */
public enum ElementType {
  /** As they come. */
  FLOAT,
  /**
   * Whole numbers from -127 to 127: the largest of each vector becomes 127 or -127, so that vectors
   * are to be compared by their angle, which turns by no more than half a step in any direction.
   */
  BYTE,
  /**
   * One bit each, set where the number is above 0, eight to a whole number from -128 to 127 and the
   * first in its highest bit, as numpy.packbits has it: to be compared by the bits that differ.
   */
  BIT;

  /** Returns the name that users see. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * Returns the type of a name.
   *
   * @throws IllegalArgumentException naming the types there are
   */
  public static ElementType named(String label) {
    return Arrays.stream(values())
        .filter(type -> type.label().equals(label))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "must be one of "
                        + Arrays.stream(values()).map(ElementType::label).toList()
                        + " but was ["
                        + label
                        + "]"));
  }

  /**
   * Returns a vector in numbers of this type, whole ones unless it is {@link #FLOAT}.
   *
   * @throws IllegalArgumentException if the bits fill no whole bytes
   */
  public float[] quantize(float[] vector) {
    return switch (this) {
      case FLOAT -> vector;
      case BYTE -> bytes(vector);
      case BIT -> bits(vector);
    };
  }

  private static float[] bytes(float[] vector) {
    float largest = 0;
    for (float value : vector) {
      largest = Math.max(largest, Math.abs(value));
    }
    float scale = largest > 0 ? 127 / largest : 0;
    float[] bytes = new float[vector.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = Math.round(vector[i] * scale);
    }
    return bytes;
  }

  private static float[] bits(float[] vector) {
    if (vector.length % Byte.SIZE != 0) {
      throw new IllegalArgumentException(
          "a vector of ["
              + vector.length
              + "] numbers cannot be stored as bits: the number must be a multiple of 8; cut the"
              + " vector with [dimensions]");
    }
    float[] bytes = new float[vector.length / Byte.SIZE];
    for (int i = 0; i < bytes.length; i++) {
      int bits = 0;
      for (int bit = 0; bit < Byte.SIZE; bit++) {
        bits = 2 * bits + (vector[i * Byte.SIZE + bit] > 0 ? 1 : 0);
      }
      bytes[i] = (byte) bits;
    }
    return bytes;
  }
}
