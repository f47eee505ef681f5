package org.lanewise.plugin;

import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.not;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.http.util.EntityUtils;
import org.apache.lucene.tests.util.LuceneTestCase;
import org.elasticsearch.client.Cancellable;
import org.elasticsearch.client.Request;
import org.elasticsearch.client.Response;
import org.elasticsearch.client.ResponseException;
import org.elasticsearch.client.ResponseListener;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.test.ESIntegTestCase;
import org.junit.After;
import org.lanewise.plugin.models.ModelKind;

/** What is too long, too much or not wanted any more, over HTTP. */
@ESIntegTestCase.ClusterScope(
    scope = ESIntegTestCase.Scope.SUITE,
    numDataNodes = 1,
    numClientNodes = 0,
    supportsDedicatedMasters = false)
@LuceneTestCase.SuppressFileSystems("ExtrasFS") // it adds directories, which are models here
public class LimitsRestTests extends RestTestCase {
  private static final String MODEL = "lanewise-mini-en";
  private static final Map<Integer, Path> CONFIGS = new ConcurrentHashMap<>();
  private static final String LONG = "\"" + "abcd ".repeat(9) + "\"";
  private static final String EMBED = "/_lanewise/embed";

  @Override
  protected Settings nodeSettings(int nodeOrdinal, Settings otherSettings) {
    return Settings.builder()
        .put(super.nodeSettings(nodeOrdinal, otherSettings))
        .put("lanewise.max_text_length", 40)
        .put("lanewise.max_texts", 3)
        .put("lanewise.threads", 1)
        .put("lanewise.query_cache_size", "0b")
        .build();
  }

