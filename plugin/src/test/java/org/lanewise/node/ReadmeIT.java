package org.lanewise.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.lanewise.plugin.HeadModels;
import org.lanewise.plugin.TinyModels;

/**
 * Every curl command of the README, in its order, on a real node; the tagger that the reader trains
 * is one whose answers are known, and the models that the reader copies are tiny ones.
 */
final class ReadmeIT {
  private static final Path README = Path.of("..", "README.md");
  private static final int REQUESTS = 41;

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
    Map<String, JsonNode> searches = new LinkedHashMap<>();
    List<JsonNode> documents = new ArrayList<>();
    Map<String, JsonNode> answers = new HashMap<>();
    int requests = 0;
    try (NodeHome home = NodeHome.assemble("readme")) {
      Path models = home.config().resolve("lanewise").resolve("models");
      TinyModels.names(models.resolve("my-tagger"));
      putHead(HeadModels.RERANKER, models.resolve("my-reranker"));
      putHead(HeadModels.ANSWERER, models.resolve("my-answerer"));
      HeadModels.copy(HeadModels.TAGGER, models.resolve("my-ner"));
      HeadModels.copy(HeadModels.CLASSIFIER, models.resolve("my-mood"));
      HeadModels.copy(HeadModels.TAGGER, models.resolve("my-vectors-and-names"));
      HeadModels.addPooling(models.resolve("my-vectors-and-names"), 24);
      HeadModels.copy(HeadModels.SPLADE, models.resolve("my-splade"));
      HeadModels.copy(HeadModels.COLBERT, models.resolve("my-colbert"));
      try (ElasticsearchNode node = ElasticsearchNode.start(home, NodeOptions.defaults())) {
        Matcher curl = CURL.matcher(readme);
        while (curl.find()) {
          requests++;
          JsonNode answer = send(node.http(), curl).orThrow().json();
          assertTrue(!answer.path("errors").asBoolean(false), answer::toString);
          if (curl.group(2).contains("_search")) {
            searches.put(curl.group(4), answer);
          }
          if (answer.has("docs")) {
            answers.put(
                curl.group(4).contains("lanewise_embed") ? "simulate embed" : "simulate tag",
                answer);
          }
          assertEquals(0, answer.at("/_nodes/failed").asInt(), answer::toString);
          if (curl.group(2).startsWith("/_lanewise/")) {
            answers.put(curl.group(2).split("[/?]", -1)[2], answer);
          }
          if (answer.has("_source")) {
            documents.add(answer.get("_source"));
          }
        }
      }
    }
    assertEquals(REQUESTS, requests, "requests that could be read");
    checkVectors(searches);
    checkPassage(searches, readme);
    checkHeads(searches, answers);
    JsonNode places = only(searches, "\"aggs\"").at("/aggregations/places/buckets");
    assertEquals("London", places.at("/0/key").asText(), places::toString);
    assertEquals(2, places.at("/0/doc_count").asInt(), places::toString);
    assertEquals(1, documents.size());
    JsonNode entity = documents.getFirst().at("/tags/entities/0");
    assertEquals("Ada Lovelace", entity.path("entity").asText(), documents::toString);
    assertEquals("PER", entity.path("class_name").asText(), documents::toString);
  }

  /** Returns the answer to the only search that says so. */
  private static JsonNode only(Map<String, JsonNode> searches, String fragment) {
    List<JsonNode> found =
        searches.entrySet().stream()
            .filter(search -> search.getKey().contains(fragment))
            .map(Map.Entry::getValue)
            .toList();
    assertEquals(1, found.size(), fragment);
    return found.getFirst();
  }

  private static void checkVectors(Map<String, JsonNode> searches) {
    Map<String, String> best =
        Map.of(
            "{ \"model_text\": \"what lowers high blood pressure?\" }", "Hypertension",
            "\"bool\"", "Solar",
            "\"lanewise_hybrid\": {\n      \"retrievers\"", "Hypertension",
            "\"weighted_sum\"", "Solar",
            "\"element_type\": \"bit\"", "Solar");
    best.forEach(
        (search, word) -> {
          JsonNode answer = only(searches, search);
          assertTrue(
              answer.at("/hits/hits/0/_source/body").asText().startsWith(word), answer::toString);
        });
    JsonNode explained =
        only(searches, "\"weighted_sum\"").at("/hits/hits/0/_explanation/details/1/description");
    assertTrue(explained.asText().startsWith("2.0 * ("), explained::toString);
    assertTrue(explained.asText().endsWith("of retriever 2 [knn]"), explained::toString);
  }

  private static void checkPassage(Map<String, JsonNode> searches, String readme) {
    JsonNode passage =
        only(searches, "\"inner_hits\"").at("/hits/hits/0/inner_hits/passages/hits/hits/0/_source");
    assertTrue(passage.path("text").asText().contains("Yeast eats"), passage::toString);
    assertTrue(readme.contains(passage.path("text").asText()), passage::toString);
    assertTrue(readme.contains("\"start_pos\": " + passage.path("start_pos")), passage::toString);
    assertTrue(readme.contains("\"end_pos\": " + passage.path("end_pos")), passage::toString);
  }

  /** The models have random weights, so that only the form of their answers is known. */
  private static void checkHeads(Map<String, JsonNode> searches, Map<String, JsonNode> answers) {
    checkOrder(only(searches, "\"lanewise_maxsim\""), 2);
    JsonNode sparse = answers.get("sparse").at("/sparse_embedding/0/embedding");
    assertEquals(5, sparse.size(), sparse::toString);
    checkOrder(only(searches, "\"lanewise_rerank\": {\n      \"retriever\""), 3);
    checkOrder(only(searches, "\"rescore_query_weight\""), 1);
    assertEquals(1, answers.get("rerank").path("rerank").size(), answers::toString);
    JsonNode tagged = answers.get("simulate tag").at("/docs/0/doc/_source");
    assertTrue(tagged.at("/names/entities").isArray(), tagged::toString);
    JsonNode both = answers.get("simulate embed").at("/docs/0/doc/_source");
    assertEquals(24, both.path("body_vector").size(), both::toString);
    assertEquals(tagged.at("/names/entities"), both.at("/names/entities"), both::toString);
    assertEquals(2, tagged.at("/mood/top_classes").size(), tagged::toString);
    JsonNode marked = only(searches, "\"lanewise_answer\"").at("/hits/hits/0");
    JsonNode told = marked.at("/fields/_lanewise_answer/0");
    assertTrue(
        marked.at("/highlight/body/0").asText().contains("<em>" + told.path("text").asText()),
        marked::toString);
    JsonNode found = answers.get("answer").at("/answers/0");
    assertTrue(found.path("end_pos").asInt() > found.path("start_pos").asInt(), found::toString);
  }

  private static void putHead(String name, Path directory) {
    HeadModels.copy(name, directory);
    HeadModels.lengthen(directory);
  }

  private static void checkOrder(JsonNode search, int expected) {
    JsonNode hits = search.at("/hits/hits");
    assertEquals(expected, hits.size(), search::toString);
    for (int i = 1; i < hits.size(); i++) {
      assertTrue(
          hits.get(i).path("_score").asDouble() <= hits.get(i - 1).path("_score").asDouble(),
          search::toString);
    }
  }

  private static Http.Response send(Http http, Matcher curl) {
    String path = curl.group(2);
    if (curl.group(1) == null) {
      return http.get(path);
    }
    if (curl.group(1).equals("PUT")) {
      return http.put(path, curl.group(4));
    }
    if (curl.group(3) == null) {
      return http.post(path, "");
    }
    return curl.group(3).equals("application/json")
        ? http.post(path, curl.group(4))
        : http.postLines(path, curl.group(4).stripLeading());
  }
}
