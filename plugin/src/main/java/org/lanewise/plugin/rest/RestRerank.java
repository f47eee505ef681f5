package org.lanewise.plugin.rest;

import static org.elasticsearch.xcontent.ConstructingObjectParser.constructorArg;
import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.util.List;
import java.util.OptionalInt;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.action.RestToXContentListener;
import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.ObjectParser.ValueType;
import org.elasticsearch.xcontent.ParseField;
import org.lanewise.plugin.action.Deadline;
import org.lanewise.plugin.action.RerankAction;

/** {@code POST /_lanewise/rerank/{model_id}}. */
public final class RestRerank extends RestTexts<RestRerank.Body> {
  /** The body of a request. */
  record Body(String query, List<String> input, OptionalInt top) {}

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
        constructorArg(), RestTexts::readInput, new ParseField("input"), ValueType.VALUE_ARRAY);
    PARSER.declareInt(optionalConstructorArg(), new ParseField("top_n"));
  }

  /** Called by the plugin. */
  public RestRerank() {
    super("rerank", PARSER);
  }

  @Override
  void ask(Client client, String modelId, Body body, Deadline deadline, RestChannel channel) {
    RerankAction.Request rerank =
        new RerankAction.Request(modelId, body.query, body.input, body.top, deadline);
    client.execute(RerankAction.TYPE, rerank, new RestToXContentListener<>(channel));
  }
}
