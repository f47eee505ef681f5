package org.lanewise.encoder.weights;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What the format allows is read; everything else is an error that names file and tensor. */
final class SafetensorsTest {
  @TempDir private Path directory;

  /** A file and words of the message that it must get. */
  private record Bad(String name, byte[] bytes, List<String> words) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static List<Bad> badFiles() {
    String good = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
    byte[] whole = file(good, 8);
    byte[] invalidUtf8 = file("{\"a\u00e9\":1}", 0);
    invalidUtf8[8 + 3] = (byte) 0xff;
    return List.of(
        new Bad("empty file", new byte[0], List.of("has 0 bytes", "at least 8")),
        new Bad("seven bytes", new byte[7], List.of("has 7 bytes", "at least 8")),
        new Bad("negative length", lengthOnly(-1), List.of("18446744073709551615", "100000000")),
        new Bad("length of gigabytes", lengthOnly(5L << 30), List.of("5368709120", "100000000")),
        new Bad("length beyond the file", lengthOnly(1000), List.of("1000 bytes", "only 0 follow")),
        new Bad("header cut", Arrays.copyOf(whole, 30), List.of("follow", "truncated")),
        new Bad(
            "data cut",
            Arrays.copyOf(whole, whole.length - 1),
            List.of("[a]", "ends at byte 8", "only 7", "truncated")),
        new Bad("no JSON", file("hello", 0), List.of("header", "not valid JSON", "line 1")),
        new Bad("no header at all", file("", 0), List.of("no JSON object")),
        new Bad("half a JSON", file("{\"a\":{\"dtype\"", 0), List.of("ends in the middle")),
        new Bad("a list", file("[]", 0), List.of("no JSON object")),
        new Bad("text after it", file("{} x", 0), List.of("header", "JSON")),
        new Bad("two objects", file("{}{}", 0), List.of("more text after its header")),
        new Bad("not UTF-8", invalidUtf8, List.of("not valid UTF-8")),
        new Bad("deep", file("{\"a\":" + "[".repeat(100_000), 0), List.of("[a]", "no JSON object")),
        new Bad(
            "deep metadata",
            file("{\"__metadata__\":{\"a\":" + "[".repeat(100_000), 0),
            List.of("__metadata__", "[a]", "strings only")),
        new Bad("same tensor twice", file(twice(good), 16), List.of("two entries named [a]")),
        new Bad(
            "same key twice",
            file("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0),
            List.of("[a]", "[dtype] twice")),
        new Bad("unknown key", file("{\"a\":{\"type\":1}}", 0), List.of("[a]", "[type]", "only")),
        new Bad("tensor no object", file("{\"a\":3}", 0), List.of("[a]", "no JSON object")),
        new Bad("no dtype", tensor("\"shape\":[2],\"data_offsets\":[0,8]"), List.of("no [dtype]")),
        new Bad(
            "no shape", tensor("\"dtype\":\"F32\",\"data_offsets\":[0,8]"), List.of("no [shape]")),
        new Bad(
            "no place", tensor("\"dtype\":\"F32\",\"shape\":[2]"), List.of("no [data_offsets]")),
        new Bad("unknown dtype", tensor("F128", "[2]", "[0,8]"), List.of("[F128]", "F32", "BF16")),
        new Bad("negative size", tensor("F32", "[-2]", "[0,8]"), List.of("[a]", "[shape]")),
        new Bad("fractional size", tensor("F32", "[2.0]", "[0,8]"), List.of("[a]", "[shape]")),
        new Bad("huge size", tensor("F32", "[1e3]", "[0,8]"), List.of("[a]", "[shape]")),
        new Bad(
            "size beyond 64 bits",
            tensor("F32", "[99999999999999999999]", "[0,8]"),
            List.of("[a]", "[shape]")),
        new Bad("size in words", tensor("F32", "[\"2\"]", "[0,8]"), List.of("[a]", "[shape]")),
        new Bad("shape no list", tensor("F32", "2", "[0,8]"), List.of("[shape]", "no list")),
        new Bad(
            "overflowing product",
            tensor("F32", "[4294967296,4294967296]", "[0,8]"),
            List.of("[a]", "[4294967296, 4294967296]")),
        new Bad(
            "rank of 33",
            tensor("F32", Arrays.toString(new int[33]), "[0,0]"),
            List.of("[shape]", "32")),
        new Bad("too few bytes", tensor("F32", "[3]", "[0,8]"), List.of("8 bytes", "expected 12")),
        new Bad("too many bytes", tensor("F32", "[1]", "[0,8]"), List.of("8 bytes", "expected 4")),
        new Bad("half a byte", tensor("F4", "[3]", "[0,2]"), List.of("2 bytes", "expected 2")),
        new Bad("reversed", tensor("F32", "[2]", "[8,0]"), List.of("[8, 0]", "later end")),
        new Bad("one offset", tensor("F32", "[2]", "[8]"), List.of("data_offsets [8]")),
        new Bad("three offsets", tensor("F32", "[2]", "[0,8,8]"), List.of("[0, 8, 8]")),
        new Bad("negative begin", tensor("F32", "[2]", "[-8,0]"), List.of("[data_offsets]")),
        new Bad(
            "far out",
            tensor("F32", "[2]", "[9223372036854775799,9223372036854775807]"),
            List.of("[a]", "9223372036854775807", "only 8")),
        new Bad(
            "hole before", file(good.replace("[0,8]", "[4,12]"), 12), List.of("begins at byte 4")),
        new Bad("hole behind", file(good, 12), List.of("12 bytes of data", "only 8")),
        new Bad(
            "hole between",
            file(two("[0,8]", "[12,20]"), 20),
            List.of("[b]", "byte 12", "expected 8", "[a]")),
        new Bad(
            "overlap",
            file(two("[0,8]", "[4,12]"), 12),
            List.of("[b]", "byte 4", "expected 8", "[a]", "overlap")),
        new Bad("same place", file(two("[0,8]", "[0,8]"), 8), List.of("byte 0", "expected 8")),
        new Bad(
            "metadata of numbers",
            file("{\"__metadata__\":{\"n\":1}}", 0),
            List.of("__metadata__", "[n]", "strings only")),
        new Bad("metadata a list", file("{\"__metadata__\":[]}", 0), List.of("__metadata__")));
  }

