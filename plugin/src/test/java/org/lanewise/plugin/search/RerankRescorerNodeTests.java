package org.lanewise.plugin.search;

import static org.elasticsearch.core.Strings.format;
import static org.hamcrest.Matchers.containsString;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.lucene.search.Explanation;
import org.elasticsearch.ElasticsearchException;
import org.elasticsearch.action.support.PlainActionFuture;
import org.elasticsearch.action.support.WriteRequest.RefreshPolicy;
import org.elasticsearch.common.Strings;
import org.elasticsearch.common.io.stream.BytesStreamOutput;
import org.elasticsearch.common.io.stream.NamedWriteableAwareStreamInput;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.search.SearchHit;
import org.elasticsearch.search.builder.SearchSourceBuilder;
import org.elasticsearch.search.rescore.QueryRescoreMode;
import org.elasticsearch.search.rescore.RescorerBuilder;
import org.elasticsearch.tasks.TaskCancelledException;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.json.JsonXContent;
import org.lanewise.plugin.HeadModels;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.models.Relevance;

/** The rescorer on several shards, beside the library's scores of each shard's best hits. */
public class RerankRescorerNodeTests extends HeadNodeTestCase {
  private static final String ALL = "{\"match_all\": {}}";
  private static final String MATCH = "{\"match\": {\"body\": \"hermia colonel alive\"}}";

  private static String rescore(String model, String field, int window, String options) {
    return format(
        """
        {"window_size": %d, "lanewise_rerank": {"model_id": "%s", "field": "%s",
        "inference_text": "%s"%s}}\
        """,
        window, model, field, QUERY, options);
  }

  private static String query(String query, int size, String rescore) {
    return format("{\"query\": %s, \"size\": %d, \"rescore\": %s}", query, size, rescore);
  }

  /** How a test makes one score of both. */
  private interface Combination {
    float of(float query, Relevance relevance);
  }

  private List<Expected> expected(
      String model, String query, int window, int size, float queryWeight, Combination both) {
    Map<Integer, List<Hit>> shards = new LinkedHashMap<>();
    search(
        format("{\"query\": %s, \"size\": 1000, \"explain\": true}", query),
        found -> {
          for (SearchHit hit : found.getHits()) {
            shards
                .computeIfAbsent(hit.getShard().getShardId().id(), shard -> new ArrayList<>())
                .add(new Hit(hit.getId(), hit.getScore()));
          }
        });
    List<String> ids = List.copyOf(bodies.keySet());
    float[] scores = scores(model, ids.stream().map(bodies::get).toList());
    Map<String, Relevance> relevances = new HashMap<>();
    for (int i = 0; i < scores.length; i++) {
      boolean signed = model.equals(HeadModels.SIGNED_RERANKER);
      relevances.put(ids.get(i), new Relevance(scores[i], signed, false));
    }
    List<Expected> expected = new ArrayList<>();
    for (List<Hit> shard : shards.values()) {
      for (int i = 0; i < Math.min(shard.size(), Math.max(window, size)); i++) {
        Hit hit = shard.get(i);
        Relevance relevance = i < window ? relevances.get(hit.id()) : null;
        expected.add(
            new Expected(
                hit.id(),
                relevance == null ? queryWeight * hit.score() : both.of(hit.score(), relevance)));
      }
    }
    expected.sort(
        Comparator.comparingDouble((Expected each) -> -each.score())
            .thenComparing(each -> places.get(each.id())));
    return expected.subList(0, Math.min(size, expected.size()));
  }

  public void testTheModelsScoreTakesThePlaceOfTheQuerys() {
    for (String model : List.of(HeadModels.RERANKER, HeadModels.SIGNED_RERANKER)) {
      for (String query : List.of(ALL, MATCH)) {
        for (int size : List.of(1, 5, 10)) {
          assertHits(
              expected(model, query, 10, size, 0, (score, relevance) -> relevance.hitScore()),
              hits(query(query, size, rescore(model, randomFrom("body", "late"), 10, ""))));
        }
      }
    }
  }

