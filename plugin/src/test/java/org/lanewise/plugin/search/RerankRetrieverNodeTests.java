package org.lanewise.plugin.search;

import static org.elasticsearch.core.Strings.format;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.startsWith;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.apache.lucene.search.Explanation;
import org.elasticsearch.action.support.WriteRequest.RefreshPolicy;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.search.SearchHit;
import org.elasticsearch.search.aggregations.bucket.terms.Terms;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TextReranker;
import org.lanewise.plugin.HeadModels;
import org.lanewise.plugin.encode.WorkStats;
import org.lanewise.plugin.models.Relevance;

/** The retriever on several shards, beside the library's scores of the same hits. */
public class RerankRetrieverNodeTests extends HeadNodeTestCase {
  private static final String ALL = "{\"standard\": {\"query\": {\"match_all\": {}}}}";

  private static String rerank(String model, String inner, String options) {
    return format(
        """
        {"lanewise_rerank": {"retriever": %s, "model_id": "%s", "inference_text": "%s"%s}}\
        """,
        inner, model, QUERY, options);
  }

  private static String options(String field, int window) {
    return format(", \"field\": \"%s\", \"rank_window_size\": %d", field, window);
  }

  private static String match(String query) {
    return format("{\"standard\": {\"query\": %s}}", query);
  }

  /** Returns the ids in the order that the library gives their texts, those without text last. */
  private List<Expected> expected(String model, List<String> found, String suffix) {
    List<String> withText = found.stream().filter(bodies::containsKey).toList();
    float[] scores = scores(model, withText.stream().map(id -> bodies.get(id) + suffix).toList());
    boolean signed = model.equals(HeadModels.SIGNED_RERANKER);
    List<Expected> expected = new ArrayList<>();
    for (int i = 0; i < scores.length; i++) {
      expected.add(
          new Expected(withText.get(i), new Relevance(scores[i], signed, false).hitScore()));
    }
    expected.sort(
        Comparator.comparingDouble((Expected each) -> -each.score())
            .thenComparing(each -> places.get(each.id())));
    found.stream()
        .filter(id -> !bodies.containsKey(id))
        .forEach(id -> expected.add(new Expected(id, 0)));
    return expected;
  }

  private List<String> found(String query, int size) {
    return hits(format("{\"query\": %s, \"size\": %d}", query, size)).stream()
        .map(Hit::id)
        .toList();
  }

  public void testOrderIsThatOfTheModel() {
    for (String model : List.of(HeadModels.RERANKER, HeadModels.SIGNED_RERANKER)) {
      for (int window : List.of(1, between(2, 40), CAPACITY)) {
        String query =
            randomFrom("{\"match_all\": {}}", "{\"match\": {\"body\": \"hermia colonel\"}}");
        assertHits(
            expected(model, found(query, window), ""),
            hits(retriever(rerank(model, match(query), options("body", window)), "")));
      }
    }
  }

  public void testScoresOfOneModelMayBeNegativeButThoseOfHitsMayNot() {
    float[] scores = scores(HeadModels.SIGNED_RERANKER, List.copyOf(bodies.values()));
    boolean negative = false;
    for (float score : scores) {
      negative |= score < 0;
    }
    assertTrue("a logit below zero", negative);
    for (Hit hit :
        hits(retriever(rerank(HeadModels.SIGNED_RERANKER, ALL, options("body", 40)), ""))) {
      assertTrue(hit.score() > 0);
    }
    assertEquals(1.5f, new Relevance(0.5f, true, false).hitScore(), 0);
    assertEquals(Math.exp(-2), new Relevance(-2, true, false).hitScore(), 1e-7);
    assertEquals(0.25f, new Relevance(0.25f, false, false).hitScore(), 0);
  }

  public void testTextsOfEveryKindOfField() {
    List<String> found = found("{\"match_all\": {}}", 40);
    for (String field : List.of("body", "late", "early")) {
      assertHits(
          expected(HeadModels.RERANKER, found, ""),
          hits(retriever(rerank(HeadModels.RERANKER, ALL, options(field, 40)), "")));
    }
    List<Expected> lines = expected(HeadModels.RERANKER, found, "\nalive");
    assertHits(lines, hits(retriever(rerank(HeadModels.RERANKER, ALL, options("lines", 40)), "")));
  }