  @ParameterizedTest
  @MethodSource("badFiles")
  void badFilesAreRefused(Bad bad) throws IOException {
    Path path = directory.resolve("bad.safetensors");
    Files.write(path, bad.bytes);
    String message = messageOf(path);
    assertTrue(message.contains("bad.safetensors"), message);
    for (String word : bad.words) {
      assertTrue(message.contains(word), () -> message + " does not say " + word);
    }
    assertTrue(message.length() < 1000, message);
  }

  @Test
  void allThatTheFormatAllowsIsRead() throws IOException {
    String header =
        "{\"__metadata__\":{\"format\":\"pt\"},"
            + "\"b\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[2,10]},"
            + "\"none\":{\"dtype\":\"I64\",\"shape\":[3,0],\"data_offsets\":[2,2]},"
            + "\"flags\":{\"data_offsets\":[10,13],\"shape\":[3],\"dtype\":\"BOOL\"},"
            + "\"scalar\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]}}   ";
    Path path = directory.resolve("good.safetensors");
    byte[] bytes = file(header, 13);
    ByteBuffer.wrap(bytes)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putFloat(bytes.length - 13 + 2, 1.5f)
        .putFloat(bytes.length - 13 + 6, -2f);
    Files.write(path, bytes);
    try (Arena arena = Arena.ofShared()) {
      Safetensors opened = Safetensors.open(path, arena);
      assertEquals(Set.of("scalar", "none", "b"), opened.tensors().keySet());
      assertEquals(Map.of("flags", "BOOL"), opened.unreadable());
      Tensor b = opened.tensors().get("b");
      assertEquals("b", b.name());
      assertEquals(DataType.F32, b.type());
      assertArrayEquals(new long[] {1, 2}, b.shape());
      ValueLayout.OfFloat layout =
          ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
      assertEquals(1.5f, b.data().get(layout, 0));
      assertEquals(-2f, b.data().get(layout, 4));
      assertEquals(1, opened.tensors().get("scalar").elements());
      assertEquals(0, opened.tensors().get("none").elements());
      assertThrows(IndexOutOfBoundsException.class, () -> b.data().get(ValueLayout.JAVA_BYTE, 8));
    }
  }

  @Test
  void aFileOfNoTensorsIsRead() throws IOException {
    Path path = directory.resolve("none.safetensors");
    Files.write(path, file("{}", 0));
    try (Arena arena = Arena.ofShared()) {
      assertEquals(Map.of(), Safetensors.open(path, arena).tensors());
    }
  }

