package org.lanewise.plugin.ingest;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.elasticsearch.ingest.IngestDocument;
import org.lanewise.plugin.encode.EncodeRequest;

/**
 * The texts of one document and the places of their answers: vectors, or tags. What a field may
 * hold:
 *
 * <ul>
 *   <li>text: its answer is written, over whatever was there;
 *   <li>an array of texts: their answers are written;
 *   <li>empty text, nothing but blanks or invisible characters: no answer, as it means nothing; one
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
  private final List<FieldPair> origins = new ArrayList<>();
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

  /** Returns the fields that each of {@link #texts()} was read for. */
  List<FieldPair> origins() {
    return origins;
  }

  /** Puts the answers, one for each of {@link #texts()}, into the document. */
  <R> void write(List<R> answers, Rendering<R> rendering) {
    for (Slot slot : slots) {
      int first = slot.first;
      int end = first + slot.field.texts.size();
      if (first == end) {
        slot.target.remove();
      } else {
        slot.target.set(rendering.render(slot.field, answers.subList(first, end)));
      }
    }
  }

  /**
   * The texts of one field.
   *
   * @param pair where they were read, and where what is made of them goes
   * @param texts those that say something, at least one
   * @param elements the place of each in the field's array
   * @param array whether the field holds an array
   */
  record Field(FieldPair pair, List<String> texts, List<Integer> elements, boolean array) {}

  /** What is written for a field. */
  interface Rendering<R> {
    /** Returns a new value; lists and maps in it may change later. */
    Object render(Field field, List<R> answers);
  }

  private void readField(FieldPair field) {
    if (document.hasField(field.input())) {
      readValue(
          field,
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
      readValue(field, object.get(name), new ElementTarget(element, from, field.output()));
    } else if (!ignoreMissing) {
      throw new IllegalArgumentException(
          "field [" + name + "] not present as part of path [" + field.input() + "]");
    }
  }

  private static Object child(Object parent, String name) {
    return parent instanceof Map<?, ?> object ? object.get(name) : null;
  }

  private void readValue(FieldPair pair, Object value, Target target) {
    int first = texts.size();
    List<Integer> elements = new ArrayList<>();
    List<?> values = value instanceof List<?> several ? several : Collections.singletonList(value);
    for (int i = 0; i < values.size(); i++) {
      if (addText(pair.input(), values.get(i))) {
        elements.add(i);
        origins.add(pair);
      }
    }
    if (value == null) {
      return;
    }
    List<String> added = List.copyOf(texts.subList(first, texts.size()));
    slots.add(new Slot(first, new Field(pair, added, elements, value instanceof List<?>), target));
  }

  /** Returns whether there is anything to read. */
  private boolean addText(String path, Object value) {
    return switch (value) {
      case null -> {
        if (!ignoreMissing) {
          throw new IllegalArgumentException(
              "input field [" + path + "] cannot be processed because it is null");
        }
        yield false;
      }
      case String text -> {
        boolean hasText = EncodeRequest.hasText(text);
        if (hasText) {
          texts.add(text);
        }
        yield hasText;
      }
      default ->
          throw new IllegalArgumentException(
              "input field [" + path + "] cannot be processed because it is not a text field");
    };
  }

  /** Where the answers of a field go, which begin at {@code first} among all. */
  private record Slot(int first, Field field, Target target) {}

  /** The place of an answer. */
  private sealed interface Target {
    void set(Object value);

    void remove();
  }

  private record DocumentTarget(IngestDocument document, String path) implements Target {
    @Override
    public void set(Object value) {
      document.setFieldValue(path, value);
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
    public void set(Object value) {
      Map<String, Object> parent = object(element);
      int start = from;
      for (int dot = path.indexOf('.', start); dot >= 0; dot = path.indexOf('.', start)) {
        parent = object(parent.computeIfAbsent(path.substring(start, dot), k -> new HashMap<>()));
        start = dot + 1;
      }
      parent.put(path.substring(start), value);
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
