package org.lanewise.node;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.lanewise.node.Requests.assertError;
import static org.lanewise.node.Requests.assertIndexed;
import static org.lanewise.node.Requests.assertItemError;
import static org.lanewise.node.Requests.assertVector;
import static org.lanewise.node.Requests.body;
import static org.lanewise.node.Requests.bulk;
import static org.lanewise.node.Requests.ids;
import static org.lanewise.node.Requests.input;
import static org.lanewise.node.Requests.scores;
import static org.lanewise.node.Requests.vector;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.lanewise.encoder.ChunkOptions;
import org.lanewise.encoder.ChunkOptions.Strategy;
import org.lanewise.encoder.Chunker;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.Embedding;
import org.lanewise.encoder.LateChunker;
import org.lanewise.encoder.LateChunker.ChunkVector;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TextTagger;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.node.Http.Response;
import org.lanewise.plugin.TinyModels;

/**
 * The zip as a user installs it, in the real server with entitlements on, asked over HTTP for
 * everything that the README promises. What comes out is held against the library in this JVM.
 */
final class RealNodeIT {
  private static final ObjectMapper JSON = new ObjectMapper();

  private static final String MINI = "lanewise-mini-en";
  private static final Path MINI_DIRECTORY = Path.of("..", "models", MINI);
  private static final Path GOLDENS =
      Path.of("..", "encoder-core", "src", "test", "resources", "goldens.zip");
  private static final String TINY_WITH_PROMPTS = "encoders/bert_gelu";

  private static final Map<String, String> TEXTS =
      new TreeMap<>(
          Map.of(
              "bees", "Bees dance to tell their sisters where the flowers are.",
              "index", "A database index finds a row without reading the whole table.",
              "rust", "Iron turns to rust where water and air meet it.",
              "sleep", "Most adults need seven to nine hours of sleep.",
              "tide", "The pull of the moon lifts the sea twice a day.",
              "yeast", "Yeast eats sugar and gives off the gas that makes dough rise."));
  private static final String QUESTION = "How does baker's yeast make bread rise?";
  private static final int NEIGHBOURS = 3;

  /** The field keeps one byte for each number of a vector to search with. */
  private static final double QUANTIZED = 0.01;

  private static NodeHome home;
  private static Path models;
  private static ElasticsearchNode node;
  private static Http http;
  private static TextEmbedder library;

  @BeforeAll
  static void start() throws IOException {
    home = NodeHome.assemble("real-node");
    models = home.config().resolve("lanewise").resolve("models");
    copyMini("mini-128");
    replace(
        models.resolve("mini-128").resolve("config_sentence_transformers.json"),
        "\"default_prompt_name\"",
        "\"truncate_dim\": 128, \"default_prompt_name\"");
    copyTiny("tiny");
    copyTiny("broken");
    replace(models.resolve("broken").resolve("config.json"), "\"gelu\"", "\"swish9\"");
    Files.delete(models.resolve("broken").resolve("model.safetensors"));
    Files.delete(models.resolve("broken").resolve("tokenizer.json"));
    TinyModels.names(models.resolve("names"));
    TinyModels.mood(models.resolve("mood"));
    TinyModels.reader(models.resolve("reader"), MINI, MINI_DIRECTORY);
    library = open(MINI_DIRECTORY);
    node = ElasticsearchNode.start(home, NodeOptions.defaults());
    http = node.http();
    putPipeline("embed", "\"field\": \"body\"");
    createIndex("texts", 256);
    Map<String, ObjectNode> documents = new TreeMap<>();
    TEXTS.forEach((id, text) -> documents.put(id, body(text)));
    assertIndexed(bulk(http, "texts", "embed", documents));
  }

  @AfterAll
  static void stop() {
    if (node != null) {
      node.close();
      assertFalse(node.isAlive());
    }
    if (library != null) {
      library.close();
    }
    home.close();
  }

  private static void copyMini(String id) {
    Directories.copy(MINI_DIRECTORY, created(models.resolve(id)), file -> true);
  }

  private static void copyTiny(String id) throws IOException {
    try (FileSystem archive = FileSystems.newFileSystem(GOLDENS)) {
      Directories.copy(
          archive.getPath(TINY_WITH_PROMPTS), created(models.resolve(id)), file -> true);
    }
  }

