package org.lanewise.encoder.weights;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.core.io.JsonEOFException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.Writer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/**
 * One JSON object of a model directory. Typed access adds to a list of problems instead of
 * throwing, so that a reader can go on and report everything at once. A key whose value is null
 * counts as absent. Not thread-safe.
 */
public final class JsonFile {
  /**
   * Real configuration files have kilobytes; the largest, an index of shards or a list of added
   * tokens, stays below one megabyte.
   */
  static final int MAX_BYTES = 4 << 20;

  private static final int MAX_DEPTH = 100;
  private static final int MAX_SHOWN = 80;

  /**
   * Bounds the tree to some 30 MB of heap. A list of 6,400 added tokens with all their properties,
   * as large vocabularies have, is about 100,000.
   */
  private static final int MAX_TOKENS = 250_000;

  private static final ObjectMapper MAPPER = new ObjectMapper(factory(MAX_BYTES, MAX_TOKENS, true));

  private final String name;
  private final JsonNode root;
  private final List<String> problems;

  private JsonFile(String name, JsonNode root, List<String> problems) {
    this.name = name;
    this.root = root;
    this.problems = problems;
  }

  /**
   * Returns the object in the file, or empty after adding to {@code problems} why there is none.
   *
   * @param name what messages call the file, usually its path inside the model directory
   */
  public static Optional<JsonFile> open(Path file, String name, List<String> problems) {
    Optional<JsonNode> node = readTree(file, name, problems);
    if (node.isPresent() && !node.get().isObject()) {
      problems.add(name + " holds " + shown(node.get()) + ", expected a JSON object");
      return Optional.empty();
    }
    return node.map(root -> new JsonFile(name, root, problems));
  }

  /** Returns the JSON value in the file, or empty after adding to {@code problems} why not. */
  public static Optional<JsonNode> readTree(Path file, String name, List<String> problems) {
    try {
      return Optional.of(readTree(file, name));
    } catch (MalformedFileException e) {
      problems.add(e.getMessage());
      return Optional.empty();
    }
  }

  /**
   * Returns a view of an object inside a file.
   *
   * @param name what messages call the object
   * @throws IllegalArgumentException if {@code node} is not an object
   */
  public static JsonFile of(JsonNode node, String name, List<String> problems) {
    if (!node.isObject()) {
      throw new IllegalArgumentException(name + " is not a JSON object");
    }
    return new JsonFile(name, node, problems);
  }

  /** Returns what messages call this file. */
  public String name() {
    return name;
  }

  /** Returns the keys of the object, in the order of the file. */
  public List<String> keys() {
    return root.propertyStream().map(Map.Entry::getKey).toList();
  }

  /** Returns the value of the key, of any type; a missing node where it is absent or null. */
  public JsonNode node(String key) {
    JsonNode node = root.path(key);
    return node.isNull() ? MissingNode.getInstance() : node;
  }

  /** Returns whether the key has a value other than null. */
  public boolean has(String key) {
    return !node(key).isMissingNode();
  }

  /** Returns the whole number that must be there; {@code min} after adding a problem. */
  public int integer(String key, int min, int max) {
    if (!has(key)) {
      problems.add(
          name + ": [" + key + "] is missing, expected a whole number of " + min + " to " + max);
    }
    return optionalInteger(key, min, max).orElse(min);
  }

  /** Returns the whole number, or empty where it is absent or out of bounds (with a problem). */
  public OptionalInt optionalInteger(String key, int min, int max) {
    JsonNode node = node(key);
    if (node.isMissingNode()) {
      return OptionalInt.empty();
    }
    if (!node.isIntegralNumber()
        || !node.canConvertToInt()
        || node.intValue() < min
        || node.intValue() > max) {
      wrong(key, "a whole number of " + min + " to " + max);
      return OptionalInt.empty();
    }
    return OptionalInt.of(node.intValue());
  }

  /** Returns the positive number, or empty where it is absent or wrong (with a problem). */
  public OptionalDouble positiveNumber(String key, double max) {
    JsonNode node = node(key);
    if (node.isMissingNode()) {
      return OptionalDouble.empty();
    }
    if (!node.isNumber() || !(node.doubleValue() > 0) || node.doubleValue() > max) {
      wrong(key, "a number above 0, at most " + max);
      return OptionalDouble.empty();
    }
    return OptionalDouble.of(node.doubleValue());
  }

  /** Returns the flag; {@code absent} where there is none or it is wrong (with a problem). */
  public boolean flag(String key, boolean absent) {
    JsonNode node = node(key);
    if (node.isMissingNode()) {
      return absent;
    }
    if (!node.isBoolean()) {
      wrong(key, "true or false");
      return absent;
    }
    return node.booleanValue();
  }

  /** Returns the string, or empty where it is absent or of another type (with a problem). */
  public Optional<String> text(String key) {
    JsonNode node = node(key);
    if (node.isMissingNode()) {
      return Optional.empty();
    }
    if (!node.isTextual()) {
      wrong(key, "a string");
      return Optional.empty();
    }
    return Optional.of(node.textValue());
  }

