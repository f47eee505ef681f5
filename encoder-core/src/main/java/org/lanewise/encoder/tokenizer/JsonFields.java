package org.lanewise.encoder.tokenizer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * A value of a JSON file with its place, so that every complaint names the file and the field.
 *
 * @param file the file's name
 * @param path where in the file, for example {@code model.vocab}
 */
record JsonFields(String file, String path, JsonNode node) {
  /** Largest file that is read, in bytes: published ones stay below 40 MB. */
  static final long MOST_BYTES = 128L << 20;

  /** The largest published files have three million values and keys; each takes some 60 bytes. */
  private static final long MOST_VALUES = 10_000_000;

  /** What is put into texts has one to a few characters in published files. */
  private static final int MOST_SHORT = 256;

  private static final ObjectMapper MAPPER =
      JsonMapper.builder(
              // Names made to collide could fill the tables that parsers share.
              JsonFactory.builder()
                  .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
                  .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
                  .streamReadConstraints(
                      StreamReadConstraints.builder()
                          .maxNestingDepth(100)
                          .maxStringLength(64 << 20)
                          .maxNameLength(1 << 20)
                          .maxDocumentLength(MOST_BYTES)
                          .maxTokenCount(MOST_VALUES)
                          .build())
                  .build())
          .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  /**
   * Returns the object that a file holds.
   *
   * @throws IllegalArgumentException if the file is too large or no JSON object
   * @throws UncheckedIOException if it cannot be read
   */
  static JsonFields read(Path file) {
    try (InputStream bytes = Files.newInputStream(requireSize(file))) {
      return read(file.getFileName().toString(), bytes);
    } catch (IOException e) {
      throw new UncheckedIOException("[" + file + "] cannot be read", e);
    }
  }

  /** Returns the object that a stream holds. */
  static JsonFields read(String file, InputStream bytes) throws IOException {
    JsonNode node;
    try {
      node = MAPPER.readTree(bytes);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(
          String.format(Locale.ROOT, "[%s] is no valid JSON: %s", file, e.getMessage()), e);
    }
    JsonFields fields = new JsonFields(file, "", node);
    fields.require(node.isObject(), "an object");
    return fields;
  }

  /** Returns the file if it is small enough to be read. */
  static Path requireSize(Path file) throws IOException {
    long size = Files.size(file);
    if (size > MOST_BYTES) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "[%s] has %d bytes, expected at most %d",
              file.getFileName(),
              size,
              MOST_BYTES));
    }
    return file;
  }

  /** Returns the field, or empty if it is absent or null. */
  Optional<JsonFields> optional(String name) {
    require(node.isObject(), "an object");
    JsonNode field = node.get(name);
    return field == null || field.isNull()
        ? Optional.empty()
        : Optional.of(new JsonFields(file, path.isEmpty() ? name : path + "." + name, field));
  }

  JsonFields field(String name) {
    return optional(name).orElseThrow(() -> complaint("has no [" + name + "], which is required"));
  }

  String text() {
    require(node.isTextual(), "a string");
    return node.textValue();
  }

  /** Returns a string that becomes part of many texts. */
  String shortText() {
    if (text().length() > MOST_SHORT) {
      throw complaint("has " + text().length() + " characters, expected at most " + MOST_SHORT);
    }
    return text();
  }

  int integer() {
    require(node.isIntegralNumber() && node.canConvertToInt(), "an integer below 2^31");
    return node.intValue();
  }

  /** Returns the string field, or a default if it is absent or null. */
  String text(String name, String whenAbsent) {
    return optional(name).map(JsonFields::text).orElse(whenAbsent);
  }

  double number() {
    require(node.isNumber() && Double.isFinite(node.doubleValue()), "a number");
    return node.doubleValue();
  }

  boolean bool() {
    require(node.isBoolean(), "true or false");
    return node.booleanValue();
  }

  /** Returns the boolean field, or a default if it is absent or null. */
  boolean bool(String name, boolean whenAbsent) {
    return optional(name).map(JsonFields::bool).orElse(whenAbsent);
  }

  List<JsonFields> elements() {
    require(node.isArray(), "an array");
    List<JsonFields> elements = new ArrayList<>(node.size());
    for (JsonNode element : node) {
      elements.add(new JsonFields(file, path + "[" + elements.size() + "]", element));
    }
    return elements;
  }

  /** Returns the fields of an object in file order. */
  Map<String, JsonFields> entries() {
    require(node.isObject(), "an object");
    Map<String, JsonFields> entries = LinkedHashMap.newLinkedHashMap(node.size());
    node.properties()
        .forEach(
            entry ->
                entries.put(
                    entry.getKey(),
                    new JsonFields(file, path + "." + entry.getKey(), entry.getValue())));
    return entries;
  }

  /** Returns an exception that says what is wrong with this value. */
  IllegalArgumentException complaint(String problem) {
    return new IllegalArgumentException(
        path.isEmpty()
            ? String.format(Locale.ROOT, "[%s] %s", file, problem)
            : String.format(Locale.ROOT, "[%s] [%s] %s", file, path, problem));
  }

  private void require(boolean right, String expected) {
    if (!right) {
      String value = node.isContainerNode() ? node.getNodeType().toString() : node.toString();
      String shown = value.length() > 60 ? value.substring(0, 60) + "..." : value;
      throw complaint("is [" + shown + "], expected " + expected);
    }
  }
}
