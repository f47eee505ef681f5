package org.lanewise.plugin.encode;

import java.io.IOException;
import java.util.Arrays;
import java.util.OptionalInt;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.io.stream.Writeable;
import org.lanewise.encoder.head.ElementType;

/**
 * In what form a dense vector is wanted; that of a question must be that of the field.
 *
 * @param dimensions how many of its first numbers; all where it is empty
 * @param type what the numbers become
 */
public record DenseForm(OptionalInt dimensions, ElementType type) implements Writeable {
  /** How far from 1 a length may be and still count as such. */
  private static final double UNIT_TOLERANCE = 1e-3;

  /** Reads what {@link #writeTo} wrote. */
  public DenseForm(StreamInput in) throws IOException {
    this(optional(in.readOptionalVInt()), in.readEnum(ElementType.class));
  }

  private static OptionalInt optional(Integer number) {
    return number == null ? OptionalInt.empty() : OptionalInt.of(number);
  }

  @Override
  public void writeTo(StreamOutput out) throws IOException {
    out.writeOptionalVInt(dimensions.isPresent() ? dimensions.getAsInt() : null);
    out.writeEnum(type);
  }

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
    if (length == 0) {
      throw new IllegalArgumentException(
          "the first ["
              + cut.length
              + "] numbers of a vector of model ["
              + modelId
              + "] are all zero; give more [dimensions]");
    }
    if (Math.abs(length(vector) - 1) < UNIT_TOLERANCE) {
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
