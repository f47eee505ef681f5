package org.lanewise.plugin;

import static org.hamcrest.Matchers.containsString;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import org.apache.http.util.EntityUtils;
import org.apache.lucene.tests.util.LuceneTestCase.SuppressFileSystems;
import org.elasticsearch.client.Request;
import org.elasticsearch.client.Response;
import org.elasticsearch.client.ResponseException;
import org.elasticsearch.common.Strings;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.xcontent.XContentHelper;
import org.elasticsearch.common.xcontent.support.XContentMapValues;
import org.elasticsearch.core.PathUtils;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.test.ESIntegTestCase;
import org.elasticsearch.transport.netty4.Netty4Plugin;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.json.JsonXContent;
import org.lanewise.encoder.AnswerFinder;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.TextClassifier;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TextReranker;
import org.lanewise.encoder.TextTagger;

/** Fine-tuned encoders over HTTP, beside the library's doors. */
@ESIntegTestCase.ClusterScope(
    scope = ESIntegTestCase.Scope.SUITE,
    numDataNodes = 2,
    numClientNodes = 0,
    supportsDedicatedMasters = false)
@SuppressFileSystems("*") // weights are mapped into memory
public class HeadRestTests extends ESIntegTestCase {
  private static final Map<Integer, Path> CONFIGS = new ConcurrentHashMap<>();

  /** The tagger with modules that make vectors, and the classifier with such. */
  private static final String VECTORS_AND_TAGS = "vectors_and_tags";

  private static final String VECTORS_AND_CLASSES = "vectors_and_classes";

  private static final List<String> TEXTS =
      List.of(
          "and the man who yearns to",
          "\"Compromise!\" echoed Colonel",
          "Yet Hermia still loves",
          "\"Am I dead, or am I alive?\" and the man who yearns to know; you have seen her");

  @Override
  protected boolean addMockHttpTransport() {
    return false;
  }

  @Override
  protected Collection<Class<? extends Plugin>> nodePlugins() {
    return List.of(LanewisePlugin.class, Netty4Plugin.class);
  }

  @Override
  protected Settings nodeSettings(int nodeOrdinal, Settings otherSettings) {
    return Settings.builder()
        .put(super.nodeSettings(nodeOrdinal, otherSettings))
        .put("http.type", "netty4")
        .put("lanewise.backend", "scalar")
        .put("lanewise.batch_tokens", 32)
        .build();
  }

  @Override
  protected Path nodeConfigPath(int nodeOrdinal) {
    return CONFIGS.computeIfAbsent(
        nodeOrdinal,
        node -> {
          Path config = createTempDir();
          Path models = config.resolve("lanewise").resolve("models");
          for (String name :
              List.of(
                  HeadModels.TAGGER,
                  HeadModels.CLASSIFIER,
                  HeadModels.RERANKER,
                  HeadModels.SIGNED_RERANKER,
                  HeadModels.ANSWERER)) {
            HeadModels.create(models, name);
          }
          HeadModels.copy(HeadModels.TAGGER, models.resolve(VECTORS_AND_TAGS));
          HeadModels.addPooling(models.resolve(VECTORS_AND_TAGS), 24);
          HeadModels.copy(HeadModels.CLASSIFIER, models.resolve(VECTORS_AND_CLASSES));
          HeadModels.addPooling(models.resolve(VECTORS_AND_CLASSES), 14);
          return config;
        });
  }

  private static Path model(String name) {
    Path config = CONFIGS.values().iterator().next();
    return PathUtils.get(config.resolve("lanewise").resolve("models").resolve(name).toString());
  }

  private static EmbedderOptions options() {
    return EmbedderOptions.defaults().withBackend("scalar").withThreads(1);
  }

  private static TextEmbedder encoder(String name) {
    return TextEmbedder.open(ModelDirectory.open(model(name)), options());
  }

