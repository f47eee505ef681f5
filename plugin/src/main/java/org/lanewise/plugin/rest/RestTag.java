package org.lanewise.plugin.rest;

import static org.elasticsearch.xcontent.ConstructingObjectParser.constructorArg;
import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.io.IOException;
import java.util.List;
import java.util.Set;
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
import org.lanewise.plugin.action.TagAction;
import org.lanewise.plugin.encode.TagSelection;

/** {@code POST /_lanewise/tag/{model_id}}. */
public final class RestTag extends BaseRestHandler {
  /** The body of a request. */
  private record Body(List<String> input, int topClasses) {}

  private static final ConstructingObjectParser<Body, Void> PARSER =
      new ConstructingObjectParser<>(
          "lanewise_tag",
          args -> {
            @SuppressWarnings("unchecked") // readInput returns strings
            List<String> input = (List<String>) args[0];
            return new Body(
                input, args[1] == null ? TagSelection.USUAL.topClasses() : (Integer) args[1]);
          });

  static {
    PARSER.declareField(
        constructorArg(), RestEmbed::readInput, new ParseField("input"), ValueType.VALUE_ARRAY);
    PARSER.declareInt(optionalConstructorArg(), new ParseField("num_top_classes"));
  }

  @Override
  public String getName() {
    return "lanewise_tag_action";
  }

  @Override
  public List<Route> routes() {
    return List.of(new Route(Method.POST, "/_lanewise/tag/{model_id}"));
  }

  @Override
  protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client)
      throws IOException {
    String modelId = request.param("model_id");
    Body body;
    try (XContentParser parser = request.contentParser()) {
      body = PARSER.apply(parser, null);
    }
    TagAction.Request tag =
        new TagAction.Request(
            modelId,
            body.input,
            new TagSelection(0, Set.of(), body.topClasses),
            RestEmbed.deadline(request));
    return channel ->
        new RestCancellableNodeClient(client, request.getHttpChannel())
            .execute(TagAction.TYPE, tag, new RestToXContentListener<>(channel));
  }
}
