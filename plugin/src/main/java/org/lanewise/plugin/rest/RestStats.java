package org.lanewise.plugin.rest;

import java.util.List;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.common.Strings;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestRequest.Method;
import org.elasticsearch.rest.action.RestActions.NodesResponseRestListener;
import org.lanewise.plugin.action.StatsAction;

/** {@code GET /_lanewise/stats} and {@code GET /_lanewise/stats/{node_id}}. */
public final class RestStats extends BaseRestHandler {
  @Override
  public String getName() {
    return "lanewise_stats_action";
  }

  @Override
  public List<Route> routes() {
    return List.of(
        new Route(Method.GET, "/_lanewise/stats"),
        new Route(Method.GET, "/_lanewise/stats/{node_id}"));
  }

  @Override
  protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
    StatsAction.Request stats =
        new StatsAction.Request(Strings.splitStringByCommaToArray(request.param("node_id")));
    return channel ->
        client.execute(StatsAction.TYPE, stats, new NodesResponseRestListener<>(channel));
  }
}
