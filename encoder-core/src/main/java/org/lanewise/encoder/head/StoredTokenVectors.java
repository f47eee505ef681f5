package org.lanewise.encoder.head;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Locale;

/**
 * The vectors of a text's tokens as a few bytes: one that names the encoding, two for the number of
 * dimensions, then row by row. Little-endian throughout.
 */
public final class StoredTokenVectors {
  private static final VarHandle SHORT =
      MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle FLOAT =
      MethodHandles.byteArrayViewVarHandle(float[].class, ByteOrder.LITTLE_ENDIAN);

  private static final int HEADER = 3;
  private static final int MOST_DIMENSIONS = 0xFFFF;

  /** How the numbers of a row are stored. */
  public enum Encoding {
    /** The upper half of each fp32 number, rounded to even: 2 bytes a number. */
    BF16(1),
    /** A scale for the row and a byte a number: 4 bytes and 1 a number. */
    INT8(2),
    /** The sign of each number, as if all were equally large: 1 bit a number. */
    BIT(3);

    private final byte code;

    Encoding(int code) {
      this.code = (byte) code;
    }

    /** Returns the name that users see. */
    public String label() {
      return name().toLowerCase(Locale.ROOT);
    }

    private int rowBytes(int dimensions) {
      return switch (this) {
        case BF16 -> Short.BYTES * dimensions;
        case INT8 -> Float.BYTES + dimensions;
        case BIT -> Math.ceilDiv(dimensions, Byte.SIZE);
      };
    }
  }

  private final byte[] bytes;
  private final int first;
  private final Encoding encoding;
  private final int dimensions;
  private final int rows;

  private StoredTokenVectors(byte[] bytes, int first, Encoding encoding, int dimensions, int rows) {
    this.bytes = bytes;
    this.first = first;
    this.encoding = encoding;
    this.dimensions = dimensions;
    this.rows = rows;
  }

  /**
   * Returns the bytes of vectors.
   *
   * @param vectors [token][dimensions], all of one length
   */
  public static byte[] write(float[][] vectors, Encoding encoding) {
    int dimensions = vectors.length == 0 ? 0 : vectors[0].length;
    if (dimensions > MOST_DIMENSIONS) {
      throw new IllegalArgumentException(
          "a vector has [" + dimensions + "] dimensions, expected " + MOST_DIMENSIONS + " at most");
    }
    int rowBytes = encoding.rowBytes(dimensions);
    byte[] bytes = new byte[Math.addExact(HEADER, Math.multiplyExact(vectors.length, rowBytes))];
    bytes[0] = encoding.code;
    SHORT.set(bytes, 1, (short) dimensions);
    for (int row = 0; row < vectors.length; row++) {
      if (vectors[row].length != dimensions) {
        throw new IllegalArgumentException(
            "a vector has ["
                + vectors[row].length
                + "] dimensions, expected those of the first, "
                + dimensions);
      }
      writeRow(vectors[row], encoding, bytes, HEADER + row * rowBytes);
    }
    return bytes;
  }

  private static void writeRow(float[] vector, Encoding encoding, byte[] bytes, int at) {
    switch (encoding) {
      case BF16 -> {
        for (int i = 0; i < vector.length; i++) {
          int bits = Float.floatToIntBits(vector[i]);
          int rounded = bits + 0x7FFF + (bits >>> 16 & 1);
          SHORT.set(bytes, at + Short.BYTES * i, (short) (rounded >>> 16));
        }
      }
      case INT8 -> {
        float largest = 0;
        for (float value : vector) {
          largest = Math.max(largest, Math.abs(value));
        }
        float scale = largest > 0 ? 127 / largest : 0;
        FLOAT.set(bytes, at, largest / 127);
        for (int i = 0; i < vector.length; i++) {
          bytes[at + Float.BYTES + i] = (byte) Math.round(vector[i] * scale);
        }
      }
      case BIT -> {
        for (int i = 0; i < vector.length; i++) {
          if (vector[i] > 0) {
            bytes[at + i / Byte.SIZE] |= (byte) (1 << i % Byte.SIZE);
          }
        }
      }
    }
  }

  /**
   * Returns the vectors of such bytes, which are read where they lie.
   *
   * @throws IllegalArgumentException if they are none
   */
  public static StoredTokenVectors read(byte[] bytes, int offset, int length) {
    Encoding encoding =
        Arrays.stream(Encoding.values())
            .filter(each -> length >= HEADER && each.code == bytes[offset])
            .findFirst()
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "["
                            + length
                            + "] bytes are no vectors of tokens: they do not begin with the code"
                            + " of an encoding and the number of dimensions"));
    int dimensions = Short.toUnsignedInt((short) SHORT.get(bytes, offset + 1));
    int rowBytes = encoding.rowBytes(dimensions);
    int left = length - HEADER;
    if (rowBytes == 0 ? left > 0 : left % rowBytes > 0) {
      throw new IllegalArgumentException(
          "["
              + length
              + "] bytes are no vectors of ["
              + dimensions
              + "] dimensions in ["
              + encoding.label()
              + "]: each has ["
              + rowBytes
              + "], which leaves a rest");
    }
    int rows = rowBytes == 0 ? 0 : left / rowBytes;
    return new StoredTokenVectors(bytes, offset + HEADER, encoding, dimensions, rows);
  }

  /** Returns the number of vectors. */
  public int rows() {
    return rows;
  }

  /** Returns the length of each; 0 where there is none. */
  public int dimensions() {
    return dimensions;
  }

  /** Writes a vector, as near as the encoding tells, to the first numbers of {@code vector}. */
  public void row(int row, float[] vector) {
    int at = first + row * encoding.rowBytes(dimensions);
    switch (encoding) {
      case BF16 -> {
        for (int i = 0; i < dimensions; i++) {
          vector[i] = Float.intBitsToFloat((short) SHORT.get(bytes, at + Short.BYTES * i) << 16);
        }
      }
      case INT8 -> {
        float scale = (float) FLOAT.get(bytes, at);
        for (int i = 0; i < dimensions; i++) {
          vector[i] = scale * bytes[at + Float.BYTES + i];
        }
      }
      case BIT -> {
        // Vectors of late interaction have length 1, and so has what is read.
        float size = (float) (1 / Math.sqrt(dimensions));
        for (int i = 0; i < dimensions; i++) {
          int bit = bytes[at + i / Byte.SIZE] >> i % Byte.SIZE & 1;
          vector[i] = bit == 1 ? size : -size;
        }
      }
    }
  }
}
