package org.lanewise.plugin;

import static org.elasticsearch.test.hamcrest.ElasticsearchAssertions.assertNoFailures;
import static org.elasticsearch.test.hamcrest.ElasticsearchAssertions.assertResponse;
import static org.hamcrest.Matchers.allOf;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.lessThan;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.TimeUnit;
import org.apache.lucene.tests.util.LuceneTestCase.SuppressFileSystems;
import org.elasticsearch.ExceptionsHelper;
import org.elasticsearch.action.ActionFuture;
import org.elasticsearch.action.bulk.BulkItemResponse;
import org.elasticsearch.action.bulk.BulkRequestBuilder;
import org.elasticsearch.action.bulk.BulkResponse;
import org.elasticsearch.action.ingest.PutPipelineRequest;
import org.elasticsearch.action.ingest.PutPipelineTransportAction;
import org.elasticsearch.action.search.SearchRequestBuilder;
import org.elasticsearch.action.support.WriteRequest.RefreshPolicy;
import org.elasticsearch.action.support.master.AcknowledgedResponse;
import org.elasticsearch.common.bytes.BytesArray;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.xcontent.support.XContentMapValues;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.env.Environment;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.search.aggregations.AggregationBuilders;
import org.elasticsearch.search.aggregations.bucket.terms.Terms;
import org.elasticsearch.search.vectors.KnnSearchBuilder;
import org.elasticsearch.test.ESSingleNodeTestCase;
import org.elasticsearch.xcontent.XContentType;
import org.junit.After;
import org.junit.Before;
import org.lanewise.encoder.head.ElementType;
import org.lanewise.plugin.encode.DenseForm;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.encode.ModelStats;
import org.lanewise.plugin.encode.WorkStats;
import org.lanewise.plugin.models.ModelKind;
import org.lanewise.plugin.search.LanewiseQueryVectorBuilder;
import org.lanewise.plugin.search.Question;

/** The plugin in a node, with a model that the administrator put there and a bundled one. */
@SuppressFileSystems("ExtrasFS") // it adds directories that would count as models
public class LanewiseNodeTests extends ESSingleNodeTestCase {
  private static final int CAPACITY = 150;

  private Path home;
  private Map<String, ModelStats> modelsBefore;
  private long rejectedBefore;

  @Override
  protected Collection<Class<? extends Plugin>> getPlugins() {
    return List.of(TestPlugin.class);
  }

