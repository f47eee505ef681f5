package org.lanewise.plugin.ingest;

import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.elasticsearch.test.ESTestCase;
import org.lanewise.encoder.TextTagger.Entity;

public class AnnotatedTextTests extends ESTestCase {
  /** Reads a rendering by the rules of the field: its text, then each annotation. */
  private static List<String> read(String rendered) {
    Matcher found = Pattern.compile("\\[([^]\\[]*)]\\(([^)(]*)\\)").matcher(rendered);
    StringBuilder text = new StringBuilder();
    List<String> annotations = new ArrayList<>();
    int last = 0;
    while (found.find()) {
      text.append(rendered, last, found.start()).append(found.group(1));
      last = found.end();
      for (String value : found.group(2).split("&", -1)) {
        assertFalse("the field refuses [" + value + "]", value.contains("="));
        if (!value.isEmpty()) {
          annotations.add(
              found.group(1) + " -> " + URLDecoder.decode(value, StandardCharsets.UTF_8));
        }
      }
    }
    annotations.addFirst(text.append(rendered.substring(last)).toString());
    return annotations;
  }

  private static Entity entity(String text, String piece, String label) {
    int start = text.indexOf(piece);
    assertTrue(start >= 0);
    return new Entity(piece, label, 1, start, start + piece.length());
  }

  private static String render(String text, String... piecesAndLabels) {
    List<Entity> entities = new ArrayList<>();
    for (int i = 0; i < piecesAndLabels.length; i += 2) {
      entities.add(entity(text, piecesAndLabels[i], piecesAndLabels[i + 1]));
    }
    return AnnotatedText.render(text, entities);
  }

  public void testEntities() {
    assertEquals(
        "[Ada Lovelace](PER&Ada+Lovelace) met [Babbage](PER&Babbage).",
        render("Ada Lovelace met Babbage.", "Ada Lovelace", "PER", "Babbage", "PER"));
    assertEquals("no entity", render("no entity"));
    assertEquals("", render(""));
  }

  public void testEncoding() {
    String text = "AT&T (=100% \u00d8rsted+Co) \ud83d\ude00";
    String rendered = render(text, "AT&T", "R&D=(x)", "100% \u00d8rsted+Co", "ORG");
    assertEquals(
        List.of(
            text,
            "AT&T -> R&D=(x)",
            "AT&T -> AT&T",
            "100% \u00d8rsted+Co -> ORG",
            "100% \u00d8rsted+Co -> 100% \u00d8rsted+Co"),
        read(rendered));
  }

  public void testWhatOnlyLooksLikeAnAnnotation() {
    for (String text :
        List.of(
            "[a](b)",
            "[a](b=c) Ada",
            "see [Ada](http://x?y=z) Ada",
            "[[a](b)](c) [](d) []() Ada",
            "[a]",
            "](b) Ada [a",
            "[x](y) [z](w=v)")) {
      assertEquals(List.of(text), read(render(text)));
      if (text.contains("Ada")) {
        assertEquals(List.of(text, "Ada -> PER", "Ada -> Ada"), read(render(text, "Ada", "PER")));
      }
    }
  }

  public void testEntityWithBrackets() {
    String text = "the Foo [Bar](x) band";
    assertEquals(
        List.of(text, "Foo  -> ORG", "Foo  -> Foo [Bar]"), read(render(text, "Foo [Bar]", "ORG")));
    String only = "in [] there";
    assertEquals(List.of(only), read(render(only, "[]", "ORG")));
  }
}
