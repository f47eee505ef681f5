package org.lanewise.plugin.search;

import java.util.List;
import java.util.StringJoiner;

/** What a model reads of the field of a hit. */
final class FieldText {
  private FieldText() {}

  /**
   * Returns the values as one text, a line for each; empty where there are none.
   *
   * @throws IllegalArgumentException if a value is neither text nor number nor boolean
   */
  static String of(String field, List<Object> values) {
    StringJoiner text = new StringJoiner("\n");
    values.forEach(value -> text.add(of(field, value)));
    return text.toString();
  }

  /** Returns one value as a text. */
  static String of(String field, Object value) {
    if (value instanceof CharSequence || value instanceof Number || value instanceof Boolean) {
      return value.toString();
    }
    throw new IllegalArgumentException(
        "[field] is ["
            + field
            + "], which holds a ["
            + value.getClass().getSimpleName()
            + "], expected text");
  }
}
