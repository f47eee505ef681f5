package org.lanewise.plugin.encode;

import java.util.Arrays;
import java.util.OptionalInt;
import org.lanewise.encoder.head.ElementType;

/**
 * In what form a dense vector is wanted; that of a question must be that of the field.
 *
 * @param dimensions how many of its first numbers; all where it is empty
 * @param type what the numbers become
 */
public record DenseForm(OptionalInt dimensions, ElementType type) {
  /** The vector as the model makes it. */
  public static final DenseForm WHOLE = new DenseForm(OptionalInt.empty(), ElementType.FLOAT);

  /** How far from 1 a length may be and still count as such. */
  private static final double UNIT_TOLERANCE = 1e-3;

  /**
   * Returns the vector in this form. What is left of a vector of length 1 has length 1 again, as
   * fields compared by dot product must have.
   *
   * @throws IllegalArgumentException if the vector is too short for it
   */
  public float[] of(String modelId, float[] vector) {
    return type.quantize(cut(modelId, vector));
  }

  private float[] cut(String modelId, float[] vector) {
    if (dimensions.isEmpty() || dimensions.getAsInt() == vector.length) {
      return vector;
    }
    if (dimensions.getAsInt() > vector.length) {
      throw new IllegalArgumentException(
          "[dimensions] is ["
              + dimensions.getAsInt()
              + "] but the vectors of model ["
              + modelId
              + "] have ["
              + vector.length
              + "]");
    }
    float[] cut = Arrays.copyOf(vector, dimensions.getAsInt());
    double length = length(cut);
    if (length > 0 && Math.abs(length(vector) - 1) < UNIT_TOLERANCE) {
      for (int i = 0; i < cut.length; i++) {
        cut[i] = (float) (cut[i] / length);
      }
    }
    return cut;
  }

  private static double length(float[] vector) {
    double sum = 0;
    for (float value : vector) {
      sum += (double) value * value;
    }
    return Math.sqrt(sum);
  }
}
