package org.lanewise.plugin.search;

import static org.elasticsearch.action.ValidateActions.addValidationError;
import static org.elasticsearch.xcontent.ConstructingObjectParser.constructorArg;
import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.io.IOException;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.elasticsearch.TransportVersion;
import org.elasticsearch.action.ActionRequestValidationException;
import org.elasticsearch.action.ResolvedIndices;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.io.stream.Writeable;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.index.query.QueryRewriteContext;
import org.elasticsearch.index.query.SearchExecutionContext;
import org.elasticsearch.search.SearchService;
import org.elasticsearch.search.builder.SearchSourceBuilder;
import org.elasticsearch.search.rescore.QueryRescoreMode;
import org.elasticsearch.search.rescore.RescoreContext;
import org.elasticsearch.search.rescore.RescorerBuilder;
import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentParseException;
import org.elasticsearch.xcontent.XContentParser;
import org.lanewise.plugin.encode.EncodeService;

/**
 * The {@code lanewise_rerank} rescorer: the best hits of each shard get the score of a
 * cross-encoder, or one that is made of both scores where the query's has a weight.
 */
public final class RerankRescorerBuilder extends RescorerBuilder<RerankRescorerBuilder> {
  /** The name of the rescorer in a search. */
  public static final String NAME = "lanewise_rerank";

  private static final ParseField QUERY_WEIGHT = new ParseField("query_weight");
  private static final ParseField RESCORE_QUERY_WEIGHT = new ParseField("rescore_query_weight");
  private static final ParseField SCORE_MODE = new ParseField("score_mode");
  private static final ParseField TIMEOUT = new ParseField("timeout");

  /**
   * How both scores make one.
   *
   * @param query multiplies the score of the query
   * @param rescore multiplies the score of the model
   */
  record Combination(float query, float rescore, QueryRescoreMode mode) implements Writeable {
    Combination {
      checkWeight(QUERY_WEIGHT, query);
      checkWeight(RESCORE_QUERY_WEIGHT, rescore);
    }

    Combination(StreamInput in) throws IOException {
      this(in.readFloat(), in.readFloat(), QueryRescoreMode.readFromStream(in));
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
      out.writeFloat(query);
      out.writeFloat(rescore);
      mode.writeTo(out);
    }

    float of(float queryScore, float modelScore) {
      return mode.combine(query * queryScore, rescore * modelScore);
    }
  }

  private final Reranking reranking;
  private final Combination combination;
  private final TimeValue timeout;
  private final Supplier<EncodeService> service;

  /** Whether an index may lack the field, as another has it; holds nothing until that is known. */
  private final Optional<AtomicReference<Boolean>> mapped;

  private static final ConstructingObjectParser<RerankRescorerBuilder, Supplier<EncodeService>>
      PARSER =
          new ConstructingObjectParser<>(
              NAME,
              false,
              (args, service) -> {
                try {
                  return described(args, service);
                } catch (IllegalArgumentException e) {
                  // Of nested errors, the innermost of this type is what a response shows first.
                  throw new XContentParseException(null, e.getMessage(), e);
                }
              });

  static {
    PARSER.declareString(constructorArg(), Reranking.MODEL_ID);
    PARSER.declareString(constructorArg(), Reranking.FIELD);
    PARSER.declareString(constructorArg(), Reranking.INFERENCE_TEXT);
    PARSER.declareFloat(optionalConstructorArg(), QUERY_WEIGHT);
    PARSER.declareFloat(optionalConstructorArg(), RESCORE_QUERY_WEIGHT);
    PARSER.declareString(optionalConstructorArg(), SCORE_MODE);
    PARSER.declareString(optionalConstructorArg(), TIMEOUT);
  }

  private RerankRescorerBuilder(
      Reranking reranking,
      Combination combination,
      TimeValue timeout,
      Supplier<EncodeService> service,
      Optional<AtomicReference<Boolean>> mapped) {
    this.reranking = reranking;
    this.combination = combination;
    this.timeout = timeout;
    this.service = service;
    this.mapped = mapped;
  }

  /** Reads what {@link #writeTo} wrote. */
  public RerankRescorerBuilder(StreamInput in, Supplier<EncodeService> service) throws IOException {
    super(in);
    reranking = new Reranking(in);
    combination = new Combination(in);
    timeout = in.readTimeValue();
    mapped = Optional.of(new AtomicReference<>(in.readBoolean()));
    this.service = service;
  }

  /**
   * Returns the rescorer that a search request describes.
   *
   * @param service scores texts on the node of a shard
   */
  public static RerankRescorerBuilder parse(XContentParser parser, Supplier<EncodeService> service)
      throws IOException {
    return PARSER.parse(parser, service);
  }

