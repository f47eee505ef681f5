package org.lanewise.encoder.weights;

import java.lang.foreign.MemorySegment;

/**
 * A named tensor as it lies in its file: row-major, little-endian, read-only.
 *
 * @param name the name in the file
 * @param type number format
 * @param shape sizes, outermost first; empty for a scalar
 * @param data the numbers, {@code type.bytes() * product(shape)} bytes, not necessarily aligned
 */
public record Tensor(String name, DataType type, long[] shape, MemorySegment data) {
  /** Returns the number of elements. */
  public long elements() {
    long n = 1;
    for (long size : shape) {
      n *= size;
    }
    return n;
  }
}
