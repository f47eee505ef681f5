package org.lanewise.plugin.encode;

import static org.hamcrest.Matchers.hasSize;

import java.util.List;
import java.util.Set;
import org.apache.logging.log4j.Level;
import org.elasticsearch.action.support.PlainActionFuture;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.test.ESTestCase;
import org.elasticsearch.test.MockLog;
import org.lanewise.plugin.encode.SlowLog.Work;

/** What is logged of slow requests, and what never is. */
public class SlowLogTests extends ESTestCase {
  private static final String LOGGER = "lanewise.slowlog";
  private static final String SEARCH_WARN = "lanewise.slowlog.threshold.search.warn";
  private static final String SEARCH_INFO = "lanewise.slowlog.threshold.search.info";
  private static final List<String> TEXTS = List.of("a secret", "another secret");

  private final ClusterSettings changes =
      new ClusterSettings(Settings.EMPTY, Set.copyOf(SlowLog.settings()));

  private SlowLog log(Settings settings) {
    ThreadContext context = new ThreadContext(Settings.EMPTY);
    context.putHeader("X-Opaque-Id", "mine");
    return new SlowLog(settings, changes, context);
  }

  private static void answer(SlowLog log, Work work, Exception failure) {
    PlainActionFuture<String> future = new PlainActionFuture<>();
    var timed = log.timed(work, "m", TEXTS, String::length, future);
    if (failure == null) {
      timed.onResponse("done");
      assertEquals("done", future.actionGet());
    } else {
      timed.onFailure(failure);
      assertSame(failure, expectThrows(failure.getClass(), future::actionGet));
    }
  }

  private static MockLog.LoggingExpectation seen(Level level, String pattern) {
    return new MockLog.PatternSeenEventExpectation("logged", LOGGER, level, pattern);
  }

  private static MockLog.LoggingExpectation unseen(Level level) {
    return new MockLog.UnseenEventExpectation("not logged", LOGGER, level, "*");
  }

  public void testLengthsAndNoTexts() {
    SlowLog log = log(Settings.builder().put(SEARCH_WARN, "0ms").build());
    MockLog.assertThatLogger(
        () -> answer(log, Work.SEARCH, null),
        LOGGER,
        seen(
            Level.WARN,
            "took\\[.+\\], took_millis\\[\\d+\\], work\\[search\\], model\\[m\\], texts\\[2\\],"
                + " characters\\[22\\], longest\\[14\\], status\\[ok\\], id\\[mine\\]"),
        new MockLog.UnseenEventExpectation("text", LOGGER, Level.WARN, "*secret*"));
  }

  public void testFailuresByStatusAlone() {
    SlowLog log = log(Settings.builder().put(SEARCH_INFO, "0ms").build());
    MockLog.assertThatLogger(
        () -> answer(log, Work.SEARCH, new IllegalArgumentException("a secret is refused")),
        LOGGER,
        seen(Level.INFO, ".*status\\[BAD_REQUEST\\].*"),
        new MockLog.UnseenEventExpectation("text", LOGGER, Level.INFO, "*secret*"),
        unseen(Level.WARN));
  }

  public void testQuickAndUnwatchedWorkIsNotLogged() {
    SlowLog log = log(Settings.builder().put(SEARCH_WARN, "1h").build());
    MockLog.assertThatLogger(
        () -> {
          answer(log, Work.SEARCH, null);
          answer(log, Work.BULK, null);
        },
        LOGGER,
        unseen(Level.WARN),
        unseen(Level.INFO));
    PlainActionFuture<String> future = new PlainActionFuture<>();
    assertSame(future, log.timed(Work.BULK, "m", TEXTS, String::length, future));
  }

  public void testThresholdsChangeWhileTheNodeRuns() {
    SlowLog log = log(Settings.EMPTY);
    changes.applySettings(Settings.builder().put(SEARCH_INFO, "0ms").build());
    MockLog.assertThatLogger(
        () -> answer(log, Work.SEARCH, null), LOGGER, seen(Level.INFO, ".*model\\[m\\].*"));
    changes.applySettings(Settings.EMPTY);
    MockLog.assertThatLogger(
        () -> answer(log, Work.SEARCH, null), LOGGER, unseen(Level.INFO), unseen(Level.WARN));
  }

  public void testSettings() {
    assertThat(SlowLog.settings(), hasSize(4));
    assertTrue(SlowLog.settings().stream().allMatch(setting -> setting.isDynamic()));
  }
}
