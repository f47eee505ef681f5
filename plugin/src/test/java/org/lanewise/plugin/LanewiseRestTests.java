package org.lanewise.plugin;

import static java.util.Map.entry;
import static org.hamcrest.Matchers.aMapWithSize;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.equalTo;
import static org.hamcrest.Matchers.hasEntry;
import static org.hamcrest.Matchers.hasKey;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.http.util.EntityUtils;
import org.apache.logging.log4j.Level;
import org.apache.lucene.tests.util.LuceneTestCase;
import org.elasticsearch.client.Request;
import org.elasticsearch.common.xcontent.XContentHelper;
import org.elasticsearch.common.xcontent.support.XContentMapValues;
import org.elasticsearch.test.ESIntegTestCase;
import org.elasticsearch.test.MockLog;
import org.elasticsearch.xcontent.json.JsonXContent;
import org.lanewise.encoder.ModelFiles;
import org.lanewise.plugin.models.ModelKind;

/** The plugin over HTTP, in a cluster of two nodes. */
@ESIntegTestCase.ClusterScope(
    scope = ESIntegTestCase.Scope.SUITE,
    numDataNodes = 2,
    numClientNodes = 0,
    supportsDedicatedMasters = false)
@LuceneTestCase.SuppressFileSystems("ExtrasFS") // it adds directories, which are models here
public class LanewiseRestTests extends RestTestCase {
  private static final String MODEL = "lanewise-mini-en";
  private static final Map<Integer, Path> CONFIGS = new ConcurrentHashMap<>();

