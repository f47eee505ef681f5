package org.lanewise.plugin.encode;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.elasticsearch.telemetry.InstrumentType;
import org.elasticsearch.telemetry.Measurement;
import org.elasticsearch.telemetry.RecordingMeterRegistry;
import org.elasticsearch.test.ESTestCase;

/** The counters as telemetry reads them. */
public class ServiceMetricsTests extends ESTestCase {
  private static final WorkStats BULK = new WorkStats(10, 200, 3, 2, 1, 40);
  private static final WorkStats SEARCH = new WorkStats(4, 50, 0, 4, 0, 5);

  private final RecordingMeterRegistry registry = new RecordingMeterRegistry();

  private List<Measurement> measure(InstrumentType type, String name) {
    return registry.getRecorder().getMeasurements(type, name);
  }

  public void testCountersOfAllModelsByLane() {
    ModelStats model = new ModelStats("vector", "bf16", "fp32", Optional.empty(), BULK, SEARCH);
    ServiceStats stats =
        new ServiceStats(
            1,
            512,
            100,
            new LaneStats(7, 8),
            new LaneStats(5, 6),
            new QueryCacheStats(30, 70, 0, 0, 0),
            Map.of("a", model, "b", model));
    ServiceMetrics.register(registry, () -> stats);
    registry.getRecorder().collect();

    Map<String, List<Long>> searchAndBulk =
        Map.of(
            "texts", List.of(8L, 20L),
            "tokens", List.of(100L, 400L),
            "truncated", List.of(0L, 6L),
            "batches", List.of(8L, 4L),
            "failures", List.of(0L, 2L),
            "encode_millis", List.of(10L, 80L),
            "rejected", List.of(6L, 8L));
    searchAndBulk.forEach(
        (name, values) ->
            assertLanes(
                values,
                measure(InstrumentType.LONG_ASYNC_COUNTER, "es.lanewise." + name + ".total")));
    assertLanes(List.of(5L, 7L), measure(InstrumentType.LONG_GAUGE, "es.lanewise.queue.current"));
    assertEquals(
        30L,
        measure(InstrumentType.LONG_ASYNC_COUNTER, "es.lanewise.query_cache.hits.total")
            .getFirst()
            .getLong());
    assertEquals(
        70L,
        measure(InstrumentType.LONG_ASYNC_COUNTER, "es.lanewise.query_cache.misses.total")
            .getFirst()
            .getLong());
  }

  private static void assertLanes(List<Long> searchAndBulk, List<Measurement> measured) {
    assertEquals(searchAndBulk, measured.stream().map(Measurement::getLong).toList());
    assertEquals(
        List.of(Map.of("es_lanewise_lane", "search"), Map.of("es_lanewise_lane", "bulk")),
        measured.stream().map(Measurement::attributes).toList());
  }
}
