package org.lanewise.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.lanewise.node.Requests.ids;

import co.elastic.clients.elasticsearch.ElasticsearchClient;
import co.elastic.clients.elasticsearch._types.ElasticsearchException;
import co.elastic.clients.elasticsearch._types.Refresh;
import co.elastic.clients.elasticsearch._types.query_dsl.Query;
import co.elastic.clients.elasticsearch.core.BulkResponse;
import co.elastic.clients.elasticsearch.core.SearchResponse;
import co.elastic.clients.elasticsearch.core.bulk.BulkResponseItem;
import co.elastic.clients.elasticsearch.core.search.Hit;
import co.elastic.clients.elasticsearch.ingest.SimulateResponse;
import co.elastic.clients.json.JsonData;
import co.elastic.clients.transport.rest5_client.Rest5ClientTransport;
import co.elastic.clients.transport.rest5_client.low_level.Request;
import co.elastic.clients.transport.rest5_client.low_level.Response;
import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.http.HttpHost;
import org.elasticsearch.client.RestClient;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.lanewise.plugin.HeadModels;

/**
 * Elasticsearch's own clients on a real node: indexing through our processors, {@code simulate},
 * searches with what they have no types for, and our own endpoints.
 */
final class ClientsIT {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String QUESTION = "what lowers high blood pressure?";
  private static final Map<String, String> TEXTS =
      new TreeMap<>(
          Map.of(
              "house", "A mortgage is a loan that is secured by the house it pays for.",
              "pressure",
                  "Hypertension often falls when people eat less salt and exercise regularly.",
              "sun", "Solar cells convert sunlight directly into an electric current."));
  private static final int DIMENSIONS = 256;

  /** The oldest Node.js that the JavaScript client of the lock file has been seen to run on. */
  private static final int OLDEST_NODE_JS = 20;

  private static final int NPM_SECONDS = 90;

  private static NodeHome home;
  private static ElasticsearchNode node;