  public void testHitsWithoutTextKeepTheirOrderBehindAllOthers() {
    String sorted =
        """
        {"standard": {"query": {"match_all": {}}, "sort": [{"number": "desc"}]}}\
        """;
    List<Hit> hits = hits(retriever(rerank(HeadModels.RERANKER, sorted, options("body", 50)), ""));
    assertEquals(50, hits.size());
    List<String> behind = hits.stream().map(Hit::id).filter(id -> !bodies.containsKey(id)).toList();
    assertEquals(List.of("59", "52", "45", "38", "31", "24", "17", "10"), behind);
    assertEquals(behind, hits.subList(50 - behind.size(), 50).stream().map(Hit::id).toList());
    List<Hit> nowhere =
        hits(retriever(rerank(HeadModels.RERANKER, sorted, options("place", 5)), ""));
    assertEquals(List.of("59", "58", "57", "56", "55"), nowhere.stream().map(Hit::id).toList());
  }

  public void testCutsAreCountedAndLeaveTheQueryWhole() {
    String text = "Colonel Chabert alive know ".repeat(10);
    client().prepareIndex("docs").setId("long").setSource("group", "long", "body", text).get();
    indicesAdmin().prepareRefresh("docs").get();
    String query = "{\"term\": {\"group\": \"long\"}}";
    String search = rerank(HeadModels.RERANKER, match(query), options("body", 10));
    hits(retriever(search, ""));
    WorkStats before = work(HeadModels.RERANKER);
    List<Hit> hits = hits(retriever(search, ""));
    WorkStats after = work(HeadModels.RERANKER);
    assertEquals(1, after.truncated() - before.truncated());
    assertEquals(20, after.tokens() - before.tokens());
    String longQuery = "Am I dead or am I alive know";
    try (TextEmbedder encoder = encoder(HeadModels.RERANKER)) {
      TextReranker reranker = TextReranker.over(encoder);
      assertEquals(
          reranker.score(List.of(reranker.encode(QUERY, text)))[0], hits.getFirst().score(), 1e-5);
      float score = reranker.score(List.of(reranker.encode(longQuery, text)))[0];
      assertEquals(
          score, hits(retriever(search.replace(QUERY, longQuery), "")).getFirst().score(), 1e-5);
    }
  }

  public void testPagesJoinToTheWholeWindow() {
    String search = rerank(HeadModels.RERANKER, ALL, options("body", 40));
    List<Hit> whole = hits(retriever(search, ", \"size\": 40"));
    int page = between(1, 15);
    List<Hit> joined = new ArrayList<>();
    for (int from = 0; from < 40; from += page) {
      joined.addAll(
          hits(
              retriever(
                  search,
                  format(", \"from\": %d, \"size\": %d", from, Math.min(page, 40 - from)))));
    }
    assertEquals(whole, joined);
    assertRefused(
        RestStatus.BAD_REQUEST,
        retriever(search, ", \"from\": 35, \"size\": 6"),
        "[lanewise_rerank] finds the best [rank_window_size: 40]",
        "at least [41]");
    assertRefused(RestStatus.BAD_REQUEST, retriever(search, ", \"size\": 41"), "[size: 41]");
  }

  public void testFiltersReachTheInnerRetriever() {
    String filter = "{\"term\": {\"group\": \"g4\"}}";
    String lookup =
        "{\"terms\": {\"group\": {\"index\": \"docs\", \"id\": \"4\", \"path\": \"group\"}}}";
    List<Expected> expected = expected(HeadModels.RERANKER, found(filter, 30), "");
    for (String each : List.of(filter, lookup)) {
      assertHits(
          expected,
          hits(
              retriever(
                  rerank(HeadModels.RERANKER, ALL, options("body", 30) + ", \"filter\": " + each),
                  "")));
      assertHits(
          expected,
          hits(retriever(rerank(HeadModels.RERANKER, match(each), options("body", 30)), "")));
    }
  }

