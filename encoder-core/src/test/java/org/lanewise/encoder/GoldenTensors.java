package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.lanewise.encoder.weights.Safetensors;
import org.lanewise.encoder.weights.Weights;

/**
 * A safetensors file of the goldens of recurrent networks and of training. Its results are F64,
 * which models never are, so they are read here and not by {@link Safetensors}.
 */
public final class GoldenTensors {
  private final String name;
  private final ByteBuffer data;
  private final JsonNode header;
  private double largest;
  private long compared;

  private GoldenTensors(String name, ByteBuffer data, JsonNode header) {
    this.name = name;
    this.data = data;
    this.header = header;
  }

  /** Opens a file, for example {@code recurrent/heads/head_max.safetensors}. */
  public static GoldenTensors open(String name) {
    try {
      ByteBuffer file =
          ByteBuffer.wrap(Files.readAllBytes(Goldens.path(name))).order(ByteOrder.LITTLE_ENDIAN);
      byte[] header = new byte[(int) file.getLong()];
      file.get(header);
      ByteBuffer data = file.slice().order(ByteOrder.LITTLE_ENDIAN);
      String json = new String(header, StandardCharsets.UTF_8);
      return new GoldenTensors(name, data, new ObjectMapper().readTree(json));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Returns the files of a directory, which must be as many as expected. */
  public static List<String> names(String directory, int expected) {
    List<String> names = Goldens.list(directory, "");
    assertEquals(expected, names.size(), "golden files: " + names);
    return names.stream().map(each -> directory + "/" + each).toList();
  }

  /** Returns the parameters, named as in the file without {@code param.}. */
  public Weights parameters(Arena arena) {
    return Weights.of(Safetensors.open(Goldens.path(name), arena).tensors()).in("param");
  }

  /** Returns the names of the tensors that begin with the prefix. */
  public List<String> tensors(String prefix) {
    return header
        .propertyStream()
        .map(Map.Entry::getKey)
        .filter(each -> each.startsWith(prefix))
        .toList();
  }

  /** Returns one of the sizes of a tensor. */
  public int size(String tensor, int dimension) {
    return header.at("/" + tensor + "/shape/" + dimension).intValue();
  }

  /** Returns all numbers of a tensor in row-major order. */
  public double[] numbers(String tensor) {
    int begin = header.at("/" + tensor + "/data_offsets/0").intValue();
    int end = header.at("/" + tensor + "/data_offsets/1").intValue();
    String type = header.at("/" + tensor + "/dtype").textValue();
    int bytes = type.equals("F32") ? 4 : 8;
    double[] numbers = new double[(end - begin) / bytes];
    for (int i = 0; i < numbers.length; i++) {
      int at = begin + i * bytes;
      numbers[i] =
          switch (type) {
            case "F32" -> data.getFloat(at);
            case "F64" -> data.getDouble(at);
            case "I64" -> data.getLong(at);
            default -> throw new IllegalStateException(tensor + " has type " + type);
          };
    }
    return numbers;
  }

  /** Returns where each sequence begins when all are packed, and where the last one ends. */
  public int[] sequenceStarts() {
    double[] lengths = numbers("lengths");
    int[] starts = new int[lengths.length + 1];
    for (int i = 0; i < lengths.length; i++) {
      starts[i + 1] = starts[i] + (int) lengths[i];
    }
    return starts;
  }

  /** Returns a tensor (sequences, padded tokens, ...) without its padding. */
  public double[] packed(String tensor) {
    double[] padded = numbers(tensor);
    int[] starts = sequenceStarts();
    int row = padded.length / (size(tensor, 0) * size(tensor, 1));
    double[] packed = new double[starts[starts.length - 1] * row];
    for (int i = 0; i < starts.length - 1; i++) {
      System.arraycopy(
          padded,
          i * size(tensor, 1) * row,
          packed,
          starts[i] * row,
          (starts[i + 1] - starts[i]) * row);
    }
    return packed;
  }

  /** Returns the numbers as floats. */
  public static float[] floats(double[] numbers) {
    float[] floats = new float[numbers.length];
    for (int i = 0; i < numbers.length; i++) {
      floats[i] = (float) numbers[i];
    }
    return floats;
  }

  /** Fails where |expected - actual| > tolerance * (1 + |expected|). */
  public void compare(String what, double[] expected, double[] actual, double tolerance) {
    assertEquals(expected.length, actual.length, name + " " + what);
    for (int i = 0; i < expected.length; i++) {
      double error = Math.abs(expected[i] - actual[i]) / (1 + Math.abs(expected[i]));
      String message =
          name + " " + what + "[" + i + "]: " + actual[i] + " instead of " + expected[i];
      assertTrue(error <= tolerance, message);
      largest = Math.max(largest, error);
      compared++;
    }
  }

  /** Prints how many numbers were compared, and the largest error. */
  public void print() {
    System.out.printf(
        Locale.ROOT,
        "%s: %d numbers compared, largest error relative to 1 + |value| %.2e%n",
        name,
        compared,
        largest);
  }
}
