package org.lanewise.plugin.search;

import static org.elasticsearch.core.Strings.format;
import static org.elasticsearch.test.hamcrest.ElasticsearchAssertions.assertResponse;
import static org.hamcrest.Matchers.allOf;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.startsWith;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.lucene.search.Explanation;
import org.elasticsearch.ExceptionsHelper;
import org.elasticsearch.action.bulk.BulkRequestBuilder;
import org.elasticsearch.action.search.SearchResponse;
import org.elasticsearch.action.support.WriteRequest.RefreshPolicy;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.search.SearchHit;
import org.elasticsearch.search.aggregations.bucket.terms.Terms;
import org.elasticsearch.search.builder.SearchSourceBuilder;
import org.elasticsearch.test.ESSingleNodeTestCase;
import org.elasticsearch.test.hamcrest.ElasticsearchAssertions;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.json.JsonXContent;
import org.junit.Before;
import org.lanewise.plugin.TestPlugin;

/** The retriever on several shards, beside plain sums over the same searches made one by one. */
public class HybridRetrieverNodeTests extends ESSingleNodeTestCase {
  private static final int DOCUMENTS = 150;
  private static final List<String> WORDS =
      List.of("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen");

  private record Hit(String id, float score) {}

  /** An inner retriever, and the same as a search of its own. */
  private record Inner(String retriever, String search, float weight) {}

  private Map<String, Integer> places;

  @Override
  protected Collection<Class<? extends Plugin>> getPlugins() {
    return List.of(TestPlugin.class);
  }

  @Before
  public void index() {
    indicesAdmin()
        .prepareCreate("docs")
        .setSettings(indexSettings(between(2, 5), 0))
        .setMapping(
            """
            {"properties": {"body": {"type": "text"}, "group": {"type": "keyword"},
            "vector": {"type": "dense_vector", "dims": 3, "similarity": "l2_norm",
            "index_options": {"type": "flat"}}}}\
            """)
        .get();
    for (int first = 0; first < DOCUMENTS; first += 50) {
      BulkRequestBuilder bulk = client().prepareBulk().setRefreshPolicy(RefreshPolicy.IMMEDIATE);
      for (int i = first; i < first + 50; i++) {
        bulk.add(
            client()
                .prepareIndex("docs")
                .setId("" + i)
                .setSource(
                    "body",
                    String.join(" ", randomSubsetOf(between(1, 4), WORDS)),
                    "group",
                    "g" + i % 10,
                    "vector",
                    vector()));
      }
      ElasticsearchAssertions.assertNoFailures(bulk.get());
    }
    places = new HashMap<>();
    for (Hit hit : hits("{\"query\": {\"match_all\": {}}, \"size\": 1000}")) {
      places.put(hit.id, places.size());
    }
    assertEquals(DOCUMENTS, places.size());
  }

  private static float[] vector() {
    return new float[] {randomFloat(), randomFloat(), randomFloat()};
  }

