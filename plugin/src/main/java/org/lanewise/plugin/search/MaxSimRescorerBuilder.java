package org.lanewise.plugin.search;

import static org.elasticsearch.xcontent.ConstructingObjectParser.constructorArg;
import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.io.IOException;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.elasticsearch.TransportVersion;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.index.mapper.MappedFieldType;
import org.elasticsearch.index.query.QueryRewriteContext;
import org.elasticsearch.index.query.SearchExecutionContext;
import org.elasticsearch.search.rescore.RescorerBuilder;
import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentParser;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.backend.Backend;

/**
 * The {@code lanewise_maxsim} rescorer: {@code field}, a {@code binary} one with doc values into
 * which {@code lanewise_embed} wrote the vectors of tokens; {@code model_id}, {@code query}, {@code
 * prompt_name}; and {@code query_weight} (0) and {@code rescore_query_weight} (1), by which a hit's
 * score of before and its MaxSim are multiplied before they are added up.
 *
 * <p>The node that coordinates the search asks the model; shards get the question's vectors.
 */
public final class MaxSimRescorerBuilder extends RescorerBuilder<MaxSimRescorerBuilder> {
  /** The name of the rescorer. */
  public static final String NAME = "lanewise_maxsim";

  private static final ParseField FIELD = new ParseField("field");
  private static final ParseField MODEL_ID = new ParseField("model_id");
  private static final ParseField QUERY = new ParseField("query");
  private static final ParseField PROMPT_NAME = new ParseField("prompt_name");
  private static final ParseField QUERY_WEIGHT = new ParseField("query_weight");
  private static final ParseField RESCORE_QUERY_WEIGHT = new ParseField("rescore_query_weight");

  private static final ConstructingObjectParser<MaxSimRescorerBuilder, Supplier<Backend>> PARSER =
      new ConstructingObjectParser<>(
          NAME,
          false,
          (args, backend) ->
              new MaxSimRescorerBuilder(
                  backend,
                  (String) args[0],
                  Question.of(
                      QUERY.getPreferredName(),
                      (String) args[1],
                      (String) args[2],
                      (String) args[3],
                      (String) args[6]),
                  args[4] == null ? 0 : (float) args[4],
                  args[5] == null ? 1 : (float) args[5],
                  Optional.empty()));

  static {
    PARSER.declareString(constructorArg(), FIELD);
    PARSER.declareString(optionalConstructorArg(), MODEL_ID);
    PARSER.declareString(optionalConstructorArg(), QUERY);
    PARSER.declareString(optionalConstructorArg(), PROMPT_NAME);
    PARSER.declareFloat(optionalConstructorArg(), QUERY_WEIGHT);
    PARSER.declareFloat(optionalConstructorArg(), RESCORE_QUERY_WEIGHT);
    PARSER.declareString(optionalConstructorArg(), Question.TIMEOUT);
  }

  private final Supplier<Backend> backend;
  private final String field;
  private final Question question;
  private final float queryWeight;
  private final float rescoreQueryWeight;

  /** Empty until the model is asked; what is in it is null until it answers. */
  private final Optional<AtomicReference<float[][]>> vectors;

  private MaxSimRescorerBuilder(
      Supplier<Backend> backend,
      String field,
      Question question,
      float queryWeight,
      float rescoreQueryWeight,
      Optional<AtomicReference<float[][]>> vectors) {
    this.backend = backend;
    this.field = field;
    this.question = question;
    this.queryWeight = queryWeight;
    this.rescoreQueryWeight = rescoreQueryWeight;
    this.vectors = vectors;
  }

  /**
   * Reads what {@link #doWriteTo} wrote.
   *
   * @param backend what compares vectors
   */
  public MaxSimRescorerBuilder(StreamInput in, Supplier<Backend> backend) throws IOException {
    super(in);
    this.backend = backend;
    field = in.readString();
    question = new Question(in);
    queryWeight = in.readFloat();
    rescoreQueryWeight = in.readFloat();
    vectors =
        in.readBoolean()
            ? Optional.of(
                new AtomicReference<>(in.readArray(StreamInput::readFloatArray, float[][]::new)))
            : Optional.empty();
  }

