package org.lanewise.plugin.search;

import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
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
import org.elasticsearch.xcontent.XContentParser;
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

  private static final ConstructingObjectParser<LanewiseQueryVectorBuilder, Void> PARSER =
      new ConstructingObjectParser<>(
          NAME,
          args ->
              new LanewiseQueryVectorBuilder(
                  args[0] == null ? ModelRegistry.BUNDLED_MODEL : (String) args[0],
                  (String) args[1],
                  Optional.ofNullable((String) args[2])));

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
    return PARSER.apply(parser, null);
  }

  @Override
  public void buildVector(Client client, ActionListener<float[]> listener) {
    ThreadContext threadContext = client.threadPool().getThreadContext();
    ActionListener<EmbedAction.Response> answer =
        ContextPreservingActionListener.wrapPreservingContext(
            listener.map(response -> response.embeddings().getFirst().vector()), threadContext);
    // As the node itself: who may search an index need not be allowed to monitor the cluster.
    try (ThreadContext.StoredContext _ = threadContext.stashContext()) {
      client.execute(
          EmbedAction.TYPE,
          new EmbedAction.Request(modelId, List.of(modelText), Side.SEARCH, promptName),
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
