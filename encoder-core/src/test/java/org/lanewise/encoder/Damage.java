package org.lanewise.encoder;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * Changes files as an attacker or a bad disk would: bytes, lengths, and values of JSON that is
 * otherwise in order, so that the change gets past the parser.
 */
final class Damage {
  /** Escapes what cannot be written as UTF-8, such as half a pair of surrogates. */
  private static final ObjectMapper MAPPER =
      JsonMapper.builder().enable(JsonWriteFeature.ESCAPE_NON_ASCII).build();

  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
  private static final int MOST_BYTES = 1 << 20;

  private static final List<Long> LENGTHS =
      List.of(0L, 1L, -1L, 7L, 255L, 65_536L, 1L << 31, 1L << 32, 1L << 62, Long.MAX_VALUE - 7);

  private static final List<Long> NUMBERS =
      List.of(
          0L,
          1L,
          -1L,
          2L,
          3L,
          7L,
          64L,
          255L,
          1000L,
          65_536L,
          262_144L,
          1_048_576L,
          16_777_216L,
          1L << 30,
          (long) Integer.MAX_VALUE,
          (long) Integer.MIN_VALUE,
          1L << 31,
          1L << 32,
          Long.MAX_VALUE,
          Long.MIN_VALUE);

  private static final List<Double> FRACTIONS =
      List.of(0.5, -0.0, 1e-300, 1e-38, 1e38, 1e300, -1e308, 0.1, 2.5);

  private static final List<String> TEXTS =
      List.of(
          "",
          " ",
          "a",
          "\u0000",
          "\ud800",
          "\udc00a",
          "../../x",
          "/etc/passwd",
          "[UNK]",
          "<unk>",
          "##",
          "\u2581",
          "Sequence",
          "ByteLevel",
          "Metaspace",
          "Regex",
          "a*a*a*a*a*a*a*a*a*c",
          "(?:a|aa)?(?:a|aa)?(?:a|aa)?b",
          "e".repeat(5000));

  private static final List<Float> FLOATS =
      List.of(Float.NaN, Float.POSITIVE_INFINITY, Float.MAX_VALUE, -Float.MAX_VALUE, -0f, 1e-45f);

  private final Random random;

  Damage(Random random) {
    this.random = random;
  }

  /** Returns the file with one to three changes of one kind. */
  byte[] of(String name, byte[] file) {
    int kind = random.nextInt(10);
    byte[] changed = file;
    for (int changes = random.nextInt(1, 4); changes > 0; changes--) {
      if (name.endsWith(".safetensors") && changed.length > Long.BYTES) {
        changed = tensors(kind, changed);
      } else if (kind < 7 && (name.endsWith(".json") || name.endsWith(".metadata"))) {
        changed = json(changed);
      } else {
        changed = bytes(changed);
      }
    }
    return changed;
  }

  private byte[] tensors(int kind, byte[] file) {
    ByteBuffer bytes = ByteBuffer.wrap(file.clone()).order(ByteOrder.LITTLE_ENDIAN);
    int data = Math.clamp(bytes.getLong(0) + Long.BYTES, Long.BYTES, file.length);
    if (kind < 5) {
      byte[] header = json(Arrays.copyOfRange(file, Long.BYTES, data));
      return ByteBuffer.allocate(Long.BYTES + header.length + file.length - data)
          .order(ByteOrder.LITTLE_ENDIAN)
          .putLong(header.length)
          .put(header)
          .put(file, data, file.length - data)
          .array();
    }
    if (kind == 5) {
      return bytes.putLong(0, one(LENGTHS)).array();
    }
    if (kind < 8 && file.length - data >= Float.BYTES) {
      int floats = (file.length - data) / Float.BYTES;
      for (int i = random.nextInt(1, 20); i > 0; i--) {
        bytes.putFloat(data + random.nextInt(floats) * Float.BYTES, one(FLOATS));
      }
      return bytes.array();
    }
    return bytes(file);
  }

  /** Returns the bytes with a slice that is changed, gone, repeated or new. */
  private byte[] bytes(byte[] file) {
    if (file.length == 0) {
      return new byte[] {(byte) random.nextInt(256)};
    }
    int from = random.nextInt(file.length);
    int to = Math.min(file.length, from + 1 + random.nextInt(1 << random.nextInt(12)));
    return switch (random.nextInt(5)) {
      case 0 -> Arrays.copyOf(file, from);
      case 1 -> repeated(file, from, to, 0);
      case 2 ->
          repeated(file, from, to, Math.min(random.nextInt(2, 2000), MOST_BYTES / (to - from)));
      default -> {
        byte[] changed = file.clone();
        for (int i = random.nextInt(1, 5); i > 0; i--) {
          changed[random.nextInt(from, to)] = interesting();
        }
        yield changed;
      }
    };
  }

