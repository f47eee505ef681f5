package org.lanewise.plugin.rest;

import static org.elasticsearch.xcontent.ConstructingObjectParser.constructorArg;
import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.action.RestToXContentListener;
import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.ObjectParser.ValueType;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.ToXContentObject;
import org.elasticsearch.xcontent.XContentBuilder;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.head.SparseVector.Pruning;
import org.lanewise.plugin.action.Deadline;
import org.lanewise.plugin.action.EmbedAction;
import org.lanewise.plugin.encode.EncodeRequest.Side;
import org.lanewise.plugin.models.Encoded;
import org.lanewise.plugin.search.PruningParser;

/** {@code POST /_lanewise/sparse/{model_id}}: texts to weights of tokens. */
public final class RestSparse extends RestTexts<RestSparse.Body> {

  /** The body of a request. */
  record Body(List<String> input, Side side, Optional<String> promptName, Pruning pruning) {}

  private static final ConstructingObjectParser<Body, Void> PARSER =
      new ConstructingObjectParser<>(
          "lanewise_sparse",
          args -> {
            @SuppressWarnings("unchecked") // readInput returns strings
            List<String> input = (List<String>) args[0];
            return new Body(
                input,
                args[1] == null ? Side.INGEST : (Side) args[1],
                Optional.ofNullable((String) args[2]),
                args[3] == null ? Pruning.NONE : (Pruning) args[3]);
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
    PARSER.declareObject(optionalConstructorArg(), PruningParser.PARSER, new ParseField("pruning"));
  }

  /** Called by the plugin. */
  public RestSparse() {
    super("sparse", PARSER);
  }

  @Override
  void ask(Client client, String modelId, Body body, Deadline deadline, RestChannel channel) {
    EmbedAction.Request embed =
        new EmbedAction.Request(
            modelId, body.input, body.side, body.promptName, Set.of(Output.SPARSE), deadline);
    client.execute(
        EmbedAction.TYPE,
        embed,
        new RestToXContentListener<Answer>(channel)
            .map(response -> new Answer(modelId, response.answers(), body.pruning)));
  }

  /** The weights, in the order of the texts. */
  private record Answer(String modelId, List<Encoded> answers, Pruning pruning)
      implements ToXContentObject {
    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
      builder.startObject().field("model_id", modelId).startArray("sparse_embedding");
      for (Encoded answer : answers) {
        builder.startObject();
        builder.field("is_truncated", answer.truncated());
        builder.field("tokens", answer.tokens());
        builder.field("embedding", answer.weights(pruning));
        builder.endObject();
      }
      return builder.endArray().endObject();
    }
  }
}
