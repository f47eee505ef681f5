package org.lanewise.encoder.weights;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/**
 * Writes tensors as a safetensors file that {@link Safetensors} and other readers of the format
 * open. Equal tensors give equal files, byte for byte.
 */
public final class SafetensorsWriter {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final int ALIGNMENT = 8;
  private static final int NUMBERS_AT_ONCE = 1 << 13;

  private SafetensorsWriter() {}

  /**
   * Writes the tensors, sorted by name, in one number format, rounded to nearest.
   *
   * @param type F32, F16 or BF16
   * @throws IllegalArgumentException naming the tensor that has a number too large for the format
   */
  public static void write(Path file, Map<String, Tensor> tensors, DataType type)
      throws IOException {
    if (type != DataType.F32 && type != DataType.F16 && type != DataType.BF16) {
      throw new IllegalArgumentException(
          "weights cannot be written as [" + type + "], expected F32, F16 or BF16");
    }
    Map<String, Tensor> sorted = new TreeMap<>(tensors);
    try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(file))) {
      byte[] header = header(sorted, type);
      out.write(
          ByteBuffer.allocate(Long.BYTES)
              .order(ByteOrder.LITTLE_ENDIAN)
              .putLong(header.length)
              .array());
      out.write(header);
      for (Map.Entry<String, Tensor> tensor : sorted.entrySet()) {
        write(out, tensor.getKey(), tensor.getValue(), type);
      }
    }
  }

  /** The header, filled up with spaces so that the data begins aligned. */
  private static byte[] header(Map<String, Tensor> tensors, DataType type) throws IOException {
    ObjectNode header = MAPPER.createObjectNode();
    long position = 0;
    for (Map.Entry<String, Tensor> tensor : tensors.entrySet()) {
      ObjectNode entry = header.putObject(tensor.getKey());
      entry.put("dtype", type.name());
      ArrayNode shape = entry.putArray("shape");
      Arrays.stream(tensor.getValue().shape()).forEach(shape::add);
      long end = position + tensor.getValue().elements() * type.bytes();
      entry.putArray("data_offsets").add(position).add(end);
      position = end;
    }
    String json = MAPPER.writeValueAsString(header);
    int length = json.getBytes(StandardCharsets.UTF_8).length;
    int spaces = Math.ceilDiv(length, ALIGNMENT) * ALIGNMENT - length;
    return (json + " ".repeat(spaces)).getBytes(StandardCharsets.UTF_8);
  }

  private static void write(OutputStream out, String name, Tensor tensor, DataType type)
      throws IOException {
    ByteBuffer buffer =
        ByteBuffer.allocate(NUMBERS_AT_ONCE * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
    long elements = tensor.elements();
    for (long first = 0; first < elements; first += NUMBERS_AT_ONCE) {
      buffer.clear();
      long end = Math.min(elements, first + NUMBERS_AT_ONCE);
      for (long i = first; i < end; i++) {
        float number = tensor.get(i);
        float written =
            switch (type) {
              case F16 -> {
                short bits = Float.floatToFloat16(number);
                buffer.putShort(bits);
                yield Float.float16ToFloat(bits);
              }
              case BF16 -> {
                short bits = bfloat16(number);
                buffer.putShort(bits);
                yield Float.intBitsToFloat(bits << 16);
              }
              default -> {
                buffer.putFloat(number);
                yield number;
              }
            };
        if (Float.isFinite(number) && !Float.isFinite(written)) {
          throw new IllegalArgumentException(
              "weight [" + name + "] has the number " + number + ", too large for " + type);
        }
      }
      out.write(buffer.array(), 0, buffer.position());
    }
  }

  /** The upper half of the float, rounded to nearest, ties to even. */
  private static short bfloat16(float number) {
    int bits = Float.floatToRawIntBits(number);
    if (Float.isNaN(number)) {
      return (short) ((bits >>> 16) | 0x40);
    }
    return (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
  }
}