  private static RerankRescorerBuilder described(Object[] args, Supplier<EncodeService> service) {
    boolean mode = args[5] != null;
    return new RerankRescorerBuilder(
        new Reranking((String) args[0], (String) args[1], (String) args[2]),
        new Combination(
            // Who names a mode wants both scores; without it, the model's alone is what is asked
            // for.
            args[3] == null ? (mode ? 1 : 0) : (float) args[3],
            args[4] == null ? 1 : (float) args[4],
            mode ? QueryRescoreMode.fromString((String) args[5]) : QueryRescoreMode.Total),
        args[6] == null
            ? ModelWait.USUAL
            : TimeValue.parseTimeValue((String) args[6], TIMEOUT.getPreferredName()),
        service,
        Optional.empty());
  }

  private static void checkWeight(ParseField name, float weight) {
    if (!(weight >= 0) || Float.isInfinite(weight)) {
      throw new IllegalArgumentException(
          "["
              + name.getPreferredName()
              + "] is ["
              + weight
              + "], expected a number of at least [0]");
    }
  }

  @Override
  protected void doWriteTo(StreamOutput out) throws IOException {
    reranking.writeTo(out);
    combination.writeTo(out);
    out.writeTimeValue(timeout);
    out.writeBoolean(mayBeUnmapped());
  }

  private boolean mayBeUnmapped() {
    return mapped.map(AtomicReference::get).orElse(false);
  }

  /** Where the model's score takes the place of the other, all hits of a page must have it. */
  @Override
  public ActionRequestValidationException validate(
      SearchSourceBuilder source, ActionRequestValidationException errors) {
    int window = windowSize == null ? DEFAULT_WINDOW_SIZE : windowSize;
    long end =
        (long) Math.max(source.from(), 0)
            + (source.size() < 0 ? SearchService.DEFAULT_SIZE : source.size());
    if (combination.query > 0 || end <= window) {
      return errors;
    }
    return addValidationError(
        "["
            + NAME
            + "] gives the best [window_size: "
            + window
            + "] hits a score in place of their own, but [from] and [size] ask for ["
            + end
            + "]: raise [window_size], or add both scores up with [query_weight]",
        errors);
  }

  @Override
  protected RescoreContext innerBuildContext(int windowSize, SearchExecutionContext context) {
    // An index without any mapping is empty, as most often tomorrow's of a series is.
    if (context.getFieldType(reranking.field()) == null
        && context.hasMappings()
        && !mayBeUnmapped()) {
      throw reranking.unmapped();
    }
    return new RerankRescorer.Context(
        windowSize,
        new RerankRescorer(
            reranking,
            combination,
            new ModelWait(reranking.modelId(), timeout),
            service.get(),
            context));
  }

  /** Where one index is searched, its shards know all that is to be known of the field. */
  @Override
  public RerankRescorerBuilder rewrite(QueryRewriteContext context) {
    ResolvedIndices indices = context.getResolvedIndices();
    if (mapped.isPresent()
        || indices == null
        || (indices.getConcreteLocalIndices().length < 2
            && indices.getRemoteClusterIndices().isEmpty())) {
      return this;
    }
    AtomicReference<Boolean> answer = new AtomicReference<>();
    context.registerAsyncAction(
        (client, listener) ->
            reranking.mapped(
                client,
                indices,
                listener.map(
                    found -> {
                      answer.set(found);
                      return null;
                    })));
    RerankRescorerBuilder asked =
        new RerankRescorerBuilder(reranking, combination, timeout, service, Optional.of(answer));
    if (windowSize != null) {
      asked.windowSize(windowSize);
    }
    return asked;
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
  protected void doXContent(XContentBuilder builder, Params params) throws IOException {
    builder.startObject(NAME);
    reranking.toXContent(builder, params);
    builder.field(QUERY_WEIGHT.getPreferredName(), combination.query);
    builder.field(RESCORE_QUERY_WEIGHT.getPreferredName(), combination.rescore);
    builder.field(SCORE_MODE.getPreferredName(), combination.mode.name().toLowerCase(Locale.ROOT));
    builder.field(TIMEOUT.getPreferredName(), timeout.getStringRep());
    builder.endObject();
  }

  @Override
  public boolean equals(Object other) {
    return super.equals(other)
        && other instanceof RerankRescorerBuilder that
        && reranking.equals(that.reranking)
        && combination.equals(that.combination)
        && timeout.equals(that.timeout)
        && mayBeUnmapped() == that.mayBeUnmapped();
  }

  @Override
  public int hashCode() {
    return Objects.hash(super.hashCode(), reranking, combination, timeout);
  }
}
