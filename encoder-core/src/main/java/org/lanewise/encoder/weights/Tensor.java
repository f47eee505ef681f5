package org.lanewise.encoder.weights;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * A named tensor as it lies in its file: row-major, little-endian, read-only.
 *
 * @param name the name in the file
 * @param type number format
 * @param shape sizes, outermost first; empty for a scalar
 * @param data the numbers, {@code type.bytes() * product(shape)} bytes, not necessarily aligned
 */
public record Tensor(String name, DataType type, long[] shape, MemorySegment data) {
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** Returns the number of elements. */
  public long elements() {
    long n = 1;
    for (long size : shape) {
      n *= size;
    }
    return n;
  }

  /** Returns the floating-point number at a flat index. */
  public float get(long index) {
    return switch (type) {
      case F32 -> data.get(FLOAT, index * 4);
      case BF16 -> Float.intBitsToFloat(data.get(SHORT, index * 2) << 16);
      case F16 -> Float.float16ToFloat(data.get(SHORT, index * 2));
      case I64, I32, U8 ->
          throw new IllegalStateException(
              "weight [" + name + "] has type " + type + ", expected F32, F16 or BF16");
    };
  }

  /** Returns a row of a matrix of floating-point numbers. */
  public float[] row(long row) {
    float[] numbers = new float[Math.toIntExact(shape[1])];
    long first = row * numbers.length;
    if (type == DataType.F32) {
      MemorySegment.copy(data, FLOAT, first * 4, numbers, 0, numbers.length);
      return numbers;
    }
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = get(first + i);
    }
    return numbers;
  }

  /** Returns the 64-bit integer at a flat index. */
  public long getLong(long index) {
    if (type != DataType.I64) {
      throw new IllegalStateException("weight [" + name + "] has type " + type + ", expected I64");
    }
    return data.get(LONG, index * 8);
  }
}
