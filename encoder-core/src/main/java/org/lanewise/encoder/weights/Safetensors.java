package org.lanewise.encoder.weights;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The tensors of a safetensors file, or of a set of shards with an index.
 *
 * <p>A file is eight bytes of header length, a JSON header that gives every tensor's dtype, shape
 * and place, and the data. The places must cover the data exactly, without holes and overlaps; see
 * <a href="https://github.com/huggingface/safetensors#format">the format</a>.
 *
 * @param tensors tensors of the formats in {@link DataType}, by name, in the order of their data
 * @param unreadable dtypes of all other tensors, by name
 */
public record Safetensors(Map<String, Tensor> tensors, Map<String, String> unreadable) {
  /** The limit of the format's own reader. */
  private static final long MAX_HEADER = 100_000_000;

  /** Real files stay below some thousands; the bound keeps a header of 100 MB off the heap. */
  private static final int MAX_ENTRIES = 100_000;

  private static final int MAX_RANK = 32;
  private static final int MAX_SHARDS = 1000;
  private static final int MAX_METADATA_TEXT = 16 << 20;
  private static final int LENGTH_BYTES = Long.BYTES;
  private static final String METADATA = "__metadata__";

  private static final ValueLayout.OfLong LITTLE_ENDIAN_LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private static final JsonFactory JSON =
      JsonFile.factory(MAX_METADATA_TEXT, 40L * MAX_ENTRIES, false);

  /** Bits of one element, for every dtype that the format knows. */
  private static final Map<String, Integer> BITS =
      new TreeMap<>(
          Map.ofEntries(
              Map.entry("F4", 4),
              Map.entry("F6_E2M3", 6),
              Map.entry("F6_E3M2", 6),
              Map.entry("BOOL", 8),
              Map.entry("U8", 8),
              Map.entry("I8", 8),
              Map.entry("F8_E5M2", 8),
              Map.entry("F8_E4M3", 8),
              Map.entry("F8_E8M0", 8),
              Map.entry("I16", 16),
              Map.entry("U16", 16),
              Map.entry("F16", 16),
              Map.entry("BF16", 16),
              Map.entry("I32", 32),
              Map.entry("U32", 32),
              Map.entry("F32", 32),
              Map.entry("F64", 64),
              Map.entry("I64", 64),
              Map.entry("U64", 64),
              Map.entry("C64", 64)));

  /** Copies nothing: the maps are made here and never change. */
  public Safetensors {
    tensors = Collections.unmodifiableMap(tensors);
    unreadable = Collections.unmodifiableMap(unreadable);
  }

  /**
   * Returns the tensors of one file, which is mapped into memory; a file that does not belong to
   * the default file system, inside a zip for instance, is read into memory of the arena instead.
   *
   * @param arena keeps the tensors' memory
   * @throws MalformedFileException naming the file, and the tensor where it is one that is wrong
   */
  public static Safetensors open(Path file, Arena arena) {
    return open(file, String.valueOf(file.getFileName()), arena);
  }

  /**
   * Like {@link #open(Path, Arena)}.
   *
   * @param name what messages call the file
   */
  public static Safetensors open(Path file, String name, Arena arena) {
    MemorySegment bytes;
    try {
      bytes = load(file, name, arena);
    } catch (IOException e) {
      throw JsonFile.unreadable(name, e);
    }
    return new Reading(name, bytes).read();
  }