  @Override
  protected Path nodeConfigPath(int nodeOrdinal) {
    return CONFIGS.computeIfAbsent(
        nodeOrdinal,
        node -> {
          Path config = createTempDir();
          Path models = config.resolve("lanewise").resolve("models");
          try {
            TestEncoder.create(models, MODEL, 64, 8, Map.of("query", "asked "));
            TestTagger.create(models, "ner", ModelKind.TAGGER, MODEL);
            TestTagger.create(models, "length", ModelKind.CLASSIFIER);
            Files.createDirectories(models.resolve("broken"));
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
          return config;
        });
  }

  private static String fingerprint(String id) {
    Path models = CONFIGS.get(0).resolve("lanewise").resolve("models");
    return ModelFiles.of(models.resolve(id)).fingerprint();
  }

  private static List<?> embeddings(Map<String, Object> answer) {
    return (List<?>) answer.get("text_embedding");
  }

  public void testEmbed() throws Exception {
    Map<String, Object> answer =
        call("POST", "/_lanewise/embed/" + MODEL, "{\"input\":[\"red fox\",\"1 2 3 4 5 6 7\"]}");
    assertEquals(MODEL, answer.get("model_id"));
    assertThat(answer, aMapWithSize(2));
    assertEquals(2, embeddings(answer).size());
    Map<?, ?> first = (Map<?, ?>) embeddings(answer).get(0);
    assertEquals(64, ((List<?>) first.get("embedding")).size());
    assertEquals(4, first.get("tokens"));
    assertEquals(false, first.get("is_truncated"));
    Map<?, ?> second = (Map<?, ?>) embeddings(answer).get(1);
    assertEquals(8, second.get("tokens"));
    assertEquals(true, second.get("is_truncated"));

    Map<String, Object> one = call("POST", "/_lanewise/embed", "{\"input\":\"red fox\"}");
    assertEquals(List.of(first), embeddings(one));
    Map<String, Object> question =
        call("POST", "/_lanewise/embed", "{\"input\":\"red fox\",\"input_type\":\"search\"}");
    assertEquals(5, ((Map<?, ?>) embeddings(question).get(0)).get("tokens"));
    assertEquals(
        embeddings(question),
        embeddings(
            call(
                "POST",
                "/_lanewise/embed",
                "{\"input\":\"red fox\",\"input_type\":\"ingest\",\"prompt_name\":\"query\"}")));
    assertEquals(
        Map.of("text_embedding", List.of(Map.of("tokens", 4))),
        call("POST", "/_lanewise/embed?filter_path=**.tokens", "{\"input\":\"red fox\"}"));
  }

  public void testEmbedErrors() {
    String path = "/_lanewise/embed";
    assertError(400, "request body is required", "POST", path, null);
    assertError(400, "Required [input]", "POST", path, "{}");
    assertError(400, "unknown field [inputs]", "POST", path, "{\"inputs\":\"a\"}");
    assertError(400, "[input] must be a text or an array", "POST", path, "{\"input\":[1]}");
    assertError(400, "input", "POST", path, "{\"input\":{\"a\":1}}");
    assertError(400, "[lanewise_embed]", "POST", path, "{\"input\":null}");
    assertError(400, "[input] must be a text or an array", "POST", path, "{\"input\":[null]}");
    assertError(400, "Unexpected", "POST", path, "{\"input\":\"a\"");
    assertError(400, "at least one text", "POST", path, "{\"input\":[]}");
    assertError(
        400, "[input] has no text at position [1]", "POST", path, "{\"input\":[\"a\",\" \"]}");
    assertError(
        400,
        "[input_type] must be [ingest] or [search] but was [x]",
        "POST",
        path,
        "{\"input\":\"a\",\"input_type\":\"x\"}");
    assertError(
        400,
        "prompt [x] is not one of the model's prompts [query]",
        "POST",
        path,
        "{\"input\":\"a\",\"prompt_name\":\"x\"}");
    assertError(
        400,
        "[input] has [1001] texts but one request takes [1000]",
        "POST",
        path,
        "{\"input\":[\"" + String.join("\",\"", Collections.nCopies(1001, "a")) + "\"]}");
    assertError(400, "model id [A] must have", "POST", path + "/A", "{\"input\":\"a\"}");
    assertError(404, "Could not find model [zz]", "POST", path + "/zz", "{\"input\":\"a\"}");
    assertError(
        409, "Could not open model [broken]", "POST", path + "/broken", "{\"input\":\"a\"}");
    assertError(500, "this text is poisonous", "POST", path, "{\"input\":\"poison\"}");
    assertError(400, "unrecognized parameter: [x]", "POST", path + "?x=1", "{\"input\":\"a\"}");
    assertError(405, "Incorrect HTTP method", "GET", path, null);
  }

  public void testModels() throws Exception {
    Map<String, Object> one = call("GET", "/_lanewise/models/" + MODEL, null);
    assertEquals(
        Map.of(
            "count",
            1,
            "models",
            List.of(
                Map.ofEntries(
                    entry("model_id", MODEL),
                    entry("source", "config"),
                    entry("state", "open"),
                    entry("kind", "encoder"),
                    entry("fingerprint", fingerprint(MODEL)),
                    entry("family", "test"),
                    entry("outputs", List.of("dense", "sparse", "multi_vector")),
                    entry("dimensions", 64),
                    entry("max_length", 8),
                    entry("backend", "scalar"),
                    entry("precision", "fp32"),
                    entry("prompts", List.of("query"))))),
        one);
    Map<String, Object> broken = call("GET", "/_lanewise/models/broken", null);
    assertThat(at(broken, "models.state"), equalTo(List.of("failed")));
    assertThat(at(broken, "models.reason").toString(), containsString("is missing"));
    Map<String, Object> all = call("GET", "/_lanewise/models", null);
    assertEquals(4, all.get("count"));
    assertEquals(List.of("broken", MODEL, "length", "ner"), at(all, "models.model_id"));
    assertError(404, "Could not find model [zz]", "GET", "/_lanewise/models/zz", null);
    assertError(400, "model id [A] must have", "GET", "/_lanewise/models/A", null);
  }

  public void testTag() throws Exception {
    assertEquals(
        Map.of(
            "model_id",
            "ner",
            "results",
            List.of(
                Map.of(
                    "entities",
                    List.of(
                        Map.of(
                            "entity",
                            "Ada Lovelace",
                            "class_name",
                            "PER",
                            "class_probability",
                            0.9,
                            "start_pos",
                            2,
                            "end_pos",
                            14))),
                Map.of("entities", List.of()))),
        call("POST", "/_lanewise/tag/ner", "{\"input\":[\"O Ada Lovelace!\",\"nobody\"]}"));
    Map<?, ?> shorter = Map.of("class_name", "short", "class_probability", 0.75);
    Map<?, ?> longer = Map.of("class_name", "long", "class_probability", 0.25);
    for (int count : List.of(0, 1, 2)) {
      Map<String, Object> answer =
          call(
              "POST",
              "/_lanewise/tag/length",
              "{\"input\":\"a b\",\"num_top_classes\":" + count + "}");
      Map<?, ?> result = (Map<?, ?>) ((List<?>) answer.get("results")).getFirst();
      assertEquals("short", result.get("predicted_value"));
      assertEquals(0.75, result.get("prediction_probability"));
      assertEquals(
          count == 0 ? null : List.of(shorter, longer).subList(0, count),
          result.get("top_classes"));
    }
    assertEquals(
        List.of(shorter, longer),
        at(call("POST", "/_lanewise/tag/length", "{\"input\":\"a b\"}"), "results.top_classes"));
  }

  public void testTagErrors() {
    String path = "/_lanewise/tag/ner";
    assertError(400, "Required [input]", "POST", path, "{}");
    assertError(400, "unknown field [truncate]", "POST", path, "{\"truncate\":1}");
    assertError(400, "[input] must be a text or an array", "POST", path, "{\"input\":[1]}");
    assertError(400, "at least one text", "POST", path, "{\"input\":[]}");
    assertError(400, "[input] has no text at position [0]", "POST", path, "{\"input\":\" \"}");
    assertError(
        400,
        "[input] has [1001] texts but one request takes [1000]",
        "POST",
        path,
        "{\"input\":[\"" + String.join("\",\"", Collections.nCopies(1001, "a")) + "\"]}");
    assertError(500, "this text is poisonous", "POST", path, "{\"input\":\"poison\"}");
    assertError(
        400,
        "is an encoder, expected a tagger or a classifier: use [lanewise_embed]",
        "POST",
        "/_lanewise/tag/" + MODEL,
        "{\"input\":\"a\"}");
    assertError(
        400,
        "[ner] is a tagger, expected an encoder: use [lanewise_tag]",
        "POST",
        "/_lanewise/embed/ner",
        "{\"input\":\"a\"}");
    assertError(404, "Could not find model [zz]", "POST", "/_lanewise/tag/zz", "{\"input\":\"a\"}");
    assertError(
        409, "Could not open model [broken]", "POST", "/_lanewise/tag/broken", "{\"input\":\"a\"}");
    assertError(400, "no handler found", "POST", "/_lanewise/tag", "{\"input\":\"a\"}");
    assertError(405, "Incorrect HTTP method", "GET", path, null);
  }

  public void testTaggersAreListedAndCounted() throws Exception {
    assertEquals(
        List.of(
            Map.of(
                "model_id", "ner",
                "source", "config",
                "state", "open",
                "kind", "tagger",
                "fingerprint", fingerprint("ner"),
                "labels", List.of("PER", "ORG"),
                "encoders", List.of(MODEL),
                "backend", "scalar",
                "precision", "fp32")),
        call("GET", "/_lanewise/models/ner", null).get("models"));
    assertEquals(
        List.of("classifier"), at(call("GET", "/_lanewise/models/length", null), "models.kind"));
    long texts = sum("models.ner.texts");
    long words = sum("models.ner.lanes.bulk.tokens");
    call("POST", "/_lanewise/tag/ner", "{\"input\":[\"Ada Lovelace\",\"nobody\"]}");
    assertEquals(texts + 2, sum("models.ner.texts"));
    assertEquals(words + 3, sum("models.ner.lanes.bulk.tokens"));
  }

  /** Sums a counter of the model over the nodes, which must be two. */
  private static long sum(String path) throws IOException {
    Map<String, Object> stats = call("GET", "/_lanewise/stats", null);
    assertEquals(Map.of("total", 2, "successful", 2, "failed", 0), stats.get("_nodes"));
    assertThat(stats, hasKey("cluster_name"));
    Map<?, ?> nodes = (Map<?, ?>) stats.get("nodes");
    assertEquals(2, nodes.size());
    long sum = 0;
    for (Object node : nodes.values()) {
      Object value = XContentMapValues.extractValue(path, (Map<?, ?>) node);
      sum += value == null ? 0 : ((Number) value).longValue();
    }
    return sum;
  }

  public void testStats() throws Exception {
    String model = "models." + MODEL + ".";
    long texts = sum("texts");
    long modelTexts = sum(model + "texts");
    long tokens = sum(model + "tokens");
    long truncated = sum("truncated");
    long batches = sum(model + "lanes.bulk.batches");
    long searches = sum(model + "lanes.search.texts");
    long failures = sum("failures");
    call("POST", "/_lanewise/embed", "{\"input\":[\"red fox\",\"1 2 3 4 5 6 7\"]}");
    call("POST", "/_lanewise/embed", "{\"input\":\"red\",\"input_type\":\"search\"}");
    assertError(500, "poison", "POST", "/_lanewise/embed", "{\"input\":\"poison\"}");
    assertEquals(texts + 3, sum("texts"));
    assertEquals(modelTexts + 3, sum(model + "texts"));
    assertEquals(tokens + 4 + 8 + 4, sum(model + "tokens"));
    assertEquals(truncated + 1, sum("truncated"));
    assertEquals(batches + 1, sum(model + "lanes.bulk.batches"));
    assertEquals(searches + 1, sum(model + "lanes.search.texts"));
    assertEquals(failures + 1, sum("failures"));
    assertEquals(0, sum("queue"));
    assertEquals(0, sum("lanes.bulk.rejected"));
    assertEquals(20_000, sum("queue_capacity"));
    for (Object node :
        ((Map<?, ?>) call("GET", "/_lanewise/stats?human", null).get("nodes")).values()) {
      Map<?, ?> open = (Map<?, ?>) ((Map<?, ?>) node).get("models");
      if (open.get(MODEL) instanceof Map<?, ?> used) {
        assertEquals("scalar", used.get("backend"));
        assertEquals("fp32", used.get("precision"));
        assertTrue(used.containsKey("encode_time") && used.containsKey("encode_time_in_millis"));
      }
    }
  }

  private static String text(String path) throws IOException {
    return EntityUtils.toString(
        getRestClient().performRequest(new Request("GET", path)).getEntity());
  }

  public void testStatsOfSomeNodes() throws Exception {
    Map<?, ?> all = (Map<?, ?>) call("GET", "/_lanewise/stats", null).get("nodes");
    for (Map.Entry<?, ?> node : all.entrySet()) {
      Object name = ((Map<?, ?>) node.getValue()).get("name");
      for (Object filter : List.of(node.getKey(), name)) {
        Map<String, Object> one = call("GET", "/_lanewise/stats/" + filter, null);
        assertEquals(Set.of(node.getKey()), ((Map<?, ?>) one.get("nodes")).keySet());
        assertEquals(Map.of("total", 1, "successful", 1, "failed", 0), one.get("_nodes"));
      }
    }
    assertEquals(
        all.keySet(),
        ((Map<?, ?>) call("GET", "/_lanewise/stats/data:true", null).get("nodes")).keySet());
    assertEquals(Map.of(), call("GET", "/_lanewise/stats/nobody", null).get("nodes"));
  }

  public void testStatsTellTheStateOfModels() throws Exception {
    String path = "/_lanewise/models/";
    // Requests go to the nodes in turn: each of them opens both.
    for (String id : List.of(MODEL, "broken")) {
      call("GET", path + id, null);
      call("GET", path + id, null);
    }
    Map<?, ?> nodes = (Map<?, ?>) call("GET", "/_lanewise/stats", null).get("nodes");
    assertEquals(2, nodes.size());
    for (Object node : nodes.values()) {
      assertEquals("auto", ((Map<?, ?>) node).get("backend"));
      assertEquals(true, ((Map<?, ?>) node).get("vector_api"));
      Map<?, ?> states = (Map<?, ?>) ((Map<?, ?>) node).get("model_states");
      assertEquals(Set.of("broken", MODEL, "length", "ner"), states.keySet());
      assertEquals(
          Map.of("kind", "encoder", "state", "open", "fingerprint", fingerprint(MODEL)),
          states.get(MODEL));
      Map<?, ?> broken = (Map<?, ?>) states.get("broken");
      assertEquals("failed", broken.get("state"));
      assertThat((String) broken.get("reason"), containsString("is missing"));
    }

    Map<String, Object> health = call("GET", "/_health_report/lanewise", null);
    assertEquals("yellow", at(health, "indicators.lanewise.status"));
    assertEquals(2, at(health, "indicators.lanewise.details.nodes"));
    assertEquals("[2] nodes could not open a model.", at(health, "indicators.lanewise.symptom"));
    assertThat(
        at(health, "indicators.lanewise.details.failed_models").toString(),
        containsString("is missing"));

    assertThat(text("/_cat"), containsString("/_cat/lanewise\n"));
    assertThat(text("/_cat/lanewise?help"), containsString("cache_hit_ratio"));
    String rows = text("/_cat/lanewise?h=node,id,kind,state&s=id,node");
    String[] names =
        nodes.values().stream()
            .map(node -> (String) ((Map<?, ?>) node).get("name"))
            .sorted()
            .toArray(String[]::new);
    assertEquals(8, rows.lines().count());
    assertEquals(
        names[0] + " broken encoder failed", rows.lines().findFirst().get().replaceAll(" +", " "));
    assertThat(
        rows.replaceAll(" +", " "), containsString(names[1] + " " + MODEL + " encoder open"));
    assertThat(
        text("/_cat/lanewise?v").lines().findFirst().get().replaceAll(" +", " "),
        equalTo(
            "node id kind state backend precision texts tokens truncated failures rejected queue"
                + " cache_hit_ratio time"));
    assertEquals(4, text("/_cat/lanewise/" + nodes.keySet().iterator().next()).lines().count());
    assertError(400, "unrecognized parameter: [x]", "GET", "/_cat/lanewise?x=1", null);
  }

  public void testCatCounts() throws Exception {
    call("POST", "/_lanewise/embed", "{\"input\":[\"red fox\",\"1 2 3 4 5 6 7\"]}");
    long texts = sum("models." + MODEL + ".texts");
    long counted = 0;
    for (String row : text("/_cat/lanewise?h=id,texts,backend,kernels,time").lines().toList()) {
      String[] cells = row.trim().split(" +", -1);
      if (cells[0].equals(MODEL)) {
        counted += Long.parseLong(cells[1]);
      }
    }
    assertEquals(texts, counted);
  }

  public void testSlowLog() throws Exception {
    call(
        "PUT",
        "/_cluster/settings",
        "{\"persistent\":{\"lanewise.slowlog.threshold.bulk.info\":\"0ms\"}}");
    MockLog.assertThatLogger(
        () -> {
          try {
            call("POST", "/_lanewise/embed", "{\"input\":\"red fox\"}");
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        },
        "lanewise.slowlog",
        new MockLog.SeenEventExpectation(
            "length", "lanewise.slowlog", Level.INFO, "*texts[1], characters[7]*"),
        new MockLog.UnseenEventExpectation("text", "lanewise.slowlog", Level.INFO, "*fox*"));
    call(
        "PUT",
        "/_cluster/settings",
        "{\"persistent\":{\"lanewise.slowlog.threshold.bulk.info\":null}}");
  }

  public void testSimulate() throws Exception {
    String pipeline =
        "{\"pipeline\":{\"processors\":[{\"lanewise_embed\":{\"field\":\"body\"}}]},\"docs\":["
            + "{\"_source\":{\"body\":\"red fox\"}},{\"_source\":{\"body\":1}}]}";
    List<?> docs = (List<?>) call("POST", "/_ingest/pipeline/_simulate", pipeline).get("docs");
    Map<?, ?> first = (Map<?, ?>) docs.get(0);
    assertEquals(
        64, ((List<?>) XContentMapValues.extractValue("doc._source.body_vector", first)).size());
    assertEquals(
        "input field [body] cannot be processed because it is not a text field",
        XContentMapValues.extractValue("error.reason", (Map<?, ?>) docs.get(1)));
  }

  public void testBadPipeline() {
    assertError(
        400,
        "\"property_name\":\"target_field\"",
        "PUT",
        "/_ingest/pipeline/bad",
        "{\"processors\":[{\"lanewise_embed\":{\"target_field\":\"a\",\"input_output\":"
            + "{\"input_field\":\"a\",\"output_field\":\"b\"}}}]}");
    assertError(
        400,
        "doesn't support one or more provided configuration parameters [modelid]",
        "PUT",
        "/_ingest/pipeline/bad",
        "{\"processors\":[{\"lanewise_embed\":{\"field\":\"a\",\"modelid\":\"b\"}}]}");
  }

  private static List<?> ids(Map<String, Object> found) {
    return (List<?>) at(found, "hits.hits._id");
  }

  public void testAllFormsOfKnn() throws Exception {
    call(
        "PUT",
        "/animals",
        """
        {"settings": {"number_of_shards": 2, "number_of_replicas": 1}, "mappings": {"properties": {
          "body": {"type": "text"},
          "vector": {"type": "dense_vector", "dims": 64, "similarity": "cosine"},
          "parts": {"type": "nested", "properties": {
            "vector": {"type": "dense_vector", "dims": 64, "similarity": "cosine"}}}}}}\
        """);
    call(
        "PUT",
        "/_ingest/pipeline/animals",
        """
        {"processors": [{"lanewise_embed": {"ignore_missing": true, "input_output": [
          {"input_field": "body", "output_field": "vector"},
          {"input_field": "parts.text", "output_field": "parts.vector"}]}}]}\
        """);
    Request bulk = new Request("POST", "/animals/_bulk?pipeline=animals&refresh=true");
    bulk.setJsonEntity(
        """
        {"index": {"_id": "fox"}}
        {"body": "red fox"}
        {"index": {"_id": "whale"}}
        {"body": "blue whale", "parts": [{"text": "a fluke"}, {"text": "the blowhole"}]}
        {"index": {"_id": "frog"}}
        {"body": "green frog", "parts": [{"text": "long legs"}]}
        {"index": {"_id": "bad"}}
        {"body": 17}
        """);
    Map<String, Object> indexed =
        XContentHelper.convertToMap(
            JsonXContent.jsonXContent,
            getRestClient().performRequest(bulk).getEntity().getContent(),
            true);
    assertEquals(List.of(201, 201, 201, 400), at(indexed, "items.index.status"));
    assertThat(
        (Map<?, ?>) ((List<?>) at(indexed, "items.index.error")).getFirst(),
        hasEntry(
            "reason", "input field [body] cannot be processed because it is not a text field"));

    String knn =
        "{\"field\":\"vector\",\"k\":1,\"num_candidates\":10,\"query_vector_builder\":"
            + "{\"lanewise\":{\"model_id\":\"lanewise-mini-en\",\"model_text\":\"whale\"}}}";
    for (String search :
        List.of(
            "{\"knn\":" + knn + "}",
            "{\"query\":{\"knn\":" + knn + "},\"size\":1}",
            "{\"retriever\":{\"knn\":" + knn + "}}")) {
      assertEquals(search, List.of("whale"), ids(call("POST", "/animals/_search", search)));
    }
    assertEquals(
        List.of("frog"),
        ids(
            call(
                "POST",
                "/animals/_search",
                "{\"knn\":"
                    + knn.replace("vector\",\"k", "parts.vector\",\"k").replace("whale", "legs")
                    + "}")));
    assertError(
        400,
        "[model_text] must not be empty.",
        "POST",
        "/animals/_search",
        "{\"knn\":" + knn.replace("whale", " ") + "}");
    assertError(
        400,
        "[model_text] must not be null.",
        "POST",
        "/animals/_search",
        "{\"knn\":" + knn.replace(",\"model_text\":\"whale\"", "") + "}");
    assertError(
        404,
        "Could not find model [zz]",
        "POST",
        "/animals/_search",
        "{\"knn\":" + knn.replace("lanewise-mini-en", "zz") + "}");
  }
}
