package org.lanewise.plugin.encode;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToIntFunction;
import org.elasticsearch.ExceptionsHelper;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Setting.Property;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.logging.Level;
import org.elasticsearch.logging.LogManager;
import org.elasticsearch.logging.Logger;
import org.elasticsearch.tasks.Task;

/**
 * Logs requests whose answers took longer than a threshold, from asking to answering: waiting for a
 * model and for a place included. Lengths of texts are logged, never texts.
 */
public final class SlowLog {
  /** Who is logged under which threshold. */
  enum Work {
    SEARCH,
    BULK
  }

  private static final Logger logger = LogManager.getLogger("lanewise.slowlog");

  private static final List<Level> LEVELS = List.of(Level.WARN, Level.INFO);

  private static final Map<Work, Map<Level, Setting<TimeValue>>> THRESHOLDS = thresholds();

  private final ThreadContext threadContext;
  private final Map<Work, Thresholds> thresholds = new EnumMap<>(Work.class);

  /** What a request must have taken; negative for never. */
  private static final class Thresholds {
    private volatile long warnNanos;
    private volatile long infoNanos;

    private void set(Level level, TimeValue threshold) {
      if (level == Level.WARN) {
        warnNanos = threshold.nanos();
      } else {
        infoNanos = threshold.nanos();
      }
    }

    private boolean none() {
      return warnNanos < 0 && infoNanos < 0;
    }
  }

  /** Creates a log that follows the settings, at start and when they change. */
  public SlowLog(Settings settings, ClusterSettings changes, ThreadContext threadContext) {
    this.threadContext = threadContext;
    for (Work work : Work.values()) {
      Thresholds each = new Thresholds();
      thresholds.put(work, each);
      THRESHOLDS
          .get(work)
          .forEach(
              (level, setting) -> {
                each.set(level, setting.get(settings));
                changes.addSettingsUpdateConsumer(setting, value -> each.set(level, value));
              });
    }
  }

  /**
   * Returns the settings {@code lanewise.slowlog.threshold.<search|bulk>.<warn|info>}, {@code -1}
   * for never by default, which can be changed while the node runs.
   */
  public static List<Setting<?>> settings() {
    List<Setting<?>> all = new ArrayList<>();
    THRESHOLDS.values().forEach(levels -> all.addAll(levels.values()));
    return all;
  }

  private static Map<Work, Map<Level, Setting<TimeValue>>> thresholds() {
    Map<Work, Map<Level, Setting<TimeValue>>> all = new EnumMap<>(Work.class);
    for (Work work : Work.values()) {
      Map<Level, Setting<TimeValue>> levels = new EnumMap<>(Level.class);
      for (Level level : LEVELS) {
        levels.put(
            level,
            Setting.timeSetting(
                "lanewise.slowlog.threshold." + label(work) + "." + label(level),
                TimeValue.MINUS_ONE,
                TimeValue.MINUS_ONE,
                Property.NodeScope,
                Property.Dynamic));
      }
      all.put(work, levels);
    }
    return all;
  }

  private static String label(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }

  /** Returns a listener that logs, if need be, and passes on. */
  <T, R> ActionListener<R> timed(
      Work work,
      String modelId,
      List<T> texts,
      ToIntFunction<T> length,
      ActionListener<R> listener) {
    Thresholds limits = thresholds.get(work);
    if (limits.none()) {
      return listener;
    }
    long start = System.nanoTime();
    int count = texts.size();
    long characters = texts.stream().mapToLong(length::applyAsInt).sum();
    int longest = texts.stream().mapToInt(length).max().orElse(0);
    String opaqueId = threadContext.getHeader(Task.X_OPAQUE_ID_HTTP_HEADER);
    return new ActionListener<>() {
      @Override
      public void onResponse(R answer) {
        log("ok");
        listener.onResponse(answer);
      }

      @Override
      public void onFailure(Exception e) {
        log(ExceptionsHelper.status(e).name());
        listener.onFailure(e);
      }

      private void log(String status) {
        long nanos = System.nanoTime() - start;
        if (limits.warnNanos >= 0 && nanos > limits.warnNanos) {
          logger.warn(() -> message(nanos, status));
        } else if (limits.infoNanos >= 0 && nanos > limits.infoNanos) {
          logger.info(() -> message(nanos, status));
        }
      }

      private String message(long nanos, String status) {
        return String.format(
            Locale.ROOT,
            "took[%s], took_millis[%d], work[%s], model[%s], texts[%d], characters[%d],"
                + " longest[%d], status[%s], id[%s]",
            TimeValue.timeValueNanos(nanos),
            nanos / 1_000_000,
            label(work),
            modelId,
            count,
            characters,
            longest,
            status,
            opaqueId == null ? "" : opaqueId);
      }
    };
  }
}
