package org.lanewise.plugin.ingest;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.elasticsearch.ingest.IngestDocument;
import org.lanewise.encoder.Embedding;
import org.lanewise.plugin.encode.EncodeRequest;

/**
 * The texts of one document and the places of their vectors. What a field may hold:
 *
 * <ul>
 *   <li>text: its vector is written, over whatever was there;
 *   <li>an array of texts: the array of their vectors is written;
 *   <li>empty text, nothing but blanks or invisible characters: no vector, as it means nothing; one
 *       from an earlier text is removed, and in an array it is left out;
 *   <li>nothing, because the field is missing or null: an error, or left as it is with {@code
 *       ignore_missing};
 *   <li>anything else: an error.
 * </ul>
 *
 * <p>A path that leads through an array of objects means each of these objects, and the output must
 * lie in the same objects.
 */
final class DocumentTexts {
  private final IngestDocument document;
  private final boolean ignoreMissing;
  private final List<String> texts = new ArrayList<>();
  private final List<Slot> slots = new ArrayList<>();

  /** Returns the texts of the fields, or throws an {@code IllegalArgumentException}. */
  static DocumentTexts read(
      IngestDocument document, List<FieldPair> fields, boolean ignoreMissing) {
    DocumentTexts result = new DocumentTexts(document, ignoreMissing);
    fields.forEach(result::readField);
    return result;
  }

  private DocumentTexts(IngestDocument document, boolean ignoreMissing) {
    this.document = document;
    this.ignoreMissing = ignoreMissing;
  }

  /** Returns the texts to encode, perhaps none. */
  List<String> texts() {
    return texts;
  }

  /** Puts the vectors, one for each of {@link #texts()}, into the document. */
  void write(List<Embedding> embeddings) {
    for (Slot slot : slots) {
      List<List<Float>> vectors =
          embeddings.subList(slot.first, slot.first + slot.count).stream()
              .map(embedding -> toList(embedding.vector()))
              .toList();
      if (vectors.isEmpty()) {
        slot.target.remove();
      } else if (slot.array) {
        slot.target.set(new ArrayList<>(vectors));
      } else {
        slot.target.set(vectors.getFirst());
      }
    }
  }

  private static List<Float> toList(float[] vector) {
    List<Float> list = new ArrayList<>(vector.length);
    for (float value : vector) {
      list.add(value);
    }
    return list;
  }

  private void readField(FieldPair field) {
    if (document.hasField(field.input())) {
      readValue(
          field.input(),
          document.getFieldValue(field.input(), Object.class),
          new DocumentTarget(document, field.output()));
      return;
    }
    for (int dot = field.input().indexOf('.');
        dot >= 0;
        dot = field.input().indexOf('.', dot + 1)) {
      String parent = field.input().substring(0, dot);
      if (document.hasField(parent)
          && document.getFieldValue(parent, Object.class) instanceof List<?> elements) {
        readElements(elements, dot, field);
        return;
      }
    }
    if (!ignoreMissing) {
      // Throws, in Elasticsearch's own words.
      document.getFieldValue(field.input(), Object.class);
    }
  }

  /** Reads each object of an array; {@code dot} is where the array's own path ends. */
  private void readElements(List<?> elements, int dot, FieldPair field) {
    String parent = field.input().substring(0, dot + 1);
    if (!field.output().startsWith(parent)) {
      throw new IllegalArgumentException(
          "output field ["
              + field.output()
              + "] must lie in ["
              + field.input().substring(0, dot)
              + "] as input field ["
              + field.input()
              + "] does, because that is an array of objects in this document");
    }
    for (Object element : elements) {
      readElement(element, dot + 1, field);
    }
  }

  /** Reads below one object of an array; both paths are the same up to {@code from}. */
  private void readElement(Object element, int from, FieldPair field) {
    Object current = element;
    int start = from;
    for (int dot = field.input().indexOf('.', start);
        dot >= 0;
        dot = field.input().indexOf('.', start)) {
      current = child(current, field.input().substring(start, dot));
      if (current instanceof List<?> elements) {
        readElements(elements, dot, field);
        return;
      }
      start = dot + 1;
    }
    String name = field.input().substring(start);
    if (current instanceof Map<?, ?> object && object.containsKey(name)) {
      readValue(field.input(), object.get(name), new ElementTarget(element, from, field.output()));
    } else if (!ignoreMissing) {
      throw new IllegalArgumentException(
          "field [" + name + "] not present as part of path [" + field.input() + "]");
    }
  }

  private static Object child(Object parent, String name) {
    return parent instanceof Map<?, ?> object ? object.get(name) : null;
  }

  private void readValue(String path, Object value, Target target) {
    int first = texts.size();
    switch (value) {
      case null -> {
        addText(path, null);
        return;
      }
      case List<?> values -> values.forEach(element -> addText(path, element));
      default -> addText(path, value);
    }
    slots.add(new Slot(first, texts.size() - first, value instanceof List<?>, target));
  }

  private void addText(String path, Object value) {
    switch (value) {
      case null -> {
        if (!ignoreMissing) {
          throw new IllegalArgumentException(
              "input field [" + path + "] cannot be processed because it is null");
        }
      }
      case String text -> {
        if (EncodeRequest.hasText(text)) {
          texts.add(text);
        }
      }
      default ->
          throw new IllegalArgumentException(
              "input field [" + path + "] cannot be processed because it is not a text field");
    }
  }

  /** Where the vectors of the texts {@code first} to {@code first + count} go. */
  private record Slot(int first, int count, boolean array, Target target) {}

  /** The place of a vector. */
  private sealed interface Target {
    void set(Object vector);

    void remove();
  }

  private record DocumentTarget(IngestDocument document, String path) implements Target {
    @Override
    public void set(Object vector) {
      document.setFieldValue(path, vector);
    }

    @Override
    public void remove() {
      if (document.hasField(path)) {
        document.removeField(path);
      }
    }
  }

  /** A path inside an object of an array, beginning at {@code from}. */
  private record ElementTarget(Object element, int from, String path) implements Target {
    @Override
    public void set(Object vector) {
      Map<String, Object> parent = object(element);
      int start = from;
      for (int dot = path.indexOf('.', start); dot >= 0; dot = path.indexOf('.', start)) {
        parent = object(parent.computeIfAbsent(path.substring(start, dot), k -> new HashMap<>()));
        start = dot + 1;
      }
      parent.put(path.substring(start), vector);
    }

    @Override
    public void remove() {
      Object parent = element;
      int start = from;
      for (int dot = path.indexOf('.', start); dot >= 0; dot = path.indexOf('.', start)) {
        parent = child(parent, path.substring(start, dot));
        start = dot + 1;
      }
      if (parent instanceof Map<?, ?> object) {
        object.remove(path.substring(start));
      }
    }

    @SuppressWarnings("unchecked") // keys of a parsed document are strings
    private Map<String, Object> object(Object value) {
      if (value instanceof Map<?, ?> object) {
        return (Map<String, Object>) object;
      }
      throw new IllegalArgumentException(
          "output field [" + path + "] leads through a value that is not an object");
    }
  }
}