  /** Returns the bytes with a slice so many times where it was once. */
  private static byte[] repeated(byte[] file, int from, int to, int times) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.write(file, 0, from);
    for (int i = 0; i < times; i++) {
      bytes.write(file, from, to - from);
    }
    bytes.write(file, to, file.length - to);
    return bytes.toByteArray();
  }

  private byte interesting() {
    String marks = "{}[]\",:-0123456789.eE\\ \n";
    return (byte)
        (random.nextBoolean() ? marks.charAt(random.nextInt(marks.length())) : random.nextInt(256));
  }

  private byte[] json(byte[] file) {
    JsonNode root;
    try {
      root = MAPPER.readTree(file);
    } catch (IOException e) {
      return bytes(file);
    }
    if (root == null || !root.isContainerNode() || root.isEmpty()) {
      return bytes(file);
    }
    if (random.nextInt(20) == 0) {
      return twice(file);
    }
    JsonNode parent = root;
    // Each step goes to any child alike, so that vocabularies do not take all the changes.
    while (random.nextInt(4) > 0) {
      List<JsonNode> inner = new ArrayList<>();
      parent.forEach(child -> inner.add(child));
      inner.removeIf(child -> !child.isContainerNode() || child.isEmpty());
      if (inner.isEmpty()) {
        break;
      }
      parent = inner.get(random.nextInt(inner.size()));
    }
    if (parent instanceof ObjectNode object) {
      change(object);
    } else {
      change((ArrayNode) parent);
    }
    try {
      return MAPPER.writeValueAsBytes(root);
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Returns the JSON with one key there twice. */
  private byte[] twice(byte[] file) {
    String text = new String(file, StandardCharsets.UTF_8);
    int colon = text.indexOf("\":", random.nextInt(text.length()));
    int quote = colon < 1 ? -1 : text.lastIndexOf('"', colon - 1);
    if (quote < 0) {
      return bytes(file);
    }
    String key = text.substring(quote, colon + 2);
    return (text.substring(0, quote) + key + "1," + text.substring(quote))
        .getBytes(StandardCharsets.UTF_8);
  }

  private void change(ObjectNode object) {
    List<String> keys = object.propertyStream().map(entry -> entry.getKey()).toList();
    String key = one(keys);
    switch (random.nextInt(6)) {
      case 0 -> object.remove(key);
      case 1 -> object.set(one(keys), object.get(key));
      case 2 -> object.set(one(TEXTS), object.get(key));
      default -> object.set(key, value(object.get(key)));
    }
  }

  private void change(ArrayNode array) {
    int at = random.nextInt(array.size());
    switch (random.nextInt(6)) {
      case 0 -> array.remove(at);
      case 1 -> {
        JsonNode repeated = array.get(at);
        int bytes = Math.max(1, repeated.toString().length());
        for (int i = Math.min(1 << random.nextInt(14), MOST_BYTES / bytes); i > 0; i--) {
          array.insert(at, repeated);
        }
      }
      case 2 -> array.set(random.nextInt(array.size()), array.get(at));
      default -> array.set(at, value(array.get(at)));
    }
  }

  private JsonNode value(JsonNode old) {
    if (old.isNumber() && random.nextInt(3) == 0) {
      long near = old.asLong() + random.nextInt(-2, 3);
      return NODES.numberNode(random.nextBoolean() ? near : 2 * near);
    }
    return switch (random.nextInt(11)) {
      case 0 -> NODES.nullNode();
      case 1 -> NODES.booleanNode(random.nextBoolean());
      case 2 -> NODES.textNode(one(TEXTS));
      case 3 -> NODES.arrayNode();
      case 4 -> NODES.objectNode();
      case 5 -> NODES.numberNode(one(FRACTIONS));
      case 6 -> NODES.numberNode(BigInteger.TEN.pow(random.nextInt(19, 500)));
      case 7 -> deep();
      case 8 -> NODES.arrayNode().add(old.deepCopy()).add(old.deepCopy());
      default -> NODES.numberNode(one(NUMBERS));
    };
  }

  /** Deeper than any parser of ours goes, yet not so deep that writing it fails here. */
  private JsonNode deep() {
    JsonNode node = NODES.numberNode(1);
    for (int depth = 1 << random.nextInt(2, 9); depth > 0; depth--) {
      node =
          random.nextBoolean() ? NODES.arrayNode().add(node) : NODES.objectNode().set("type", node);
    }
    return node;
  }

  private <T> T one(List<T> choices) {
    return choices.get(random.nextInt(choices.size()));
  }
}
