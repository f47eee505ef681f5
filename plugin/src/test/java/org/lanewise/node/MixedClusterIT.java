package org.lanewise.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.lanewise.node.Requests.assertIndexed;
import static org.lanewise.node.Requests.body;
import static org.lanewise.node.Requests.bulk;
import static org.lanewise.node.Requests.ids;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Three nodes, one of which has no Vector API. */
@Tag("slow")
final class MixedClusterIT {
  private static final int NODES = 3;
  private static final int SLOW = 2;

  private static final Path MODEL = Path.of("..", "models", "lanewise-mini-en");

  private static int seedPort;
  private static final List<NodeHome> homes = new ArrayList<>();
  private static final List<ElasticsearchNode> nodes = new ArrayList<>();

  @BeforeAll
  static void start() throws IOException {
    seedPort = freePort();
    for (int i = 0; i < NODES; i++) {
      homes.add(NodeHome.assemble("mixed-" + i));
      nodes.add(ElasticsearchNode.start(homes.get(i), options(i)));
    }
  }

  private static NodeOptions options(int i) {
    NodeOptions options =
        NodeOptions.defaults()
            .withSetting("discovery.type", "multi-node")
            .withSetting("discovery.seed_hosts", "127.0.0.1:" + seedPort)
            .withSetting("node.name", "mixed-" + i);
    if (i == 0) {
      options =
          options
              .withSetting("cluster.initial_master_nodes", "mixed-0")
              .withSetting("transport.port", Integer.toString(seedPort));
    }
    return i == SLOW ? options.withoutVectorModule() : options;
  }

  @AfterAll
  static void stop() {
    nodes.reversed().forEach(ElasticsearchNode::close);
    homes.forEach(NodeHome::close);
  }

  private static int freePort() throws IOException {
    try (ServerSocket probe = new ServerSocket()) {
      probe.bind(new InetSocketAddress(InetAddress.ofLiteral("127.0.0.1"), 0));
      return probe.getLocalPort();
    }
  }

  @Test
  void everyNodeIndexesAndSearchesAndTheSlowOneSaysSo() {
    Http first = nodes.getFirst().http();
    JsonNode cluster = first.get("/_cluster/health?wait_for_nodes=3&timeout=30s").orThrow().json();
    assertEquals(NODES, cluster.path("number_of_nodes").asInt(), cluster::toPrettyString);
    first
        .put(
            "/_ingest/pipeline/embed",
            "{\"processors\": [{\"lanewise_embed\": {\"field\": \"body\"}}]}")
        .orThrow();
    first
        .put(
            "/texts",
            """
            {"settings": {"number_of_shards": 3, "number_of_replicas": 1},
              "mappings": {"properties": {"body_vector":
                {"type": "dense_vector", "dims": 256, "similarity": "cosine"}}}}
            """)
        .orThrow();
    for (int i = 0; i < NODES; i++) {
      Map<String, ObjectNode> documents = new TreeMap<>();
      documents.put("dough" + i, body("Yeast eats sugar and gives off gas: dough rises. " + i));
      documents.put("rust" + i, body("Iron turns to rust where water and air meet it. " + i));
      assertIndexed(bulk(nodes.get(i).http(), "texts", "embed", documents));
    }
    for (ElasticsearchNode node : nodes) {
      List<String> found =
          ids(
              node.http()
                  .post(
                      "/texts/_search",
                      """
                      {"knn": {"field": "body_vector", "k": 3, "num_candidates": 10,
                        "query_vector_builder": {"lanewise": {"model_text": "why does dough rise?"}}}}
                      """)
                  .orThrow()
                  .json());
      assertEquals(List.of("dough0", "dough1", "dough2"), found.stream().sorted().toList());
    }

    JsonNode stats = first.get("/_lanewise/stats").orThrow().json();
    assertEquals(NODES, stats.at("/_nodes/successful").asInt());
    for (JsonNode each : stats.path("nodes")) {
      boolean slow = each.path("name").asText().equals("mixed-" + SLOW);
      JsonNode model = each.at("/models/lanewise-mini-en");
      assertEquals(!slow, each.path("vector_api").asBoolean(), each::toPrettyString);
      assertEquals(slow ? "scalar" : "vector", model.path("backend").asText());
      assertEquals(3, model.path("texts").asInt(), each::toPrettyString);
    }
    String slowRow = first.get("/_cat/lanewise/mixed-" + SLOW + "?h=node,id,backend").text();
    assertTrue(
        slowRow.lines().anyMatch(row -> row.matches("mixed-2 +lanewise-mini-en +scalar *")),
        slowRow);
    JsonNode health =
        nodes
            .get(1)
            .http()
            .get("/_health_report/lanewise")
            .orThrow()
            .json()
            .at("/indicators/lanewise");
    assertEquals("yellow", health.path("status").asText());
    assertEquals("[\"mixed-2\"]", health.at("/details/nodes_without_vector_api").toString());
    assertTrue(nodes.get(SLOW).log().contains("many times slower"));
  }

