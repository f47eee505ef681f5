package org.lanewise.plugin.search;

import static org.elasticsearch.core.Strings.format;
import static org.elasticsearch.test.hamcrest.ElasticsearchAssertions.assertResponse;
import static org.hamcrest.Matchers.containsString;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.lucene.tests.util.LuceneTestCase.SuppressFileSystems;
import org.elasticsearch.ExceptionsHelper;
import org.elasticsearch.action.bulk.BulkRequestBuilder;
import org.elasticsearch.action.search.SearchResponse;
import org.elasticsearch.action.support.WriteRequest.RefreshPolicy;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.core.PathUtils;
import org.elasticsearch.env.Environment;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.search.SearchHit;
import org.elasticsearch.search.builder.SearchSourceBuilder;
import org.elasticsearch.test.ESSingleNodeTestCase;
import org.elasticsearch.test.hamcrest.ElasticsearchAssertions;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.json.JsonXContent;
import org.junit.Before;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TextReranker;
import org.lanewise.plugin.HeadModels;
import org.lanewise.plugin.LanewisePlugin;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.encode.WorkStats;

/** A node with tiny fine-tuned encoders and an index of texts on several shards. */
@SuppressFileSystems("*") // weights are mapped into memory
public abstract class HeadNodeTestCase extends ESSingleNodeTestCase {
  static final int DOCUMENTS = 60;

  /** More texts than this at once are refused. */
  static final int CAPACITY = 50;

  static final String QUERY = "Am I dead";

  private static final List<String> WORDS =
      List.of("dead", "man", "Hermia", "still", "loves", "Colonel", "Chabert", "alive", "know");

  record Hit(String id, float score) {}

  /** What a hit must look like, the number to 1e-5. */
  record Expected(String id, double score) {}

  /** What is searched. */
  String[] searched = {"docs"};

  private Path home;

  /** Texts of the field {@code body} by id; documents without one are missing. */
  Map<String, String> bodies;

  /** The order of documents whose scores are equal. */
  Map<String, Integer> places;

  @Override
  protected Collection<Class<? extends Plugin>> getPlugins() {
    return List.of(LanewisePlugin.class);
  }

  @Override
  protected Settings nodeSettings() {
    if (home == null) {
      home = PathUtils.get(createTempDir().toString());
      Path models = home.resolve("config").resolve("lanewise").resolve("models");
      for (String name :
          List.of(
              HeadModels.CLASSIFIER,
              HeadModels.RERANKER,
              HeadModels.SIGNED_RERANKER,
              HeadModels.ANSWERER)) {
        HeadModels.create(models, name);
      }
    }
    return Settings.builder()
        .put(Environment.PATH_HOME_SETTING.getKey(), home)
        .put("lanewise.backend", "scalar")
        .put("lanewise.batch_tokens", 64)
        .put("lanewise.queue_capacity", CAPACITY)
        .build();
  }

  @Before
  public void indexTexts() {
    indicesAdmin()
        .prepareCreate("docs")
        .setSettings(indexSettings(between(2, 5), 0))
        .setMapping(
            """
            {"runtime": {"late": {"type": "keyword"}},
            "properties": {"body": {"type": "text"}, "group": {"type": "keyword"},
            "lines": {"type": "keyword"}, "early": {"type": "alias", "path": "body"},
            "number": {"type": "long"}, "vector": {"type": "dense_vector", "dims": 1,
            "similarity": "l2_norm", "index_options": {"type": "flat"}}, "place": {"type": "geo_point"}}}\
            """)
        .get();
    bodies = new HashMap<>();
    BulkRequestBuilder bulk = client().prepareBulk().setRefreshPolicy(RefreshPolicy.IMMEDIATE);
    for (int i = 0; i < DOCUMENTS; i++) {
      String text = String.join(" ", randomSubsetOf(between(1, WORDS.size()), WORDS));
      Map<String, Object> source = new HashMap<>();
      source.put("group", "g" + i % 10);
      source.put("number", i);
      source.put("vector", List.of(i));
      if (i % 7 != 3) {
        source.put("body", text);
        source.put("late", text);
        source.put("lines", List.of(text, "alive"));
        bodies.put("" + i, text);
      }
      bulk.add(client().prepareIndex("docs").setId("" + i).setSource(source));
    }
    ElasticsearchAssertions.assertNoFailures(bulk.get());
    places = new HashMap<>();
    for (Hit hit : hits("{\"query\": {\"match_all\": {}}, \"size\": 1000}")) {
      places.put(hit.id, places.size());
    }
    assertEquals(DOCUMENTS, places.size());
  }

  TextEmbedder encoder(String model) {
    return TextEmbedder.open(
        ModelDirectory.open(
            getInstanceFromNode(Environment.class)
                .configDir()
                .resolve("lanewise")
                .resolve("models")
                .resolve(model)),
        EmbedderOptions.defaults().withBackend("scalar").withThreads(1));
  }

  /** Returns what the library makes of texts. */
  float[] scores(String model, List<String> texts) {
    try (TextEmbedder encoder = encoder(model)) {
      return TextReranker.over(encoder).score(Collections.nCopies(texts.size(), QUERY), texts);
    }
  }

  WorkStats work(String model) {
    return getInstanceFromNode(EncodeService.class).stats().models().get(model).search();
  }

  void search(String json, Consumer<SearchResponse> check) {
    try (XContentParser parser = createParser(JsonXContent.jsonXContent, json)) {
      SearchSourceBuilder source =
          new SearchSourceBuilder().parseXContent(parser, true, feature -> true);
      assertResponse(
          client().prepareSearch(searched).setSource(source).setAllowPartialSearchResults(false),
          check);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  List<Hit> hits(String json) {
    List<Hit> hits = new ArrayList<>();
    search(
        json,
        found -> {
          assertEquals(Arrays.toString(found.getShardFailures()), 0, found.getFailedShards());
          for (SearchHit hit : found.getHits()) {
            hits.add(new Hit(hit.getId(), hit.getScore()));
          }
        });
    return hits;
  }

  static String retriever(String retriever, String rest) {
    return format("{\"retriever\": %s%s}", retriever, rest);
  }

  static void assertHits(List<Expected> expected, List<Hit> actual) {
    assertEquals(
        expected.stream().map(Expected::id).toList(), actual.stream().map(Hit::id).toList());
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(expected.get(i).score, actual.get(i).score, 1e-5);
    }
  }

  void assertRefused(RestStatus status, String json, String... parts) {
    Exception e = expectThrows(Exception.class, () -> hits(json));
    String trace = ExceptionsHelper.stackTrace(e);
    assertEquals(trace, status, ExceptionsHelper.status(ExceptionsHelper.unwrapCause(e)));
    for (String part : parts) {
      assertThat(trace, containsString(part));
    }
  }
}
