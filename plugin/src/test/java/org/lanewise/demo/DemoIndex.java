package org.lanewise.demo;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import org.lanewise.node.Http;
import org.lanewise.node.NodeException;

/** The requests of the demo, as anyone would send them. */
final class DemoIndex {
  static final String MODEL = "lanewise-mini-en";

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int BULK = 50;

  private static final String PIPELINE =
      """
      {"processors": [
        {"lanewise_embed": {"field": "body"}},
        {"lanewise_tag": {
          "model_id": "ner-en", "field": "body", "target_field": "names",
          "threshold": 0.5, "keywords": true}},
        {"lanewise_tag": {"model_id": "language", "field": "body", "target_field": "language"}}
      ]}
      """;

  private static final String MAPPING =
      """
      {
        "settings": {"number_of_shards": 1, "number_of_replicas": 0},
        "mappings": {
          "dynamic_templates": [
            {"tags": {"path_match": "*.keywords.*", "mapping": {"type": "keyword"}}}
          ],
          "properties": {
            "topic": {"type": "keyword"},
            "body": {"type": "text"},
            "body_vector": {"type": "dense_vector", "dims": 256, "similarity": "cosine"},
            "language": {"properties": {"predicted_value": {"type": "keyword"}}}
          }
        }
      }
      """;

  private final Http http;

  DemoIndex(Http http) {
    this.http = http;
  }

  /** A document found: its id, score and text. */
  record Hit(String id, double score, String body) {}

  static List<JsonNode> read(String resource) {
    try (InputStream in = DemoIndex.class.getResourceAsStream("/demo/" + resource)) {
      String lines = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      List<JsonNode> objects = new ArrayList<>();
      for (String line : lines.lines().toList()) {
        objects.add(JSON.readTree(line));
      }
      return objects;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  void create() {
    http.put("/_ingest/pipeline/demo", PIPELINE).orThrow();
    http.put("/demo", MAPPING).orThrow();
  }

  /** Indexes the documents in bulks, telling after each how many are in. */
  void index(List<JsonNode> documents, IntConsumer progress) {
    for (int start = 0; start < documents.size(); start += BULK) {
      List<JsonNode> some = documents.subList(start, Math.min(documents.size(), start + BULK));
      StringBuilder lines = new StringBuilder();
      for (JsonNode document : some) {
        lines.append(json("index", JSON.createObjectNode().put("_id", id(document)))).append('\n');
        lines
            .append(
                JSON.createObjectNode()
                    .put("topic", document.path("topic").asText())
                    .put("body", document.path("text").asText()))
            .append('\n');
      }
      JsonNode answer =
          http.postLines("/demo/_bulk?pipeline=demo&refresh=true", lines.toString())
              .orThrow()
              .json();
      if (answer.path("errors").asBoolean()) {
        throw new NodeException("a document was not indexed: " + answer.findValue("error"));
      }
      progress.accept(start + some.size());
    }
  }

  /** Returns the nearest documents by meaning. */
  List<Hit> byMeaning(String question, int size) {
    JsonNode builder =
        json(
            "lanewise", JSON.createObjectNode().put("model_id", MODEL).put("model_text", question));
    JsonNode knn =
        JSON.createObjectNode()
            .put("field", "body_vector")
            .put("k", size)
            .put("num_candidates", 100)
            .set("query_vector_builder", builder);
    return search(JSON.createObjectNode().put("size", size).set("knn", knn));
  }

  /** Returns the best documents of a plain keyword match. */
  List<Hit> byKeyword(String question, int size) {
    JsonNode query = json("match", JSON.createObjectNode().put("body", question));
    return search(JSON.createObjectNode().put("size", size).set("query", query));
  }

  /** Returns the most frequent values of a field with the number of documents that have each. */
  Map<String, Integer> counts(String field, int size) {
    JsonNode terms = json("terms", JSON.createObjectNode().put("field", field).put("size", size));
    JsonNode request = JSON.createObjectNode().put("size", 0).set("aggs", json("values", terms));
    JsonNode answer = http.post("/demo/_search", request.toString()).orThrow().json();
    Map<String, Integer> counts = new LinkedHashMap<>();
    for (JsonNode bucket : answer.at("/aggregations/values/buckets")) {
      counts.put(bucket.path("key").asText(), bucket.path("doc_count").asInt());
    }
    return counts;
  }

  private List<Hit> search(JsonNode request) {
    JsonNode answer = http.post("/demo/_search", request.toString()).orThrow().json();
    List<Hit> hits = new ArrayList<>();
    for (JsonNode hit : answer.path("hits").path("hits")) {
      hits.add(
          new Hit(
              hit.path("_id").asText(),
              hit.path("_score").asDouble(),
              hit.path("_source").path("body").asText()));
    }
    return hits;
  }

  private static String id(JsonNode document) {
    return document.path("id").asText();
  }

  private static JsonNode json(String name, JsonNode value) {
    return JSON.createObjectNode().set(name, value);
  }
}