  /** Returns the rescorer that a search request describes. */
  public static MaxSimRescorerBuilder parse(XContentParser parser, Supplier<Backend> backend)
      throws IOException {
    return PARSER.parse(parser, backend);
  }

  @Override
  public MaxSimRescorerBuilder rewrite(QueryRewriteContext context) {
    if (vectors.isPresent()) {
      return this;
    }
    AtomicReference<float[][]> answer = new AtomicReference<>();
    context.registerAsyncAction(
        (client, listener) ->
            question.ask(
                client,
                Output.MULTI_VECTOR,
                listener.map(
                    encoded -> {
                      answer.set(encoded.multiVector().orElseThrow());
                      return null;
                    })));
    MaxSimRescorerBuilder asked =
        new MaxSimRescorerBuilder(
            backend, field, question, queryWeight, rescoreQueryWeight, Optional.of(answer));
    if (windowSize != null) {
      asked.windowSize(windowSize);
    }
    return asked;
  }

  private float[][] answer() {
    return vectors.map(AtomicReference::get).orElse(null);
  }

  @Override
  protected MaxSimRescorer.Context innerBuildContext(
      int windowSize, SearchExecutionContext context) {
    MappedFieldType type = context.getFieldType(field);
    if (type != null && !(type.typeName().equals("binary") && type.hasDocValues())) {
      throw new IllegalArgumentException(
          "field ["
              + field
              + "] is of type ["
              + type.typeName()
              + "], expected [binary] with [doc_values] of [true]");
    }
    float[][] query = answer();
    if (query == null) {
      throw new IllegalStateException(
          "[" + NAME + "] must be rewritten before it can rescore the hits of a shard");
    }
    return new MaxSimRescorer.Context(
        windowSize,
        field,
        type == null
            ? Optional.empty()
            : Optional.of(context.getForField(type, MappedFieldType.FielddataOperation.SEARCH)),
        query,
        queryWeight,
        rescoreQueryWeight,
        backend.get());
  }

  @Override
  protected void doWriteTo(StreamOutput out) throws IOException {
    out.writeString(field);
    question.writeTo(out);
    out.writeFloat(queryWeight);
    out.writeFloat(rescoreQueryWeight);
    float[][] query = answer();
    out.writeBoolean(query != null);
    if (query != null) {
      out.writeArray(StreamOutput::writeFloatArray, query);
    }
  }

  @Override
  protected void doXContent(XContentBuilder builder, Params params) throws IOException {
    builder.startObject(NAME);
    builder.field(FIELD.getPreferredName(), field);
    builder.field(MODEL_ID.getPreferredName(), question.modelId());
    builder.field(QUERY.getPreferredName(), question.text());
    if (question.promptName().isPresent()) {
      builder.field(PROMPT_NAME.getPreferredName(), question.promptName().get());
    }
    question.timeoutToXContent(builder);
    builder.field(QUERY_WEIGHT.getPreferredName(), queryWeight);
    builder.field(RESCORE_QUERY_WEIGHT.getPreferredName(), rescoreQueryWeight);
    builder.endObject();
  }

  @Override
  public boolean equals(Object other) {
    return super.equals(other)
        && other instanceof MaxSimRescorerBuilder builder
        && field.equals(builder.field)
        && question.equals(builder.question)
        && queryWeight == builder.queryWeight
        && rescoreQueryWeight == builder.rescoreQueryWeight
        && Arrays.deepEquals(answer(), builder.answer());
  }

  @Override
  public int hashCode() {
    return Objects.hash(super.hashCode(), field, question, queryWeight, rescoreQueryWeight);
  }

  @Override
  public String getWriteableName() {
    return NAME;
  }

  @Override
  public TransportVersion getMinimalSupportedVersion() {
    return TransportVersion.minimumCompatible();
  }
}
