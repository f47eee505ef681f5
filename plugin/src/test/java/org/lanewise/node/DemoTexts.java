package org.lanewise.node;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
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