  /** A document as users of the typed client have it; the other fields are the pipeline's. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  @JsonIgnoreProperties(ignoreUnknown = true)
  record Book(
      @JsonProperty("body") String body, @JsonProperty("body_vector") List<Float> bodyVector) {}

  @BeforeAll
  static void start() {
    home = NodeHome.assemble("clients");
    Path models = home.config().resolve("lanewise").resolve("models");
    HeadModels.copy(HeadModels.SPLADE, models.resolve("my-splade"));
    HeadModels.copy(HeadModels.RERANKER, models.resolve("my-reranker"));
    HeadModels.lengthen(models.resolve("my-reranker"));
    node = ElasticsearchNode.start(home, NodeOptions.defaults());
  }

  @AfterAll
  static void stop() {
    if (node != null) {
      node.close();
    }
    home.close();
  }

  @BeforeEach
  void deleteIndex() {
    node.http().delete("/library?ignore_unavailable=true").orThrow();
  }

  @Test
  void lowLevelClient() throws IOException {
    try (RestClient client =
        RestClient.builder(HttpHost.create(node.address().toString())).build()) {
      send(
          client,
          "PUT",
          "/_ingest/pipeline/plain",
          """
          {"processors": [{"lanewise_embed": {"field": "body"}}]}
          """);
      send(
          client,
          "PUT",
          "/plain",
          """
          {"mappings": {"properties": {
            "body": {"type": "text"},
            "body_vector": {"type": "dense_vector", "dims": 256, "similarity": "cosine"}
          }}}
          """);
      StringBuilder lines = new StringBuilder();
      TEXTS.forEach(
          (id, text) ->
              lines
                  .append("{\"index\": {\"_id\": \"")
                  .append(id)
                  .append("\"}}\n")
                  .append(Requests.body(text))
                  .append('\n'));
      JsonNode bulk =
          send(client, "POST", "/plain/_bulk?pipeline=plain&refresh=true", lines.toString());
      assertFalse(bulk.path("errors").asBoolean(true), bulk::toPrettyString);
      JsonNode found =
          send(
              client,
              "POST",
              "/plain/_search",
              String.format(
                  Locale.ROOT,
                  """
                  {"knn": {
                    "field": "body_vector", "k": 3, "num_candidates": 50,
                    "query_vector_builder": {"lanewise": {"model_text": "%s"}}
                  }}
                  """,
                  QUESTION));
      assertEquals("pressure", ids(found).getFirst(), found::toPrettyString);
      org.elasticsearch.client.ResponseException refused =
          assertThrows(
              org.elasticsearch.client.ResponseException.class,
              () -> send(client, "POST", "/_lanewise/embed/none", Requests.input("a")));
      assertEquals(404, refused.getResponse().getStatusLine().getStatusCode());
    }
  }

  private static JsonNode send(RestClient client, String method, String path, String json)
      throws IOException {
    org.elasticsearch.client.Request request = new org.elasticsearch.client.Request(method, path);
    request.setJsonEntity(json);
    org.elasticsearch.client.Response response = client.performRequest(request);
    assertEquals("Elasticsearch", response.getHeader("X-elastic-product"));
    assertTrue(response.getWarnings().isEmpty(), () -> "warnings " + response.getWarnings());
    return JSON.readTree(response.getEntity().getContent());
  }

  @Test
  void typedJavaClient() throws IOException {
    try (ElasticsearchClient client = ElasticsearchClient.of(c -> c.host(node.address()))) {
      client
          .ingest()
          .putPipeline(
              pipeline ->
                  pipeline
                      .id("typed")
                      .processors(p -> p._custom("lanewise_embed", Map.of("field", "body")))
                      .processors(
                          p ->
                              p._custom(
                                  "lanewise_embed",
                                  Map.of(
                                      "model_id", "my-splade",
                                      "field", "body",
                                      "target_field", "body_sparse",
                                      "output", "sparse"))));
      client
          .indices()
          .create(
              index ->
                  index
                      .index("library")
                      .settings(s -> s.defaultPipeline("typed"))
                      .mappings(
                          m ->
                              m.properties("body", p -> p.text(t -> t))
                                  .properties(
                                      "body_vector", p -> p.denseVector(v -> v.dims(DIMENSIONS)))
                                  .properties("body_sparse", p -> p.sparseVector(v -> v))));
      bulk(client);
      simulate(client);
      search(client);
      endpoints(client);
    }
  }

  private static void bulk(ElasticsearchClient client) throws IOException {
    client.index(
        request -> request.index("library").id("sun").document(new Book(TEXTS.get("sun"), null)));
    BulkResponse bulk =
        client.bulk(
            request -> {
              TEXTS.forEach(
                  (id, text) ->
                      request.operations(
                          o -> o.index(i -> i.id(id).document(new Book(text, null)))));
              return request
                  .index("library")
                  .refresh(Refresh.True)
                  .operations(o -> o.index(i -> i.id("refused").document(Map.of("body", 7))));
            });
    assertEquals(TEXTS.size() + 1, bulk.items().size());
    for (BulkResponseItem item : bulk.items()) {
      if ("refused".equals(item.id())) {
        assertEquals(400, item.status());
        assertTrue(item.error().reason().contains("[body]"), item.error().reason());
      } else {
        assertEquals(null, item.error(), item::toString);
      }
    }
    Book stored =
        client
            .get(
                request -> request.index("library").id("sun").sourceExcludeVectors(false),
                Book.class)
            .source();
    assertEquals(DIMENSIONS, stored.bodyVector().size());
  }

  private static void simulate(ElasticsearchClient client) throws IOException {
    SimulateResponse simulated =
        client
            .ingest()
            .simulate(
                request ->
                    request
                        .pipeline(
                            pipeline ->
                                pipeline.processors(
                                    p ->
                                        p._custom(
                                            "lanewise_tag",
                                            Map.of("model_id", "ner-en", "field", "body"))))
                        .docs(
                            d ->
                                d.source(
                                    JsonData.of(Map.of("body", "Mary Shelley lived in London."))))
                        .docs(d -> d.source(JsonData.of(Map.of("other", "no body")))));
    assertTrue(
        simulated.docs().getFirst().doc().source().toString().contains("Mary Shelley"),
        simulated::toString);
    assertTrue(simulated.docs().get(1).error().reason().contains("[body]"), simulated::toString);
  }

  private static void search(ElasticsearchClient client) throws IOException {
    Query question =
        Query.of(
            q ->
                q._custom(
                    "knn",
                    Map.of(
                        "field",
                        "body_vector",
                        "k",
                        3,
                        "query_vector_builder",
                        Map.of(
                            "lanewise",
                            Map.of("model_text", "what lowers high blood pressure?")))));
    SearchResponse<Book> found = client.search(s -> s.index("library").query(question), Book.class);
    assertEquals("pressure", found.hits().hits().getFirst().id(), found::toString);
    assertEquals(TEXTS.size(), found.hits().hits().size());

    SearchResponse<Book> sparse =
        client.search(
            s ->
                s.index("library")
                    .query(
                        q ->
                            q._custom(
                                "lanewise_sparse",
                                Map.of(
                                    "field", "body_sparse",
                                    "model_id", "my-splade",
                                    "query", QUESTION)))
                    .rescore(
                        r ->
                            r.windowSize(10)
                                ._custom(
                                    "lanewise_rerank",
                                    Map.of(
                                        "model_id", "my-reranker",
                                        "field", "body",
                                        "inference_text", QUESTION))),
            Book.class);
    List<Hit<Book>> reranked = sparse.hits().hits();
    assertFalse(reranked.isEmpty(), sparse::toString);
    for (Hit<Book> hit : reranked) {
      assertTrue(hit.score() > 0 && hit.score() < 1, sparse::toString);
    }

    ElasticsearchException unknown =
        assertThrows(
            ElasticsearchException.class,
            () ->
                client.search(
                    s ->
                        s.index("library")
                            .query(
                                q ->
                                    q._custom(
                                        "lanewise_sparse",
                                        Map.of(
                                            "field", "body_sparse",
                                            "model_id", "none",
                                            "query", QUESTION))),
                    Book.class));
    assertEquals(404, unknown.status());
    assertTrue(unknown.getMessage().contains("[none]"), unknown.getMessage());
  }

  private static void endpoints(ElasticsearchClient client) throws IOException {
    Request request = new Request("POST", "/_lanewise/embed/lanewise-mini-en");
    request.setJsonEntity("{\"input\": [\"first text\", \"second text\"]}");
    Response response =
        ((Rest5ClientTransport) client._transport()).restClient().performRequest(request);
    JsonNode vectors = JSON.readTree(response.getEntity().getContent());
    assertEquals(DIMENSIONS, vectors.at("/text_embedding/1/embedding").size());

    Request fused = new Request("POST", "/library/_search");
    fused.setJsonEntity(
        String.format(
            Locale.ROOT,
            """
            {"retriever": {"lanewise_rerank": {
              "model_id": "my-reranker", "field": "body", "inference_text": "%1$s",
              "retriever": {"lanewise_hybrid": {"retrievers": [
                {"standard": {"query": {"match": {"body": "salt"}}}},
                {"knn": {
                  "field": "body_vector", "k": 3, "num_candidates": 50,
                  "query_vector_builder": {"lanewise": {"model_text": "%1$s"}}
                }}
              ]}}
            }}}
            """,
            QUESTION));
    JsonNode hits =
        JSON.readTree(
            ((Rest5ClientTransport) client._transport())
                .restClient()
                .performRequest(fused)
                .getEntity()
                .getContent());
    assertEquals(TEXTS.size(), ids(hits).size(), hits::toPrettyString);
  }

  @Test
  void javaScriptClient() throws IOException, InterruptedException {
    Path directory = installJavaScriptClient();
    Output script = run(directory, "node", "library.js", node.address().toString());
    assertEquals(0, script.status(), script.text());
    // What Node.js itself has to say comes before.
    JsonNode said = JSON.readTree(script.text().lines().toList().getLast());
    JsonNode items = said.at("/bulk/items");
    assertEquals(TEXTS.size() + 1, items.size());
    for (JsonNode item : items) {
      boolean refused = item.at("/index/_id").asText().equals("refused");
      assertEquals(refused ? 400 : 201, item.at("/index/status").asInt(), item::toString);
    }
    assertEquals(
        "Mary Shelley",
        said.at("/simulated/docs/0/doc/_source/names/entities/0/entity").asText(),
        () -> said.path("simulated").toString());
    assertEquals("pressure", ids(said.path("found")).getFirst());
    assertEquals("sun", ids(said.path("fused")).getFirst());
    assertEquals(DIMENSIONS, said.at("/vectors/text_embedding/1/embedding").size());
    assertEquals("ResponseError", said.at("/refused/name").asText());
    assertEquals(404, said.at("/refused/status").asInt());
    assertTrue(
        said.at("/refused/message").asText().contains("Could not find model [none]"),
        () -> said.path("refused").toString());
  }

  /** What a command wrote, stdout and stderr together, and its exit status. */
  private record Output(int status, String text) {}

