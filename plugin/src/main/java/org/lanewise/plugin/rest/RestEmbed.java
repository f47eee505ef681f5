package org.lanewise.plugin.rest;

import static org.elasticsearch.xcontent.ConstructingObjectParser.constructorArg;
import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
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
import org.elasticsearch.xcontent.XContentLocation;
import org.elasticsearch.xcontent.XContentParseException;
import org.elasticsearch.xcontent.XContentParser;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.plugin.action.Deadline;
import org.lanewise.plugin.action.EmbedAction;
import org.lanewise.plugin.encode.EncodeRequest.Side;
import org.lanewise.plugin.encode.Labels;
import org.lanewise.plugin.models.ModelRegistry;

/** {@code POST /_lanewise/embed} and {@code POST /_lanewise/embed/{model_id}}. */
public final class RestEmbed extends BaseRestHandler {

  /** The body of a request. */
  private record Body(
      List<String> input, Side side, Optional<String> promptName, Set<Output> outputs) {}

  private static final ConstructingObjectParser<Body, Void> PARSER =
      new ConstructingObjectParser<>(
          "lanewise_embed",
          args -> {
            @SuppressWarnings("unchecked") // readInput returns strings
            List<String> input = (List<String>) args[0];
            @SuppressWarnings("unchecked") // readOutputs returns outputs
            Set<Output> outputs = (Set<Output>) args[3];
            return new Body(
                input,
                args[1] == null ? Side.INGEST : (Side) args[1],
                Optional.ofNullable((String) args[2]),
                outputs == null ? Set.of(Output.DENSE) : outputs);
          });

  static {
    PARSER.declareField(
        constructorArg(), RestEmbed::readInput, new ParseField("input"), ValueType.VALUE_ARRAY);
    PARSER.declareField(
        optionalConstructorArg(),
        RestEmbed::readSide,
        new ParseField("input_type"),
        ValueType.STRING);
    PARSER.declareString(optionalConstructorArg(), new ParseField("prompt_name"));
    PARSER.declareField(
        optionalConstructorArg(),
        RestEmbed::readOutputs,
        new ParseField("outputs"),
        ValueType.STRING_ARRAY);
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

  /** Returns how long the client waits: {@code timeout}. */
  static Deadline deadline(RestRequest request) {
    return new Deadline(request.paramAsTime("timeout", Deadline.USUAL.timeout()));
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

  private static Set<Output> readOutputs(XContentParser parser) throws IOException {
    Set<Output> outputs = EnumSet.noneOf(Output.class);
    XContentLocation location = parser.getTokenLocation();
    List<String> named =
        parser.currentToken() == XContentParser.Token.VALUE_STRING
            ? List.of(parser.text())
            : parser.list().stream().map(String::valueOf).toList();
    for (String name : named) {
      try {
        outputs.add(Labels.constant(Output.class, name));
      } catch (IllegalArgumentException e) {
        throw new XContentParseException(location, "[outputs] " + e.getMessage(), e);
      }
    }
    if (outputs.isEmpty()) {
      throw new XContentParseException(location, "[outputs] must name at least one output");
    }
    return outputs;
  }

  @Override
  public String getName() {
    return "lanewise_embed_action";
  }

  @Override
  public List<Route> routes() {
    return List.of(
        new Route(Method.POST, "/_lanewise/embed"),
        new Route(Method.POST, "/_lanewise/embed/{model_id}"));
  }

  @Override
  protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client)
      throws IOException {
    String modelId = request.param("model_id", ModelRegistry.BUNDLED_MODEL);
    Body body;
    try (XContentParser parser = request.contentParser()) {
      body = PARSER.apply(parser, null);
    }
    EmbedAction.Request embed =
        new EmbedAction.Request(
            modelId, body.input, body.side, body.promptName, body.outputs, deadline(request));
    return channel ->
        new RestCancellableNodeClient(client, request.getHttpChannel())
            .execute(EmbedAction.TYPE, embed, new RestToXContentListener<>(channel));
  }
}
