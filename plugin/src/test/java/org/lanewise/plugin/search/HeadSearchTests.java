package org.lanewise.plugin.search;

import static org.hamcrest.Matchers.containsString;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.lucene.tests.util.LuceneTestCase;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.test.ESIntegTestCase;
import org.junit.Before;
import org.lanewise.plugin.RestTestCase;
import org.lanewise.plugin.TestEncoder;

/**
 * Fields that {@code lanewise_embed} wrote and what searches them, over HTTP in a cluster of two
 * nodes and three shards, beside sums that are written out here.
 */
@ESIntegTestCase.ClusterScope(
    scope = ESIntegTestCase.Scope.SUITE,
    numDataNodes = 2,
    numClientNodes = 0,
    supportsDedicatedMasters = false)
@LuceneTestCase.SuppressFileSystems("ExtrasFS") // it adds directories, which are models here
public class HeadSearchTests extends RestTestCase {
  private static final String MODEL = "lanewise-mini-en";
  private static final Map<Integer, Path> CONFIGS = new ConcurrentHashMap<>();
  private static final List<String> TEXTS =
      List.of("ant bee", "bee bee cat", "cat", "dog dog ant", "eel", "ant ant ant bee cat");

  private static final String MAPPING =
      """
      {"settings": {"number_of_shards": 3, "number_of_replicas": 0}, "mappings": {"properties": {
      "body": {"type": "text"},
      "sparse": {"type": "sparse_vector", "index_options": {"prune": false}},
      "tokens": {"type": "binary", "doc_values": true},
      "dense": {"type": "dense_vector", "dims": 64, "similarity": "cosine",
        "index_options": {"type": "flat"}},
      "bytes": {"type": "dense_vector", "dims": 64, "element_type": "byte",
        "similarity": "cosine", "index_options": {"type": "flat"}},
      "bits": {"type": "dense_vector", "dims": 64, "element_type": "bit",
        "index_options": {"type": "flat"}},
      "few": {"type": "dense_vector", "dims": 61, "similarity": "cosine",
        "index_options": {"type": "flat"}}}}}\
      """;

  private static final String PIPELINE =
      """
      {"processors": [{"lanewise_embed": {"ignore_missing": true, "input_output": [
      {"input_field": "body", "output_field": "sparse", "output": "sparse"},
      {"input_field": "body", "output_field": "tokens", "output": "multi_vector"},
      {"input_field": "body", "output_field": "dense"},
      {"input_field": "body", "output_field": "bytes", "element_type": "byte"},
      {"input_field": "body", "output_field": "bits", "element_type": "bit"},
      {"input_field": "body", "output_field": "few", "dimensions": 61}]}}]}\
      """;

  @Override
  protected Settings nodeSettings(int nodeOrdinal, Settings otherSettings) {
    return Settings.builder()
        .put(super.nodeSettings(nodeOrdinal, otherSettings))
        .put("lanewise.query_cache_size", "8kb")
        .build();
  }

