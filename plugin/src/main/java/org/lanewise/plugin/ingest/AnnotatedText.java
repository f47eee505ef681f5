package org.lanewise.plugin.ingest;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Pattern;
import org.lanewise.encoder.TextTagger.Entity;

/**
 * Renders entities in the syntax of Elasticsearch's {@code annotated_text} field, {@code [Ada
 * Lovelace](PER&Ada+Lovelace)}, such that the field reads the text back as it was: annotations are
 * percent-encoded, and what only looks like one is split by an empty one, which the field drops.
 */
final class AnnotatedText {
  /** What the field takes for an annotation, wherever it stands. */
  private static final Pattern ANNOTATION = Pattern.compile("\\[([^\\]\\[]*)\\]\\(([^)(]*)\\)");

  private AnnotatedText() {}

  /** Returns the text with its entities, which are in its order and do not overlap. */
  static String render(String text, List<Entity> entities) {
    StringBuilder result = new StringBuilder();
    int end = 0;
    for (Entity entity : entities) {
      int start = entity.start();
      // An annotated piece cannot hold brackets: such an entity is annotated at its longest piece.
      String piece = "";
      for (String each : entity.text().split("[\\[\\]]", -1)) {
        piece = each.length() > piece.length() ? each : piece;
      }
      if (piece.isBlank()) {
        continue;
      }
      start += entity.text().indexOf(piece);
      result.append(plain(text.substring(end, start)));
      result.append('[').append(piece).append("](").append(encoded(entity.label()));
      result.append('&').append(encoded(entity.text())).append(')');
      end = start + piece.length();
    }
    return result.append(plain(text.substring(end))).toString();
  }

  private static String plain(String text) {
    return ANNOTATION.matcher(text).replaceAll("[$1][]()($2)");
  }

  private static String encoded(String value) {
    return URLEncoder.encode(value, StandardCharsets.UTF_8);
  }
}