  public void testScoresAreCombinedAsTheServersRescorerDoes() {
    for (QueryRescoreMode mode : QueryRescoreMode.values()) {
      int window = between(1, 10);
      int size = between(1, 20);
      String name = mode.name().toLowerCase(Locale.ROOT);
      assertHits(
          expected(
              HeadModels.RERANKER,
              MATCH,
              window,
              size,
              0.5f,
              (score, relevance) -> mode.combine(0.5f * score, 2 * relevance.hitScore())),
          hits(
              query(
                  MATCH,
                  size,
                  rescore(
                      HeadModels.RERANKER,
                      "body",
                      window,
                      format(
                          """
                          , "query_weight": 0.5, "rescore_query_weight": 2, "score_mode": "%s"\
                          """,
                          name)))));
    }
    assertHits(
        expected(HeadModels.RERANKER, MATCH, 10, 10, 1, (score, each) -> score + each.hitScore()),
        hits(
            query(
                MATCH,
                10,
                rescore(HeadModels.RERANKER, "body", 10, ", \"score_mode\": \"total\""))));
  }

  public void testExplain() {
    for (String options : List.of("", ", \"query_weight\": 0.5, \"rescore_query_weight\": 3")) {
      String search = query(ALL, 10, rescore(HeadModels.SIGNED_RERANKER, "body", 10, options));
      List<Hit> plain = hits(search);
      search(
          search.replaceFirst("\\{", "{\"explain\": true,"),
          found -> {
            for (int i = 0; i < plain.size(); i++) {
              SearchHit hit = found.getHits().getAt(i);
              assertEquals(plain.get(i), new Hit(hit.getId(), hit.getScore()));
              Explanation explained = hit.getExplanation();
              assertEquals(hit.getScore(), explained.getValue().floatValue(), 1e-6);
              String told = explained.toString();
              assertThat(
                  told,
                  containsString(
                      bodies.containsKey(hit.getId())
                          ? "by [xlm_roberta_reranker]: "
                          : "not read by [xlm_roberta_reranker]"));
              assertThat(
                  told,
                  containsString(
                      options.isEmpty()
                          ? "[query_weight] 0.0 times:"
                          : "[query_weight] 0.5 times:"));
            }
          });
    }
  }

  public void testInsideARetriever() {
    String inner = format("{\"standard\": {\"query\": %s}}", MATCH);
    String rescorer =
        format(
            "{\"rescorer\": {\"retriever\": %s, \"rescore\": %s}}",
            inner, rescore(HeadModels.RERANKER, "body", 10, ""));
    assertHits(
        expected(HeadModels.RERANKER, MATCH, 10, 10, 0, (score, each) -> each.hitScore()),
        hits(retriever(rescorer, "")));
  }

  public void testPagesBeyondTheWindowAreRefused() {
    String rescore = rescore(HeadModels.RERANKER, "body", 10, "");
    assertRefused(
        RestStatus.BAD_REQUEST,
        query(ALL, 11, rescore),
        "[lanewise_rerank] gives the best [window_size: 10]",
        "ask for [11]");
    hits(query(ALL, 11, rescore(HeadModels.RERANKER, "body", 10, ", \"query_weight\": 1")));
    assertRefused(
        RestStatus.BAD_REQUEST,
        format("{\"query\": %s, \"from\": 5, \"rescore\": %s}", ALL, rescore),
        "ask for [15]");
  }

  public void testErrors() {
    assertRefused(
        RestStatus.NOT_FOUND,
        query(ALL, 10, rescore("zz", "body", 10, "")),
        "Could not find model [zz]");
    assertRefused(
        RestStatus.BAD_REQUEST,
        query(ALL, 10, rescore(HeadModels.ANSWERER, "body", 10, "")),
        "is a model that answers questions, expected a reranker");
    assertRefused(
        RestStatus.BAD_REQUEST,
        query(
            ALL,
            10,
            rescore(HeadModels.RERANKER, "body", 10, "").replace(QUERY, "dead ".repeat(30))),
        "the query has [");
  }

  public void testAFieldThatNoIndexHas() {
    String search = query(ALL, 10, rescore(HeadModels.RERANKER, "bodi", 10, ""));
    String message =
        "field [bodi] does not exist in the mapping of any index that is searched, so that"
            + " [cross_encoder_sigmoid] has nothing to read: correct [field], or add [bodi] to a"
            + " mapping";
    assertRefused(RestStatus.BAD_REQUEST, search, message);
    // The search itself defines it.
    assertEquals(
        10,
        hits(search.replaceFirst(
                "\\{", "{\"runtime_mappings\": {\"bodi\": {\"type\": \"keyword\"}},"))
            .size());
    for (String name : List.of("docs-1", "docs-2")) {
      indicesAdmin()
          .prepareCreate(name)
          .setMapping("{\"properties\": {\"a\": {\"type\": \"long\"}}}")
          .get();
      client().prepareIndex(name).setSource("a", 1).setRefreshPolicy(RefreshPolicy.IMMEDIATE).get();
    }
    indicesAdmin().prepareCreate("docs-3").get();
    searched = new String[] {"docs*"};
    assertRefused(RestStatus.BAD_REQUEST, search, message);
    // One of them has this one: the others have hits without text.
    assertEquals(
        DOCUMENTS + 2,
        hits(query(ALL, 100, rescore(HeadModels.RERANKER, "body", 10, ", \"query_weight\": 1")))
            .size());
    searched = new String[] {"docs-1"};
    assertRefused(
        RestStatus.BAD_REQUEST,
        query(ALL, 10, rescore(HeadModels.RERANKER, "body", 10, "")),
        "field [body] does not exist in the mapping");
    searched = new String[] {"docs-3"};
    assertEquals(List.of(), hits(search));
  }

