package org.lanewise.plugin.rest;

import static org.elasticsearch.xcontent.ConstructingObjectParser.constructorArg;
import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.util.List;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.action.RestToXContentListener;
import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.ObjectParser.ValueType;
import org.elasticsearch.xcontent.ParseField;
import org.lanewise.encoder.AnswerFinder;
import org.lanewise.plugin.action.AnswerAction;
import org.lanewise.plugin.action.Deadline;

/** {@code POST /_lanewise/answer/{model_id}}. */
public final class RestAnswer extends RestTexts<RestAnswer.Body> {
  /** The body of a request. */
  record Body(String question, List<String> input, int mostTokens) {}

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
        constructorArg(), RestTexts::readInput, new ParseField("input"), ValueType.VALUE_ARRAY);
    PARSER.declareInt(optionalConstructorArg(), new ParseField("max_answer_tokens"));
  }

  /** Called by the plugin. */
  public RestAnswer() {
    super("answer", PARSER);
  }

  @Override
  void ask(Client client, String modelId, Body body, Deadline deadline, RestChannel channel) {
    AnswerAction.Request answer =
        new AnswerAction.Request(modelId, body.question, body.mostTokens, body.input, deadline);
    client.execute(AnswerAction.TYPE, answer, new RestToXContentListener<>(channel));
  }
}