  /** Adds the problem that the key's value is not {@code expected}. */
  public void wrong(String key, String expected) {
    problems.add(name + ": [" + key + "] is " + shown(root.path(key)) + ", expected " + expected);
  }

  /** Returns the value as messages show it: as JSON, cut when long. */
  public static String shown(JsonNode node) {
    if (node.isMissingNode()) {
      return "missing";
    }
    Beginning json = new Beginning();
    try {
      MAPPER.writeValue(json, node);
    } catch (IOException e) {
      // The beginning is complete; an array of megabytes is not written out for it.
    }
    return json.text();
  }

  /** Takes what is shown and then no more. */
  private static final class Beginning extends Writer {
    private final StringBuilder text = new StringBuilder();

    @Override
    public void write(char[] characters, int offset, int length) throws IOException {
      text.append(characters, offset, Math.min(length, MAX_SHOWN + 1 - text.length()));
      if (text.length() > MAX_SHOWN) {
        throw new IOException("enough");
      }
    }

    String text() {
      return text.length() <= MAX_SHOWN ? text.toString() : text.substring(0, MAX_SHOWN) + "...";
    }

    @Override
    public void flush() {}

    @Override
    public void close() {}
  }

  private static JsonNode readTree(Path file, String name) {
    byte[] bytes;
    try (InputStream in = openStream(file, name)) {
      bytes = in.readNBytes(MAX_BYTES + 1);
    } catch (IOException e) {
      throw unreadable(name, e);
    }
    if (bytes.length > MAX_BYTES) {
      throw new MalformedFileException(
          name + " has more than " + MAX_BYTES + " bytes, expected a small JSON file");
    }
    try (JsonParser parser = MAPPER.createParser(utf8(new ByteArrayInputStream(bytes)))) {
      JsonNode node = MAPPER.readTree(parser);
      if (node == null || node.isMissingNode()) {
        throw new MalformedFileException(name + " is empty, expected JSON");
      }
      if (parser.nextToken() != null) {
        throw new MalformedFileException(name + " has more text after its JSON value");
      }
      return node;
    } catch (IOException e) {
      throw notJson(name, e);
    }
  }

  private static InputStream openStream(Path file, String name) throws IOException {
    if (Files.exists(file) && !Files.isRegularFile(file)) {
      throw new MalformedFileException(name + " is not a regular file");
    }
    return Files.newInputStream(file);
  }

  /**
   * Returns a parser factory with limits. Field names are not kept in the parser's shared tables,
   * which names made to collide could fill.
   */
  static JsonFactory factory(int maxText, long maxTokens, boolean strictKeys) {
    return JsonFactory.builder()
        .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
        .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
        .configure(StreamReadFeature.STRICT_DUPLICATE_DETECTION, strictKeys)
        .streamReadConstraints(
            StreamReadConstraints.builder()
                .maxNestingDepth(MAX_DEPTH)
                .maxNumberLength(400)
                .maxNameLength(10_000)
                .maxStringLength(maxText)
                .maxTokenCount(maxTokens)
                .build())
        .build();
  }

  /** Returns a reader that fails on bytes that are not UTF-8, where Java would replace them. */
  static Reader utf8(InputStream in) {
    return new InputStreamReader(
        in,
        StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPORT)
            .onUnmappableCharacter(CodingErrorAction.REPORT));
  }

  /** Returns the exception for JSON that did not parse. */
  static MalformedFileException notJson(String name, IOException e) {
    if (e instanceof CharacterCodingException) {
      return new MalformedFileException(name + " is not valid UTF-8", e);
    }
    if (!(e instanceof JsonProcessingException parsing)) {
      return unreadable(name, e);
    }
    String where =
        parsing.getLocation() == null
            ? ""
            : " at line "
                + parsing.getLocation().getLineNr()
                + ", column "
                + parsing.getLocation().getColumnNr();
    String what;
    if (parsing instanceof StreamConstraintsException) {
      what =
          " is refused"
              + where
              + ": it nests deeper than "
              + MAX_DEPTH
              + " levels or has too many or too long values";
    } else if (parsing instanceof JsonEOFException) {
      what = " ends in the middle of its JSON" + where;
    } else if (parsing.getOriginalMessage().startsWith("Duplicate")) {
      what = " has the same key twice in one object" + where;
    } else {
      what = " is not valid JSON" + where;
    }
    return new MalformedFileException(name + what, e);
  }

  /** Returns the exception for a file that the operating system does not let us read. */
  static MalformedFileException unreadable(String name, IOException e) {
    String reason;
    if (e instanceof NoSuchFileException) {
      return new MalformedFileException(name + " is missing", e);
    } else if (e instanceof AccessDeniedException) {
      reason = "access is denied";
    } else if (e instanceof FileSystemException system && system.getReason() != null) {
      reason = system.getReason();
    } else {
      reason = String.valueOf(e.getMessage());
    }
    return new MalformedFileException(name + " cannot be read: " + reason, e);
  }
}
