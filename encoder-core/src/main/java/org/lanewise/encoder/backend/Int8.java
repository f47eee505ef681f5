package org.lanewise.encoder.backend;

/**
 * Weights as whole numbers from -127 to 127 times a scale for each output: symmetric quantisation,
 * as in Jacob et al., "Quantization and Training of Neural Networks for Efficient
 * Integer-Arithmetic-Only Inference" (2018), without a zero point.
 */
final class Int8 {
  static final int LARGEST = 127;

  private Int8() {}

  /** Returns the scale of numbers: a 127th of the largest magnitude. */
  static float scale(float[] numbers) {
    float largest = 0;
    for (float number : numbers) {
      largest = Math.max(largest, Math.abs(number));
    }
    return largest / LARGEST;
  }

  /** Returns the nearest whole number of scales. */
  static int round(float number, float scale) {
    return scale == 0 ? 0 : (int) Math.rint(number / scale);
  }

  /** Rounds numbers to whole multiples of the scale of them all. */
  static void roundAll(float[] numbers) {
    float scale = scale(numbers);
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = round(numbers[i], scale) * scale;
    }
  }
}
