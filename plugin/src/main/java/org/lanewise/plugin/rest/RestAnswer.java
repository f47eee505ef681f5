package org.lanewise.plugin.rest;

import static org.elasticsearch.xcontent.ConstructingObjectParser.constructorArg;
import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.io.IOException;
import java.util.List;
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
import org.lanewise.encoder.AnswerFinder;
import org.lanewise.plugin.action.AnswerAction;

/** {@code POST /_lanewise/answer/{model_id}}. */
public final class RestAnswer extends BaseRestHandler {
  /** The body of a request. */
  private record Body(String question, List<String> input, int mostTokens) {}

  private static final ConstructingObjectParser<Body, Void> PARSER =
      new ConstructingObjectParser<>(
          "lanewise_answer",
          args -> {
            @SuppressWarnings("unchecked") // readInput returns strings
            List<String> input = (List<String>) args[1];
            return new Body(
                (String) args[0],
                input,
                args[2] == null ? AnswerFinder.USUAL_TOKENS : (Integer) args[2]);
          });

  static {
    PARSER.declareString(constructorArg(), new ParseField("question"));
    PARSER.declareField(
        constructorArg(), RestEmbed::readInput, new ParseField("input"), ValueType.VALUE_ARRAY);
    PARSER.declareInt(optionalConstructorArg(), new ParseField("max_answer_tokens"));
  }

  @Override
  public String getName() {
    return "lanewise_answer_action";
  }

  @Override
  public List<Route> routes() {
    return List.of(new Route(Method.POST, "/_lanewise/answer/{model_id}"));
  }

  @Override
  protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client)
      throws IOException {
    String modelId = request.param("model_id");
    Body body;
    try (XContentParser parser = request.contentParser()) {
      body = PARSER.apply(parser, null);
    }
    AnswerAction.Request answer =
        new AnswerAction.Request(
            modelId, body.question, body.mostTokens, body.input, RestEmbed.deadline(request));
    return channel ->
        new RestCancellableNodeClient(client, request.getHttpChannel())
            .execute(AnswerAction.TYPE, answer, new RestToXContentListener<>(channel));
  }
}
