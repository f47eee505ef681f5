package org.lanewise.encoder.backend;

/**
 * The angles by which rotary position embedding turns pairs of numbers: {@code size} numbers of a
 * head are rotated, number i together with number i + size / 2.
 *
 * @param cosines (positions, size / 2)
 * @param sines (positions, size / 2)
 */
public record RotaryTable(Matrix cosines, Matrix sines) {
  /** Returns how many pairs of a head are rotated. */
  public int pairs() {
    return cosines.columns();
  }
}
