package org.lanewise.plugin.rest;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestRequest.Method;
import org.elasticsearch.rest.action.RestCancellableNodeClient;
import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.XContentParseException;
import org.elasticsearch.xcontent.XContentParser;
import org.lanewise.plugin.action.Deadline;
import org.lanewise.plugin.encode.EncodeRequest.Side;
import org.lanewise.plugin.models.ModelRegistry;

/**
 * {@code POST /_lanewise/{verb}/{model_id}}: texts for a model, given up when the client goes away.
 *
 * @param <B> the body of a request
 */
abstract class RestTexts<B> extends BaseRestHandler {
  private final String verb;
  private final ConstructingObjectParser<B, Void> parser;

  RestTexts(String verb, ConstructingObjectParser<B, Void> parser) {
    this.verb = verb;
    this.parser = parser;
  }

  /** Asks the model; the client's going away cancels what is asked of {@code client}. */
  abstract void ask(Client client, String modelId, B body, Deadline deadline, RestChannel channel);

  @Override
  public final String getName() {
    return "lanewise_" + verb + "_action";
  }

  @Override
  public List<Route> routes() {
    return List.of(new Route(Method.POST, "/_lanewise/" + verb + "/{model_id}"));
  }

  @Override
  protected final RestChannelConsumer prepareRequest(RestRequest request, NodeClient client)
      throws IOException {
    String modelId = request.param("model_id", ModelRegistry.BUNDLED_MODEL);
    B body;
    try (XContentParser content = request.contentParser()) {
      body = parser.apply(content, null);
    }
    Deadline deadline = new Deadline(request.paramAsTime("timeout", Deadline.USUAL.timeout()));
    return channel ->
        ask(
            new RestCancellableNodeClient(client, request.getHttpChannel()),
            modelId,
            body,
            deadline,
            channel);
  }

  /** Reads a text or an array of texts. */
  static List<String> readInput(XContentParser parser) throws IOException {
    if (parser.currentToken() != XContentParser.Token.START_ARRAY) {
      return List.of(readText(parser));
    }
    List<String> texts = new ArrayList<>();
    while (parser.nextToken() != XContentParser.Token.END_ARRAY) {
      texts.add(readText(parser));
    }
    return texts;
  }

  private static String readText(XContentParser parser) throws IOException {
    if (parser.currentToken() != XContentParser.Token.VALUE_STRING) {
      throw new XContentParseException(
          parser.getTokenLocation(),
          "[input] must be a text or an array of texts but holds a ["
              + parser.currentToken()
              + "]");
    }
    return parser.text();
  }

  static Side readSide(XContentParser parser) throws IOException {
    return switch (parser.text()) {
      case "ingest" -> Side.INGEST;
      case "search" -> Side.SEARCH;
      default ->
          throw new XContentParseException(
              parser.getTokenLocation(),
              "[input_type] must be [ingest] or [search] but was [" + parser.text() + "]");
    };
  }
}
