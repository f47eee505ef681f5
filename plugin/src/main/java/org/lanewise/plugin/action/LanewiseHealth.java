package org.lanewise.plugin.action;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.elasticsearch.action.support.PlainActionFuture;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.cluster.node.DiscoveryNode;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.health.Diagnosis;
import org.elasticsearch.health.HealthIndicatorDetails;
import org.elasticsearch.health.HealthIndicatorImpact;
import org.elasticsearch.health.HealthIndicatorResult;
import org.elasticsearch.health.HealthIndicatorService;
import org.elasticsearch.health.HealthStatus;
import org.elasticsearch.health.ImpactArea;
import org.elasticsearch.health.SimpleHealthIndicatorDetails;
import org.elasticsearch.health.node.HealthInfo;
import org.lanewise.plugin.models.ModelInfo;

/**
 * The indicator {@code lanewise} of {@code GET /_health_report}: yellow where a node computes on
 * plain loops because its JVM has no Vector API, or where the last try to open a model failed.
 */
public final class LanewiseHealth implements HealthIndicatorService {
  /** The name of the indicator. */
  public static final String NAME = "lanewise";

  /** A node that needs longer is one that did not answer. */
  private static final TimeValue PATIENCE = TimeValue.timeValueSeconds(5);

  /** Enough for all nodes to answer or to be given up. */
  private static final TimeValue LIMIT = TimeValue.timeValueSeconds(10);

  private final Client client;

