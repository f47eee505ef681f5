package org.lanewise.plugin.models;

import static org.hamcrest.Matchers.containsString;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.TimeUnit;
import org.apache.lucene.tests.util.LuceneTestCase;
import org.elasticsearch.ElasticsearchStatusException;
import org.elasticsearch.ExceptionsHelper;
import org.elasticsearch.ResourceNotFoundException;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.support.PlainActionFuture;
import org.elasticsearch.common.Strings;
import org.elasticsearch.common.util.concurrent.EsRejectedExecutionException;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.test.ESTestCase;
import org.junit.Before;
import org.lanewise.plugin.TestEncoder;

@LuceneTestCase.SuppressFileSystems("ExtrasFS") // it adds directories, which are models here
public class ModelRegistryTests extends ESTestCase {
  private final Queue<Runnable> forked = new ArrayDeque<>();
  private Path configured;
  private Path bundled;
  private ModelRegistry registry;
  private int opened;

  @Before
  public void createRegistry() {
    configured = createTempDir().resolve("config");
    bundled = createTempDir().resolve("bundled");
    registry =
        new ModelRegistry(
            configured,
            bundled,
            directory -> {
              opened++;
              return TestEncoder.open(directory);
            },
            forked::add);
  }

  private void runForked() {
    while (!forked.isEmpty()) {
      forked.remove().run();
    }
  }

  private OpenModel open(String id) {
    PlainActionFuture<OpenModel> future = new PlainActionFuture<>();
    registry.open(id, future);
    runForked();
    return future.actionGet();
  }

  private Exception failure(String id) {
    return expectThrows(Exception.class, () -> open(id));
  }

  private List<ModelInfo> list() {
    PlainActionFuture<List<ModelInfo>> future = new PlainActionFuture<>();
    registry.list(future);
    runForked();
    return future.actionGet();
  }

  private ModelInfo info(String id) {
    PlainActionFuture<ModelInfo> future = new PlainActionFuture<>();
    registry.info(id, future);
    runForked();
    return future.actionGet();
  }

  public void testTheAdministratorsModelWins() throws Exception {
    TestEncoder.create(bundled, "m", 8, 10, Map.of());
    TestEncoder.create(bundled, "n", 8, 10, Map.of());
    TestEncoder.create(configured, "m", 16, 10, Map.of());
    assertEquals(16, open("m").encoder().dimensions());
    assertEquals(8, open("n").encoder().dimensions());
    assertEquals(ModelInfo.Source.CONFIG, info("m").source());
    assertEquals(ModelInfo.Source.BUNDLED, info("n").source());
  }

  public void testOpenedOnceAndOffTheCallersThread() throws Exception {
    TestEncoder.create(configured, "m", 8, 10, Map.of());
    PlainActionFuture<OpenModel> first = new PlainActionFuture<>();
    PlainActionFuture<OpenModel> second = new PlainActionFuture<>();
    registry.open("m", first);
    registry.open("m", second);
    assertEquals(0, opened);
    assertFalse(first.isDone());
    runForked();
    assertSame(first.actionGet(), second.actionGet());
    assertSame(first.actionGet(), open("m"));
    assertEquals(1, opened);
  }

  public void testIdsCannotLeaveTheDirectory() throws Exception {
    TestEncoder.create(configured.resolveSibling("secret"), "m", 8, 10, Map.of());
    for (String id :
        List.of("", "..", "../secret/m", "a..b", "a/b", "a\\b", "M", "_m", ".m", "m\u0000", "m\n")) {
      Exception e = failure(id);
      assertTrue(e.toString(), e instanceof IllegalArgumentException);
      assertThat(e.getMessage(), containsString("model id [" + id + "] must have"));
    }
    ModelRegistry.checkId("a".repeat(128));
    expectThrows(IllegalArgumentException.class, () -> ModelRegistry.checkId("a".repeat(129)));
    assertTrue(forked.isEmpty());
  }

  public void testUnknownModel() throws Exception {
    TestEncoder.create(bundled, "b", 8, 10, Map.of());
    TestEncoder.create(configured, "a", 8, 10, Map.of());
    Exception e = failure("c");
    assertTrue(e instanceof ResourceNotFoundException);
    assertEquals(
        "Could not find model [c] in ["
            + configured
            + "] or ["
            + bundled
            + "]; the models of this node are [a, b]",
        e.getMessage());
    TestEncoder.create(configured, "c", 8, 10, Map.of());
    assertEquals(8, open("c").encoder().dimensions());
  }

  public void testBrokenModelWorksOnceRepaired() throws Exception {
    Files.createDirectories(configured.resolve("m"));
    Exception e = failure("m");
    assertEquals(RestStatus.CONFLICT, ExceptionsHelper.status(e));
    assertThat(e.getMessage(), containsString("Could not open model [m]: "));
    assertThat(e.getMessage(), containsString("[test.properties] is missing"));
    failure("m");
    assertEquals(1, opened);
    ModelInfo failed = info("m");
    assertEquals(ModelInfo.State.FAILED, failed.state());
    assertThat(failed.reason().get(), containsString("[test.properties] is missing"));
    TestEncoder.create(configured, "m", 8, 10, Map.of());
    assertBusy(
        () -> {
          try {
            assertEquals(8, open("m").encoder().dimensions());
          } catch (ElasticsearchStatusException stillRemembered) {
            throw new AssertionError(stillRemembered);
          }
        },
        5,
        TimeUnit.SECONDS);
    assertEquals(ModelInfo.State.OPEN, info("m").state());
  }

  public void testListOpensNothing() throws Exception {
    assertEquals(List.of(), list());
    TestEncoder.create(configured, "b", 8, 10, Map.of());
    TestEncoder.create(configured, "a", 8, 10, Map.of("query", "q"));
    Files.createDirectories(configured.resolve("Not-An-Id"));
    Files.writeString(configured.resolve("file"), "");
    assertEquals(List.of("a", "b"), list().stream().map(ModelInfo::id).toList());
    assertEquals(0, opened);
    open("a");
    assertEquals(
        "{\"model_id\":\"a\",\"source\":\"config\",\"state\":\"open\",\"family\":\"test\","
            + "\"dimensions\":8,\"max_length\":10,\"backend\":\"scalar\",\"precision\":\"fp32\","
            + "\"prompts\":[\"query\"]}",
        Strings.toString(list().get(0)));
    assertEquals(
        "{\"model_id\":\"b\",\"source\":\"config\",\"state\":\"not_opened\"}",
        Strings.toString(list().get(1)));
  }

  public void testStateWhileOpening() throws Exception {
    TestEncoder.create(configured, "m", 8, 10, Map.of());
    registry.open("m", ActionListener.noop());
    Runnable opening = forked.remove();
    assertEquals(ModelInfo.State.OPENING, list().getFirst().state());
    opening.run();
    assertEquals(ModelInfo.State.OPEN, list().getFirst().state());
  }

  public void testClose() throws Exception {
    TestEncoder.create(configured, "m", 8, 10, Map.of());
    TestEncoder.create(configured, "late", 8, 10, Map.of());
    TestEncoder encoder = (TestEncoder) open("m").encoder();
    PlainActionFuture<OpenModel> late = new PlainActionFuture<>();
    registry.open("late", late);
    registry.close();
    assertTrue(encoder.closed);
    runForked();
    expectThrows(EsRejectedExecutionException.class, late::actionGet);
  }
}