  public void testNothingIsComputedForThoseWhoGaveUp() throws Exception {
    hits(query(ALL, 10, rescore(HeadModels.RERANKER, "body", 10, "")));
    assertRefused(
        RestStatus.REQUEST_TIMEOUT,
        query(ALL, 10, rescore(HeadModels.RERANKER, "body", 10, ", \"timeout\": \"0ms\"")),
        "timeout [0s] waiting for model [cross_encoder_sigmoid] to read [");
    EncodeService service = getInstanceFromNode(EncodeService.class);
    // Nothing waits, and no batch that was taken before is still being computed.
    assertBusy(
        () -> {
          assertEquals(0, service.stats().search().queue());
          long texts = work(HeadModels.RERANKER).texts();
          Thread.sleep(100);
          assertEquals(texts, work(HeadModels.RERANKER).texts());
        });
    long before = work(HeadModels.RERANKER).texts();
    PlainActionFuture<List<Relevance>> answer = new PlainActionFuture<>();
    service.rerank(HeadModels.RERANKER, QUERY, List.of("one", "two"), () -> true, answer);
    expectThrows(TaskCancelledException.class, () -> answer.actionGet(10, TimeUnit.SECONDS));
    assertEquals(before, work(HeadModels.RERANKER).texts());
  }

  private RescorerBuilder<?> parse(String rescore) throws Exception {
    String json = "{\"rescore\": " + rescore + "}";
    try (XContentParser parser = createParser(JsonXContent.jsonXContent, json)) {
      return new SearchSourceBuilder()
          .parseXContent(parser, true, feature -> true)
          .rescores()
          .getFirst();
    }
  }

  public void testWhatIsWrittenIsReadAgain() throws Exception {
    for (String options :
        List.of("", ", \"timeout\": \"3s\"", ", \"score_mode\": \"max\", \"query_weight\": 2")) {
      RescorerBuilder<?> read = parse(rescore("m", "f", 7, options));
      RescorerBuilder<?> again = parse(Strings.toString(read));
      assertEquals(read, again);
      assertEquals(read.hashCode(), again.hashCode());
      assertEquals(Strings.toString(read), Strings.toString(again));
      assertNotEquals(read, parse(rescore("other", "f", 7, options)));
      try (BytesStreamOutput out = new BytesStreamOutput()) {
        out.writeNamedWriteable(read);
        try (StreamInput in =
            new NamedWriteableAwareStreamInput(
                out.bytes().streamInput(), getInstanceFromNode(NamedWriteableRegistry.class))) {
          assertEquals(read, in.readNamedWriteable(RescorerBuilder.class));
        }
      }
    }
  }

  public void testBadOptions() {
    assertBad(
        "{\"window_size\": 7, \"lanewise_rerank\": {}}",
        "Required [model_id, field, inference_text]");
    Map.of(
            "\"query_weight\": -1",
            "[query_weight] is [-1.0], expected a number of at least [0]",
            "\"rescore_query_weight\": -2",
            "[rescore_query_weight] is [-2.0]",
            "\"score_mode\": \"sum\"",
            "illegal score_mode [sum]",
            "\"timeout\": \"soon\"",
            "failed to parse setting [timeout] with value [soon]",
            "\"weight\": 1",
            "[weight]")
        .forEach((option, message) -> assertBad(rescore("m", "f", 7, ", " + option), message));
  }

  /** The message must be the one that a response shows first. */
  private void assertBad(String rescore, String message) {
    Exception e = expectThrows(Exception.class, () -> parse(rescore));
    assertThat(ElasticsearchException.guessRootCauses(e)[0].getMessage(), containsString(message));
  }
}