  @Override
  protected Path nodeConfigPath(int nodeOrdinal) {
    return CONFIGS.computeIfAbsent(
        nodeOrdinal,
        node -> {
          Path config = createTempDir();
          Path models = config.resolve("lanewise").resolve("models");
          try {
            TestEncoder.create(models, MODEL, 16, 32, Map.of());
            TestTagger.create(models, "ner", ModelKind.TAGGER);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
          return config;
        });
  }

  @After
  public void openTheGate() throws Exception {
    TestEncoder.GATE.release(1000);
    assertBusy(() -> assertEquals(0, TestEncoder.BLOCKED.get()));
    assertBusy(() -> assertThat(tasks(), not(containsString("lanewise"))));
    TestEncoder.GATE.drainPermits();
  }

  private static String tasks() throws IOException {
    return call("GET", "/_tasks?actions=*lanewise*&detailed", null).toString();
  }

  public void testLongTexts() throws IOException {
    String reason =
        "text [0] has [45] characters but [lanewise.max_text_length] is [40]; shorten it, or raise"
            + " the setting";
    assertError(400, reason, "POST", EMBED, "{\"input\":" + LONG + "}");
    assertError(400, reason, "POST", EMBED, "{\"input\":" + LONG + ",\"input_type\":\"search\"}");
    assertError(400, reason, "POST", "/_lanewise/sparse/" + MODEL, "{\"input\":" + LONG + "}");
    assertError(400, "text [1]", "POST", "/_lanewise/tag/ner", "{\"input\":[\"a\"," + LONG + "]}");
    String question = "{\"query\":" + LONG + ",\"input\":\"a\"}";
    assertError(400, reason, "POST", "/_lanewise/rerank/" + MODEL, question);
    assertError(
        400, reason, "POST", "/_lanewise/answer/" + MODEL, question.replace("query", "question"));
    assertError(
        400,
        reason,
        "POST",
        "/_search",
        "{\"query\":{\"lanewise_sparse\":{\"field\":\"f\",\"query\":" + LONG + "}}}");
  }

  public void testLongTextsOfDocumentsHurtOnlyThese() throws IOException {
    call(
        "PUT",
        "/_ingest/pipeline/both",
        "{\"processors\":[{\"lanewise_embed\":{\"field\":\"a\",\"ignore_missing\":true}},"
            + "{\"lanewise_tag\":{\"model_id\":\"ner\",\"field\":\"b\",\"ignore_missing\":true}}]}");
    Map<String, Object> answer =
        call(
            "POST",
            "/limits/_bulk?pipeline=both",
            "{\"index\":{}}\n{\"a\":\"short\"}\n{\"index\":{}}\n{\"a\":"
                + LONG
                + "}\n{\"index\":{}}\n{\"b\":"
                + LONG
                + "}\n{\"index\":{}}\n{\"b\":\"Ada\"}\n");
    List<?> statuses =
        ((List<?>) answer.get("items"))
            .stream()
                .map(item -> ((Map<?, ?>) ((Map<?, ?>) item).get("index")).get("status"))
                .toList();
    assertEquals(answer.toString(), List.of(201, 400, 400, 201), statuses);
    assertThat(answer.toString(), containsString("[lanewise.max_text_length] is [40]"));
  }

  public void testTooManyTexts() {
    String four = "{\"input\":[\"a\",\"b\",\"c\",\"d\"]}";
    String reason =
        "[input] has [4] texts but one request takes [3]; send fewer, or raise"
            + " [lanewise.max_texts]";
    assertError(400, reason, "POST", EMBED, four);
    assertError(400, reason, "POST", "/_lanewise/sparse/" + MODEL, four);
    assertError(400, reason, "POST", "/_lanewise/tag/ner", four);
    String question = four.replace("{", "{\"query\":\"a\",");
    assertError(400, reason, "POST", "/_lanewise/rerank/" + MODEL, question);
    assertError(
        400, reason, "POST", "/_lanewise/answer/" + MODEL, question.replace("query", "question"));
  }

  public void testTimeouts() {
    String reason =
        "timeout [50ms] waiting for model [" + MODEL + "] to read [1] texts; raise [timeout]";
    assertError(408, reason, "POST", EMBED + "?timeout=50ms", "{\"input\":\"blocked\"}");
    assertError(
        408,
        reason,
        "POST",
        "/_lanewise/sparse/" + MODEL + "?timeout=50ms",
        "{\"input\":\"blocked\"}");
    assertError(408, "[ner]", "POST", "/_lanewise/tag/ner?timeout=50ms", "{\"input\":\"blocked\"}");
    assertError(
        408,
        reason,
        "POST",
        "/_search",
        "{\"query\":{\"lanewise_sparse\":{\"field\":\"f\",\"query\":\"blocked\","
            + "\"timeout\":\"50ms\"}}}");
    assertError(400, "[timeout]", "POST", EMBED + "?timeout=soon", "{\"input\":\"a\"}");
  }

  public void testTextsThatNobodyWaitsForAreNeverComputed() throws Exception {
    CompletableFuture<Response> first = new CompletableFuture<>();
    send(EMBED, "{\"input\":\"blocked\"}", first);
    assertBusy(() -> assertEquals(1, TestEncoder.BLOCKED.get()));
    long before = computed();
    assertError(
        408, "timeout", "POST", EMBED + "?timeout=50ms", "{\"input\":[\"late\",\"too late\"]}");
    CompletableFuture<Response> last = new CompletableFuture<>();
    send(EMBED, "{\"input\":\"patient\"}", last);
    TestEncoder.GATE.release();
    assertEquals(200, first.get(20, TimeUnit.SECONDS).getStatusLine().getStatusCode());
    assertEquals(200, last.get(20, TimeUnit.SECONDS).getStatusLine().getStatusCode());
    assertEquals(before + 2, computed());
  }

  private static long computed() throws IOException {
    Map<?, ?> nodes = (Map<?, ?>) call("GET", "/_lanewise/stats", null).get("nodes");
    @SuppressWarnings("unchecked") // keys of objects are strings
    Map<String, Object> node = (Map<String, Object>) nodes.values().iterator().next();
    Map<?, ?> models = (Map<?, ?>) node.get("models");
    return ((Number) ((Map<?, ?>) models.get(MODEL)).get("texts")).longValue();
  }

  public void testCancelledTasksAnswerAtOnce() throws Exception {
    CompletableFuture<Response> answer = new CompletableFuture<>();
    send(EMBED, "{\"input\":\"blocked\"}", answer);
    assertBusy(() -> assertEquals(1, TestEncoder.BLOCKED.get()));
    call("POST", "/_tasks/_cancel?actions=cluster:monitor/lanewise/embed", null);
    ExecutionException e =
        expectThrows(ExecutionException.class, () -> answer.get(10, TimeUnit.SECONDS));
    String error =
        EntityUtils.toString(((ResponseException) e.getCause()).getResponse().getEntity());
    assertThat(error, containsString("task_cancelled_exception"));
    assertEquals(1, TestEncoder.BLOCKED.get());
  }

  public void testClientsThatWentAway() throws Exception {
    Cancellable sent = send(EMBED, "{\"input\":\"blocked\"}", new CompletableFuture<>());
    assertBusy(() -> assertEquals(1, TestEncoder.BLOCKED.get()));
    assertThat(tasks(), containsString("lanewise/embed"));
    sent.cancel();
    assertBusy(() -> assertThat(tasks(), not(containsString("lanewise/embed"))));
    assertEquals(1, TestEncoder.BLOCKED.get());
  }

  public void testSearchesTakeTheirQuestionsWithThem() throws Exception {
    for (String body :
        List.of(
            "{\"query\":{\"lanewise_sparse\":{\"field\":\"f\",\"query\":\"blocked\"}}}",
            "{\"knn\":{\"field\":\"f\",\"k\":1,\"num_candidates\":1,\"query_vector_builder\":"
                + "{\"lanewise\":{\"model_text\":\"blocked\"}}}}",
            "{\"query\":{\"match_all\":{}},\"rescore\":{\"window_size\":1,\"lanewise_maxsim\":"
                + "{\"field\":\"f\",\"query\":\"blocked\"}}}")) {
      CompletableFuture<Response> answer = new CompletableFuture<>();
      Cancellable sent = send("/_search", body, answer);
      assertBusy(() -> assertEquals(body + answer, 1, TestEncoder.BLOCKED.get()));
      assertThat(tasks(), containsString("parent_task_id"));
      sent.cancel();
      assertBusy(() -> assertThat(tasks(), not(containsString("lanewise"))));
      TestEncoder.GATE.release();
      assertBusy(() -> assertEquals(0, TestEncoder.BLOCKED.get()));
    }
  }

  private static Cancellable send(String path, String body, CompletableFuture<Response> answer) {
    Request request = new Request("POST", path);
    request.setJsonEntity(body);
    return getRestClient()
        .performRequestAsync(
            request,
            new ResponseListener() {
              @Override
              public void onSuccess(Response response) {
                answer.complete(response);
              }

              @Override
              public void onFailure(Exception e) {
                answer.completeExceptionally(e);
              }
            });
  }
}