  /** Returns the directory of the script beside which npm has put the client, or aborts. */
  private static Path installJavaScriptClient() throws IOException, InterruptedException {
    Path directory = Path.of("target", "clients");
    Files.createDirectories(directory);
    for (String name : List.of("package.json", "package-lock.json", "library.js")) {
      Files.copy(
          Path.of("src", "test", "resources", "clients", name),
          directory.resolve(name),
          StandardCopyOption.REPLACE_EXISTING);
    }
    Output version = runIfThere(directory, "node", "--version");
    Matcher major = Pattern.compile("^v(\\d+)").matcher(version.text());
    assumeTrue(
        major.find() && Integer.parseInt(major.group(1)) >= OLDEST_NODE_JS,
        "Node.js is [" + version.text().strip() + "], the client needs [v" + OLDEST_NODE_JS + "]");
    Output npm =
        runIfThere(
            directory,
            "npm",
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefer-offline",
            "--fetch-retries=1",
            "--fetch-retry-mintimeout=1000",
            "--fetch-timeout=15000");
    // These are what our own lock file can be wrong in; all else is the registry's or the
    // machine's.
    assertFalse(
        npm.text().contains("code EUSAGE") || npm.text().contains("code EINTEGRITY"), npm.text());
    assumeTrue(npm.status() == 0, "npm did not get the JavaScript client: " + npm.text());
    return directory;
  }