  private void search(String json, Consumer<SearchResponse> check) {
    try (XContentParser parser = createParser(JsonXContent.jsonXContent, json)) {
      SearchSourceBuilder source =
          new SearchSourceBuilder().parseXContent(parser, true, feature -> true);
      assertResponse(client().prepareSearch("docs").setSource(source), check);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private List<Hit> hits(String json) {
    List<Hit> hits = new ArrayList<>();
    search(
        json,
        found -> {
          assertEquals(0, found.getFailedShards());
          for (SearchHit hit : found.getHits()) {
            hits.add(new Hit(hit.getId(), hit.getScore()));
          }
        });
    return hits;
  }

  private static Inner lexical(int window, float weight, String filter) {
    String query =
        format("{\"match\": {\"body\": \"%s\"}}", String.join(" ", randomSubsetOf(2, WORDS)));
    return new Inner(
        format("{\"standard\": {\"query\": %s}}", query),
        filter == null
            ? format("{\"query\": %s, \"size\": %d}", query, window)
            : format(
                "{\"query\": {\"bool\": {\"must\": %s, \"filter\": %s}}, \"size\": %d}",
                query, filter, window),
        weight);
  }

  private static Inner nearest(int window, float weight, String filter) {
    int k = between(1, 2 * window);
    String knn =
        format(
            "\"field\": \"vector\", \"query_vector\": %s, \"k\": %d, \"num_candidates\": 200",
            Arrays.toString(vector()), k);
    return new Inner(
        format("{\"knn\": {%s}}", knn),
        format(
            "{\"knn\": {%s%s}, \"size\": %d}",
            knn, filter == null ? "" : ", \"filter\": " + filter, Math.min(k, window)),
        weight);
  }

  private static List<Inner> inners(int window, String filter) {
    List<Inner> inners = new ArrayList<>();
    inners.add(lexical(window, 1, filter));
    inners.add(nearest(window, 1, filter));
    for (int more = between(0, 2); more > 0; more--) {
      float weight = randomFrom(0f, 0.5f, 3f);
      inners.add(
          randomBoolean() ? lexical(window, weight, filter) : nearest(window, weight, filter));
    }
    return inners;
  }

  private static String hybrid(List<Inner> inners, String options) {
    List<String> retrievers = new ArrayList<>();
    for (Inner inner : inners) {
      retrievers.add(
          inner.weight == 1 && randomBoolean()
              ? inner.retriever
              : randomBoolean()
                  ? format("{\"retriever\": %s, \"weight\": %s}", inner.retriever, inner.weight)
                  : format("{\"weight\": %s, %s", inner.weight, inner.retriever.substring(1)));
    }
    return format("{\"lanewise_hybrid\": {\"retrievers\": %s, %s}}", retrievers, options);
  }

  private static String retriever(String retriever, String rest) {
    return format("{\"retriever\": %s%s}", retriever, rest);
  }

  private static double normalized(String normalizer, List<Hit> hits, float score) {
    double least = hits.stream().mapToDouble(Hit::score).min().orElseThrow();
    double greatest = hits.stream().mapToDouble(Hit::score).max().orElseThrow();
    double squares =
        hits.stream().mapToDouble(each -> (double) each.score * each.score).reduce(0, Double::sum);
    return switch (normalizer) {
      case "minmax" -> least == greatest ? 1 : (score - least) / (greatest - least);
      case "l2_norm" -> score / Math.sqrt(squares);
      default -> score;
    };
  }

  /** Returns the same from searches made one by one; {@code constant} is for ranks only. */
  private List<Hit> plain(List<Inner> inners, int window, String normalizer, int constant) {
    Map<String, Double> sums = new LinkedHashMap<>();
    for (Inner inner : inners) {
      List<Hit> hits = hits(inner.search);
      for (int i = 0; i < hits.size(); i++) {
        Hit hit = hits.get(i);
        double share =
            normalizer == null
                ? inner.weight / (double) (constant + i + 1)
                : inner.weight * normalized(normalizer, hits, hit.score);
        sums.merge(hit.id, share, Double::sum);
      }
    }
    return sums.entrySet().stream()
        .map(each -> new Hit(each.getKey(), each.getValue().floatValue()))
        .sorted(
            Comparator.comparingDouble((Hit hit) -> -hit.score)
                .thenComparingInt(hit -> places.get(hit.id)))
        .limit(window)
        .toList();
  }

  private static void assertSame(List<Hit> expected, List<Hit> actual) {
    assertEquals(expected.stream().map(Hit::id).toList(), actual.stream().map(Hit::id).toList());
    for (int i = 0; i < expected.size(); i++) {
      // A score of 0 comes back as the least number above it, as a hit's score must be.
      assertEquals(
          expected.get(i).score, actual.get(i).score, 2e-7f * expected.get(i).score + 2e-45f);
    }
  }

  public void testReciprocalRanksAreThoseOfSeparateSearches() {
    for (int i = 0; i < 10; i++) {
      int window = between(1, 60);
      int constant = between(1, 100);
      List<Inner> inners = inners(window, null);
      assertSame(
          plain(inners, window, null, constant),
          hits(
              retriever(
                  hybrid(
                      inners,
                      format("\"rank_window_size\": %d, \"rank_constant\": %d", window, constant)),
                  "")));
    }
  }

  public void testDefaultsAreThoseOfElasticsearch() {
    List<Inner> inners = List.of(lexical(10, 1, null), nearest(10, 1, null));
    assertSame(
        plain(inners, 10, null, 60), hits(retriever(hybrid(inners, "\"_name\": \"a\""), "")));
  }

  public void testWeightedSumsAreThoseOfSeparateSearches() {
    for (String normalizer : List.of("none", "minmax", "l2_norm")) {
      for (int i = 0; i < 5; i++) {
        int window = between(1, 60);
        List<Inner> inners = inners(window, null);
        assertSame(
            plain(inners, window, normalizer, 0),
            hits(retriever(hybrid(inners, weightedSum(normalizer, window)), "")));
      }
    }
  }

  private static String weightedSum(String normalizer, int window) {
    return format(
        "\"fusion\": \"weighted_sum\", \"normalizer\": \"%s\", \"rank_window_size\": %d",
        normalizer, window);
  }

  public void testEachRetrieverMayHaveItsOwnNormalizer() {
    Inner lexical = lexical(20, 1, null);
    Inner nearest = nearest(20, 1, null);
    Map<String, Double> sums = new HashMap<>();
    List<Hit> found = hits(lexical.search);
    found.forEach(hit -> sums.put(hit.id, 2 * normalized("minmax", found, hit.score)));
    hits(nearest.search).forEach(hit -> sums.merge(hit.id, (double) hit.score, Double::sum));
    List<Hit> fused =
        hits(
            retriever(
                format(
                    """
                    {"lanewise_hybrid": {"fusion": "weighted_sum", "normalizer": "none",
                    "rank_window_size": 20, "retrievers": [%s, {"retriever": %s,
                    "weight": 2, "normalizer": "minmax"}]}}\
                    """,
                    nearest.retriever, lexical.retriever),
                ""));
    for (Hit hit : fused) {
      assertEquals(sums.get(hit.id), hit.score, 1e-6);
    }
  }

  public void testPagesJoinToTheWholeWindow() {
    String retriever =
        hybrid(
            inners(40, null),
            randomBoolean() ? weightedSum("minmax", 40) : "\"rank_window_size\": 40");
    List<Hit> whole = hits(retriever(retriever, ", \"size\": 40"));
    int page = between(1, 15);
    List<Hit> joined = new ArrayList<>();
    for (int from = 0; from < 40; from += page) {
      joined.addAll(
          hits(
              retriever(
                  retriever,
                  format(", \"from\": %d, \"size\": %d", from, Math.min(page, 40 - from)))));
    }
    assertEquals(whole, joined);
    assertEquals(
        whole.subList(Math.min(5, whole.size()), whole.size()),
        hits(retriever(retriever, ", \"from\": 5")));
  }

  private void assertRefused(String json, String... parts) {
    Exception e = expectThrows(Exception.class, () -> hits(json));
    assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(ExceptionsHelper.unwrapCause(e)));
    for (String part : parts) {
      assertThat(ExceptionsHelper.stackTrace(e), containsString(part));
    }
  }

  public void testPagesOutsideTheWindowAreRefused() {
    String retriever = hybrid(inners(20, null), "\"rank_window_size\": 20");
    assertRefused(retriever(retriever, ", \"size\": 21"), "[rank_window_size: 20]", "[size: 21]");
    assertRefused(
        retriever(retriever, ", \"from\": 15, \"size\": 6"),
        "[rank_window_size: 20]",
        "[from: 15]",
        "at least [21]");
    assertRefused(retriever(retriever, ", \"from\": 20"), "at least [21]");
    hits(retriever(retriever, ", \"from\": 15, \"size\": 5"));
    hits(retriever(retriever, ", \"from\": 19"));
  }

  public void testFiltersReachEveryRetriever() {
    String filter = "{\"term\": {\"group\": \"g3\"}}";
    for (int i = 0; i < 5; i++) {
      List<Inner> inners = inners(30, filter);
      List<Hit> fused =
          hits(
              retriever(
                  hybrid(inners, "\"rank_window_size\": 30, \"filter\": [" + filter + "]"), ""));
      assertSame(plain(inners, 30, null, 60), fused);
      assertTrue(fused.stream().allMatch(hit -> hit.id.endsWith("3")));
    }
  }

  public void testMinScore() {
    List<Inner> inners = List.of(lexical(30, 1, null), nearest(30, 2, null));
    List<Hit> all = plain(inners, 30, "l2_norm", 0);
    float least = all.get(all.size() / 2).score;
    List<Hit> expected = all.stream().filter(hit -> hit.score >= least).toList();
    search(
        retriever(hybrid(inners, weightedSum("l2_norm", 30) + ", \"min_score\": " + least), ""),
        found -> {
          assertEquals(expected.size(), found.getHits().getHits().length);
          assertEquals(expected.size(), found.getHits().getTotalHits().value());
          for (int i = 0; i < expected.size(); i++) {
            assertEquals(expected.get(i).id, found.getHits().getAt(i).getId());
          }
        });
  }

  public void testExplainTellsRankScoreAndFormulaOfEachRetriever() {
    Inner lexical = lexical(20, 2, null);
    Inner nearest =
        new Inner(
            format(
                """
                {"knn": {"field": "vector", "query_vector": %s, "k": 5, "num_candidates": 200,
                "_name": "dense"}}\
                """,
                Arrays.toString(vector())),
            "",
            1);
    boolean ranks = randomBoolean();
    String retriever =
        hybrid(
            List.of(lexical, nearest),
            ranks ? "\"rank_window_size\": 20" : weightedSum("minmax", 20));
    List<Hit> plain = hits(retriever(retriever, ""));
    List<Hit> words = hits(lexical.search);
    search(
        retriever(retriever, ", \"explain\": true"),
        found -> {
          assertEquals(plain.size(), found.getHits().getHits().length);
          for (int i = 0; i < plain.size(); i++) {
            SearchHit hit = found.getHits().getAt(i);
            assertEquals(plain.get(i), new Hit(hit.getId(), hit.getScore()));
            Explanation explained = hit.getExplanation();
            assertEquals(hit.getScore(), explained.getValue().floatValue(), 2e-45f);
            assertThat(
                explained.getDescription(),
                startsWith(format("rank [%d], [%s] of", i + 1, ranks ? "rrf" : "weighted_sum")));
            Explanation[] parts = explained.getDetails();
            assertEquals(2, parts.length);
            assertEquals(
                hit.getScore(),
                parts[0].getValue().floatValue() + parts[1].getValue().floatValue(),
                1e-6);
            int rank = 1 + words.stream().map(Hit::id).toList().indexOf(hit.getId());
            if (rank == 0) {
              assertEquals(
                  format("not among the [%d] hits of retriever 1 [standard]", words.size()),
                  parts[0].getDescription());
              assertEquals(0, parts[0].getDetails().length);
            } else {
              String score = "" + words.get(rank - 1).score;
              assertThat(
                  parts[0].getDescription(),
                  allOf(
                      startsWith(ranks ? "2.0 / (60 + " + rank + ")" : "2.0 * "),
                      containsString(
                          format(
                              ", at rank [%d] with score [%s] of retriever 1 [standard]",
                              rank, score))));
              assertEquals(
                  words.get(rank - 1).score,
                  parts[0].getDetails()[0].getValue().floatValue(),
                  1e-5);
            }
            assertThat(parts[1].getDescription(), containsString("of retriever 2 [dense]"));
          }
        });
  }

  public void testHybridsNest() {
    List<Inner> inner = List.of(lexical(30, 1, null), nearest(30, 1, null));
    String nested = hybrid(inner, "\"rank_window_size\": 30");
    Inner other = lexical(20, 2, null);
    Map<String, Double> sums = new HashMap<>();
    List<Hit> first = plain(inner, 30, null, 60).subList(0, 20);
    for (int i = 0; i < first.size(); i++) {
      sums.put(first.get(i).id, 1.0 / (61 + i));
    }
    List<Hit> second = hits(other.search);
    for (int i = 0; i < second.size(); i++) {
      sums.merge(second.get(i).id, 2.0 / (61 + i), Double::sum);
    }
    String both = hybrid(List.of(new Inner(nested, "", 1), other), "\"rank_window_size\": 20");
    List<Hit> fused = hits(retriever(both, ""));
    assertEquals(20, fused.size());
    for (Hit hit : fused) {
      assertEquals(sums.get(hit.id), hit.score, 1e-6);
    }
    search(
        retriever(both, ", \"explain\": true"),
        found -> {
          for (int i = 0; i < fused.size(); i++) {
            SearchHit hit = found.getHits().getAt(i);
            assertEquals(fused.get(i), new Hit(hit.getId(), hit.getScore()));
            Explanation part = hit.getExplanation().getDetails()[0];
            if (part.getDetails().length > 0) {
              assertThat(
                  part.toString(), part.getDetails()[0].getDescription(), startsWith("rank ["));
            }
          }
        });
    assertRefused(
        retriever(hybrid(List.of(new Inner(nested, "", 1)), "\"rank_window_size\": 40"), ""),
        "smaller than or equal to its sub retriever's");
  }

  public void testSortedRetrieversHaveRanksButNoScores() {
    Inner sorted =
        new Inner(
            "{\"standard\": {\"query\": {\"match_all\": {}}, \"sort\": [{\"group\": \"desc\"}]}}",
            "{\"query\": {\"match_all\": {}}, \"sort\": [{\"group\": \"desc\"}], \"size\": 20}",
            1);
    List<Inner> inners = List.of(sorted, nearest(20, 1, null));
    assertSame(
        plain(inners, 20, null, 60),
        hits(retriever(hybrid(inners, "\"rank_window_size\": 20"), "")));
    Exception e =
        expectThrows(
            Exception.class, () -> hits(retriever(hybrid(inners, weightedSum("minmax", 20)), "")));
    assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
    assertThat(
        e.getSuppressed()[0].getMessage(),
        startsWith("retriever 1 [standard] sorts its hits and gives them no scores"));
  }

  public void testSumsThatAreNoScoreAreRefused() {
    String inner = "{\"standard\": {\"query\": {\"match_all\": {\"boost\": 10}}}}";
    Exception e =
        expectThrows(
            Exception.class,
            () ->
                hits(
                    retriever(
                        hybrid(List.of(new Inner(inner, "", 1e38f)), weightedSum("none", 10)),
                        "")));
    assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
    assertThat(e.getSuppressed()[0].getMessage(), containsString("lower each [weight]"));
  }

  public void testAggregationsAndTotalsCountAllMatches() {
    String match = "{\"match\": {\"body\": \"fox\"}}";
    String retriever =
        format(
            """
            {"lanewise_hybrid": {"retrievers": [{"standard": {"query": %s}}, {"knn": {"field":
            "vector", "query_vector": [0, 0, 0], "k": 1, "num_candidates": 5, "filter": %s}}],
            "rank_window_size": 3}}\
            """,
            match, match);
    long foxes = hits(format("{\"query\": %s, \"size\": 1000}", match)).size();
    search(
        retriever(retriever, ", \"aggs\": {\"groups\": {\"terms\": {\"field\": \"group\"}}}"),
        found -> {
          assertEquals(3, found.getHits().getHits().length);
          assertEquals(foxes, found.getHits().getTotalHits().value());
          Terms groups = found.getAggregations().get("groups");
          assertEquals(
              foxes, groups.getBuckets().stream().mapToLong(Terms.Bucket::getDocCount).sum());
        });
  }

  public void testNothingFound() {
    String nothing = "{\"standard\": {\"query\": {\"match_none\": {}}}}";
    String options = randomBoolean() ? "\"rank_constant\": 1" : weightedSum("l2_norm", 10);
    assertEquals(
        List.of(), hits(retriever(hybrid(List.of(new Inner(nothing, "", 1)), options), "")));
    hits(retriever(hybrid(List.of(new Inner(nothing, "", 1)), options), ", \"profile\": true"));
  }

  public void testErrorsOfInnerRetrieversKeepTheirStatus() {
    Exception e =
        expectThrows(
            Exception.class,
            () ->
                hits(
                    retriever(
                        """
                        {"lanewise_hybrid": {"retrievers": [{"knn": {"field": "vector", "k": 3,
                        "num_candidates": 5, "query_vector_builder": {"lanewise": {
                        "model_id": "zz", "model_text": "a"}}}}]}}\
                        """,
                        "")));
    assertEquals(RestStatus.NOT_FOUND, ExceptionsHelper.status(ExceptionsHelper.unwrapCause(e)));
    assertThat(ExceptionsHelper.stackTrace(e), containsString("Could not find model [zz]"));
  }
}