  /** Restarts one node after the other while documents come, and swaps the model in between. */
  @Test
  void rollingRestartWithAModelSwapLosesNothing() throws IOException {
    Http first = nodes.getFirst().http();
    UploadedModelsIT.upload(nodes.getFirst().address(), MODEL, "old");
    Path changed = homes.getFirst().path().resolve("changed");
    copy(MODEL, changed);
    Files.writeString(changed.resolve("1_Pooling/note.json"), "{}");
    UploadedModelsIT.upload(nodes.get(1).address(), changed, "new");
    alias(first, "old");
    first
        .put(
            "/_ingest/pipeline/swapped",
            "{\"processors\": [{\"lanewise_embed\": {\"field\": \"body\", \"model_id\":"
                + " \"current\"}}]}")
        .orThrow();
    first
        .put(
            "/rolling",
            """
            {"settings": {"number_of_shards": 3, "number_of_replicas": 2},
              "mappings": {"properties": {"body_vector":
                {"type": "dense_vector", "dims": 256, "similarity": "cosine"}}}}
            """)
        .orThrow();
    int sent = 0;
    // The node that knows the others' address is the seed, so it stays.
    for (int restarted = 1; restarted < NODES; restarted++) {
      sent += index(sent);
      nodes.get(restarted).close();
      sent += index(sent, 0, NODES - restarted);
      nodes.set(restarted, ElasticsearchNode.start(homes.get(restarted), options(restarted)));
      first.get("/_cluster/health?wait_for_nodes=3&timeout=30s").orThrow();
      if (restarted == 1) {
        alias(first, "new");
      }
    }
    sent += index(sent);
    first.post("/rolling/_refresh", "").orThrow();
    for (ElasticsearchNode node : nodes) {
      JsonNode found =
          node.http()
              .post(
                  "/rolling/_search",
                  "{\"size\": 0, \"track_total_hits\": true, \"query\": {\"exists\": {\"field\":"
                      + " \"body_vector\"}}}")
              .orThrow()
              .json();
      assertEquals(sent, found.at("/hits/total/value").asInt(), found::toPrettyString);
      JsonNode loaded = node.http().post("/_lanewise/models/current/_load", "").orThrow().json();
      assertEquals(NODES, loaded.at("/_nodes/successful").asInt(), loaded::toPrettyString);
      assertEquals("new", loaded.path("model_id").asText());
    }
  }

  private static void alias(Http http, String id) {
    http.put("/_cluster/settings", "{\"persistent\": {\"lanewise.alias.current\": \"" + id + "\"}}")
        .orThrow();
  }

  /** Indexes a few documents through each of some nodes, by default all, and counts them. */
  private static int index(int from, int... through) {
    int[] targets = through.length == 0 ? new int[] {0, 1, 2} : through;
    int sent = 0;
    for (int target : targets) {
      Map<String, ObjectNode> documents = new TreeMap<>();
      for (int i = 0; i < 5; i++) {
        documents.put("d" + (from + sent), body("Document number " + (from + sent)));
        sent++;
      }
      assertIndexed(bulk(nodes.get(target).http(), "rolling", "swapped", documents));
    }
    return sent;
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        Path target = to.resolve(from.relativize(file).toString());
        if (Files.isDirectory(file)) {
          Files.createDirectories(target);
        } else {
          Files.copy(file, target);
        }
      }
    }
  }
}
