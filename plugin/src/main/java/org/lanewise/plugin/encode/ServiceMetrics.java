package org.lanewise.plugin.encode;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.ToLongFunction;
import org.elasticsearch.telemetry.metric.LongWithAttributes;
import org.elasticsearch.telemetry.metric.MeterRegistry;

/**
 * The counters of the service as metrics of Elasticsearch's telemetry, which reads them when due.
 */
public final class ServiceMetrics {
  private final MeterRegistry registry;
  private final Supplier<ServiceStats> stats;

  private ServiceMetrics(MeterRegistry registry, Supplier<ServiceStats> stats) {
    this.registry = registry;
    this.stats = stats;
  }

  /**
   * Registers all metrics: what was done as {@code es.lanewise.texts.total} and the like, with the
   * attribute {@code es_lanewise_lane}, and those of the cache of questions without.
   */
  public static void register(MeterRegistry registry, Supplier<ServiceStats> stats) {
    ServiceMetrics metrics = new ServiceMetrics(registry, stats);
    metrics.work("texts", "Texts that got an answer", "texts", WorkStats::texts);
    metrics.work("tokens", "Tokens of these texts", "tokens", WorkStats::tokens);
    metrics.work("truncated", "Texts that were cut", "texts", WorkStats::truncated);
    metrics.work("batches", "Batches that were computed", "batches", WorkStats::batches);
    metrics.work("failures", "Texts that got an error", "texts", WorkStats::failures);
    metrics.work("encode_millis", "Time of threads", "ms", WorkStats::millis);
    metrics.counter(
        "rejected",
        "Texts that there was no place for",
        "texts",
        now -> lanes(now.search().rejected(), now.bulk().rejected()));
    metrics.counter(
        "query_cache.hits",
        "Questions answered from the cache",
        "questions",
        now -> List.of(new LongWithAttributes(now.queryCache().hits())));
    metrics.counter(
        "query_cache.misses",
        "Questions that were not in the cache",
        "questions",
        now -> List.of(new LongWithAttributes(now.queryCache().misses())));
    registry.registerLongsGauge(
        "es.lanewise.queue.current",
        "Texts that wait",
        "texts",
        () -> lanes(stats.get().search().queue(), stats.get().bulk().queue()));
  }

  private void work(String name, String what, String unit, ToLongFunction<WorkStats> counter) {
    counter(
        name,
        what,
        unit,
        now -> lanes(sum(now, ModelStats::search, counter), sum(now, ModelStats::bulk, counter)));
  }

  private void counter(
      String name,
      String what,
      String unit,
      Function<ServiceStats, Collection<LongWithAttributes>> values) {
    registry.registerLongsAsyncCounter(
        "es.lanewise." + name + ".total", what, unit, () -> values.apply(stats.get()));
  }

  private static long sum(
      ServiceStats stats, Function<ModelStats, WorkStats> lane, ToLongFunction<WorkStats> counter) {
    return stats.models().values().stream().map(lane).mapToLong(counter).sum();
  }

  private static Collection<LongWithAttributes> lanes(long search, long bulk) {
    return List.of(lane("search", search), lane("bulk", bulk));
  }

  private static LongWithAttributes lane(String name, long value) {
    return new LongWithAttributes(value, Map.of("es_lanewise_lane", name));
  }
}