  private static Path created(Path directory) {
    try {
      Files.createDirectories(directory.getParent());
      return directory;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void replace(Path file, String old, String replacement) throws IOException {
    String text = Files.readString(file);
    assertTrue(text.contains(old), () -> "no " + old + " in " + text);
    Files.writeString(file, text.replace(old, replacement));
  }

  private static TextEmbedder open(Path directory) {
    return TextEmbedder.open(
        ModelDirectory.open(directory), EmbedderOptions.defaults().withThreads(1));
  }

  private static Embedding embed(String text) {
    return library.embed(List.of(text)).getFirst();
  }

  private static void putPipeline(String name, String options) {
    http.put(
            "/_ingest/pipeline/" + name,
            "{\"processors\": [{\"lanewise_embed\": {" + options + "}}]}")
        .orThrow();
  }

  private static void createIndex(String name, int dimensions) {
    http.put(
            "/" + name,
            String.format(
                Locale.ROOT,
                """
                {
                  "settings": {"number_of_replicas": 0},
                  "mappings": {"properties": {
                    "body": {"type": "text"},
                    "body_vector": {"type": "dense_vector", "dims": %d, "similarity": "cosine"}
                  }}
                }
                """,
                dimensions))
        .orThrow();
  }

  private static JsonNode search(String index, String request) {
    return http.post("/" + index + "/_search", request).orThrow().json();
  }

  private static JsonNode source(String index, String id) {
    return http.get("/" + index + "/_doc/" + id + "?_source_exclude_vectors=false")
        .orThrow()
        .json()
        .path("_source");
  }

  // The node.

  @Test
  void pluginIsInstalled() {
    JsonNode plugins = http.get("/_cat/plugins?format=json").orThrow().json();
    assertEquals("lanewise", plugins.path(0).path("component").asText());
    assertEquals(1, plugins.size());
  }

  @Test
  void entitlementsAreOn() {
    assertTrue(node.log().contains("Entitlement agent attached"), node::log);
  }

  // Documents.

  @Test
  void bothFormsOfThePipelineWriteTheVectorOfTheLibrary() {
    putPipeline(
        "pairs",
        """
        "model_id": "lanewise-mini-en", "truncate": "first",
        "input_output": [{"input_field": "title", "output_field": "title_vector"},
                         {"input_field": "body", "output_field": "body_vector"}]\
        """);
    putPipeline("single", "\"field\": \"body\", \"target_field\": \"body_vector\"");
    createIndex("forms", 256);
    String title = "Beekeeping";
    String text = TEXTS.get("bees");
    assertIndexed(bulk(http, "forms", "pairs", Map.of("1", body(text).put("title", title))));
    assertIndexed(bulk(http, "forms", "single", Map.of("2", body(text))));
    assertVector(embed(title).vector(), source("forms", "1").path("title_vector"));
    assertVector(embed(text).vector(), source("forms", "1").path("body_vector"));
    assertVector(embed(text).vector(), source("forms", "2").path("body_vector"));
  }

  @Test
  void vectorsComeBackWhenAskedFor() {
    String query = "\"query\": {\"ids\": {\"values\": [\"bees\"]}}";
    JsonNode plain = search("texts", "{" + query + "}").path("hits").path("hits").path(0);
    assertEquals(TEXTS.get("bees"), plain.path("_source").path("body").asText());
    assertTrue(plain.path("_source").path("body_vector").isMissingNode(), plain::toPrettyString);
    float[] expected = embed(TEXTS.get("bees")).vector();
    assertVector(
        expected,
        search("texts", "{" + query + ", \"_source\": {\"exclude_vectors\": false}}")
            .path("hits")
            .path("hits")
            .path(0)
            .path("_source")
            .path("body_vector"));
    assertVector(
        expected,
        search("texts", "{" + query + ", \"fields\": [\"body_vector\"]}")
            .path("hits")
            .path("hits")
            .path(0)
            .path("fields")
            .path("body_vector"));
  }

  @Test
  void reindexingOverwritesTheVector() {
    createIndex("again", 256);
    assertIndexed(bulk(http, "again", "embed", Map.of("1", body(TEXTS.get("bees")))));
    ObjectNode changed = body(TEXTS.get("rust"));
    changed.set("body_vector", source("again", "1").path("body_vector"));
    assertIndexed(bulk(http, "again", "embed", Map.of("1", changed)));
    assertVector(embed(TEXTS.get("rust")).vector(), source("again", "1").path("body_vector"));
  }

  @Test
  void nestedPassagesAreFoundOneByOne() throws IOException {
    putPipeline(
        "passages",
        """
        "input_output": {"input_field": "passages.body", "output_field": "passages.vector"}\
        """);
    http.put(
            "/books",
            """
            {"mappings": {"properties": {"passages": {"type": "nested", "properties": {
              "body": {"type": "text"},
              "vector": {"type": "dense_vector", "dims": 256, "similarity": "cosine"}
            }}}}}
            """)
        .orThrow();
    assertIndexed(
        bulk(
            http,
            "books",
            "passages",
            Map.of(
                "nature", passages("bees", "yeast", "rust"),
                "others", passages("index", "sleep"))));
    JsonNode answer =
        search(
            "books",
            String.format(
                Locale.ROOT,
                """
                {"knn": {
                  "field": "passages.vector", "k": 2, "num_candidates": 10,
                  "query_vector_builder": {"lanewise": {"model_text": "%s"}},
                  "inner_hits": {"size": 1, "_source": false, "fields": ["passages.body"]}
                }}
                """,
                QUESTION));
    assertEquals(List.of("nature", "others"), ids(answer));
    JsonNode passage =
        answer
            .path("hits")
            .path("hits")
            .path(0)
            .path("inner_hits")
            .path("passages")
            .path("hits")
            .path("hits")
            .path(0);
    assertEquals(1, passage.path("_nested").path("offset").asInt(), answer::toPrettyString);
    assertEquals(
        TEXTS.get("yeast"),
        passage.path("fields").path("passages").path(0).path("body").path(0).asText(),
        answer::toPrettyString);
  }

  private static ObjectNode passages(String... ids) {
    ObjectNode document = JSON.createObjectNode();
    for (String id : ids) {
      document.withArrayProperty("passages").add(body(TEXTS.get(id)));
    }
    return document;
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void theBestPassageOfALongDocumentIsFoundWithItsRange(boolean late) {
    String index = late ? "late-documents" : "documents";
    putPassages(index, late ? "\"late\": true," : "", "\"type\": \"nested\",");
    String text =
        "\ud83d\ude80 "
            + String.join(" ", TEXTS.values())
            + " It rained again in the valley, and nobody minded.".repeat(60);
    assertIndexed(bulk(http, index, index, Map.of("1", body(text), "2", body("Short."))));
    JsonNode passages = source(index, "1").path("passages");
    assertTrue(passages.size() > 20, passages::toString);
    int covered = 0;
    for (JsonNode passage : passages) {
      int start = passage.path("start_pos").asInt();
      int end = passage.path("end_pos").asInt();
      assertTrue(text.substring(covered, Math.max(covered, start)).isBlank(), passage::toString);
      covered = end;
      String piece = text.substring(start, end);
      assertEquals(piece, passage.path("text").asText());
      assertTrue(library.countTokens(piece, "") <= 32, passage::toString);
      if (!late) {
        assertVector(embed(piece).vector(), passage.path("vector"));
      }
    }
    assertEquals(text.length(), covered);
    if (late) {
      List<ChunkVector> expected =
          LateChunker.over(
                  Chunker.over(
                      library,
                      new ChunkOptions(Strategy.SENTENCE, OptionalInt.of(32), 0),
                      library.prompts().byDefault()))
              .embed(text);
      assertEquals(expected.size(), passages.size());
      for (int i = 0; i < expected.size(); i++) {
        assertVector(expected.get(i).vector(), passages.path(i).path("vector"));
      }
    }
    JsonNode hit =
        search(
                index,
                String.format(
                    Locale.ROOT,
                    """
                    {"knn": {
                      "field": "passages.vector", "k": 2, "num_candidates": 100,
                      "query_vector_builder": {"lanewise": {"model_text": "%s"}},
                      "inner_hits": {"size": 1}
                    }}
                    """,
                    QUESTION))
            .at("/hits/hits/0");
    assertEquals("1", hit.path("_id").asText(), hit::toPrettyString);
    JsonNode passage = hit.at("/inner_hits/passages/hits/hits/0/_source");
    String found =
        text.substring(passage.path("start_pos").asInt(), passage.path("end_pos").asInt());
    assertTrue(found.contains(TEXTS.get("yeast")), hit::toPrettyString);
    assertEquals(found, passage.path("text").asText());
  }

  private static void putPassages(String index, String options, String type) {
    putPipeline(
        index,
        "\"field\": \"body\", \"target_field\": \"passages\", \"chunking\": {"
            + options
            + " \"max_chunk_size\": 32, \"sentence_overlap\": 0}");
    http.put(
            "/" + index,
            String.format(
                Locale.ROOT,
                """
                {"mappings": {"properties": {"passages": {%s "properties": {
                  "vector": {"type": "dense_vector", "dims": 256, "similarity": "cosine"}
                }}}}}
                """,
                type))
        .orThrow();
  }

  @Test
  void passagesThatDoNotFitAreErrorsOfTheirDocuments() {
    putPassages("flat-documents", "", "");
    String text = String.join(" ", TEXTS.values());
    assertItemError(
        400,
        bulk(http, "flat-documents", "flat-documents", Map.of("1", body(text))).getFirst(),
        "field [passages] of index [flat-documents] must hold [",
        "map it as [nested]");
    putPipeline("too-large", "\"field\": \"body\", \"chunking\": {\"max_chunk_size\": 1000}");
    assertItemError(
        400,
        bulk(http, "flat-documents", "too-large", Map.of("1", body(text))).getFirst(),
        "[max_chunk_size] is [1000] tokens, expected at most the 512 that the model takes");
    assertError(
        400,
        http.put(
            "/_ingest/pipeline/bad",
            "{\"processors\": [{\"lanewise_embed\": {\"field\": \"body\","
                + " \"chunking\": {\"strategy\": \"word\"}}}]}"),
        "[strategy] must be one of [sentence, token] but was [word]");
  }

  @Test
  void otherDimensionsAreAnErrorOfTheDocument() {
    createIndex("narrow", 128);
    List<JsonNode> items =
        bulk(
            http,
            "narrow",
            "embed",
            new TreeMap<>(Map.of("1", body("a text"), "2", body(" "), "3", body("another"))));
    for (int wrong : List.of(0, 2)) {
      assertItemError(400, items.get(wrong), "[256] dimensions", "[dims] of [128]", "body_vector");
    }
    assertEquals(201, items.get(1).path("status").asInt(), items::toString);
  }

  @Test
  void anUnknownModelIsAnErrorOfTheDocument() {
    putPipeline("unknown", "\"field\": \"body\", \"model_id\": \"no-such-model\"");
    List<JsonNode> items =
        bulk(
            http,
            "unknown",
            "unknown",
            new TreeMap<>(Map.of("1", body("a text"), "2", body("another"))));
    assertEquals(2, items.size());
    for (JsonNode item : items) {
      assertItemError(404, item, "Could not find model [no-such-model]", MINI, "mini-128");
    }
  }

  @Test
  void longTextsAreCutOrRefused() {
    String text = "word ".repeat(600);
    putPipeline("cut", "\"field\": \"body\", \"truncated_field\": \"cut\"");
    putPipeline("whole", "\"field\": \"body\", \"truncate\": \"none\"");
    assertIndexed(
        bulk(
            http,
            "long",
            "cut",
            new TreeMap<>(Map.of("1", body(text), "2", body("a short text")))));
    assertEquals(1, source("long", "1").path("cut").asInt(-1));
    assertEquals(0, source("long", "2").path("cut").asInt(-1));
    assertVector(embed(text).vector(), source("long", "1").path("body_vector"));
    List<JsonNode> items =
        bulk(
            http,
            "long",
            "whole",
            new TreeMap<>(Map.of("3", body(text), "4", body("a short text"))));
    assertItemError(
        400,
        items.get(0),
        "Input too large. The tokenized input length [602] exceeds the maximum sequence length"
            + " [512]");
    assertEquals(201, items.get(1).path("status").asInt(), items::toString);
  }

  @Test
  void simulateShowsTheVectorOrTheError() {
    JsonNode docs =
        http.post(
                "/_ingest/pipeline/_simulate",
                String.format(
                    Locale.ROOT,
                    """
                    {
                      "pipeline": {"processors": [{"lanewise_embed": {"field": "body"}}]},
                      "docs": [{"_source": {"body": "%s"}}, {"_source": {"title": "no body"}}]
                    }
                    """,
                    TEXTS.get("bees")))
            .orThrow()
            .json()
            .path("docs");
    assertVector(
        embed(TEXTS.get("bees")).vector(),
        docs.path(0).path("doc").path("_source").path("body_vector"));
    assertEquals(
        "field [body] not present as part of path [body]",
        docs.path(1).path("error").path("reason").asText(),
        docs::toPrettyString);
  }

  @Test
  void failureHandlersSeeTheError() {
    // The assembled node has few processors beside ours.
    http.put(
            "/_ingest/pipeline/lenient",
            """
            {"processors": [{"lanewise_embed": {
              "field": "body", "truncate": "none",
              "on_failure": [{"lanewise_embed": {"field": "body", "target_field": "cut_vector"}}]
            }}]}
            """)
        .orThrow();
    String text = "word ".repeat(600);
    assertIndexed(bulk(http, "lenient", "lenient", Map.of("1", body(text))));
    JsonNode source = source("lenient", "1");
    assertTrue(source.path("body_vector").isMissingNode(), source::toPrettyString);
    assertVector(embed(text).vector(), source.path("cut_vector"));
    JsonNode steps =
        http.post(
                "/_ingest/pipeline/lenient/_simulate?verbose",
                "{\"docs\": [{\"_source\": {\"body\": \"" + text + "\"}}]}")
            .orThrow()
            .json()
            .path("docs")
            .path(0)
            .path("processor_results");
    String message = steps.path(1).path("doc").path("_ingest").path("on_failure_message").asText();
    assertTrue(message.contains("[602] exceeds"), steps::toPrettyString);
  }

  // Searches.

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"knn\": %s}",
        "{\"query\": {\"knn\": %s}, \"size\": 3}",
        "{\"retriever\": {\"knn\": %s}}"
      })
  void everyKindOfKnnFindsTheNearestTexts(String request) {
    JsonNode answer = search("texts", String.format(Locale.ROOT, request, knn(QUESTION, "")));
    List<String> expected =
        TEXTS.keySet().stream()
            .sorted(Comparator.comparingDouble((String id) -> -score(id)))
            .limit(NEIGHBOURS)
            .toList();
    assertEquals("yeast", expected.getFirst());
    assertEquals(expected, ids(answer), answer::toPrettyString);
    scores(answer).forEach((id, score) -> assertEquals(score(id), score, QUANTIZED, id));
  }

  private static String knn(String question, String more) {
    return String.format(
        Locale.ROOT,
        """
        {"field": "body_vector", "k": 3, "num_candidates": 100%s,
         "query_vector_builder": {"lanewise": {"model_id": "lanewise-mini-en", "model_text": "%s"}}}\
        """,
        more,
        question);
  }

  /** The score of a document as the library's vectors have it. */
  private static double score(String id) {
    float[] question = embed(QUESTION).vector();
    float[] text = embed(TEXTS.get(id)).vector();
    double product = 0;
    for (int i = 0; i < text.length; i++) {
      product += question[i] * text[i];
    }
    return (1 + product) / 2;
  }

  @Test
  void hybridSearchAddsTheBoostedScores() {
    String match = "\"query\": {\"match\": {\"body\": {\"query\": \"sea water\", \"boost\": 0.4}}}";
    String knn = "\"knn\": " + knn(QUESTION, ", \"boost\": 5");
    Map<String, Double> keyword = scores(search("texts", "{" + match + "}"));
    Map<String, Double> meaning = scores(search("texts", "{" + knn + "}"));
    Map<String, Double> both = scores(search("texts", "{" + match + ", " + knn + "}"));
    assertEquals(List.of("rust", "tide"), List.copyOf(keyword.keySet()));
    Map<String, Double> sum = new TreeMap<>(keyword);
    meaning.forEach((id, score) -> sum.merge(id, score, Double::sum));
    assertEquals(sum.keySet(), both.keySet());
    sum.forEach((id, score) -> assertEquals(score, both.get(id), 1e-5, id));
    assertEquals(5 * score("yeast"), meaning.get("yeast"), 5 * QUANTIZED);
  }

  @Test
  void hybridRetrieverFusesAndExplains() {
    String match = "{\"match\": {\"body\": \"sea water\"}}";
    List<String> keyword = ids(search("texts", "{\"query\": " + match + "}"));
    List<String> meaning = ids(search("texts", "{\"knn\": " + knn(QUESTION, "") + "}"));
    Map<String, Double> ranks = new TreeMap<>();
    for (List<String> found : List.of(keyword, meaning)) {
      for (int i = 0; i < found.size(); i++) {
        ranks.merge(found.get(i), 1.0 / (61 + i), Double::sum);
      }
    }
    String hybrid =
        String.format(
            Locale.ROOT,
            """
            {"lanewise_hybrid": {"retrievers": [{"standard": {"query": %s}}, {"knn": %s}]}}\
            """,
            match,
            knn(QUESTION, ""));
    JsonNode answer = search("texts", "{\"retriever\": " + hybrid + ", \"explain\": true}");
    assertEquals(ranks.keySet(), scores(answer).keySet());
    scores(answer).forEach((id, score) -> assertEquals(ranks.get(id), score, 1e-7, id));
    for (JsonNode hit : answer.at("/hits/hits")) {
      JsonNode explanation = hit.path("_explanation");
      assertEquals(
          hit.path("_score").asDouble(), explanation.path("value").asDouble(), 1e-9, hit::toString);
      assertEquals(2, explanation.path("details").size(), hit::toString);
    }
    assertError(
        400,
        http.post("/texts/_search", "{\"retriever\": " + hybrid + ", \"from\": 5, \"size\": 6}"),
        "[rank_window_size: 10]",
        "at least [11]");
    assertError(
        400,
        http.post(
            "/texts/_search",
            "{\"retriever\": " + hybrid.replace("]}}", "], \"fusion\": \"weighted_sum\"}}") + "}"),
        "[weighted_sum] needs a [normalizer]");
    Response unscored =
        http.post(
            "/texts/_search",
            """
            {"retriever": {"lanewise_hybrid": {"fusion": "weighted_sum", "normalizer": "none",
            "retrievers": [{"standard": {"query": {"match_all": {}}, "sort": ["_doc"]}}]}}}\
            """);
    assertEquals(400, unscored.status(), unscored::text);
    assertTrue(unscored.text().contains("retriever 1 [standard] sorts its hits"), unscored::text);
  }

  @Test
  void badQuestionsAreRefusedInWords() {
    assertError(
        400,
        http.post("/texts/_search", "{\"knn\": " + knn("  ", "") + "}"),
        "[model_text] must not be empty.");
    assertError(
        404,
        http.post(
            "/texts/_search",
            "{\"knn\": " + knn(QUESTION, "").replace(MINI, "no-such-model") + "}"),
        "Could not find model [no-such-model]");
  }

  // REST.

  @Test
  void embedAnswersWithTheVectorsOfTheLibrary() {
    List<String> texts = List.of(TEXTS.get("rust"), "word ".repeat(600));
    JsonNode request = JSON.createObjectNode().set("input", JSON.valueToTree(texts));
    for (String path : List.of("/_lanewise/embed", "/_lanewise/embed/" + MINI)) {
      JsonNode answer = http.post(path, request.toString()).orThrow().json();
      assertEquals(MINI, answer.path("model_id").asText());
      List<Embedding> expected = library.embed(texts);
      assertEquals(2, answer.path("text_embedding").size());
      for (int i = 0; i < expected.size(); i++) {
        JsonNode embedding = answer.path("text_embedding").path(i);
        assertVector(expected.get(i).vector(), embedding.path("embedding"));
        assertEquals(expected.get(i).tokens(), embedding.path("tokens").asInt());
        assertEquals(i == 1, embedding.path("is_truncated").asBoolean());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"..%2fsecret", "%2e%2e%2f%2e%2e%2fmodels", "a%2f..%2fb", "%2e%2e", "UPPER"})
  void idsCannotLeaveTheDirectory(String id) {
    for (Response answer :
        List.of(
            http.post("/_lanewise/embed/" + id, input("a text")),
            http.get("/_lanewise/models/" + id))) {
      assertError(400, answer, "model id [", "must have at most 128 characters");
    }
    assertError(
        400,
        http.put(
            "/_ingest/pipeline/leaving",
            "{\"processors\": [{\"lanewise_embed\": {\"field\": \"a\", \"model_id\": \"../a\"}}]}"),
        "model id [../a] must have");
  }

  // Models.

  @Test
  void modelsAreListedWithTheirSource() {
    JsonNode answer = http.get("/_lanewise/models").orThrow().json();
    Map<String, String> sources = new TreeMap<>();
    answer
        .path("models")
        .forEach(
            model -> sources.put(model.path("model_id").asText(), model.path("source").asText()));
    assertEquals(sources.size(), answer.path("count").asInt());
    Map<String, String> expected = new TreeMap<>();
    for (String id : List.of(MINI, "language", "ner-en", "pos-en", "sentiment-en")) {
      expected.put(id, "bundled");
    }
    for (String id : List.of("broken", "mini-128", "mood", "names", "reader", "tiny")) {
      expected.put(id, "config");
    }
    assertEquals(expected, sources);
    JsonNode mini = onlyModel(MINI);
    assertEquals("open", mini.path("state").asText());
    assertEquals("bert", mini.path("family").asText());
    assertEquals(256, mini.path("dimensions").asInt());
    assertEquals(512, mini.path("max_length").asInt());
    assertEquals("vector", mini.path("backend").asText());
    assertEquals("bf16", mini.path("precision").asText());
  }

  private static JsonNode onlyModel(String id) {
    JsonNode answer = http.get("/_lanewise/models/" + id).orThrow().json();
    assertEquals(1, answer.path("count").asInt());
    return answer.path("models").path(0);
  }

  @Test
  void truncateDimOfTheDirectoryIsObeyed() {
    assertEquals(128, onlyModel("mini-128").path("dimensions").asInt());
    createIndex("cut-vectors", 128);
    putPipeline("cut-vectors", "\"field\": \"body\", \"model_id\": \"mini-128\"");
    assertIndexed(bulk(http, "cut-vectors", "cut-vectors", Map.of("1", body(TEXTS.get("sleep")))));
    // Another model than the whole one, and its last product has fewer columns.
    assertArrayEquals(
        Arrays.copyOf(embed(TEXTS.get("sleep")).vector(), 128),
        vector(source("cut-vectors", "1").path("body_vector")),
        1e-6f);
  }

  @Test
  void modelOfOnesOwnIsUsedWithItsPrompts() {
    JsonNode info = onlyModel("tiny");
    assertEquals(28, info.path("dimensions").asInt());
    assertEquals("[\"document\",\"query\"]", info.path("prompts").toString());
    String text = "garden";
    try (TextEmbedder tiny = open(models.resolve("tiny"))) {
      for (String side : List.of("ingest", "search")) {
        String prompt = side.equals("search") ? "query: " : "passage: ";
        ObjectNode request = JSON.createObjectNode().put("input", text).put("input_type", side);
        JsonNode answer =
            http.post("/_lanewise/embed/tiny", request.toString())
                .orThrow()
                .json()
                .path("text_embedding")
                .path(0);
        assertVector(
            tiny.embed(List.of(text), prompt).getFirst().vector(), answer.path("embedding"));
      }
      createIndex("tiny", 28);
      putPipeline("tiny", "\"field\": \"body\", \"model_id\": \"tiny\"");
      assertIndexed(bulk(http, "tiny", "tiny", Map.of("1", body(text))));
      float[] stored = vector(source("tiny", "1").path("body_vector"));
      float[] question = tiny.embed(List.of(text), "query: ").getFirst().vector();
      double product = 0;
      for (int i = 0; i < stored.length; i++) {
        product += stored[i] * question[i];
      }
      assertTrue(product < 0.99, "the prompts make no difference");
      JsonNode answer = search("tiny", "{\"knn\": " + knn(text, "").replace(MINI, "tiny") + "}");
      assertEquals((1 + product) / 2, scores(answer).get("1"), QUANTIZED);
    }
  }

  @Test
  void brokenModelIsToldInFullAndCanBeRepaired() throws Exception {
    String[] problems = {
      "Could not open model [broken]",
      "swish9",
      "model.safetensors is missing",
      "tokenizer.json is missing"
    };
    assertError(409, http.post("/_lanewise/embed/broken", input("a text")), problems);
    JsonNode info = onlyModel("broken");
    assertEquals("failed", info.path("state").asText());
    for (String problem : problems) {
      String words = problem.replace("Could not open model ", "");
      assertTrue(info.toString().contains(words.replace("[broken]", "broken")), info::toString);
    }
    putPipeline("broken", "\"field\": \"body\", \"model_id\": \"broken\"");
    assertItemError(
        409, bulk(http, "broken", "broken", Map.of("1", body("a text"))).getFirst(), problems);
    http.post("/_lanewise/embed", input("a text")).orThrow();

    Directories.delete(models.resolve("broken"));
    copyTiny("broken");
    home.handOver();
    Thread.sleep(1100);
    assertVector(vector(embedding("tiny", "garden")), embedding("broken", "garden"));
    assertEquals("open", onlyModel("broken").path("state").asText());
  }

  private static JsonNode embedding(String model, String text) {
    return http.post("/_lanewise/embed/" + model, input(text))
        .orThrow()
        .json()
        .path("text_embedding")
        .path(0)
        .path("embedding");
  }

  // Tags.

  private static void putTagPipeline(String name, String... options) {
    String processors =
        Arrays.stream(options)
            .map(each -> "{\"lanewise_tag\": {" + each + "}}")
            .collect(Collectors.joining(","));
    http.put("/_ingest/pipeline/" + name, "{\"processors\": [" + processors + "]}").orThrow();
  }

  @Test
  void severalTaggersFillTheFieldsOfOneText() {
    putTagPipeline(
        "tags",
        """
        "model_id": "names", "field": "body", "target_field": "found",
        "keywords": true, "annotated_text": true\
        """,
        "\"model_id\": \"mood\", \"field\": \"body\", \"num_top_classes\": -1",
        "\"model_id\": \"reader\", \"field\": \"body\"");
    http.put(
            "/tagged",
            """
            {"mappings": {"properties": {"found": {"properties": {
              "entities": {"type": "nested"},
              "keywords": {"properties": {"PER": {"type": "keyword"}, "LOC": {"type": "keyword"}}}
            }}}}}
            """)
        .orThrow();
    assertIndexed(
        bulk(
            http,
            "tagged",
            "tags",
            new TreeMap<>(
                Map.of(
                    "1", body("A good day: Ada Lovelace leaves London, and Ada Lovelace writes."),
                    "2", body("A bad day in London."),
                    "3", body("Nothing.")))));
    JsonNode source = source("tagged", "1");
    assertEquals(
        "[Ada Lovelace 12-24 PER, London 32-38 LOC, Ada Lovelace 44-56 PER]",
        entities(source.at("/found/entities")).toString());
    assertEquals(
        "{\"LOC\":[\"London\"],\"PER\":[\"Ada Lovelace\"]}",
        source.at("/found/keywords").toString());
    assertEquals(
        "A good day: [Ada Lovelace](PER&Ada+Lovelace) leaves [London](LOC&London),"
            + " and [Ada Lovelace](PER&Ada+Lovelace) writes.",
        source.at("/found/annotated_text").asText());
    assertEquals("positive", source.at("/body_tags/mood/predicted_value").asText());
    assertEquals(2, source.at("/body_tags/mood/top_classes").size());
    assertEquals("negative", source("tagged", "2").at("/body_tags/mood/predicted_value").asText());
    assertTrue(source("tagged", "3").at("/found/entities").isEmpty());
    JsonNode buckets =
        search(
                "tagged",
                """
                {"size": 0, "aggs": {"places": {"terms": {"field": "found.keywords.LOC"}}}}
                """)
            .at("/aggregations/places/buckets");
    assertEquals("London", buckets.at("/0/key").asText());
    assertEquals(2, buckets.at("/0/doc_count").asInt());
    assertEquals(
        List.of("1"),
        ids(
            search(
                "tagged",
                """
                {"query": {"nested": {"path": "found.entities", "query": {"bool": {"filter": [
                  {"match": {"found.entities.entity": "lovelace"}},
                  {"term": {"found.entities.class_name.keyword": "PER"}}]}}}}}
                """)));

    Function<String, TextEmbedder> shared = id -> library;
    try (TextTagger reader =
        TextTagger.open(
            models.resolve("reader"), EmbedderOptions.defaults().withThreads(1), shared)) {
      JsonNode found = source.at("/body_tags/reader/entities");
      List<TextTagger.Entity> expected =
          reader.tag(List.of(source.path("body").asText())).getFirst();
      assertEquals(
          expected.stream()
              .map(each -> described(each.text(), each.start(), each.end(), each.label()))
              .toList(),
          entities(found));
      for (int i = 0; i < expected.size(); i++) {
        assertEquals(
            expected.get(i).probability(),
            found.at("/" + i + "/class_probability").asDouble(),
            1e-4);
      }
    }
  }

  private static List<String> entities(JsonNode array) {
    List<String> found = new ArrayList<>();
    array.forEach(
        each ->
            found.add(
                described(
                    each.path("entity").asText(),
                    each.path("start_pos").asInt(),
                    each.path("end_pos").asInt(),
                    each.path("class_name").asText())));
    return found;
  }

  private static String described(String text, int start, int end, String label) {
    return text + " " + start + "-" + end + " " + label;
  }

  @Test
  void tagAnswersWithEntitiesOrClasses() {
    JsonNode answer =
        http.post("/_lanewise/tag/names", "{\"input\": [\"\ud83d\ude00 Ada!\", \"none\"]}")
            .orThrow()
            .json();
    assertEquals("names", answer.path("model_id").asText());
    assertEquals(2, answer.path("results").size());
    assertEquals("[Ada 3-6 PER]", entities(answer.at("/results/0/entities")).toString());
    assertTrue(answer.at("/results/1/entities").isArray());
    answer = http.post("/_lanewise/tag/mood", input("a good one")).orThrow().json();
    assertEquals("positive", answer.at("/results/0/predicted_value").asText());
    assertEquals("negative", answer.at("/results/0/top_classes/1/class_name").asText());
    assertEquals("classifier", onlyModel("mood").path("kind").asText());
    JsonNode reader = onlyModel("reader");
    assertEquals("[\"" + MINI + "\"]", reader.path("encoders").toString());
    assertEquals("[\"NOUN\",\"VERB\",\"ADJ\"]", reader.path("labels").toString());
  }

  @Test
  void modelsOfTheWrongKindAreRefused() {
    assertError(
        400,
        http.post("/_lanewise/embed/names", input("a")),
        "[names] is a tagger, expected an encoder: use [lanewise_tag]");
    putTagPipeline("misnamed", "\"model_id\": \"" + MINI + "\", \"field\": \"body\"");
    assertItemError(
        400,
        bulk(http, "misnamed", "misnamed", Map.of("1", body("a"))).getFirst(),
        "is an encoder, expected a tagger or a classifier: use [lanewise_embed]");
  }

  // Counters.

  @Test
  void countersSayWhatWasDone() {
    JsonNode before = stats();
    List<String> texts =
        Stream.concat(TEXTS.values().stream(), Stream.of("a ".repeat(600))).toList();
    Map<String, ObjectNode> documents = new TreeMap<>();
    for (String text : texts) {
      documents.put("counted-" + documents.size(), body(text));
    }
    documents.put("refused", JSON.createObjectNode().put("title", "no body"));
    List<JsonNode> items = bulk(http, "counted", "embed", documents);
    assertEquals(400, items.getLast().path("status").asInt());
    // Nobody else asks these, so no cache knows them.
    List<String> questions = List.of("Who dances first?", "And who counts the dancers?");
    for (String question : questions) {
      search("texts", "{\"knn\": " + knn(question, "") + "}");
    }
    JsonNode after = stats();

    long bulkTokens = library.embed(texts).stream().mapToLong(Embedding::tokens).sum();
    long searchTokens = library.embed(questions).stream().mapToLong(Embedding::tokens).sum();
    assertEquals(7, difference(before, after, "lanes/bulk/texts"));
    assertEquals(bulkTokens, difference(before, after, "lanes/bulk/tokens"));
    assertEquals(1, difference(before, after, "lanes/bulk/truncated"));
    assertEquals(2, difference(before, after, "lanes/search/texts"));
    assertEquals(searchTokens, difference(before, after, "lanes/search/tokens"));
    assertEquals(2, difference(before, after, "lanes/search/batches"));
    assertEquals(9, difference(before, after, "texts"));
    assertEquals(0, difference(before, after, "failures"));
    long batches = difference(before, after, "lanes/bulk/batches");
    assertTrue(batches >= 2 && batches <= 7, () -> batches + " batches");
    assertTrue(difference(before, after, "encode_time_in_millis") > 0);
    assertEquals(0, after.path("queue").asInt(-1));
    assertEquals(0, after.path("rejected").asInt(-1));
    assertEquals("vector", after.path("models").path(MINI).path("backend").asText());
    // The entitlements let the node look for a GPU; where there is none nobody hears of it.
    assertEquals(Backends.gpuProblem().isEmpty(), after.path("models").path(MINI).has("device"));
    assertEquals("bf16", after.path("models").path(MINI).path("precision").asText());
    // What this JVM would take is what the node takes, in spite of its entitlements.
    try (Workers alone = new Workers(1)) {
      assertEquals(
          Backends.create("vector", Optional.of(Precision.BF16), alone).kernels(),
          after.path("models").path(MINI).path("kernels").asText());
    }
  }

  private static JsonNode stats() {
    JsonNode nodes = http.get("/_lanewise/stats").orThrow().json().path("nodes");
    assertEquals(1, nodes.size());
    return nodes.elements().next();
  }

  /** Returns what was added to a counter of the bundled model. */
  private static long difference(JsonNode before, JsonNode after, String path) {
    String pointer = "/models/" + MINI + "/" + path;
    assertTrue(after.at(pointer).isNumber(), () -> pointer + " in " + after.toPrettyString());
    return after.at(pointer).asLong() - before.at(pointer).asLong();
  }
}
