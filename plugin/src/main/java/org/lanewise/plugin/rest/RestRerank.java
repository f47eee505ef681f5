package org.lanewise.plugin.rest;

import static org.elasticsearch.xcontent.ConstructingObjectParser.constructorArg;
import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.io.IOException;
import java.util.List;
import java.util.OptionalInt;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestRequest.Method;
import org.elasticsearch.rest.action.RestCancellableNodeClient;
import org.elasticsearch.rest.action.RestToXContentListener;
import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.ObjectParser.ValueType;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.XContentParser;
import org.lanewise.plugin.action.RerankAction;

/** {@code POST /_lanewise/rerank/{model_id}}. */
public final class RestRerank extends BaseRestHandler {
  /** The body of a request. */
  private record Body(String query, List<String> input, OptionalInt top) {}

  private static final ConstructingObjectParser<Body, Void> PARSER =
      new ConstructingObjectParser<>(
          "lanewise_rerank",
          args -> {
            @SuppressWarnings("unchecked") // readInput returns strings
            List<String> input = (List<String>) args[1];
            return new Body(
                (String) args[0],
                input,
                args[2] == null ? OptionalInt.empty() : OptionalInt.of((Integer) args[2]));
          });

  static {
    PARSER.declareString(constructorArg(), new ParseField("query"));
    PARSER.declareField(
        constructorArg(), RestEmbed::readInput, new ParseField("input"), ValueType.VALUE_ARRAY);
    PARSER.declareInt(optionalConstructorArg(), new ParseField("top_n"));
  }

  @Override
  public String getName() {
    return "lanewise_rerank_action";
  }

  @Override
  public List<Route> routes() {
    return List.of(new Route(Method.POST, "/_lanewise/rerank/{model_id}"));
  }

  @Override
  protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client)
      throws IOException {
    String modelId = request.param("model_id");
    Body body;
    try (XContentParser parser = request.contentParser()) {
      body = PARSER.apply(parser, null);
    }
    RerankAction.Request rerank =
        new RerankAction.Request(
            modelId, body.query, body.input, body.top, RestEmbed.deadline(request));
    return channel ->
        new RestCancellableNodeClient(client, request.getHttpChannel())
            .execute(RerankAction.TYPE, rerank, new RestToXContentListener<>(channel));
  }
}