  @Override
  protected Settings nodeSettings() {
    if (home == null) {
      home = createTempDir();
      try {
        Path models = Path.of("lanewise", "models");
        Path configured = home.resolve("config").resolve(models.toString());
        TestEncoder.create(configured, "m", 64, 12, Map.of());
        TestTagger.create(configured, "ner", ModelKind.TAGGER, "m");
        TestTagger.create(configured, "length", ModelKind.CLASSIFIER);
        TestEncoder.create(
            home.resolve("plugins").resolve(models.toString()),
            "lanewise-mini-en",
            64,
            512,
            Map.of());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return Settings.builder()
        .put(Environment.PATH_HOME_SETTING.getKey(), home)
        .put("lanewise.threads", 1)
        .put("lanewise.queue_capacity", CAPACITY)
        .build();
  }

  @Before
  public void createIndex() {
    indicesAdmin()
        .prepareCreate("docs")
        .setSettings(indexSettings(1, 0))
        .setMapping(
            """
            {"properties": {"body": {"type": "text"}, "body_vector": {"type": "dense_vector",
            "dims": 64, "similarity": "cosine"}, "small": {"type": "dense_vector", "dims": 3},
            "inner": {"properties": {"large": {"type": "dense_vector", "dims": 65}}}}}\
            """)
        .get();
    modelsBefore = service().stats().models();
    rejectedBefore = service().stats().bulk().rejected();
    pipeline("embed", "{\"lanewise_embed\":{\"field\":\"body\"}}");
  }

  @After
  public void openGate() {
    TestEncoder.GATE.drainPermits();
  }

  private void pipeline(String id, String processors) {
    assertAcked(
        clusterAdmin()
            .execute(
                PutPipelineTransportAction.TYPE,
                new PutPipelineRequest(
                    TimeValue.THIRTY_SECONDS,
                    TimeValue.THIRTY_SECONDS,
                    id,
                    new BytesArray("{\"processors\":[" + processors + "]}"),
                    XContentType.JSON))
            .actionGet());
  }

  private static void assertAcked(AcknowledgedResponse response) {
    assertTrue(response.isAcknowledged());
  }

  private BulkRequestBuilder bulk(String pipeline, String... texts) {
    BulkRequestBuilder bulk = client().prepareBulk().setRefreshPolicy(RefreshPolicy.IMMEDIATE);
    for (int i = 0; i < texts.length; i++) {
      bulk.add(
          client()
              .prepareIndex("docs")
              .setId("" + i)
              .setPipeline(pipeline)
              .setSource("body", texts[i]));
    }
    return bulk;
  }

  private static String[] numbered(int count) {
    String[] texts = new String[count];
    for (int i = 0; i < count; i++) {
      texts[i] = "text number n" + i;
    }
    return texts;
  }

  private EncodeService service() {
    return getInstanceFromNode(EncodeService.class);
  }

  /** Returns texts with a vector, texts without, and batches since the test began. */
  private List<Long> work(String model) {
    WorkStats before = total(modelsBefore.get(model));
    WorkStats now = total(service().stats().models().get(model));
    return List.of(
        now.texts() - before.texts(),
        now.failures() - before.failures(),
        now.batches() - before.batches());
  }

  private static WorkStats total(ModelStats stats) {
    return stats == null ? new WorkStats(0, 0, 0, 0, 0, 0) : stats.total();
  }

  private SearchRequestBuilder knn(String text) {
    return knn("lanewise-mini-en", text);
  }

  private SearchRequestBuilder knn(String model, String text) {
    return client()
        .prepareSearch("docs")
        .setKnnSearch(
            List.of(
                new KnnSearchBuilder(
                    "body_vector",
                    new LanewiseQueryVectorBuilder(
                        new Question(model, text, Optional.empty(), TimeValue.timeValueSeconds(30)),
                        new DenseForm(OptionalInt.empty(), ElementType.FLOAT)),
                    3,
                    10,
                    null,
                    null,
                    null)));
  }

  private void assertFound(SearchRequestBuilder search, String id) {
    assertResponse(search, found -> assertEquals(id, found.getHits().getAt(0).getId()));
  }

  public void testTextInNeighboursOut() {
    assertNoFailures(bulk("embed", "red fox", "blue whale", "green frog").get());
    assertFound(knn("a blue thing"), "1");
    assertFound(knn("frog of mine"), "2");
    assertEquals(5, (long) work("lanewise-mini-en").getFirst());
  }

  public void testSearchForAnUnknownModel() {
    Exception e = expectThrows(Exception.class, () -> knn("zz", "a").get());
    assertEquals(RestStatus.NOT_FOUND, ExceptionsHelper.status(ExceptionsHelper.unwrapCause(e)));
    assertThat(
        ExceptionsHelper.stackTrace(e),
        allOf(
            containsString("Could not find model [zz]"),
            containsString(
                "the models on the disk of this node are [lanewise-mini-en, length, m, ner]")));
  }

  public void testOneBulkIsManyDocumentsInFewBatches() throws Exception {
    ActionFuture<BulkResponse> first = bulk("embed", "blocked").execute();
    assertBusy(() -> assertEquals(1, TestEncoder.BLOCKED.get()));
    ActionFuture<BulkResponse> second = bulk("embed", numbered(100)).execute();
    assertBusy(() -> assertEquals(100, service().stats().bulk().queue()));
    TestEncoder.GATE.release();
    assertNoFailures(first.actionGet(20, TimeUnit.SECONDS));
    assertNoFailures(second.actionGet(20, TimeUnit.SECONDS));
    assertEquals(101, (long) work("lanewise-mini-en").get(0));
    assertThat(work("lanewise-mini-en").get(2), lessThan(5L));
  }

  public void testFullQueueRejectsPerItemAndSearchesStillPass() throws Exception {
    ActionFuture<BulkResponse> first = bulk("embed", "blocked").execute();
    assertBusy(() -> assertEquals(1, TestEncoder.BLOCKED.get()));
    ActionFuture<BulkResponse> second = bulk("embed", numbered(CAPACITY + 50)).execute();
    assertBusy(() -> assertEquals(rejectedBefore + 50, service().stats().bulk().rejected()));
    assertEquals(CAPACITY, service().stats().bulk().queue());
    assertResponse(knn("a"), found -> assertEquals(0, found.getHits().getHits().length));
    assertFalse(second.isDone());
    TestEncoder.GATE.release();
    assertNoFailures(first.actionGet(20, TimeUnit.SECONDS));
    int indexed = 0;
    for (BulkItemResponse item : second.actionGet(20, TimeUnit.SECONDS)) {
      if (item.isFailed()) {
        assertEquals(RestStatus.TOO_MANY_REQUESTS, item.status());
        assertThat(
            item.getFailureMessage(),
            containsString("are waiting in the [bulk] lane already and [lanewise.queue_capacity]"));
      } else {
        indexed++;
      }
    }
    assertEquals(CAPACITY, indexed);
    assertEquals(0, service().stats().bulk().queue());
  }

  public void testBadDocumentsHurtOnlyThemselves() {
    BulkResponse response =
        bulk("embed", "good one", "poison", "unlimited", "untokenizable", "fine too").get();
    assertEquals(RestStatus.CREATED, response.getItems()[0].status());
    assertThat(response.getItems()[1].getFailureMessage(), containsString("poisonous"));
    assertThat(response.getItems()[2].getFailureMessage(), containsString("no usable vector"));
    assertThat(response.getItems()[3].getFailureMessage(), containsString("cannot tokenize"));
    assertEquals(RestStatus.CREATED, response.getItems()[4].status());
    assertEquals(List.of(2L, 3L), work("lanewise-mini-en").subList(0, 2));
  }

  public void testUnknownModelIsAnErrorOfEachDocument() {
    pipeline("unknown", "{\"lanewise_embed\":{\"field\":\"body\",\"model_id\":\"zz\"}}");
    BulkResponse response = bulk("unknown", "a", "b").get();
    for (BulkItemResponse item : response) {
      assertEquals(RestStatus.NOT_FOUND, item.status());
      assertThat(item.getFailureMessage(), containsString("Could not find model [zz]"));
    }
  }

  public void testWrongDimensionsNameBothNumbers() {
    pipeline("wrong", "{\"lanewise_embed\":{\"field\":\"body\",\"target_field\":\"small\"}}");
    BulkItemResponse item = bulk("wrong", "a").get().getItems()[0];
    assertEquals(RestStatus.BAD_REQUEST, item.status());
    assertThat(
        item.getFailureMessage(),
        containsString(
            "vectors of model [lanewise-mini-en] have [64] dimensions but field [small] of index"
                + " [docs] has [dims] of [3]"));
    for (String target : List.of("inner.large", "inner.unmapped")) {
      pipeline(
          "wrong", "{\"lanewise_embed\":{\"field\":\"body\",\"target_field\":\"" + target + "\"}}");
      assertEquals(target.endsWith("unmapped"), !bulk("wrong", "a").get().getItems()[0].isFailed());
    }
  }

  public void testFailureHandlersSeeTheReason() {
    pipeline(
        "handled",
        """
        {"lanewise_embed": {"field": "missing", "ignore_failure": true}},
        {"lanewise_embed": {"field": "body", "truncate": "none", "model_id": "m", "on_failure": [
          {"lanewise_embed": {"field": "_ingest.on_failure_message", "target_field": "body_vector"}}
        ]}}\
        """);
    assertNoFailures(bulk("handled", "1 2 3 4 5 6 7 8 9 10 11").get());
    assertEquals(List.of(0L, 1L, 0L), work("m"));
    assertEquals(List.of(1L, 0L, 1L), work("lanewise-mini-en"));
    assertFound(knn("tokenized input"), "0");
  }

  private Map<String, Object> source(String id) {
    return client().prepareGet("docs", id).get().getSource();
  }

  public void testSeveralTaggersOverOneText() {
    pipeline(
        "tags",
        """
        {"lanewise_tag": {"field": "body", "model_id": "ner", "keywords": true}},
        {"lanewise_tag": {"field": "body", "model_id": "length", "target_field": "length"}},
        {"lanewise_embed": {"field": "body"}}\
        """);
    assertNoFailures(bulk("tags", "Ada Lovelace at NASA is long", "NASA alone").get());
    assertEquals(
        Map.of("PER", List.of("Ada Lovelace"), "ORG", List.of("NASA")),
        XContentMapValues.extractValue("body_tags.ner.keywords", source("0")));
    assertEquals("long", XContentMapValues.extractValue("length.predicted_value", source("0")));
    assertEquals("short", XContentMapValues.extractValue("length.predicted_value", source("1")));
    assertEquals(List.of(2L, 0L), work("ner").subList(0, 2));
    assertEquals(List.of(2L, 0L), work("length").subList(0, 2));
    assertFound(knn("alone"), "1");
    assertResponse(
        client()
            .prepareSearch("docs")
            .setSize(0)
            .addAggregation(
                AggregationBuilders.terms("names").field("body_tags.ner.keywords.ORG.keyword")),
        found -> {
          Terms names = found.getAggregations().get("names");
          assertEquals(2, names.getBucketByKey("NASA").getDocCount());
        });
  }

  public void testBadTaggedDocumentsHurtOnlyThemselves() {
    pipeline("tag", "{\"lanewise_tag\":{\"field\":\"body\",\"model_id\":\"ner\"}}");
    BulkResponse response = bulk("tag", "Ada", "poison", "untokenizable", " ", "Bob").get();
    assertThat(response.getItems()[1].getFailureMessage(), containsString("poisonous"));
    assertThat(response.getItems()[2].getFailureMessage(), containsString("cannot tokenize"));
    for (int good : List.of(0, 3, 4)) {
      assertEquals(RestStatus.CREATED, response.getItems()[good].status());
    }
    assertFalse(source("3").containsKey("body_tags"));
    assertEquals(List.of(2L, 2L), work("ner").subList(0, 2));
  }

  public void testTagsFillTheQueueToo() throws Exception {
    pipeline("tag", "{\"lanewise_tag\":{\"field\":\"body\",\"model_id\":\"ner\"}}");
    ActionFuture<BulkResponse> first = bulk("tag", "blocked").execute();
    assertBusy(() -> assertEquals(1, TestEncoder.BLOCKED.get()));
    ActionFuture<BulkResponse> second = bulk("tag", numbered(CAPACITY + 10)).execute();
    assertBusy(() -> assertEquals(rejectedBefore + 10, service().stats().bulk().rejected()));
    TestEncoder.GATE.release();
    assertNoFailures(first.actionGet(20, TimeUnit.SECONDS));
    int rejected = 0;
    for (BulkItemResponse item : second.actionGet(20, TimeUnit.SECONDS)) {
      if (item.isFailed()) {
        assertEquals(RestStatus.TOO_MANY_REQUESTS, item.status());
        rejected++;
      }
    }
    assertEquals(10, rejected);
  }

  public void testModelOfTheWrongKindIsAnErrorOfEachDocument() {
    pipeline("wrong", "{\"lanewise_embed\":{\"field\":\"body\",\"model_id\":\"ner\"}}");
    pipeline("other", "{\"lanewise_tag\":{\"field\":\"body\",\"model_id\":\"m\"}}");
    for (String pipeline : List.of("wrong", "other")) {
      BulkItemResponse item = bulk(pipeline, "a").get().getItems()[0];
      assertEquals(RestStatus.BAD_REQUEST, item.status());
      assertThat(
          item.getFailureMessage(),
          containsString(
              pipeline.equals("wrong")
                  ? "[ner] is a tagger, expected an encoder: use [lanewise_tag]"
                  : "[m] is an encoder, expected a tagger or a classifier: use [lanewise_embed]"));
    }
    Exception e = expectThrows(Exception.class, () -> knn("ner", "a").get());
    assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(ExceptionsHelper.unwrapCause(e)));
    assertThat(
        ExceptionsHelper.stackTrace(e), containsString("[ner] is a tagger, expected an encoder"));
  }
}
