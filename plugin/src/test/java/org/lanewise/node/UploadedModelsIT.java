package org.lanewise.node;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.lanewise.node.Requests.assertError;
import static org.lanewise.node.Requests.assertIndexed;
import static org.lanewise.node.Requests.body;
import static org.lanewise.node.Requests.bulk;
import static org.lanewise.node.Requests.input;
import static org.lanewise.node.Requests.vector;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;

/** A model that is uploaded to a real node by the command line, and what it survives there. */
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
final class UploadedModelsIT {
  private static final Path MODEL = Path.of("..", "models", "lanewise-mini-en");
  private static final Path JAR = Path.of("..", "models", "target", "lanewise.jar");

  private static NodeHome home;
  private static ElasticsearchNode node;

  @BeforeAll
  static void start() throws IOException {
    home = NodeHome.assemble("uploaded-models");
    node = ElasticsearchNode.start(home, NodeOptions.defaults());
  }

  @AfterAll
  static void stop() {
    node.close();
    home.close();
  }

  /** Returns what {@code lanewise upload} answers. */
  static String upload(URI address, Path model, String id) {
    assertTrue(Files.exists(JAR), "[" + JAR + "] is missing: build all modules");
    try {
      Process process =
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "-jar",
                  JAR.toString(),
                  "upload",
                  "--model",
                  model.toString(),
                  "--id",
                  id,
                  "--url",
                  address.toString())
              .redirectErrorStream(true)
              .start();
      String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertEquals(0, process.waitFor(), said);
      return said;
    } catch (IOException | InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private static float[] vectorOf(String model) {
    return vector(
        node.http()
            .post("/_lanewise/embed/" + model, input("Why does dough rise?"))
            .orThrow()
            .json()
            .at("/text_embedding/0/embedding"));
  }

  @Test
  @Order(1)
  void theCommandLineUploadsAndTheNodeUsesWhatItFetched() {
    String said = upload(node.address(), MODEL, "mine");
    assertTrue(said.contains("\"state\":\"complete\""), said);
    assertTrue(upload(node.address(), MODEL, "mine").contains("\"missing\":[]"));
    assertArrayEquals(vectorOf("lanewise-mini-en"), vectorOf("mine"), 1e-6f);
    JsonNode model = node.http().get("/_lanewise/models/mine").orThrow().json().at("/models/0");
    assertEquals("index", model.path("source").asText(), model::toPrettyString);
    assertTrue(said.contains(model.path("fingerprint").asText()), said);
    // A hidden index is not among those that users see.
    assertEquals("", node.http().get("/_cat/indices?h=index").text().strip());
  }

  @Test
  @Order(2)
  void modelIndexSurvivesAKillAndDamagedCopiesAreFetchedAgain() throws IOException {
    node.http().put("/texts", "{\"settings\": {\"number_of_replicas\": 0}}").orThrow();
    node.http()
        .put(
            "/_ingest/pipeline/mine",
            "{\"processors\": [{\"lanewise_embed\": {\"field\": \"body\", \"model_id\":"
                + " \"mine\"}}]}")
        .orThrow();
    assertIndexed(bulk(node.http(), "texts", "mine", Map.of("dough", body("Yeast eats sugar."))));
    node.kill();
    List<Path> copies;
    try (Stream<Path> files = Files.walk(home.path().resolve("data"))) {
      copies =
          files
              .filter(
                  file -> file.endsWith("model.safetensors") && file.toString().contains("mine"))
              .toList();
    }
    assertEquals(1, copies.size());
    byte[] weights = Files.readAllBytes(copies.getFirst());
    weights[weights.length / 2] ^= 1;
    Files.write(copies.getFirst(), weights);

    node = ElasticsearchNode.start(home, NodeOptions.defaults());
    assertArrayEquals(vectorOf("lanewise-mini-en"), vectorOf("mine"), 1e-6f);
    assertTrue(node.log().contains("of model [mine] is damaged, so the copy is made anew"));
    assertEquals(1, node.http().get("/texts/_count").orThrow().json().path("count").asInt());
  }

  @Test
  @Order(3)
  void whatAPipelineNeedsIsNotDeleted() {
    assertError(
        409, node.http().delete("/_lanewise/models/mine"), "because of the pipelines [mine]");
    node.http().delete("/_ingest/pipeline/mine").orThrow();
    node.http().delete("/_lanewise/models/mine").orThrow();
    assertError(
        404, node.http().post("/_lanewise/embed/mine", input("a")), "Could not find model [mine]");
  }
}
