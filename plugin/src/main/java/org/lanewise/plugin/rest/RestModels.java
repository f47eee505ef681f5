package org.lanewise.plugin.rest;

import java.util.List;
import java.util.Optional;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestRequest.Method;
import org.elasticsearch.rest.action.RestToXContentListener;
import org.lanewise.plugin.action.ModelsAction;

/** {@code GET /_lanewise/models} and {@code GET /_lanewise/models/{model_id}}. */
public final class RestModels extends BaseRestHandler {
  @Override
  public String getName() {
    return "lanewise_models_action";
  }

  @Override
  public List<Route> routes() {
    return List.of(
        new Route(Method.GET, "/_lanewise/models"),
        new Route(Method.GET, "/_lanewise/models/{model_id}"));
  }

  @Override
  protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
    ModelsAction.Request models =
        new ModelsAction.Request(Optional.ofNullable(request.param("model_id")));
    return channel ->
        client.execute(ModelsAction.TYPE, models, new RestToXContentListener<>(channel));
  }
}
