package org.lanewise.node;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.StreamSupport;
import org.lanewise.node.Http.Response;

/** The requests of the integration tests and what they look for in the answers. */
final class Requests {
  private static final ObjectMapper JSON = new ObjectMapper();

  private Requests() {}

  /** Returns the body that asks for the vector of a text. */
  static String input(String text) {
    return JSON.createObjectNode().put("input", text).toString();
  }

  /** Returns a document with one text field. */
  static ObjectNode body(String text) {
    return JSON.createObjectNode().put("body", text);
  }

  /** Sends documents by id through a pipeline and returns the items of the answer, in order. */
  static List<JsonNode> bulk(
      Http http, String index, String pipeline, Map<String, ObjectNode> documents) {
    StringBuilder lines = new StringBuilder();
    documents.forEach(
        (id, document) -> {
          ObjectNode action = JSON.createObjectNode();
          action.putObject("index").put("_index", index).put("_id", id);
          lines.append(action).append('\n').append(document).append('\n');
        });
    JsonNode answer =
        http.postLines("/_bulk?refresh=true&pipeline=" + pipeline, lines.toString())
            .orThrow()
            .json();
    return StreamSupport.stream(answer.path("items").spliterator(), false)
        .map(item -> item.path("index"))
        .toList();
  }

  /** Requires that all items of a bulk were indexed. */
  static void assertIndexed(List<JsonNode> items) {
    for (JsonNode item : items) {
      assertTrue(item.path("error").isMissingNode(), item::toPrettyString);
    }
  }

  /** Requires an error with that status whose reason has all these parts. */
  static void assertError(int status, Response response, String... parts) {
    assertEquals(status, response.status(), response::text);
    assertReason(response.json().path("error").path("root_cause").path(0), parts);
  }

  /** Requires an error with that status, of one item of a bulk. */
  static void assertItemError(int status, JsonNode item, String... parts) {
    assertEquals(status, item.path("status").asInt(), item::toPrettyString);
    assertReason(item.path("error"), parts);
  }

  private static void assertReason(JsonNode error, String... parts) {
    for (String part : parts) {
      assertTrue(
          error.path("reason").asText().contains(part),
          () -> "expected [" + part + "] in " + error.toPrettyString());
    }
  }

  /** Requires the same numbers in a JSON array, to the bit. */
  static void assertVector(float[] expected, JsonNode array) {
    assertArrayEquals(expected, vector(array));
  }

  static float[] vector(JsonNode array) {
    float[] vector = new float[array.size()];
    for (int i = 0; i < vector.length; i++) {
      vector[i] = array.get(i).floatValue();
    }
    return vector;
  }

  /** Returns the ids of the hits, best first. */
  static List<String> ids(JsonNode answer) {
    List<String> ids = new ArrayList<>();
    answer.path("hits").path("hits").forEach(hit -> ids.add(hit.path("_id").asText()));
    return ids;
  }

  /** Returns the scores of the hits by id. */
  static Map<String, Double> scores(JsonNode answer) {
    Map<String, Double> scores = new TreeMap<>();
    answer
        .path("hits")
        .path("hits")
        .forEach(hit -> scores.put(hit.path("_id").asText(), hit.path("_score").asDouble()));
    return scores;
  }
}