  public void testMinScore() {
    List<Expected> all = expected(HeadModels.RERANKER, found("{\"match_all\": {}}", 30), "");
    double least = all.get(10).score() - 1e-6;
    List<Expected> kept = all.stream().filter(each -> each.score() >= least).toList();
    search(
        retriever(
            rerank(HeadModels.RERANKER, ALL, options("body", 30) + ", \"min_score\": " + least),
            ", \"size\": 30"),
        found -> {
          assertEquals(kept.size(), found.getHits().getHits().length);
          assertEquals(kept.size(), found.getHits().getTotalHits().value());
        });
  }

  public void testExplain() {
    for (String model : List.of(HeadModels.RERANKER, HeadModels.SIGNED_RERANKER)) {
      String search = rerank(model, ALL, options("body", 40));
      List<Hit> plain = hits(retriever(search, ""));
      search(
          retriever(search, ", \"explain\": true"),
          found -> {
            for (int i = 0; i < plain.size(); i++) {
              SearchHit hit = found.getHits().getAt(i);
              assertEquals(plain.get(i), new Hit(hit.getId(), hit.getScore()));
              Explanation explained = hit.getExplanation();
              assertEquals(hit.getScore(), explained.getValue().floatValue(), 0);
              assertThat(
                  explained.getDescription(),
                  startsWith("rank [" + (i + 1) + "], by [" + model + "]: "));
              assertThat(
                  explained.getDescription(),
                  containsString(
                      !bodies.containsKey(hit.getId())
                          ? "no text in [body]"
                          : model.equals(HeadModels.RERANKER)
                              ? "the score of the model"
                              : "of the model's score s ["));
              assertEquals(1, explained.getDetails().length);
            }
          });
    }
  }

  public void testInsideAndOverAHybrid() {
    String first = match("{\"match\": {\"body\": \"hermia\"}}");
    String second = match("{\"match\": {\"body\": \"colonel\"}}");
    String hybrid =
        format(
            "{\"lanewise_hybrid\": {\"retrievers\": [%s, %s], \"rank_window_size\": 20}}",
            first, second);
    List<String> fused = hits(retriever(hybrid, "")).stream().map(Hit::id).toList();
    assertHits(
        expected(HeadModels.RERANKER, fused, ""),
        hits(retriever(rerank(HeadModels.RERANKER, hybrid, options("body", 20)), "")));
    String reranked = rerank(HeadModels.RERANKER, first, options("body", 20));
    List<Hit> alone = hits(retriever(reranked, ""));
    String over =
        format(
            """
            {"lanewise_hybrid": {"retrievers": [%s], "fusion": "weighted_sum",
            "normalizer": "none", "rank_window_size": 20, "filter": {"match_all": {}}}}\
            """,
            reranked);
    assertEquals(alone, hits(retriever(over, "")));
    search(
        retriever(over, ", \"explain\": true"),
        found ->
            assertThat(
                found.getHits().getAt(0).getExplanation().toString(),
                containsString("rank [1], by [cross_encoder_sigmoid]: the score of the model")));
    assertHits(
        expected(
            HeadModels.SIGNED_RERANKER, alone.subList(0, 5).stream().map(Hit::id).toList(), ""),
        hits(retriever(rerank(HeadModels.SIGNED_RERANKER, reranked, options("body", 5)), "")));
  }

  public void testNearestNeighbours() {
    String knn =
        """
        {"knn": {"field": "vector", "query_vector": [20], "k": 12, "num_candidates": 60}}\
        """;
    List<String> found =
        hits(format("{%s, \"size\": 12}", knn.substring(1, knn.length() - 1))).stream()
            .map(Hit::id)
            .toList();
    assertEquals(12, found.size());
    String search = rerank(HeadModels.RERANKER, knn, options("body", 12));
    List<Hit> hits = hits(retriever(search, ""));
    assertHits(expected(HeadModels.RERANKER, found, ""), hits);
    search(
        retriever(search, ", \"explain\": true"),
        result -> {
          assertEquals(12, result.getHits().getTotalHits().value());
          for (int i = 0; i < hits.size(); i++) {
            SearchHit hit = result.getHits().getAt(i);
            assertEquals(hits.get(i), new Hit(hit.getId(), hit.getScore()));
            assertThat(hit.getExplanation().getDescription(), startsWith("rank [" + (i + 1)));
          }
        });
    hits(retriever(search, ", \"profile\": true"));
  }

