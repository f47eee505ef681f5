package org.lanewise.benchmarks;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Writes an ONNX graph, its weights in a second file beside it ("external data").
 *
 * <p>Field numbers are those of <a
 * href="https://github.com/onnx/onnx/blob/main/onnx/onnx.proto">onnx.proto</a>. Nodes must be added
 * in an order in which every input is there before it is read.
 */
final class OnnxFile implements AutoCloseable {
  /** Types of tensors, with their numbers in {@code TensorProto.DataType}. */
  enum Type {
    FLOAT(1),
    UINT8(2),
    INT8(3),
    INT32(6),
    INT64(7);

    private final int number;

    Type(int number) {
      this.number = number;
    }

    /** Returns the number that the format has for it, as attributes of nodes take it. */
    long number() {
      return number;
    }
  }

  /** Operators that only ONNX Runtime has. */
  private static final String CONTRIBUTED = "com.microsoft";

  private static final int IR_VERSION = 9;
  private static final int OPSET = 20;
  private static final int EXTERNAL = 1;

  /** Weights begin at pages, so that a runtime may map them. */
  private static final int ALIGNMENT = 4096;

  private final Path file;
  private final Path dataFile;
  private final OutputStream data;
  private final ByteArrayOutputStream graph = new ByteArrayOutputStream();
  private long position;
  private int names;

  /** Begins the graph; its weights go to {@code file.data} beside it. */
  OnnxFile(Path file) throws IOException {
    this.file = file;
    dataFile = file.resolveSibling(file.getFileName() + ".data");
    data = new BufferedOutputStream(Files.newOutputStream(dataFile), 1 << 20);
  }

  /** What a message's fields are written to. */
  @FunctionalInterface
  private interface Fields {
    void write(CodedOutputStream to) throws IOException;
  }