  private static String json(Map<String, Object> body) {
    try (XContentBuilder builder = JsonXContent.contentBuilder()) {
      return Strings.toString(builder.map(body));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Map<String, Object> post(String path, Map<String, Object> body)
      throws IOException {
    Request request = new Request("POST", path);
    request.setJsonEntity(json(body));
    return answer(request);
  }

  private static Map<String, Object> answer(Request request) throws IOException {
    Response response = getRestClient().performRequest(request);
    return XContentHelper.convertToMap(
        JsonXContent.jsonXContent, response.getEntity().getContent(), true);
  }

  private static void assertError(
      int status, String reason, String path, Map<String, Object> body) {
    ResponseException e = expectThrows(ResponseException.class, () -> post(path, body));
    try {
      String answer = EntityUtils.toString(e.getResponse().getEntity());
      assertEquals(answer, status, e.getResponse().getStatusLine().getStatusCode());
      assertThat(answer.replace("\\\"", "\""), containsString(reason));
    } catch (IOException impossible) {
      throw new UncheckedIOException(impossible);
    }
  }

  private static List<Map<String, Object>> objects(Map<String, Object> answer, String key) {
    List<Map<String, Object>> objects = new ArrayList<>();
    for (Object each : (List<?>) answer.get(key)) {
      @SuppressWarnings("unchecked") // a JSON object
      Map<String, Object> object = (Map<String, Object>) each;
      objects.add(object);
    }
    return objects;
  }

  private static double number(Map<String, Object> object, String key) {
    return ((Number) object.get(key)).doubleValue();
  }

  private static long counter(String model, String name) throws IOException {
    Map<String, Object> stats = answer(new Request("GET", "/_lanewise/stats"));
    long count = 0;
    for (Object each : ((Map<?, ?>) stats.get("nodes")).values()) {
      @SuppressWarnings("unchecked") // a JSON object
      Map<String, Object> node = (Map<String, Object>) each;
      Object counted = XContentMapValues.extractValue("models." + model + "." + name, node);
      count += counted == null ? 0 : ((Number) counted).longValue();
    }
    return count;
  }

  public void testKindsAreTold() throws Exception {
    for (Map.Entry<String, String> each :
        Map.of(
                HeadModels.TAGGER, "tagger",
                HeadModels.CLASSIFIER, "classifier",
                HeadModels.RERANKER, "reranker",
                HeadModels.ANSWERER, "answerer")
            .entrySet()) {
      Map<String, Object> answer = answer(new Request("GET", "/_lanewise/models/" + each.getKey()));
      Map<String, Object> model = objects(answer, "models").getFirst();
      assertEquals(each.getValue(), model.get("kind"));
      assertEquals("open", model.get("state"));
      assertEquals("scalar", model.get("backend"));
    }
    Map<String, Object> reranker =
        objects(
                answer(new Request("GET", "/_lanewise/models/" + HeadModels.SIGNED_RERANKER)),
                "models")
            .getFirst();
    assertEquals(20, reranker.get("max_length"));
    assertEquals("xlm-roberta", reranker.get("family"));
  }

  public void testTagsOfFineTunedEncoders() throws Exception {
    String path = "/_lanewise/tag/" + HeadModels.TAGGER;
    List<Map<String, Object>> results = objects(post(path, Map.of("input", TEXTS)), "results");
    try (TextTagger tagger =
        TextTagger.open(
            model(HeadModels.TAGGER),
            options(),
            id -> {
              throw new AssertionError(id);
            })) {
      int found = 0;
      for (int i = 0; i < TEXTS.size(); i++) {
        List<Map<String, Object>> entities = objects(results.get(i), "entities");
        List<TextTagger.Entity> expected = tagger.tag(List.of(TEXTS.get(i))).getFirst();
        assertEquals(expected.size(), entities.size());
        for (int entity = 0; entity < expected.size(); entity++) {
          assertEquals(expected.get(entity).text(), entities.get(entity).get("entity"));
          assertEquals(expected.get(entity).label(), entities.get(entity).get("class_name"));
          assertEquals(expected.get(entity).start(), entities.get(entity).get("start_pos"));
          assertEquals(expected.get(entity).end(), entities.get(entity).get("end_pos"));
          assertEquals(
              expected.get(entity).probability(),
              number(entities.get(entity), "class_probability"),
              1e-5);
          found++;
        }
      }
      assertTrue("" + results, found > 0);
    }
  }

  public void testTagFieldsOfFineTunedEncoders() throws Exception {
    Map<String, Object> processor =
        Map.of(
            "lanewise_tag",
            Map.of("model_id", HeadModels.TAGGER, "field", "body", "target_field", "tags"));
    List<Map<String, Object>> documents =
        objects(
            post(
                "/_ingest/pipeline/_simulate",
                Map.of(
                    "pipeline",
                    Map.of("processors", List.of(processor)),
                    "docs",
                    List.of(Map.of("_source", Map.of("body", TEXTS.get(3)))))),
            "docs");
    Map<String, Object> direct =
        objects(
                post("/_lanewise/tag/" + HeadModels.TAGGER, Map.of("input", TEXTS.get(3))),
                "results")
            .getFirst();
    assertEquals(
        direct.get("entities"),
        XContentMapValues.extractValue("doc._source.tags.entities", documents.getFirst()));
  }

  public void testClassesOfFineTunedEncoders() throws Exception {
    long cutBefore = counter(HeadModels.CLASSIFIER, "truncated");
    String path = "/_lanewise/tag/" + HeadModels.CLASSIFIER;
    List<Map<String, Object>> results = objects(post(path, Map.of("input", TEXTS)), "results");
    try (TextClassifier classifier =
        TextClassifier.open(
            model(HeadModels.CLASSIFIER),
            options(),
            id -> {
              throw new AssertionError(id);
            })) {
      for (int i = 0; i < TEXTS.size(); i++) {
        var best = classifier.classify(List.of(TEXTS.get(i))).getFirst().top(1).getFirst();
        assertEquals(best.name(), results.get(i).get("predicted_value"));
        assertEquals(best.probability(), number(results.get(i), "prediction_probability"), 1e-5);
      }
      long cut = TEXTS.stream().filter(classifier::cuts).count();
      assertTrue("" + cut, cut > 0 && cut < TEXTS.size());
      assertEquals(cutBefore + cut, counter(HeadModels.CLASSIFIER, "truncated"));
    }
  }

  private static Map<String, Object> simulate(
      Map<String, Object> source, List<Map<String, Object>> processors) throws IOException {
    Map<String, Object> answer =
        post(
            "/_ingest/pipeline/_simulate",
            Map.of(
                "pipeline",
                Map.of("processors", processors),
                "docs",
                List.of(Map.of("_source", source))));
    Map<String, Object> document = objects(answer, "docs").getFirst();
    @SuppressWarnings("unchecked") // a JSON object
    Map<String, Object> written =
        (Map<String, Object>) XContentMapValues.extractValue("doc._source", document);
    assertNotNull("" + document, written);
    return written;
  }

  /** As the other processor writes it, from the pass that makes the vector. */
  private void checkTagsBesideVectors(String both, String alone, Map<String, Object> options)
      throws IOException {
    Map<String, Object> tags = new HashMap<>(options);
    tags.putAll(Map.of("input_field", "body", "output_field", "both", "output", "tags"));
    Map<String, Object> embed =
        Map.of(
            "model_id",
            both,
            "input_output",
            List.of(tags, Map.of("input_field", "body", "output_field", "vector")));
    Map<String, Object> tag = new HashMap<>(options);
    tag.putAll(Map.of("model_id", alone, "field", "body", "target_field", "alone"));
    for (Object body : List.of(TEXTS.get(2), TEXTS.get(3), List.of(TEXTS.get(0), "", "So"))) {
      Map<String, Object> source =
          simulate(
              Map.of("body", body),
              List.of(Map.of("lanewise_embed", embed), Map.of("lanewise_tag", tag)));
      assertNotNull(source.get("vector"));
      assertEquals(
          source.get("alone").toString(),
          source.get("both").toString().replace("model_id=" + both, "model_id=" + alone));
    }
  }

  public void testTagsBesideVectors() throws Exception {
    checkTagsBesideVectors(VECTORS_AND_TAGS, HeadModels.TAGGER, Map.of());
    checkTagsBesideVectors(
        VECTORS_AND_TAGS,
        HeadModels.TAGGER,
        Map.of(
            "threshold",
            0.1,
            "labels",
            List.of("LOC"),
            "results_field",
            "places",
            "keywords",
            true,
            "annotated_text",
            true));
    checkTagsBesideVectors(VECTORS_AND_CLASSES, HeadModels.CLASSIFIER, Map.of());
    checkTagsBesideVectors(
        VECTORS_AND_CLASSES, HeadModels.CLASSIFIER, Map.of("num_top_classes", -1));
  }

  public void testOnePassMakesVectorsAndTags() throws Exception {
    String path = "/_lanewise/embed/" + VECTORS_AND_TAGS;
    String text = TEXTS.get(2);
    Map<String, Object> dense =
        objects(post(path, Map.of("input", text)), "text_embedding").getFirst();
    long before = counter(VECTORS_AND_TAGS, "tokens");
    Map<String, Object> both =
        objects(
                post(path, Map.of("input", text, "outputs", List.of("dense", "tags"))),
                "text_embedding")
            .getFirst();
    assertEquals(dense.get("tokens"), both.get("tokens"));
    assertEquals(
        ((Number) dense.get("tokens")).longValue(), counter(VECTORS_AND_TAGS, "tokens") - before);
    assertEquals(dense.get("embedding"), both.get("embedding"));
    assertEquals(
        objects(post("/_lanewise/tag/" + HeadModels.TAGGER, Map.of("input", text)), "results")
            .getFirst(),
        both.get("tags"));
    Map<String, Object> classes =
        objects(
                post(
                    "/_lanewise/embed/" + VECTORS_AND_CLASSES,
                    Map.of("input", text, "outputs", "tags", "input_type", "search")),
                "text_embedding")
            .getFirst();
    assertEquals(
        objects(post("/_lanewise/tag/" + HeadModels.CLASSIFIER, Map.of("input", text)), "results")
            .getFirst(),
        classes.get("tags"));
    Map<String, Object> model =
        objects(answer(new Request("GET", "/_lanewise/models/" + VECTORS_AND_TAGS)), "models")
            .getFirst();
    assertEquals("encoder", model.get("kind"));
    assertEquals(List.of("dense", "tags"), model.get("outputs"));
    assertEquals(List.of("MISC", "LOC"), model.get("labels"));
  }

  public void testTagsBesideVectorsErrors() {
    for (Map.Entry<String, Map<String, Object>> each :
        Map.<String, Map<String, Object>>of(
                "label [PER] is not one of the labels of model [vectors_and_tags], which are"
                    + " [MISC, LOC]",
                Map.of("model_id", VECTORS_AND_TAGS, "labels", "PER"),
                "[num_top_classes] is an option of classifiers, but [vectors_and_tags] is a tagger",
                Map.of("model_id", VECTORS_AND_TAGS, "num_top_classes", 1),
                "[keywords] is an option of taggers, but [vectors_and_classes] is a classifier",
                Map.of("model_id", VECTORS_AND_CLASSES, "keywords", true),
                "[token_classification] is a tagger, expected an encoder: use [lanewise_tag]",
                Map.of("model_id", HeadModels.TAGGER))
            .entrySet()) {
      Map<String, Object> options = new HashMap<>(each.getValue());
      options.putAll(Map.of("field", "body", "output", "tags"));
      AssertionError e =
          expectThrows(
              AssertionError.class,
              () ->
                  simulate(
                      Map.of("body", TEXTS.get(2)), List.of(Map.of("lanewise_embed", options))));
      assertThat(e.getMessage(), containsString(each.getKey()));
    }
  }

  public void testRerank() throws Exception {
    for (String name : List.of(HeadModels.RERANKER, HeadModels.SIGNED_RERANKER)) {
      String path = "/_lanewise/rerank/" + name;
      String query = "Am I dead";
      long cutBefore = counter(name, "truncated");
      Map<String, Object> answer = post(path, Map.of("query", query, "input", TEXTS));
      assertEquals(name, answer.get("model_id"));
      List<Map<String, Object>> ranked = objects(answer, "rerank");
      try (TextEmbedder encoder = encoder(name)) {
        float[] scores =
            TextReranker.over(encoder).score(Collections.nCopies(TEXTS.size(), query), TEXTS);
        List<Integer> best =
            IntStream.range(0, scores.length)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> -scores[i]))
                .toList();
        assertEquals(best, ranked.stream().map(each -> each.get("index")).toList());
        for (Map<String, Object> each : ranked) {
          int index = (int) each.get("index");
          assertEquals(TEXTS.get(index), each.get("text"));
          assertEquals(scores[index], number(each, "relevance_score"), 1e-5);
          boolean cut =
              encoder.encode(query, Optional.of(TEXTS.get(index)), "").tokens().truncated();
          assertEquals(cut, each.get("is_truncated"));
        }
        long cut = ranked.stream().filter(each -> each.get("is_truncated").equals(true)).count();
        assertTrue("" + ranked, cut > 0);
        assertEquals(cutBefore + cut, counter(name, "truncated"));
        assertEquals(
            ranked.subList(0, 2),
            objects(post(path, Map.of("query", query, "input", TEXTS, "top_n", 2)), "rerank"));
      }
      assertTrue(counter(name, "lanes.search.batches") > 2);
    }
  }

