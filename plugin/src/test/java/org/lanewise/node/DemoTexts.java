package org.lanewise.node;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import java.util.stream.Stream;

/** The texts and questions of the demo, for programs that need many. */
final class DemoTexts {
  private static final ObjectMapper JSON = new ObjectMapper();

  private DemoTexts() {}

  /** Returns its documents, a sentence or two each. */
  static List<String> texts() {
    return Stream.of("documents.jsonl", "knowledge.jsonl")
        .flatMap(resource -> read(resource, "text"))
        .toList();
  }

  /**
   * Returns texts without end by their numbers, no two the same: its documents, and of each hundred
   * a long one, one in other scripts, one of a single long word and one of a short one.
   */
  static IntFunction<String> mix() {
    List<String> texts = texts();
    String longText = String.join(" ", texts.subList(0, 60));
    return number ->
        switch (number % 100) {
          case 13 -> longText + " " + number;
          case 31 -> "\ud83e\udd8a \u72d0\u72f8 \u0644\u0633\u0627 " + number;
          case 47 -> "x".repeat(5000) + number;
          case 71 -> "word " + number;
          default -> texts.get(number % texts.size()) + " " + number;
        };
  }

  /** Returns its questions. */
  static List<String> questions() {
    return Stream.of("questions.jsonl", "questions-no-word-in-common.jsonl")
        .flatMap(resource -> read(resource, "question"))
        .toList();
  }

  private static Stream<String> read(String resource, String field) {
    try (InputStream in = DemoTexts.class.getResourceAsStream("/demo/" + resource)) {
      List<String> values = new ArrayList<>();
      for (String line : new String(in.readAllBytes(), StandardCharsets.UTF_8).lines().toList()) {
        values.add(JSON.readTree(line).path(field).asText());
      }
      return values.stream();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
