package org.lanewise.plugin.search;

import static org.hamcrest.Matchers.containsString;

import java.io.IOException;
import java.util.List;
import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.ScoreDoc;
import org.elasticsearch.ElasticsearchException;
import org.elasticsearch.ExceptionsHelper;
import org.elasticsearch.common.Strings;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.search.SearchModule;
import org.elasticsearch.search.builder.SearchSourceBuilder;
import org.elasticsearch.search.rank.RankDoc;
import org.elasticsearch.search.retriever.RetrieverBuilder;
import org.elasticsearch.test.ESTestCase;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.json.JsonXContent;
import org.lanewise.plugin.TestPlugin;

public class HybridRetrieverBuilderTests extends ESTestCase {
  private static final String ALL = "{\"standard\": {}}";

  @Override
  protected NamedXContentRegistry xContentRegistry() {
    return new NamedXContentRegistry(
        new SearchModule(Settings.EMPTY, List.of(new TestPlugin())).getNamedXContents());
  }

  private RetrieverBuilder parse(String hybrid) throws IOException {
    String json = "{\"retriever\": {\"lanewise_hybrid\": " + hybrid + "}}";
    try (XContentParser parser = createParser(JsonXContent.jsonXContent, json)) {
      return new SearchSourceBuilder().parseXContent(parser, true, feature -> true).retriever();
    }
  }

  public void testWhatIsWrittenIsReadAgain() throws IOException {
    for (String options :
        List.of(
            "\"rank_constant\": 7, \"rank_window_size\": 33, \"min_score\": 0.25",
            "\"fusion\": \"rrf\", \"_name\": \"both\"",
            "\"fusion\": \"weighted_sum\", \"normalizer\": \"l2_norm\"",
            """
            "fusion": "weighted_sum", "normalizer": "none", "rank_window_size": 5,
            "filter": {"term": {"a": "b"}}\
            """)) {
      String retrievers = "{\"retrievers\": [" + ALL + ", {\"weight\": 3, \"standard\": {}}], ";
      RetrieverBuilder read = parse(retrievers + options + "}");
      String written = Strings.toString(read);
      RetrieverBuilder again =
          parse(written.substring("{\"lanewise_hybrid\":".length(), written.length() - 1));
      assertEquals(read, again);
      assertEquals(read.hashCode(), again.hashCode());
      assertEquals(written, Strings.toString(again));
      assertNotEquals(read, parse("{\"retrievers\": [" + ALL + ", " + ALL + "]}"));
    }
  }

  public void testBadOptions() {
    assertBad("{}", "[lanewise_hybrid] has no [retrievers], expected at least one");
    assertBad("{\"retrievers\": []}", "has no [retrievers]");
    assertBad("{\"retrievers\": [{\"weight\": 2}]}", "one of [retrievers] has no retriever");
    assertBad(
        "{\"retrievers\": [{\"standard\": {}, \"knn\": {}}]}",
        "has [knn] beside another retriever, expected only one");
    assertBad("{\"retrievers\": [{\"standrad\": {}}]}", "[standrad]");
    assertBad("{\"retrievers\": [{\"weigth\": 2}]}", "[weigth] is not an object");
    assertBad("{\"retrievers\": [{\"weight\": {}}]}", "");
    assertBad("{\"retrievers\": [{\"standard\": {}, \"weight\": null}]}", "");
    assertBad(with("\"rank_window_size\": 0"), "[rank_window_size] is [0], expected at least [1]");
    assertBad(with("\"rank_constant\": 0"), "[rank_constant] is [0], expected at least [1]");
    assertBad(
        with("\"fusion\": \"sum\""), "[fusion] is [sum], expected one of [rrf, weighted_sum]");
    assertBad(
        with("\"fusion\": \"weighted_sum\", \"normalizer\": \"max\""),
        "[normalizer] is [max], expected one of [none, minmax, l2_norm]");
    assertBad(with("\"fusion\": \"weighted_sum\""), "[weighted_sum] needs a [normalizer]");
    assertBad(
        with("\"fusion\": \"weighted_sum\", \"normalizer\": \"none\", \"rank_constant\": 2"),
        "[rank_constant] belongs to");
    assertBad(with("\"normalizer\": \"minmax\""), "[normalizer] belongs to");
    assertBad(with("\"rank_windw_size\": 5"), "unknown field [rank_windw_size]");
    assertBad(
        "{\"retrievers\": [{\"standard\": {}, \"weight\": -1}]}",
        "[weight] is [-1.0], expected a number of at least [0]");
    assertBad(
        "{\"retrievers\": [{\"standard\": {}, \"weight\": 0}]}",
        "each [weight] is [0], expected at least one above it");
    assertBad(
        "{\"retrievers\": [{\"standard\": {}, \"normalizer\": \"mean\"}]}",
        "[normalizer] is [mean]");
  }

