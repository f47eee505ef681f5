package org.lanewise.plugin.action;

import static org.hamcrest.Matchers.containsString;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.elasticsearch.cluster.node.DiscoveryNodeUtils;
import org.elasticsearch.common.Strings;
import org.elasticsearch.common.io.stream.BytesStreamOutput;
import org.elasticsearch.health.HealthIndicatorResult;
import org.elasticsearch.health.HealthStatus;
import org.elasticsearch.health.ImpactArea;
import org.elasticsearch.test.ESTestCase;
import org.lanewise.plugin.encode.LaneStats;
import org.lanewise.plugin.encode.QueryCacheStats;
import org.lanewise.plugin.encode.ServiceStats;
import org.lanewise.plugin.models.ModelInfo;
import org.lanewise.plugin.models.ModelKind;

/** What the answers of nodes mean for the health report. */
public class LanewiseHealthTests extends ESTestCase {
  private static final ServiceStats IDLE =
      new ServiceStats(
          1,
          512,
          10,
          new LaneStats(0, 0),
          new LaneStats(0, 0),
          new QueryCacheStats(0, 0, 0, 0, 0),
          Map.of());

  private static final ModelState FINE = open("one");
  private static final ModelState UNUSED =
      new ModelState(
          "unused",
          Optional.of(ModelKind.TAGGER),
          ModelInfo.State.NOT_OPENED,
          Optional.empty(),
          Optional.empty());
  private static final ModelState BROKEN =
      new ModelState(
          "broken",
          Optional.empty(),
          ModelInfo.State.FAILED,
          Optional.of("a file is missing"),
          Optional.empty());

  private static ModelState open(String fingerprint) {
    return new ModelState(
        "fine",
        Optional.of(ModelKind.ENCODER),
        ModelInfo.State.OPEN,
        Optional.empty(),
        Optional.of(fingerprint));
  }

  private static StatsAction.NodeResponse node(
      String name, String backend, boolean vectorApi, ModelState... models) {
    return new StatsAction.NodeResponse(
        DiscoveryNodeUtils.builder(name).name(name).build(),
        backend,
        vectorApi,
        IDLE,
        List.of(models));
  }

  private static HealthIndicatorResult judge(int silent, StatsAction.NodeResponse... nodes) {
    return new LanewiseHealth(null).judge(true, 10, List.of(nodes), silent);
  }

  private static String details(HealthIndicatorResult result) {
    return Strings.toString(result.details());
  }

  public void testGreen() {
    HealthIndicatorResult result =
        judge(0, node("a", "auto", true, FINE, UNUSED), node("b", "scalar", false, FINE));
    assertEquals("lanewise", result.name());
    assertEquals(HealthStatus.GREEN, result.status());
    assertEquals(List.of(), result.impacts());
    assertEquals(List.of(), result.diagnosisList());
    assertThat(details(result), containsString("\"nodes\":2"));
  }

  public void testWithoutTheVectorApi() {
    HealthIndicatorResult result =
        judge(0, node("a", "auto", true, FINE), node("b", "auto", false, FINE));
    assertEquals(HealthStatus.YELLOW, result.status());
    assertEquals("[1] nodes run without the Vector API.", result.symptom());
    assertThat(details(result), containsString("\"nodes_without_vector_api\":[\"b\"]"));
    assertEquals(
        List.of(ImpactArea.INGEST, ImpactArea.SEARCH), result.impacts().getFirst().impactAreas());
    assertThat(
        result.diagnosisList().getFirst().definition().action(),
        containsString("--add-modules=jdk.incubator.vector"));
    assertEquals(
        "b",
        result
            .diagnosisList()
            .getFirst()
            .affectedResources()
            .getFirst()
            .getNodes()
            .iterator()
            .next()
            .getName());
  }

  public void testFailedModels() {
    HealthIndicatorResult result =
        judge(0, node("a", "auto", true, BROKEN, FINE), node("b", "auto", false, FINE));
    assertEquals(HealthStatus.YELLOW, result.status());
    assertEquals(
        "[1] nodes could not open a model; [1] nodes run without the Vector API.",
        result.symptom());
    assertThat(
        details(result),
        containsString("\"failed_models\":{\"a\":{\"broken\":\"a file is missing\"}}"));
    assertEquals(
        List.of("model_failed", "vector_api_missing"),
        result.impacts().stream().map(impact -> impact.id()).toList());
    HealthIndicatorResult brief =
        new LanewiseHealth(null).judge(false, 10, List.of(node("a", "auto", true, BROKEN)), 0);
    assertEquals(HealthStatus.YELLOW, brief.status());
    assertEquals("{}", details(brief));
  }

  public void testNodesThatUseDifferentFiles() {
    HealthIndicatorResult result =
        judge(
            0,
            node("a", "auto", true, FINE),
            node("b", "auto", true, open("another")),
            node("c", "auto", true, UNUSED));
    assertEquals(HealthStatus.YELLOW, result.status());
    assertEquals("nodes use different files for models [fine].", result.symptom());
    assertThat(
        details(result),
        containsString("\"differing_models\":{\"fine\":{\"a\":\"one\",\"b\":\"another\"}}"));
    assertEquals(
        2, result.diagnosisList().getFirst().affectedResources().getFirst().getNodes().size());
  }

  public void testSilentNodes() {
    HealthIndicatorResult result = judge(2, node("a", "auto", true));
    assertEquals(HealthStatus.YELLOW, result.status());
    assertEquals("[2] nodes did not answer.", result.symptom());
  }

  public void testAffectedNodesAreBounded() {
    List<StatsAction.NodeResponse> nodes =
        IntStream.range(0, 20).mapToObj(i -> node("n" + i, "auto", false)).toList();
    HealthIndicatorResult result = new LanewiseHealth(null).judge(true, 3, nodes, 0);
    assertEquals(
        3, result.diagnosisList().getFirst().affectedResources().getFirst().getNodes().size());
  }

  public void testStatesTravel() throws IOException {
    for (ModelState state : List.of(FINE, UNUSED, BROKEN)) {
      try (BytesStreamOutput out = new BytesStreamOutput()) {
        state.writeTo(out);
        assertEquals(state, new ModelState(out.bytes().streamInput()));
      }
    }
  }
}