  /**
   * Returns the tensors of all shards that an index ({@code model.safetensors.index.json}) names.
   *
   * @param name what messages call the index
   * @param arena keeps the tensors' memory
   * @throws MalformedFileException naming the file, and the tensor where it is one that is wrong
   */
  public static Safetensors openSharded(Path index, String name, Arena arena) {
    Map<String, String> shardOf = weightMap(index, name);
    Set<String> shards = new TreeSet<>(shardOf.values());
    if (shards.size() > MAX_SHARDS) {
      throw new MalformedFileException(
          name + " names " + shards.size() + " files, expected at most " + MAX_SHARDS);
    }
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    Map<String, String> unreadable = new LinkedHashMap<>();
    Map<String, String> seenIn = new HashMap<>();
    for (String shard : shards) {
      Safetensors part = open(shardPath(index, name, shard), shard, arena);
      Set<String> names = new HashSet<>(part.tensors.keySet());
      names.addAll(part.unreadable.keySet());
      for (String tensor : names) {
        String other = seenIn.put(tensor, shard);
        if (other != null) {
          throw new MalformedFileException(
              name
                  + ": tensor ["
                  + tensor
                  + "] is in two files, ["
                  + other
                  + "] and ["
                  + shard
                  + "]");
        }
      }
      tensors.putAll(part.tensors);
      unreadable.putAll(part.unreadable);
    }
    shardOf.forEach(
        (tensor, shard) -> {
          if (!shard.equals(seenIn.get(tensor))) {
            throw new MalformedFileException(
                name
                    + ": tensor ["
                    + tensor
                    + "] is missing in ["
                    + shard
                    + "], which should hold it");
          }
        });
    return new Safetensors(tensors, unreadable);
  }

