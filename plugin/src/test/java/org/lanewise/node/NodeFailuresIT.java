package org.lanewise.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.lanewise.node.Requests.assertError;
import static org.lanewise.node.Requests.assertVector;
import static org.lanewise.node.Requests.body;
import static org.lanewise.node.Requests.bulk;
import static org.lanewise.node.Requests.input;
import static org.lanewise.node.Requests.vector;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.lanewise.plugin.TinyModels;

/** A node under load, and what becomes of it when files, texts and its process go bad. */
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
final class NodeFailuresIT {
  private static final Duration LOAD = Duration.ofSeconds(3);
  private static final Duration BEFORE_KILL = Duration.ofSeconds(2);

  /** Far more than a text has that anybody waits for, less than an HTTP request may have. */
  private static final int HUGE = 8_000_000;

  private static NodeHome home;
  private static ElasticsearchNode node;
  private static Load load;

  @BeforeAll
  static void start() throws IOException {
    home = NodeHome.assemble("node-failures");
    Path models = home.config().resolve("lanewise/models");
    for (String name : List.of("fine", "headless", "cut", "wordless")) {
      TinyModels.names(models.resolve(name));
    }
    Path headless = models.resolve("headless/model.safetensors");
    try (var file = Files.newByteChannel(headless, StandardOpenOption.WRITE)) {
      file.write(ByteBuffer.wrap(new byte[] {-1, -1, -1, -1, -1, -1, -1, 127}));
    }
    Path cut = models.resolve("cut/model.safetensors");
    byte[] whole = Files.readAllBytes(cut);
    Files.write(cut, Arrays.copyOf(whole, whole.length - 5));
    Files.writeString(models.resolve("wordless/config.json"), "{\"model_type\": ");
    node = ElasticsearchNode.start(home, NodeOptions.defaults());
    load = new Load(node);
  }

  @AfterAll
  static void stop() {
    node.close();
    home.close();
  }

  private static JsonNode model(String id) {
    return node.http().get("/_lanewise/models/" + id).orThrow().json().at("/models/0");
  }

  private static JsonNode health() {
    return node.http().get("/_health_report/lanewise").orThrow().json().at("/indicators/lanewise");
  }

  @Test
  @Order(1)
  void everyDocumentUnderLoadIsIndexedOrRefused() {
    assertEquals("green", health().path("status").asText(), () -> health().toPrettyString());
    load.run(LOAD);
    String found = load.check();
    assertTrue(found.endsWith("; 0 unanswered"), found);
    assertTrue(load.acknowledged() > 100, found);
    assertEquals(2 * (load.acknowledged() + load.refused()) / 100, load.refused(), found);
    assertEquals(Map.of(), load.failedSearches());
    String figures = load.figures();
    assertTrue(figures.contains("[400] illegal_argument_exception="), figures);
    assertEquals(8, figures.lines().count(), figures);
  }

  @Test
  @Order(2)
  void damagedFilesAreRefusedAndOtherModelsGoOn() {
    for (String id : List.of("headless", "cut", "wordless")) {
      JsonNode found = model(id);
      assertEquals("failed", found.path("state").asText(), found::toPrettyString);
      assertFalse(found.path("reason").asText().isBlank(), found::toPrettyString);
      assertError(
          409,
          node.http().post("/_lanewise/tag/" + id, input("Ada")),
          found.path("reason").asText());
    }
    assertTrue(model("headless").path("reason").asText().contains("model.safetensors"));
    assertTrue(model("cut").path("reason").asText().contains("model.safetensors"));
    assertTrue(model("wordless").path("reason").asText().contains("config.json"));
    assertEquals("open", model("fine").path("state").asText());
    JsonNode tagged =
        node.http().post("/_lanewise/tag/fine", input("Ada Lovelace")).orThrow().json();
    assertEquals("Ada Lovelace", tagged.at("/results/0/entities/0/entity").asText());

    JsonNode health = health();
    assertEquals("yellow", health.path("status").asText(), health::toPrettyString);
    assertEquals(3, health.at("/details/failed_models").elements().next().size());
  }

  @Test
  @Order(3)
  void aHugeTextHurtsOnlyItself() throws Exception {
    StringBuilder huge = new StringBuilder(HUGE);
    for (int i = 0; huge.length() < HUGE; i++) {
      huge.append("antidisestablishmentarianism").append(i).append(i % 7 == 0 ? "-" : " ");
    }
    node.http().put("/huge", "{\"settings\": {\"number_of_replicas\": 0}}").orThrow();
    Map<String, ObjectNode> documents = new TreeMap<>();
    documents.put("huge", body(huge.toString()));
    documents.put("small", body("a small text"));
    CompletableFuture<List<JsonNode>> slow =
        CompletableFuture.supplyAsync(() -> bulk(node.http(), "huge", "load", documents));
    long start = System.nanoTime();
    int searches = 0;
    while (!slow.isDone() || searches == 0) {
      String question = "{\"input\": \"question " + searches + "\", \"input_type\": \"search\"}";
      assertEquals(200, node.http().post("/_lanewise/embed", question).status());
      searches++;
    }
    long each = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start) / searches;
    assertTrue(each < 2000, each + " ms");
    List<JsonNode> items = slow.get(60, TimeUnit.SECONDS);
    // A limit of lengths may refuse it.
    assertTrue(List.of(201, 400).contains(items.getFirst().path("status").asInt()));
    assertEquals(201, items.getLast().path("status").asInt());
  }

  @Test
  @Order(4)
  @Tag("slow")
  void whatWasAcknowledgedSurvivesAKill() {
    int before = load.acknowledged();
    try (Load.Clients _ = load.start()) {
      LockSupport.parkNanos(BEFORE_KILL.toNanos());
      node.kill();
    }
    assertFalse(node.isAlive());
    int acknowledged = load.acknowledged();
    assertTrue(acknowledged > before, () -> before + ", then " + acknowledged);
    node = ElasticsearchNode.start(home, NodeOptions.defaults());
    load.continueWith(node);
    String found = load.check();
    assertFalse(found.endsWith("; 0 unanswered"), found);

    JsonNode hits =
        node.http()
            .post(
                "/load/_search",
                """
                {"size": 5, "sort": [{"number": "desc"}], "fields": ["body_vector"],
                  "_source": ["body"], "query": {"exists": {"field": "body_vector"}}}
                """)
            .orThrow()
            .json()
            .at("/hits/hits");
    assertEquals(5, hits.size());
    for (JsonNode hit : hits) {
      JsonNode again =
          node.http()
              .post("/_lanewise/embed", input(hit.at("/_source/body").asText()))
              .orThrow()
              .json();
      // Now alone, then in the company of a bulk.
      assertVector(vector(again.at("/text_embedding/0/embedding")), hit.at("/fields/body_vector"));
    }
  }
}