  @Test
  void aHeaderOfVeryManyTensorsIsRefusedBeforeItFillsTheHeap() throws IOException {
    StringBuilder header = new StringBuilder("{");
    for (int i = 0; i < 300_000; i++) {
      header.append("\"t").append(i).append("\":{\"dtype\":\"F32\",\"shape\":[0],");
      header.append("\"data_offsets\":[0,0]},");
    }
    header.setCharAt(header.length() - 1, '}');
    Path path = directory.resolve("many.safetensors");
    Files.write(path, file(header.toString(), 0));
    assertTrue(messageOf(path).contains("more than 100000 tensors"), messageOf(path));
  }

  @Test
  void whatIsNoFileIsRefused() throws IOException {
    assertEquals(
        "absent.safetensors is missing", messageOf(directory.resolve("absent.safetensors")));
    Path folder = Files.createDirectory(directory.resolve("folder.safetensors"));
    assertEquals("folder.safetensors is not a regular file", messageOf(folder));
  }

  /** An index, files beside it, and words of the message that it must get. */
  private record BadIndex(String name, String index, List<String> words) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static List<BadIndex> badIndexes() {
    return List.of(
        new BadIndex("no map", "{}", List.of("[weight_map] is missing")),
        new BadIndex("empty map", "{\"weight_map\":{}}", List.of("[weight_map]")),
        new BadIndex("map a list", "{\"weight_map\":[1]}", List.of("[weight_map] is [1]")),
        new BadIndex("no JSON", "{", List.of("i.json", "ends in the middle")),
        new BadIndex("number for a file", map("a", "3"), List.of("gives 3", "[a]")),
        new BadIndex("missing shard", map("a", "\"x.bin\""), List.of("x.bin is missing")),
        new BadIndex("up", map("a", "\"../one\""), List.of("[../one]", "inside the model")),
        new BadIndex("absolute", map("a", "\"/etc/passwd\""), List.of("[/etc/passwd]", "inside")),
        new BadIndex("itself", map("a", "\"\""), List.of("[]", "inside")),
        new BadIndex("impossible", map("a", "\"a\\u0000b\""), List.of("impossible")),
        new BadIndex("not in its shard", map("z", "\"one\""), List.of("[z] is missing in [one]")),
        new BadIndex(
            "in two shards",
            "{\"weight_map\":{\"a\":\"one\",\"b\":\"two\"}}",
            List.of("[a] is in two files", "[one]", "[two]")));
  }

  @ParameterizedTest
  @MethodSource("badIndexes")
  void badIndexesAreRefused(BadIndex bad) throws IOException {
    Files.write(directory.resolve("one"), tensor("F32", "[2]", "[0,8]"));
    Files.write(directory.resolve("two"), file(two("[0,8]", "[8,16]"), 16));
    Path index = directory.resolve("i.json");
    Files.writeString(index, bad.index);
    try (Arena arena = Arena.ofShared()) {
      String message =
          assertThrows(
                  MalformedFileException.class,
                  () -> Safetensors.openSharded(index, "i.json", arena))
              .getMessage();
      for (String word : bad.words) {
        assertTrue(message.contains(word), () -> message + " does not say " + word);
      }
    }
  }

  private static String messageOf(Path path) {
    try (Arena arena = Arena.ofShared()) {
      return assertThrows(MalformedFileException.class, () -> Safetensors.open(path, arena))
          .getMessage();
    }
  }

  private static String map(String tensor, String file) {
    return "{\"weight_map\":{\"" + tensor + "\":" + file + "}}";
  }

  private static String twice(String header) {
    String entry = header.substring(1, header.length() - 1);
    return "{" + entry + "," + entry + "}";
  }

  private static String two(String first, String second) {
    return "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":"
        + first
        + "},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":"
        + second
        + "}}";
  }

  private static byte[] tensor(String dtype, String shape, String offsets) {
    return tensor(
        "\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets);
  }

  private static byte[] tensor(String fields) {
    return file("{\"a\":{" + fields + "}}", 8);
  }

  private static byte[] lengthOnly(long length) {
    return ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(length).array();
  }

  /** Returns a file of that header, with its true length, and so many bytes of data. */
  static byte[] file(String header, int dataBytes) {
    byte[] text = header.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(8 + text.length + dataBytes)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(text.length)
        .put(text)
        .array();
  }
}