  /** Creates an indicator that asks all nodes whenever it is asked. */
  public LanewiseHealth(Client client) {
    this.client = client;
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public HealthIndicatorResult calculate(boolean verbose, int maxResources, HealthInfo info) {
    StatsAction.Request request = new StatsAction.Request();
    request.setTimeout(PATIENCE);
    PlainActionFuture<StatsAction.Response> future = new PlainActionFuture<>();
    ThreadContext context = client.threadPool().getThreadContext();
    // Who may see the health report need not be allowed to see the statistics.
    try (ThreadContext.StoredContext _ = context.stashContext()) {
      context.markAsSystemContext();
      client.execute(StatsAction.TYPE, request, future);
    }
    try {
      StatsAction.Response response = future.actionGet(LIMIT);
      return judge(verbose, maxResources, response.getNodes(), response.failures().size());
    } catch (RuntimeException e) {
      return createIndicator(
          HealthStatus.UNKNOWN,
          "The nodes could not be asked: " + e.getMessage(),
          HealthIndicatorDetails.EMPTY,
          List.of(),
          List.of());
    }
  }

  /**
   * Returns what the answers of the nodes mean.
   *
   * @param silent nodes that did not answer, for instance because they have no plugin
   */
  HealthIndicatorResult judge(
      boolean verbose, int maxResources, List<StatsAction.NodeResponse> nodes, int silent) {
    List<DiscoveryNode> slow =
        nodes.stream()
            .filter(StatsAction.NodeResponse::lacksVectorApi)
            .map(StatsAction.NodeResponse::getNode)
            .toList();
    List<DiscoveryNode> failing = new ArrayList<>();
    Map<String, Object> failures = new TreeMap<>();
    for (StatsAction.NodeResponse node : nodes) {
      Map<String, Object> reasons = new TreeMap<>();
      for (ModelState model : node.models()) {
        if (model.state() == ModelInfo.State.FAILED) {
          reasons.put(model.id(), model.reason().orElse(""));
        }
      }
      if (!reasons.isEmpty()) {
        failing.add(node.getNode());
        failures.put(node.getNode().getName(), reasons);
      }
    }
    Map<String, Map<String, String>> differing = differing(nodes);
    List<String> symptoms = new ArrayList<>();
    List<HealthIndicatorImpact> impacts = new ArrayList<>();
    List<Diagnosis> diagnoses = new ArrayList<>();
    if (!differing.isEmpty()) {
      symptoms.add("nodes use different files for models " + differing.keySet());
      impacts.add(
          impact(
              "models_differ",
              2,
              "Vectors of these models cannot be compared with those that other nodes made."));
      diagnoses.add(
          diagnosis(
              "models_differ",
              "Nodes opened a model from different files while they could not ask each other.",
              "The details have the fingerprints. Put the same files on every node and POST"
                  + " _lanewise/models/{model_id}/_reload.",
              nodes.stream()
                  .filter(
                      node ->
                          differing.values().stream()
                              .anyMatch(each -> each.containsKey(node.getNode().getName())))
                  .map(StatsAction.NodeResponse::getNode)
                  .toList(),
              maxResources));
    }
    if (!failing.isEmpty()) {
      symptoms.add("[" + failing.size() + "] nodes could not open a model");
      impacts.add(
          impact(
              "model_failed",
              2,
              "Documents and searches that need the model fail on these nodes."));
      diagnoses.add(
          diagnosis(
              "model_failed",
              "The directory of a model is damaged, incomplete or not supported.",
              "The details have the reasons. Put the directory right; the next use tries again.",
              failing,
              maxResources));
    }
    if (!slow.isEmpty()) {
      symptoms.add("[" + slow.size() + "] nodes run without the Vector API");
      impacts.add(
          impact(
              "vector_api_missing",
              3,
              "These nodes encode with plain loops, which is many times slower."));
      diagnoses.add(
          diagnosis(
              "vector_api_missing",
              "The JVM was started without the module jdk.incubator.vector.",
              "Add --add-modules=jdk.incubator.vector to config/jvm.options.d/lanewise.options and"
                  + " restart the nodes, or set lanewise.backend to scalar to accept it.",
              slow,
              maxResources));
    }
    if (silent > 0) {
      symptoms.add("[" + silent + "] nodes did not answer");
      impacts.add(
          impact("node_silent", 3, "Documents and searches that need Lanewise may fail there."));
    }
    return createIndicator(
        symptoms.isEmpty() ? HealthStatus.GREEN : HealthStatus.YELLOW,
        symptoms.isEmpty()
            ? "No model failed to open, and all nodes have the Vector API."
            : String.join("; ", symptoms) + ".",
        verbose
            ? new SimpleHealthIndicatorDetails(
                Map.of(
                    "nodes",
                    nodes.size(),
                    "nodes_without_answer",
                    silent,
                    "nodes_without_vector_api",
                    slow.stream().map(DiscoveryNode::getName).sorted().toList(),
                    "failed_models",
                    failures,
                    "differing_models",
                    differing))
            : HealthIndicatorDetails.EMPTY,
        impacts,
        verbose ? diagnoses : List.of());
  }

  /** Returns the fingerprints by node of models that are open from different files. */
  private static Map<String, Map<String, String>> differing(List<StatsAction.NodeResponse> nodes) {
    Map<String, Map<String, String>> open = new TreeMap<>();
    for (StatsAction.NodeResponse node : nodes) {
      for (ModelState model : node.models()) {
        if (model.state() == ModelInfo.State.OPEN && model.fingerprint().isPresent()) {
          open.computeIfAbsent(model.id(), id -> new TreeMap<>())
              .put(node.getNode().getName(), model.fingerprint().get());
        }
      }
    }
    open.values().removeIf(each -> Set.copyOf(each.values()).size() == 1);
    return open;
  }

  private static HealthIndicatorImpact impact(String id, int severity, String what) {
    return new HealthIndicatorImpact(
        NAME, id, severity, what, List.of(ImpactArea.INGEST, ImpactArea.SEARCH));
  }

  private static Diagnosis diagnosis(
      String id, String cause, String action, List<DiscoveryNode> nodes, int maxResources) {
    return new Diagnosis(
        new Diagnosis.Definition(NAME, id, cause, action, null),
        List.of(new Diagnosis.Resource(nodes.stream().limit(maxResources).toList())));
  }
}
