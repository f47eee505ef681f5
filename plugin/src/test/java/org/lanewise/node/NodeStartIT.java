package org.lanewise.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.lanewise.node.Requests.assertIndexed;
import static org.lanewise.node.Requests.body;
import static org.lanewise.node.Requests.bulk;
import static org.lanewise.node.Requests.ids;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Nodes that start with less than they should have, and nodes that had better not start. */
final class NodeStartIT {
  private static final String FLAG = "--add-modules=jdk.incubator.vector";

  private static NodeHome home;

  @BeforeAll
  static void assemble() {
    home = NodeHome.assemble("node-start");
  }

  @AfterAll
  static void close() {
    home.close();
  }

  @Test
  void withoutTheVectorApiItWarnsAndWorks() {
    try (ElasticsearchNode node =
        ElasticsearchNode.start(home, NodeOptions.defaults().withoutVectorModule())) {
      String warning =
          node.log()
              .lines()
              .filter(line -> line.contains("WARN") && line.contains("Vector API"))
              .filter(line -> line.contains("LanewisePlugin"))
              .findFirst()
              .orElseThrow(() -> new AssertionError(node.log()));
      assertTrue(warning.contains("many times slower"), warning);
      assertTrue(warning.contains(FLAG + " to config/jvm.options.d/lanewise.options"), warning);

      Http http = node.http();
      http.put(
              "/_ingest/pipeline/embed",
              "{\"processors\": [{\"lanewise_embed\": {\"field\": \"body\"}}]}")
          .orThrow();
      http.put(
              "/texts",
              """
              {"mappings": {"properties": {"body_vector":
                {"type": "dense_vector", "dims": 256, "similarity": "cosine"}}}}
              """)
          .orThrow();
      assertIndexed(
          bulk(
              http,
              "texts",
              "embed",
              Map.of(
                  "yeast", body("Yeast eats sugar and gives off the gas that makes dough rise."),
                  "rust", body("Iron turns to rust where water and air meet it."))));
      JsonNode answer =
          http.post(
                  "/texts/_search",
                  """
                  {"knn": {"field": "body_vector", "k": 1, "num_candidates": 10,
                    "query_vector_builder": {"lanewise": {"model_text": "why does dough rise?"}}}}
                  """)
              .orThrow()
              .json();
      assertEquals("yeast", ids(answer).getFirst());
      JsonNode stats =
          http.get("/_lanewise/stats").orThrow().json().path("nodes").iterator().next();
      JsonNode model = stats.path("models").path("lanewise-mini-en");
      assertEquals("scalar", model.path("backend").asText());
      assertEquals("fp32", model.path("precision").asText());
      assertEquals(3, model.path("texts").asInt());
      assertFalse(stats.path("vector_api").asBoolean(true));
      JsonNode health =
          http.get("/_health_report/lanewise").orThrow().json().at("/indicators/lanewise");
      assertEquals("yellow", health.path("status").asText(), health::toPrettyString);
      assertTrue(health.at("/diagnosis/0/action").asText().contains(FLAG));
    }
  }

  @ParameterizedTest
  @CsvSource("lanewise.backend, cuda, backend [cuda] cannot start because")
  void whatCannotRunKeepsTheNodeFromStarting(String setting, String value, String reason)
      throws IOException {
    NodeOptions options = NodeOptions.defaults().withSetting(setting, value);
    NodeException e =
        assertThrows(NodeException.class, () -> ElasticsearchNode.start(home, options).close());
    assertTrue(e.getMessage().startsWith("The node ended"), e::getMessage);
    String log = Files.readString(home.log());
    assertTrue(log.contains(reason), log);
    assertTrue(log.contains("[" + setting + "]"), log);
    assertTrue(log.contains("[" + value + "]"), log);
  }
}
