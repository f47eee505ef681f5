package org.lanewise.plugin.rest;

import static org.elasticsearch.xcontent.ConstructingObjectParser.constructorArg;
import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.io.IOException;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.RestRequest.Method;
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

/** {@code POST /_lanewise/embed} and {@code POST /_lanewise/embed/{model_id}}. */
public final class RestEmbed extends RestTexts<RestEmbed.Body> {

  /** The body of a request. */
  record Body(List<String> input, Side side, Optional<String> promptName, Set<Output> outputs) {}

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
        constructorArg(), RestTexts::readInput, new ParseField("input"), ValueType.VALUE_ARRAY);
    PARSER.declareField(
        optionalConstructorArg(),
        RestTexts::readSide,
        new ParseField("input_type"),
        ValueType.STRING);
    PARSER.declareString(optionalConstructorArg(), new ParseField("prompt_name"));
    PARSER.declareField(
        optionalConstructorArg(),
        RestEmbed::readOutputs,
        new ParseField("outputs"),
        ValueType.STRING_ARRAY);
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

  /** Called by the plugin. */
  public RestEmbed() {
    super("embed", PARSER);
  }

  @Override
  public List<Route> routes() {
    return List.of(
        new Route(Method.POST, "/_lanewise/embed"),
        new Route(Method.POST, "/_lanewise/embed/{model_id}"));
  }

  @Override
  void ask(Client client, String modelId, Body body, Deadline deadline, RestChannel channel) {
    EmbedAction.Request embed =
        new EmbedAction.Request(
            modelId, body.input, body.side, body.promptName, body.outputs, deadline);
    client.execute(EmbedAction.TYPE, embed, new RestToXContentListener<>(channel));
  }
}