  public void testAggregationsAndTotalsCountAllMatches() {
    search(
        retriever(
            rerank(HeadModels.RERANKER, ALL, options("body", 3)),
            ", \"aggs\": {\"groups\": {\"terms\": {\"field\": \"group\"}}}"),
        found -> {
          assertEquals(3, found.getHits().getHits().length);
          assertEquals(DOCUMENTS, found.getHits().getTotalHits().value());
          Terms groups = found.getAggregations().get("groups");
          assertEquals(
              DOCUMENTS, groups.getBuckets().stream().mapToLong(Terms.Bucket::getDocCount).sum());
        });
  }

  public void testNothingFound() {
    String nothing = match("{\"match_none\": {}}");
    assertEquals(
        List.of(), hits(retriever(rerank(HeadModels.RERANKER, nothing, options("body", 5)), "")));
  }

  public void testAFieldThatNoIndexHas() {
    String search = retriever(rerank(HeadModels.RERANKER, ALL, options("bodi", 5)), "");
    String message = "field [bodi] does not exist in the mapping of any index that is searched";
    assertRefused(RestStatus.BAD_REQUEST, search, message);
    client()
        .prepareIndex("others")
        .setSource("a", 1)
        .setRefreshPolicy(RefreshPolicy.IMMEDIATE)
        .get();
    searched = new String[] {"docs", "others"};
    assertRefused(RestStatus.BAD_REQUEST, search, message);
    searched = new String[] {"others"};
    String body = search.replace("bodi", "body");
    assertRefused(RestStatus.BAD_REQUEST, body, message.replace("bodi", "body"));
    // None of the hits has text, but one of the indices the field.
    searched = new String[] {"docs", "others"};
    assertEquals(1, hits(body.replace(ALL, match("{\"exists\": {\"field\": \"a\"}}"))).size());
  }

  public void testFailuresFailTheSearchWithTheirReason() {
    assertRefused(
        RestStatus.NOT_FOUND,
        retriever(rerank("zz", ALL, options("body", 5)), ""),
        "Could not find model [zz]");
    assertRefused(
        RestStatus.BAD_REQUEST,
        retriever(rerank(HeadModels.CLASSIFIER, ALL, options("body", 5)), ""),
        "[sequence_classification_5] is a classifier, expected a reranker");
    assertRefused(
        RestStatus.BAD_REQUEST,
        retriever(
            rerank(HeadModels.RERANKER, ALL, options("body", 5)).replace(QUERY, "dead ".repeat(30)),
            ""),
        "the query has [",
        "shorten it");
    assertRefused(
        RestStatus.BAD_REQUEST,
        retriever(rerank(HeadModels.RERANKER, ALL, options("body", 60)), ""),
        "[lanewise.queue_capacity] is [50]");
    client()
        .prepareIndex("docs")
        .setId("here")
        .setSource("group", "here", "place", "POINT (1 2)")
        .get();
    indicesAdmin().prepareRefresh("docs").get();
    assertRefused(
        RestStatus.BAD_REQUEST,
        retriever(
            rerank(
                HeadModels.RERANKER,
                match("{\"term\": {\"group\": \"here\"}}"),
                options("place", 5)),
            ""),
        "[field] is [place], which holds a [");
    assertRefused(
        RestStatus.BAD_REQUEST,
        retriever(
            rerank(
                HeadModels.RERANKER, match("{\"term\": {\"number\": \"x\"}}"), options("body", 5)),
            ""),
        "For input string");
  }
}