  /** Requests and hits go from node to node. */
  public void testSearches() throws Exception {
    createIndex("docs", indexSettings(4, 0).build());
    for (int i = 0; i < TEXTS.size(); i++) {
      prepareIndex("docs").setId("" + i).setSource("body", TEXTS.get(i)).get();
    }
    refresh("docs");
    String query = "Am I dead";
    List<Map<String, Object>> ranked =
        objects(
            post(
                "/_lanewise/rerank/" + HeadModels.RERANKER, Map.of("query", query, "input", TEXTS)),
            "rerank");
    Map<String, Object> rerank =
        Map.of("model_id", HeadModels.RERANKER, "field", "body", "inference_text", query);
    Map<String, Object> retriever = new HashMap<>(rerank);
    retriever.put("retriever", Map.of("standard", Map.of("query", Map.of("match_all", Map.of()))));
    Map<String, Object> highlight =
        Map.of(
            "type",
            "lanewise_answer",
            "options",
            Map.of("model_id", HeadModels.ANSWERER, "question", "Like streams"),
            "fields",
            Map.of("body", Map.of("number_of_fragments", 0)));
    for (Map<String, Object> search :
        List.<Map<String, Object>>of(
            Map.of("retriever", Map.of("lanewise_rerank", retriever)),
            Map.of("rescore", Map.of("window_size", 10, "lanewise_rerank", rerank)))) {
      Map<String, Object> body = new HashMap<>(search);
      body.put("explain", true);
      body.put("highlight", highlight);
      Map<String, Object> answer = post("/docs/_search", body);
      assertEquals(0, XContentMapValues.extractValue("_shards.failed", answer));
      @SuppressWarnings("unchecked") // a JSON object
      List<Map<String, Object>> hits = objects((Map<String, Object>) answer.get("hits"), "hits");
      assertEquals(
          ranked.stream().map(each -> "" + each.get("index")).toList(),
          hits.stream().map(each -> each.get("_id")).toList());
      for (int i = 0; i < hits.size(); i++) {
        Map<String, Object> hit = hits.get(i);
        assertEquals(number(ranked.get(i), "relevance_score"), number(hit, "_score"), 1e-5);
        assertThat(
            hit.get("_explanation").toString(),
            containsString("by [cross_encoder_sigmoid]: the score of the model"));
        Map<?, ?> told =
            (Map<?, ?>)
                ((List<?>) XContentMapValues.extractValue("fields._lanewise_answer", hit))
                    .getFirst();
        String text = TEXTS.get(Integer.parseInt((String) hit.get("_id")));
        String marked =
            text.substring(0, (int) told.get("start_pos"))
                + "<em>"
                + told.get("text")
                + "</em>"
                + text.substring((int) told.get("end_pos"));
        assertEquals(List.of(marked), XContentMapValues.extractValue("highlight.body", hit));
      }
    }
  }

