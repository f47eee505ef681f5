package org.lanewise.plugin.rest;

import static org.elasticsearch.xcontent.ConstructingObjectParser.constructorArg;
import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.util.List;
import java.util.Set;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.action.RestToXContentListener;
import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.ObjectParser.ValueType;
import org.elasticsearch.xcontent.ParseField;
import org.lanewise.plugin.action.Deadline;
import org.lanewise.plugin.action.TagAction;
import org.lanewise.plugin.encode.TagSelection;

/** {@code POST /_lanewise/tag/{model_id}}. */
public final class RestTag extends RestTexts<RestTag.Body> {
  /** The body of a request. */
  record Body(List<String> input, int topClasses) {}

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
        constructorArg(), RestTexts::readInput, new ParseField("input"), ValueType.VALUE_ARRAY);
    PARSER.declareInt(optionalConstructorArg(), new ParseField("num_top_classes"));
  }

  /** Called by the plugin. */
  public RestTag() {
    super("tag", PARSER);
  }

  @Override
  void ask(Client client, String modelId, Body body, Deadline deadline, RestChannel channel) {
    TagAction.Request tag =
        new TagAction.Request(
            modelId, body.input, new TagSelection(0, Set.of(), body.topClasses), deadline);
    client.execute(TagAction.TYPE, tag, new RestToXContentListener<>(channel));
  }
}