  private static Map<String, String> weightMap(Path index, String name) {
    List<String> problems = new ArrayList<>();
    JsonNode map =
        JsonFile.open(index, name, problems)
            .map(json -> json.node("weight_map"))
            .orElseThrow(() -> new MalformedFileException(problems.getFirst()));
    if (!map.isObject() || map.isEmpty()) {
      throw new MalformedFileException(
          name
              + ": [weight_map] is "
              + JsonFile.shown(map)
              + ", expected tensor names with their files");
    }
    Map<String, String> shardOf = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : map.properties()) {
      if (!entry.getValue().isTextual()) {
        throw new MalformedFileException(
            name
                + ": [weight_map] gives "
                + JsonFile.shown(entry.getValue())
                + " for tensor ["
                + entry.getKey()
                + "], expected the name of a file");
      }
      shardOf.put(entry.getKey(), entry.getValue().textValue());
    }
    return shardOf;
  }

  private static Path shardPath(Path index, String name, String shard) {
    Path directory = index.toAbsolutePath().normalize().getParent();
    try {
      Path path = directory.resolve(shard).normalize();
      if (!shard.isEmpty() && path.startsWith(directory) && !path.equals(directory)) {
        return path;
      }
    } catch (InvalidPathException e) {
      throw new MalformedFileException(name + " names the impossible file [" + shard + "]", e);
    }
    throw new MalformedFileException(
        name + " names the file [" + shard + "], expected one inside the model directory");
  }

  private static MemorySegment load(Path file, String name, Arena arena) throws IOException {
    if (Files.exists(file) && !Files.isRegularFile(file)) {
      throw new MalformedFileException(name + " is not a regular file");
    }
    if (file.getFileSystem().equals(FileSystems.getDefault())) {
      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
        return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
      }
    }
    MemorySegment memory = arena.allocate(Files.size(file), 64);
    byte[] buffer = new byte[1 << 16];
    long position = 0;
    try (InputStream in = Files.newInputStream(file)) {
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        if (n > memory.byteSize() - position) {
          throw new MalformedFileException(name + " grew while it was read");
        }
        MemorySegment.copy(buffer, 0, memory, ValueLayout.JAVA_BYTE, position, n);
        position += n;
      }
    }
    if (position != memory.byteSize()) {
      throw new MalformedFileException(
          name + " ends after " + position + " bytes, expected " + memory.byteSize());
    }
    return memory;
  }

  /** One tensor as the header states it. */
  private record Entry(String name, String dtype, long[] shape, long begin, long end) {}

  /** The state of reading one file. */
  private static final class Reading {
    private final String file;
    private final MemorySegment bytes;

    Reading(String file, MemorySegment bytes) {
      this.file = file;
      this.bytes = bytes;
    }

    Safetensors read() {
      if (bytes.byteSize() < LENGTH_BYTES) {
        throw wrong(" has " + bytes.byteSize() + " bytes, expected at least " + LENGTH_BYTES);
      }
      long headerLength = bytes.get(LITTLE_ENDIAN_LONG, 0);
      if (headerLength < 0 || headerLength > MAX_HEADER) {
        throw wrong(
            " states a header of "
                + Long.toUnsignedString(headerLength)
                + " bytes, expected at most "
                + MAX_HEADER);
      }
      if (headerLength > bytes.byteSize() - LENGTH_BYTES) {
        throw wrong(
            " states a header of "
                + headerLength
                + " bytes, but only "
                + (bytes.byteSize() - LENGTH_BYTES)
                + " follow: the file is truncated or no safetensors file");
      }
      MemorySegment data = bytes.asSlice(LENGTH_BYTES + headerLength);
      List<Entry> entries;
      try (JsonParser parser =
          JSON.createParser(
              JsonFile.utf8(new SegmentStream(bytes.asSlice(LENGTH_BYTES, headerLength))))) {
        entries = header(parser);
      } catch (IOException e) {
        throw JsonFile.notJson("the header of " + file, e);
      }
      entries.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
      checkLayout(entries, data.byteSize());

      Map<String, Tensor> tensors = new LinkedHashMap<>();
      Map<String, String> unreadable = new LinkedHashMap<>();
      for (Entry entry : entries) {
        DataType type = typeNamed(entry.dtype);
        if (type == null) {
          unreadable.put(entry.name, entry.dtype);
        } else {
          MemorySegment numbers = data.asSlice(entry.begin, entry.end - entry.begin).asReadOnly();
          tensors.put(entry.name, new Tensor(entry.name, type, entry.shape, numbers));
        }
      }
      return new Safetensors(tensors, unreadable);
    }

    private List<Entry> header(JsonParser parser) throws IOException {
      List<Entry> entries = new ArrayList<>();
      Set<String> names = new HashSet<>();
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw wrong(" has a header that is no JSON object");
      }
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String name = parser.currentName();
        if (!names.add(name)) {
          throw wrong(" has two entries named [" + name + "]");
        }
        if (names.size() > MAX_ENTRIES) {
          throw wrong(" has more than " + MAX_ENTRIES + " tensors");
        }
        parser.nextToken();
        if (name.equals(METADATA)) {
          checkMetadata(parser);
        } else {
          entries.add(entry(parser, name));
        }
      }
      if (parser.nextToken() != null) {
        throw wrong(" has more text after its header");
      }
      return entries;
    }

    private void checkMetadata(JsonParser parser) throws IOException {
      if (parser.currentToken() != JsonToken.START_OBJECT) {
        throw wrong(": [" + METADATA + "] is no JSON object");
      }
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String key = parser.currentName();
        if (parser.nextToken() != JsonToken.VALUE_STRING) {
          throw wrong(": [" + METADATA + "] has [" + key + "], expected strings only");
        }
      }
    }

    private Entry entry(JsonParser parser, String name) throws IOException {
      if (parser.currentToken() != JsonToken.START_OBJECT) {
        throw wrong(name, "is no JSON object");
      }
      String dtype = null;
      long[] shape = null;
      long[] offsets = null;
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String key = parser.currentName();
        parser.nextToken();
        boolean twice;
        switch (key) {
          case "dtype" -> {
            twice = dtype != null;
            if (parser.currentToken() != JsonToken.VALUE_STRING) {
              throw wrong(name, "has a [dtype] that is no string");
            }
            dtype = parser.getText();
          }
          case "shape" -> {
            twice = shape != null;
            shape = sizes(parser, name, key);
          }
          case "data_offsets" -> {
            twice = offsets != null;
            offsets = sizes(parser, name, key);
          }
          default ->
              throw wrong(
                  name, "has the key [" + key + "], expected only dtype, shape and data_offsets");
        }
        if (twice) {
          throw wrong(name, "has [" + key + "] twice");
        }
      }
      if (dtype == null || shape == null || offsets == null) {
        String missing = dtype == null ? "dtype" : shape == null ? "shape" : "data_offsets";
        throw wrong(name, "has no [" + missing + "]");
      }
      return checked(name, dtype, shape, offsets);
    }

    private Entry checked(String name, String dtype, long[] shape, long[] offsets) {
      Integer bits = BITS.get(dtype);
      if (bits == null) {
        throw wrong(name, "has dtype [" + dtype + "], expected one of " + BITS.keySet());
      }
      if (offsets.length != 2 || offsets[0] > offsets[1]) {
        throw wrong(
            name,
            "has data_offsets " + Arrays.toString(offsets) + ", expected a begin and a later end");
      }
      long expectedBits = bits;
      try {
        for (long size : shape) {
          expectedBits = Math.multiplyExact(expectedBits, size);
        }
      } catch (ArithmeticException e) {
        throw new MalformedFileException(
            file
                + ": tensor ["
                + name
                + "] has shape "
                + Arrays.toString(shape)
                + ", which is more than any file can hold",
            e);
      }
      if (expectedBits % 8 != 0 || expectedBits / 8 != offsets[1] - offsets[0]) {
        throw wrong(
            name,
            "of dtype "
                + dtype
                + " and shape "
                + Arrays.toString(shape)
                + " has "
                + (offsets[1] - offsets[0])
                + " bytes, expected "
                + (expectedBits + 7) / 8);
      }
      return new Entry(name, dtype, shape, offsets[0], offsets[1]);
    }

    private long[] sizes(JsonParser parser, String name, String key) throws IOException {
      if (parser.currentToken() != JsonToken.START_ARRAY) {
        throw wrong(name, "has a [" + key + "] that is no list");
      }
      long[] sizes = new long[MAX_RANK];
      int count = 0;
      while (parser.nextToken() != JsonToken.END_ARRAY) {
        if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT
            || parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER
            || parser.getLongValue() < 0) {
          throw wrong(
              name, "has a [" + key + "] with an entry that is no whole number of 0 or more");
        }
        if (count == MAX_RANK) {
          throw wrong(name, "has a [" + key + "] of more than " + MAX_RANK + " entries");
        }
        sizes[count++] = parser.getLongValue();
      }
      return Arrays.copyOf(sizes, count);
    }

    private void checkLayout(List<Entry> entries, long dataBytes) {
      long position = 0;
      String previous = "the header";
      for (Entry entry : entries) {
        if (entry.end > dataBytes) {
          throw wrong(
              entry.name,
              "ends at byte "
                  + entry.end
                  + " of the data, but the file has only "
                  + dataBytes
                  + ": it is truncated or its header lies");
        }
        if (entry.begin != position) {
          throw wrong(
              entry.name,
              "begins at byte "
                  + entry.begin
                  + " of the data, expected "
                  + position
                  + ", where "
                  + previous
                  + " ends: tensors must neither overlap nor leave holes");
        }
        position = entry.end;
        previous = "tensor [" + entry.name + "]";
      }
      if (position != dataBytes) {
        throw wrong(
            " has "
                + dataBytes
                + " bytes of data, but its tensors cover only "
                + position
                + " of them");
      }
    }

    private MalformedFileException wrong(String what) {
      return new MalformedFileException(file + what);
    }

    private MalformedFileException wrong(String tensor, String what) {
      return new MalformedFileException(file + ": tensor [" + tensor + "] " + what);
    }
  }

  private static DataType typeNamed(String dtype) {
    for (DataType type : DataType.values()) {
      if (type.name().equals(dtype)) {
        return type;
      }
    }
    return null;
  }

  /** Reads the header where it lies: a copy could be 100 MB of heap. */
  private static final class SegmentStream extends InputStream {
    private final MemorySegment segment;
    private long position;

    SegmentStream(MemorySegment segment) {
      this.segment = segment;
    }

    @Override
    public int read() {
      return position == segment.byteSize()
          ? -1
          : segment.get(ValueLayout.JAVA_BYTE, position++) & 0xff;
    }

    @Override
    public int read(byte[] target, int offset, int length) {
      int n = (int) Math.min(length, segment.byteSize() - position);
      if (n == 0 && length > 0) {
        return -1;
      }
      MemorySegment.copy(segment, ValueLayout.JAVA_BYTE, position, target, offset, n);
      position += n;
      return n;
    }
  }
}