  @Override
  protected Path nodeConfigPath(int nodeOrdinal) {
    return CONFIGS.computeIfAbsent(
        nodeOrdinal,
        node -> {
          Path config = createTempDir();
          try {
            TestEncoder.create(
                config.resolve("lanewise").resolve("models"), MODEL, 64, 12, Map.of());
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
          return config;
        });
  }

  @Before
  public void index() throws IOException {
    call("PUT", "/docs", MAPPING);
    call("PUT", "/_ingest/pipeline/heads", PIPELINE);
    for (int i = 0; i < TEXTS.size(); i++) {
      call(
          "PUT",
          "/docs/_doc/" + i + "?refresh=true&pipeline=heads",
          "{\"body\":\"" + TEXTS.get(i) + "\"}");
    }
    call("PUT", "/docs/_doc/bare?refresh=true&pipeline=heads", "{\"other\":1}");
  }

  private static Map<String, Double> hits(Map<String, Object> answer) {
    assertEquals(0, at(answer, "_shards.failed"));
    Map<String, Double> scores = new TreeMap<>();
    for (Object hit : (List<?>) at(answer, "hits.hits")) {
      Map<?, ?> object = (Map<?, ?>) hit;
      scores.put((String) object.get("_id"), ((Number) object.get("_score")).doubleValue());
    }
    return scores;
  }

  private static Map<String, Double> search(String body) throws IOException {
    return hits(call("POST", "/docs/_search?size=20", body));
  }

  private static void assertScores(Map<String, Double> expected, Map<String, Double> actual) {
    assertEquals(expected.keySet(), actual.keySet());
    expected.forEach((id, score) -> assertEquals(id, score, actual.get(id), 1e-2 * score + 1e-6));
  }

  private static Map<String, Integer> counts(String text) {
    Map<String, Integer> counts = new HashMap<>();
    for (String word : text.split(" ", -1)) {
      counts.merge(word, 1, Integer::sum);
    }
    return counts;
  }

  public void testSparse() throws IOException {
    Map<String, Double> expected = new TreeMap<>();
    for (int i = 0; i < TEXTS.size(); i++) {
      Map<String, Integer> words = counts(TEXTS.get(i));
      double score = 2.0 * words.getOrDefault("ant", 0) + words.getOrDefault("bee", 0);
      if (score > 0) {
        expected.put("" + i, score);
      }
    }
    String query = "{\"lanewise_sparse\":{\"field\":\"sparse\",\"query\":\"ant bee ant\"%s}}";
    assertScores(expected, search("{\"query\":" + query.replace("%s", "") + "}"));
    assertScores(
        expected,
        search(
            "{\"query\":{\"bool\":{\"should\":["
                + query.replace("%s", ",\"model_id\":\"lanewise-mini-en\",\"boost\":1")
                + "]}}}"));
    Map<String, Double> onlyAnts = new TreeMap<>(expected);
    onlyAnts.remove("1");
    onlyAnts.replaceAll(
        (id, score) -> 2.0 * 2 * counts(TEXTS.get(Integer.parseInt(id))).get("ant"));
    assertScores(
        onlyAnts,
        search(
            "{\"query\":" + query.replace("%s", ",\"boost\":2,\"pruning\":{\"top_k\":1}") + "}"));
    assertEquals(
        Map.of(),
        search("{\"query\":{\"lanewise_sparse\":{\"field\":\"none\",\"query\":\"ant\"}}}"));
  }

  public void testNamesOfTokensInAFieldWithoutDots() {
    assertEquals(
        Map.of("U.S", 3f, "U__S", 3f, ".", 2f, "__", 1f, "ant", 1f),
        SparseQueryBuilder.withFeatureNames(Map.of("U.S", 3f, ".", 2f, "__", 1f, "ant", 1f)));
  }

  public void testSparseErrors() {
    String path = "/docs/_search";
    String query = "{\"query\":{\"lanewise_sparse\":{%s}}}";
    assertError(400, "Required [field]", "POST", path, query.replace("%s", "\"query\":\"a\""));
    assertError(
        400,
        "[query] must not be null.",
        "POST",
        path,
        query.replace("%s", "\"field\":\"sparse\""));
    assertError(
        400,
        "[top_k] is 0, expected 1 or more",
        "POST",
        path,
        query.replace("%s", "\"field\":\"sparse\",\"query\":\"a\",\"pruning\":{\"top_k\":0}"));
    assertError(
        400,
        "field [body] is of type [text], expected [sparse_vector] or [rank_features]",
        "POST",
        path,
        query.replace("%s", "\"field\":\"body\",\"query\":\"a\""));
    assertError(
        404,
        "Could not find model [zz]",
        "POST",
        path,
        query.replace("%s", "\"field\":\"sparse\",\"query\":\"a\",\"model_id\":\"zz\""));
  }

  /** Axes of words are equal or at right angles, so MaxSim counts the question's words. */
  private static double maxSim(String question, String text) {
    List<String> words = Arrays.asList(text.split(" ", -1));
    return Arrays.stream(question.split(" ", -1)).filter(words::contains).count();
  }

  private static String rescore(String options) {
    return "{\"query\":{\"constant_score\":{\"filter\":{\"match_all\":{}},\"boost\":3}},\"rescore\":{\"window_size\":20,\"lanewise_maxsim\":{\"field\":\"tokens\",\"query\":\"bee"
               + " cat bee\""
        + options
        + "}}}";
  }

  public void testMaxSim() throws IOException {
    Map<String, Double> alone = new TreeMap<>();
    Map<String, Double> both = new TreeMap<>();
    for (int i = 0; i < TEXTS.size(); i++) {
      double score = maxSim("bee cat bee", TEXTS.get(i));
      alone.put("" + i, score);
      both.put("" + i, 3 * 0.5 + 2 * score);
    }
    alone.put("bare", 0.0);
    both.put("bare", 1.5);
    assertScores(alone, search(rescore("")));
    assertScores(both, search(rescore(",\"query_weight\":0.5,\"rescore_query_weight\":2")));
    Map<String, Object> explained =
        call("POST", "/docs/_search?size=1&explain=true", rescore(",\"query_weight\":1"));
    assertThat(
        at(explained, "hits.hits._explanation").toString(),
        containsString(
            "sum over the question's tokens of the largest dot product with a token of [tokens]"));
    assertEquals(
        ((List<?>) at(explained, "hits.hits._score")).getFirst(),
        ((List<?>) at(explained, "hits.hits._explanation.value")).getFirst());
  }

  public void testOnlyTheWindowIsRescored() throws IOException {
    String body =
        "{\"query\":{\"match\":{\"body\":\"bee cat\"}},\"rescore\":{\"window_size\":1,"
            + "\"lanewise_maxsim\":{\"field\":\"tokens\",\"query\":\"cat\"}}}";
    Map<String, Double> scores = search(body);
    assertEquals(4, scores.size());
    // One for the best hit of each shard at most, and nothing for the others.
    assertTrue(scores.values().stream().filter(score -> score > 0).count() <= 3);
  }

  public void testMaxSimErrors() throws IOException {
    String path = "/docs/_search";
    assertError(
        400,
        "field [body] is of type [text], expected [binary] with [doc_values] of [true]",
        "POST",
        path,
        rescore("").replace("\"tokens\"", "\"body\""));
    assertError(
        400, "[query] must not be empty.", "POST", path, rescore("").replace("bee cat bee", " "));
    call("PUT", "/docs/_doc/bad?refresh=true", "{\"tokens\":\"AAAA\"}");
    assertError(
        400,
        "field [tokens]: [3] bytes are no vectors of tokens",
        "POST",
        path + "?allow_partial_search_results=false",
        rescore(""));
  }

  public void testSmallVectorsFindTheSame() throws IOException {
    for (String field : List.of("dense", "bytes", "bits", "few")) {
      String form =
          switch (field) {
            case "bytes" -> ",\"element_type\":\"byte\"";
            case "bits" -> ",\"element_type\":\"bit\"";
            case "few" -> ",\"dimensions\":61";
            default -> "";
          };
      for (int i = 0; i < TEXTS.size(); i++) {
        Map<String, Object> answer =
            call(
                "POST",
                "/docs/_search?size=1",
                "{\"knn\":{\"field\":\""
                    + field
                    + "\",\"k\":1,\"num_candidates\":10,\"query_vector_builder\":{\"lanewise\":"
                    + "{\"model_text\":\""
                    + TEXTS.get(i)
                    + "\""
                    + form
                    + "}}}}");
        assertEquals(1, ((Number) at(answer, "hits.max_score")).doubleValue(), 1e-3);
      }
    }
  }

  public void testQuestionsAreRemembered() throws IOException {
    String body = "{\"query\":{\"lanewise_sparse\":{\"field\":\"sparse\",\"query\":\"fox %d\"}}}";
    List<Long> texts = new ArrayList<>();
    for (int round = 0; round < 4; round++) {
      search(body.replace("%d", "1"));
      texts.add(sum("query_cache.misses"));
    }
    // Each node that the client asks asks its model once.
    assertEquals(texts.get(1), texts.get(3));
    assertTrue(sum("query_cache.hits") >= 2);
    assertTrue(sum("query_cache.entries") >= 1);
    for (int i = 0; i < 60; i++) {
      search(body.replace("%d", "" + i));
    }
    assertTrue(sum("query_cache.evictions") > 0);
    assertTrue(sum("query_cache.memory_size_in_bytes") <= 2 * 8192);
  }

  private static long sum(String path) throws IOException {
    Map<String, Object> stats = call("GET", "/_lanewise/stats", null);
    long sum = 0;
    for (Object node : ((Map<?, ?>) stats.get("nodes")).values()) {
      @SuppressWarnings("unchecked")
      Map<String, Object> object = (Map<String, Object>) node;
      sum += ((Number) at(object, path)).longValue();
    }
    return sum;
  }

  public void testRest() throws IOException {
    Map<String, Object> sparse =
        call(
            "POST",
            "/_lanewise/sparse/" + MODEL,
            "{\"input\":[\"a b b\",\"c\"],\"pruning\":{\"top_k\":1}}");
    assertEquals(
        Map.of(
            "model_id",
            MODEL,
            "sparse_embedding",
            List.of(
                Map.of("is_truncated", false, "tokens", 5, "embedding", Map.of("b", 2.0)),
                Map.of("is_truncated", false, "tokens", 3, "embedding", Map.of("c", 1.0)))),
        sparse);
    Map<String, Object> all =
        call(
            "POST",
            "/_lanewise/embed/" + MODEL,
            "{\"input\":\"a b\",\"outputs\":[\"dense\",\"sparse\",\"multi_vector\"]}");
    Map<?, ?> one = (Map<?, ?>) ((List<?>) all.get("text_embedding")).getFirst();
    assertEquals(64, ((List<?>) one.get("embedding")).size());
    assertEquals(Map.of("a", 1.0, "b", 1.0), one.get("sparse_embedding"));
    assertEquals(2, ((List<?>) one.get("token_embeddings")).size());
    assertError(
        400,
        "[outputs] must be one of [dense, sparse, multi_vector, tags] but was [x]",
        "POST",
        "/_lanewise/embed/" + MODEL,
        "{\"input\":\"a\",\"outputs\":\"x\"}");
    assertError(
        400,
        "[outputs] must name at least one output",
        "POST",
        "/_lanewise/embed/" + MODEL,
        "{\"input\":\"a\",\"outputs\":[]}");
  }
}
