package org.lanewise.plugin.search;

import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.elasticsearch.TransportVersion;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.support.ContextPreservingActionListener;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.search.vectors.QueryVectorBuilder;
import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentLocation;
import org.elasticsearch.xcontent.XContentParseException;
import org.elasticsearch.xcontent.XContentParser;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.plugin.action.EmbedAction;
import org.lanewise.plugin.encode.EncodeRequest;
import org.lanewise.plugin.encode.EncodeRequest.Side;
import org.lanewise.plugin.models.ModelRegistry;

/**
 * The {@code lanewise} query vector builder.
 *
 * @param modelId the model, which must be the one that made the vectors of the field
 * @param modelText the question
 * @param promptName the model's prompt to use instead of that for questions
 */
public record LanewiseQueryVectorBuilder(
    String modelId, String modelText, Optional<String> promptName) implements QueryVectorBuilder {
  /** The name of the builder in a search. */
  public static final String NAME = "lanewise";

  private static final ParseField MODEL_ID = new ParseField("model_id");
  private static final ParseField MODEL_TEXT = new ParseField("model_text");
  private static final ParseField PROMPT_NAME = new ParseField("prompt_name");

  /** What a search says, null where it says nothing. */
  private record Options(String modelId, String modelText, String promptName) {}

  private static final ConstructingObjectParser<Options, Void> PARSER =
      new ConstructingObjectParser<>(
          NAME, args -> new Options((String) args[0], (String) args[1], (String) args[2]));

  static {
    PARSER.declareString(optionalConstructorArg(), MODEL_ID);
    PARSER.declareString(optionalConstructorArg(), MODEL_TEXT);
    PARSER.declareString(optionalConstructorArg(), PROMPT_NAME);
  }

  /** Throws an {@code IllegalArgumentException}, a 400, for a bad id or a question without text. */
  public LanewiseQueryVectorBuilder {
    ModelRegistry.checkId(modelId);
    if (modelText == null) {
      throw new IllegalArgumentException("[model_text] must not be null.");
    }
    if (!EncodeRequest.hasText(modelText)) {
      throw new IllegalArgumentException("[model_text] must not be empty.");
    }
  }

  /** Reads what {@link #writeTo} wrote. */
  public LanewiseQueryVectorBuilder(StreamInput in) throws IOException {
    this(in.readString(), in.readString(), Optional.ofNullable(in.readOptionalString()));
  }

  /** Returns the builder that a search request describes. */
  public static LanewiseQueryVectorBuilder parse(XContentParser parser) {
    XContentLocation location = parser.getTokenLocation();
    Options options = PARSER.apply(parser, null);
    try {
      return new LanewiseQueryVectorBuilder(
          options.modelId == null ? ModelRegistry.BUNDLED_MODEL : options.modelId,
          options.modelText,
          Optional.ofNullable(options.promptName));
    } catch (IllegalArgumentException e) {
      // Of nested errors, the innermost of this type is the one that a response shows first.
      throw new XContentParseException(location, e.getMessage(), e);
    }
  }

  @Override
  public void buildVector(Client client, ActionListener<float[]> listener) {
    ThreadContext threadContext = client.threadPool().getThreadContext();
    ActionListener<EmbedAction.Response> answer =
        ContextPreservingActionListener.wrapPreservingContext(
            listener.map(response -> response.answers().getFirst().vector()), threadContext);
    // As the node itself: who may search an index need not be allowed to monitor the cluster.
    try (ThreadContext.StoredContext _ = threadContext.stashContext()) {
      client.execute(
          EmbedAction.TYPE,
          new EmbedAction.Request(
              modelId, List.of(modelText), Side.SEARCH, promptName, Set.of(Output.DENSE)),
          answer);
    }
  }

  @Override
  public String getWriteableName() {
    return NAME;
  }

  @Override
  public TransportVersion getMinimalSupportedVersion() {
    return TransportVersion.minimumCompatible();
  }

  @Override
  public void writeTo(StreamOutput out) throws IOException {
    out.writeString(modelId);
    out.writeString(modelText);
    out.writeOptionalString(promptName.orElse(null));
  }

  @Override
  public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
    builder.startObject();
    builder.field(MODEL_ID.getPreferredName(), modelId);
    builder.field(MODEL_TEXT.getPreferredName(), modelText);
    if (promptName.isPresent()) {
      builder.field(PROMPT_NAME.getPreferredName(), promptName.get());
    }
    return builder.endObject();
  }
}
