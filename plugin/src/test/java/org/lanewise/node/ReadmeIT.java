package org.lanewise.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.lanewise.plugin.TinyModels;

/**
 * Every curl command of the README, in its order, on a real node; the tagger that the reader trains
 * is one whose answers are known.
 */
final class ReadmeIT {
  private static final Path README = Path.of("..", "README.md");
  private static final int REQUESTS = 21;

  /**
   * A block of one curl command: method, path, content type and body, all but the path optional.
   */
  private static final Pattern CURL =
      Pattern.compile(
          "```bash\\ncurl (?:-X (\\w+) )?'localhost:9200(/[^']*)'"
              + "(?: -H 'Content-Type: ([^']+)' (?:-d|--data-binary) '([^']*)')?\\n```");

  @Test
  void everyRequestIsAnswered() throws IOException {
    String readme = Files.readString(README);
    assertEquals(
        REQUESTS,
        Pattern.compile("```bash").matcher(readme).results().count(),
        "blocks of the README");
    List<JsonNode> searches = new ArrayList<>();
    List<JsonNode> documents = new ArrayList<>();
    int requests = 0;
    try (NodeHome home = NodeHome.assemble("readme")) {
      TinyModels.names(home.config().resolve("lanewise").resolve("models").resolve("my-tagger"));
      try (ElasticsearchNode node = ElasticsearchNode.start(home, NodeOptions.defaults())) {
        Matcher curl = CURL.matcher(readme);
        while (curl.find()) {
          requests++;
          JsonNode answer = send(node.http(), curl).orThrow().json();
          assertTrue(!answer.path("errors").asBoolean(false), answer::toString);
          if (curl.group(2).contains("_search")) {
            searches.add(answer);
          }
          if (answer.has("_source")) {
            documents.add(answer.get("_source"));
          }
        }
      }
    }
    assertEquals(REQUESTS, requests, "requests that could be read");
    List<String> best =
        searches.stream()
            .filter(answer -> answer.at("/hits/hits/0/_source").has("body"))
            .map(answer -> answer.at("/hits/hits/0/_source/body").asText())
            .map(body -> body.substring(0, body.indexOf(' ')))
            .toList();
    assertEquals(List.of("Hypertension", "Solar", "Hypertension", "Solar"), best);
    JsonNode passage =
        searches.stream()
            .map(answer -> answer.at("/hits/hits/0/inner_hits/passages/hits/hits/0/_source"))
            .filter(JsonNode::isObject)
            .findFirst()
            .orElseThrow();
    assertTrue(passage.path("text").asText().contains("Yeast eats"), passage::toString);
    assertTrue(readme.contains(passage.path("text").asText()), passage::toString);
    assertTrue(readme.contains("\"start_pos\": " + passage.path("start_pos")), passage::toString);
    assertTrue(readme.contains("\"end_pos\": " + passage.path("end_pos")), passage::toString);
    JsonNode explained = searches.get(4).at("/hits/hits/0/_explanation/details/1/description");
    assertTrue(explained.asText().startsWith("2.0 * ("), explained::toString);
    assertTrue(explained.asText().endsWith("of retriever 2 [knn]"), explained::toString);
    JsonNode places = searches.getLast().at("/aggregations/places/buckets");
    assertEquals("London", places.at("/0/key").asText(), places::toString);
    assertEquals(2, places.at("/0/doc_count").asInt(), places::toString);
    assertEquals(1, documents.size());
    JsonNode entity = documents.getFirst().at("/tags/entities/0");
    assertEquals("Ada Lovelace", entity.path("entity").asText(), documents::toString);
    assertEquals("PER", entity.path("class_name").asText(), documents::toString);
  }

  private static Http.Response send(Http http, Matcher curl) {
    String path = curl.group(2);
    if (curl.group(1) == null) {
      return http.get(path);
    }
    if (curl.group(1).equals("PUT")) {
      return http.put(path, curl.group(4));
    }
    return curl.group(3).equals("application/json")
        ? http.post(path, curl.group(4))
        : http.postLines(path, curl.group(4).stripLeading());
  }
}