  private static ByteString message(Fields fields) {
    ByteString.Output bytes = ByteString.newOutput();
    CodedOutputStream coded = CodedOutputStream.newInstance(bytes);
    try {
      fields.write(coded);
      coded.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteString();
  }

  private void add(int field, ByteString message) {
    CodedOutputStream coded = CodedOutputStream.newInstance(graph);
    try {
      coded.writeBytes(field, message);
      coded.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Adds an input of the graph. */
  void input(String name, Type type, String... dimensions) {
    add(11, value(name, type, dimensions));
  }

  /** Adds an output of the graph. */
  void output(String name, Type type, String... dimensions) {
    add(12, value(name, type, dimensions));
  }

  private static ByteString value(String name, Type type, String... dimensions) {
    ByteString shape =
        message(
            to -> {
              for (String dimension : dimensions) {
                to.writeBytes(1, message(d -> d.writeString(2, dimension)));
              }
            });
    ByteString tensor =
        message(
            to -> {
              to.writeInt32(1, type.number);
              to.writeBytes(2, shape);
            });
    return message(
        to -> {
          to.writeString(1, name);
          to.writeBytes(2, message(t -> t.writeBytes(1, tensor)));
        });
  }

  /** Adds small numbers that the graph reads and returns their name. */
  String constant(Type type, long[] shape, double... numbers) {
    String name = fresh("constant");
    int bytes =
        switch (type) {
          case FLOAT, INT32 -> 4;
          case INT64 -> 8;
          case UINT8, INT8 -> 1;
        };
    ByteBuffer raw = ByteBuffer.allocate(numbers.length * bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (double number : numbers) {
      switch (type) {
        case FLOAT -> raw.putFloat((float) number);
        case INT32 -> raw.putInt((int) number);
        case INT64 -> raw.putLong((long) number);
        case UINT8, INT8 -> raw.put((byte) number);
      }
    }
    add(
        5,
        message(
            to -> {
              describe(to, name, type, shape);
              to.writeByteArray(9, raw.array());
            }));
    return name;
  }

  /** Adds a weight and returns its name. */
  String weight(long[] shape, float[] numbers) throws IOException {
    ByteBuffer raw = ByteBuffer.allocate(numbers.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    raw.asFloatBuffer().put(numbers);
    return weight(Type.FLOAT, shape, raw.array());
  }

  /** Adds a weight of eight-bit numbers and returns its name. */
  String weight(long[] shape, byte[] numbers) throws IOException {
    return weight(Type.INT8, shape, numbers);
  }

  private String weight(Type type, long[] shape, byte[] raw) throws IOException {
    String name = fresh("weight");
    long padding = Math.ceilDiv(position, ALIGNMENT) * (long) ALIGNMENT - position;
    data.write(new byte[(int) padding]);
    long offset = position + padding;
    data.write(raw);
    position = offset + raw.length;
    Map<String, String> place =
        Map.of(
            "location", dataFile.getFileName().toString(),
            "offset", String.valueOf(offset),
            "length", String.valueOf(raw.length));
    add(
        5,
        message(
            to -> {
              describe(to, name, type, shape);
              for (Map.Entry<String, String> entry : place.entrySet()) {
                to.writeBytes(
                    13,
                    message(
                        e -> {
                          e.writeString(1, entry.getKey());
                          e.writeString(2, entry.getValue());
                        }));
              }
              to.writeInt32(14, EXTERNAL);
            }));
    return name;
  }

  private static void describe(CodedOutputStream to, String name, Type type, long[] shape)
      throws IOException {
    for (long size : shape) {
      to.writeInt64(1, size);
    }
    to.writeInt32(2, type.number);
    to.writeString(8, name);
  }

  /** Adds a node with one output, whose name it returns. */
  String node(String operator, Map<String, Object> attributes, String... inputs) {
    return node(operator, "", attributes, List.of(inputs), 1).getFirst();
  }

  /** Adds a node with several outputs, whose names it returns. */
  List<String> nodes(String operator, int outputs, String... inputs) {
    return node(operator, "", Map.of(), List.of(inputs), outputs);
  }

  /** Adds a node of an operator that only ONNX Runtime has; an input [] is left away. */
  List<String> contributed(
      String operator, int outputs, Map<String, Object> attributes, String... inputs) {
    return node(operator, CONTRIBUTED, attributes, List.of(inputs), outputs);
  }

  private List<String> node(
      String operator,
      String domain,
      Map<String, Object> attributes,
      List<String> inputs,
      int outputs) {
    List<String> results = fresh(operator, outputs);
    add(
        1,
        message(
            to -> {
              for (String input : inputs) {
                to.writeString(1, input);
              }
              for (String result : results) {
                to.writeString(2, result);
              }
              to.writeString(3, "node-" + results.getFirst());
              to.writeString(4, operator);
              for (Map.Entry<String, Object> attribute : attributes.entrySet()) {
                to.writeBytes(5, attribute(attribute.getKey(), attribute.getValue()));
              }
              to.writeString(7, domain);
            }));
    return results;
  }

  private static ByteString attribute(String name, Object value) {
    return message(
        to -> {
          to.writeString(1, name);
          switch (value) {
            case Float number -> {
              to.writeFloat(2, number);
              to.writeInt32(20, 1);
            }
            case Long number -> {
              to.writeInt64(3, number);
              to.writeInt32(20, 2);
            }
            case long[] numbers -> {
              for (long number : numbers) {
                to.writeInt64(8, number);
              }
              to.writeInt32(20, 7);
            }
            default ->
                throw new IllegalArgumentException("attribute [" + name + "] is [" + value + "]");
          }
        });
  }

  private String fresh(String kind) {
    return kind + "." + names++;
  }

  private List<String> fresh(String kind, int count) {
    return Stream.generate(() -> fresh(kind)).limit(count).toList();
  }

  /** Writes what was added. */
  @Override
  public void close() throws IOException {
    data.close();
    add(2, ByteString.copyFromUtf8("bert"));
    ByteString model =
        message(
            to -> {
              to.writeInt64(1, IR_VERSION);
              to.writeString(2, "lanewise-benchmarks");
              to.writeByteArray(7, graph.toByteArray());
              to.writeBytes(8, operators("", OPSET));
              to.writeBytes(8, operators(CONTRIBUTED, 1));
            });
    Files.write(file, model.toByteArray());
  }

  private static ByteString operators(String domain, int version) {
    return message(
        to -> {
          to.writeString(1, domain);
          to.writeInt64(2, version);
        });
  }
}