  private static Output runIfThere(Path directory, String... command) throws InterruptedException {
    try {
      return run(directory, command);
    } catch (IOException e) {
      return abort("[" + command[0] + "] cannot be started: " + e.getMessage());
    }
  }

  private static Output run(Path directory, String... command)
      throws IOException, InterruptedException {
    Path said = Files.createTempFile(directory.toAbsolutePath(), command[0], ".out");
    Process process =
        new ProcessBuilder(command)
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(said.toFile())
            .start();
    if (!process.waitFor(NPM_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly().waitFor();
    }
    String text = Files.readString(said, StandardCharsets.UTF_8);
    Files.delete(said);
    return new Output(process.exitValue(), text);
  }

  /** What the README tells is what is run here, but for white space. */
  @Test
  void readmeSaysWhatIsTested() throws IOException {
    String tested =
        squeeze(
            Files.readString(Path.of("src/test/java/org/lanewise/node/ClientsIT.java"))
                + Files.readString(Path.of("src/test/resources/clients/library.js")));
    List<String> snippets = new ArrayList<>();
    Matcher section =
        Pattern.compile("## From your language\n(.*?)\n## ", Pattern.DOTALL)
            .matcher(Files.readString(Path.of("..", "README.md")));
    assertTrue(section.find());
    Matcher block = Pattern.compile("```\\w+\n(.*?)```", Pattern.DOTALL).matcher(section.group(1));
    while (block.find()) {
      snippets.add(block.group(1));
    }
    assertEquals(3, snippets.size());
    for (String snippet : snippets) {
      assertTrue(tested.contains(squeeze(snippet)), snippet);
    }
  }

  private static String squeeze(String code) {
    return code.replaceAll("\\s+", "");
  }
}