  public void testAnswers() throws Exception {
    String path = "/_lanewise/answer/" + HeadModels.ANSWERER;
    String question = "Like streams";
    Map<String, Object> answer =
        post(path, Map.of("question", question, "input", TEXTS, "max_answer_tokens", 4));
    List<Map<String, Object>> answers = objects(answer, "answers");
    try (TextEmbedder encoder = encoder(HeadModels.ANSWERER)) {
      for (int i = 0; i < TEXTS.size(); i++) {
        Optional<AnswerFinder.Answer> expected =
            AnswerFinder.over(encoder).answer(question, TEXTS.get(i), 4);
        assertEquals(expected.orElseThrow().text(), answers.get(i).get("text"));
        assertEquals(expected.get().start(), answers.get(i).get("start_pos"));
        assertEquals(expected.get().end(), answers.get(i).get("end_pos"));
        assertEquals(expected.get().score(), number(answers.get(i), "score"), 1e-5);
      }
    }
    post(path, Map.of("question", question, "input", "one text"));
  }

  public void testErrors() {
    String rerank = "/_lanewise/rerank/";
    String path = rerank + HeadModels.RERANKER;
    assertError(400, "Required [query, input]", path, Map.of());
    assertError(400, "[query] has no text", path, Map.of("query", " ", "input", TEXTS));
    assertError(
        400, "no text at position [1]", path, Map.of("query", "a", "input", List.of("a", "")));
    assertError(
        400,
        "[top_n] is [0], expected at least [1]",
        path,
        Map.of("query", "a", "input", "b", "top_n", 0));
    assertError(
        400, "the query has [", path, Map.of("query", String.join(" ", TEXTS), "input", TEXTS));
    assertError(
        400,
        "[question_answering] is a model that answers questions, expected a reranker: use"
            + " [lanewise_answer]",
        rerank + HeadModels.ANSWERER,
        Map.of("query", "a", "input", "b"));
    assertError(
        400,
        "[sequence_classification_5] is a classifier, expected a reranker: use [lanewise_tag]",
        rerank + HeadModels.CLASSIFIER,
        Map.of("query", "a", "input", "b"));
    assertError(
        404, "Could not find model [zz]", rerank + "zz", Map.of("query", "a", "input", "b"));
    assertError(
        400,
        "[cross_encoder_sigmoid] is a reranker, expected an encoder: use [lanewise_rerank]",
        "/_lanewise/embed/" + HeadModels.RERANKER,
        Map.of("input", "b"));
    String answer = "/_lanewise/answer/" + HeadModels.ANSWERER;
    assertError(400, "[question] has no text", answer, Map.of("question", "", "input", "b"));
    assertError(
        400,
        "[max_answer_tokens] is [0], expected at least [1]",
        answer,
        Map.of("question", "a", "input", "b", "max_answer_tokens", 0));
    assertError(
        400,
        "the question has [",
        answer,
        Map.of("question", String.join(" ", TEXTS), "input", "b"));
    assertError(
        400,
        "expected a model that answers questions: use [lanewise_rerank]",
        "/_lanewise/answer/" + HeadModels.RERANKER,
        Map.of("question", "a", "input", "b"));
  }
}