  private static String with(String options) {
    return "{\"retrievers\": [" + ALL + "], " + options + "}";
  }

  /** The message must be the one that a response shows first. */
  private void assertBad(String hybrid, String message) {
    Exception e = expectThrows(Exception.class, () -> parse(hybrid));
    assertEquals(hybrid, RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
    assertThat(ElasticsearchException.guessRootCauses(e)[0].getMessage(), containsString(message));
  }

  private static double[] normalized(Normalizer normalizer, float... scores) {
    double[] normalized = new double[scores.length];
    for (int i = 0; i < scores.length; i++) {
      normalized[i] = normalizer.scale(scores).of(scores[i]);
    }
    return normalized;
  }

  public void testNormalizers() {
    assertArrayEquals(new double[] {4, 3, 0}, normalized(Normalizer.NONE, 4, 3, 0), 0);
    assertArrayEquals(new double[] {1, 0.5, 0}, normalized(Normalizer.MINMAX, 5, 3, 1), 0);
    assertArrayEquals(new double[] {1, 1}, normalized(Normalizer.MINMAX, 7, 7), 0);
    assertArrayEquals(new double[] {1}, normalized(Normalizer.MINMAX, 0), 0);
    assertArrayEquals(
        new double[] {1, 0}, normalized(Normalizer.MINMAX, Float.MAX_VALUE, Float.MIN_VALUE), 1e-9);
    assertArrayEquals(new double[] {0.8, 0.6}, normalized(Normalizer.L2_NORM, 4, 3), 1e-15);
    assertArrayEquals(new double[] {0, 0}, normalized(Normalizer.L2_NORM, 0, 0), 0);
    assertArrayEquals(
        new double[] {Math.sqrt(0.5), Math.sqrt(0.5)},
        normalized(Normalizer.L2_NORM, Float.MAX_VALUE, Float.MAX_VALUE),
        1e-15);
  }

  public void testFormulasGiveTheNumbers() {
    ScoreDoc[] hits = {new ScoreDoc(1, 5), new ScoreDoc(2, 3), new ScoreDoc(3, 1)};
    Fusion.Shares ranks = new Fusion.ReciprocalRank(2, 60).shares(hits);
    assertEquals("2.0 / (60 + 3)", ranks.formula(2));
    assertEquals(2.0 / 63, ranks.of(2), 0);
    assertEquals(
        "2.0 * (3.0 - 1.0) / 4.0",
        new Fusion.WeightedScore(2, Normalizer.MINMAX).shares(hits).formula(1));
    assertEquals("2.0 * 3.0", new Fusion.WeightedScore(2, Normalizer.NONE).shares(hits).formula(1));
    assertEquals(
        "1.0 * 1 (all scores are 5.0)",
        new Fusion.WeightedScore(1, Normalizer.MINMAX).shares(new ScoreDoc[] {hits[0]}).formula(0));
  }

  public void testExplainedHitsGoFromNodeToNode() throws IOException {
    HybridRankDoc hit =
        new HybridRankDoc(
            5,
            0.5f,
            2,
            "rrf",
            List.of(
                new HybridRankDoc.Part(true, 0.5f, "because"),
                new HybridRankDoc.Part(false, 0, "not among them")));
    hit.rank = 3;
    RankDoc read =
        copyNamedWriteable(
            hit, new NamedWriteableRegistry(new TestPlugin().getNamedWriteables()), RankDoc.class);
    assertEquals(hit, read);
    assertEquals(hit.hashCode(), read.hashCode());
    Explanation source = Explanation.match(7, "the source");
    Explanation explained = read.explain(new Explanation[] {source, source}, new String[2]);
    assertEquals(
        Explanation.match(
            0.5f,
            "rank [3], [rrf] of what each retriever adds:",
            Explanation.match(0.5f, "because", source),
            Explanation.match(0f, "not among them")),
        explained);
  }
}
