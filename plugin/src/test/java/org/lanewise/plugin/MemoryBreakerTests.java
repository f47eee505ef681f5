package org.lanewise.plugin;

import static org.elasticsearch.test.hamcrest.ElasticsearchAssertions.assertAcked;
import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.greaterThan;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.lucene.tests.util.LuceneTestCase.SuppressFileSystems;
import org.elasticsearch.ExceptionsHelper;
import org.elasticsearch.action.bulk.BulkItemResponse;
import org.elasticsearch.action.bulk.BulkRequestBuilder;
import org.elasticsearch.common.breaker.CircuitBreaker;
import org.elasticsearch.common.breaker.CircuitBreakingException;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.core.PathUtils;
import org.elasticsearch.env.Environment;
import org.elasticsearch.indices.breaker.BreakerSettings;
import org.elasticsearch.indices.breaker.CircuitBreakerService;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.test.ESSingleNodeTestCase;
import org.junit.After;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.plugin.action.Deadline;
import org.lanewise.plugin.action.EmbedAction;
import org.lanewise.plugin.encode.EncodeRequest.Side;
import org.lanewise.plugin.encode.EncodeService;

/** A node whose models must fit into a limit, with the bundled model. */
@SuppressFileSystems("*") // weights are mapped into memory
public class MemoryBreakerTests extends ESSingleNodeTestCase {
  private static final String LIMIT = "breaker.lanewise.limit";
  private static final String MODEL = "lanewise-mini-en";

  private Path home;

  @Override
  protected Collection<Class<? extends Plugin>> getPlugins() {
    return List.of(LanewisePlugin.class);
  }

  @Override
  protected Settings nodeSettings() {
    if (home == null) {
      home = PathUtils.get(createTempDir().toString());
      Path models = home.resolve("config").resolve("lanewise").resolve("models");
      try {
        Files.createDirectories(models);
        Files.createSymbolicLink(
            models.resolve(MODEL), PathUtils.get("..", "models", MODEL).toAbsolutePath());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return Settings.builder()
        .put(Environment.PATH_HOME_SETTING.getKey(), home)
        .put("lanewise.backend", "scalar")
        .put("lanewise.batch_tokens", 16)
        .put(LIMIT, "1mb")
        .build();
  }

  @Override
  protected boolean resetNodeAfterTest() {
    return true;
  }

  @After
  public void forgetTheLimit() {
    limit(null);
  }

  private void limit(String bytes) {
    assertAcked(
        clusterAdmin()
            .prepareUpdateSettings(TEST_REQUEST_TIMEOUT, TEST_REQUEST_TIMEOUT)
            .setPersistentSettings(Settings.builder().put(LIMIT, bytes)));
  }

  private CircuitBreaker breaker() {
    return getInstanceFromNode(CircuitBreakerService.class).getBreaker(MemoryBreaker.NAME);
  }

  private int embed(String text) {
    return client()
        .execute(
            EmbedAction.TYPE,
            new EmbedAction.Request(
                MODEL,
                List.of(text),
                Side.INGEST,
                Optional.empty(),
                Set.of(Output.DENSE),
                Deadline.USUAL))
        .actionGet()
        .answers()
        .getFirst()
        .tokens();
  }

  private CircuitBreakingException refused(String text) {
    Exception e = expectThrows(Exception.class, () -> embed(text));
    Throwable cause = ExceptionsHelper.unwrapCause(e);
    assertEquals(RestStatus.TOO_MANY_REQUESTS, ExceptionsHelper.status(cause));
    assertThat(
        cause.getMessage(),
        containsString("[lanewise] Data too large, data for [weights and activations of models]"));
    return (CircuitBreakingException) cause;
  }

  public void testModelsThatDoNotFitAreRefusedUntilTheyDo() throws Exception {
    CircuitBreakingException e = refused("a fox");
    assertEquals(1 << 20, e.getByteLimit());
    assertThat(e.getBytesWanted(), greaterThan(1L << 20));
    assertEquals("what was opened on the way must be free again", 0, breaker().getUsed());
    assertThat(breaker().getTrippedCount(), greaterThan(0L));
    limit("1gb");
    assertBusy(
        () -> {
          try {
            embed("a fox");
          } catch (CircuitBreakingException remembered) {
            throw new AssertionError(remembered);
          }
        });
    long open = breaker().getUsed();
    assertThat(open, greaterThan(1L << 20));
    embed("a fox again");
    assertEquals("activations are used again", open, breaker().getUsed());
  }

  public void testTextsThatDoNotFitAreRefusedAndNothingIsLost() throws Exception {
    limit("1gb");
    embed("a fox");
    long open = breaker().getUsed();
    limit(open + "b");
    putJsonPipeline("embed", "{\"processors\":[{\"lanewise_embed\":{\"field\":\"body\"}}]}");
    BulkRequestBuilder bulk = client().prepareBulk();
    for (int i = 0; i < 6; i++) {
      // Batches have 16 tokens, but one text alone may have more.
      String text = i % 2 == 0 ? "a fox" : "One fox ran. ".repeat(20);
      bulk.add(client().prepareIndex("docs").setSource(Map.of("body", text)).setPipeline("embed"));
    }
    BulkItemResponse[] answers = bulk.get().getItems();
    for (int i = 0; i < 6; i++) {
      RestStatus expected = i % 2 == 0 ? RestStatus.CREATED : RestStatus.TOO_MANY_REQUESTS;
      assertEquals(expected, answers[i].status());
    }
    assertEquals(open, breaker().getUsed());
    limit("1gb");
    embed("One fox ran. ".repeat(20));
    assertThat(breaker().getUsed(), greaterThan(open));
  }

  public void testEverythingIsGivenBack() {
    limit("1gb");
    embed("a fox");
    assertThat(breaker().getUsed(), greaterThan(0L));
    CircuitBreaker breaker = breaker();
    getInstanceFromNode(EncodeService.class).close();
    assertEquals(0, breaker.getUsed());
  }

  public void testSettings() {
    BreakerSettings usual = MemoryBreaker.settings(Settings.EMPTY);
    assertEquals("lanewise", usual.getName());
    assertEquals(1, usual.getOverhead(), 0);
    assertThat(usual.getLimit(), greaterThan(0L));
    BreakerSettings stated =
        MemoryBreaker.settings(
            Settings.builder().put(LIMIT, "7mb").put("breaker.lanewise.overhead", 1.5).build());
    assertEquals(7 << 20, stated.getLimit());
    assertEquals(1.5, stated.getOverhead(), 0);
  }
}
