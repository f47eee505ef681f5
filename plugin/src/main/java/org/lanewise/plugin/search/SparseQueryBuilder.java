package org.lanewise.plugin.search;

import static org.elasticsearch.xcontent.ConstructingObjectParser.constructorArg;
import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.lucene.search.MatchNoDocsQuery;
import org.apache.lucene.search.Query;
import org.elasticsearch.TransportVersion;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.index.mapper.MappedFieldType;
import org.elasticsearch.index.mapper.vectors.SparseVectorFieldMapper.SparseVectorFieldType;
import org.elasticsearch.index.query.LeafQueryBuilder;
import org.elasticsearch.index.query.QueryBuilder;
import org.elasticsearch.index.query.QueryRewriteContext;
import org.elasticsearch.index.query.SearchExecutionContext;
import org.elasticsearch.inference.WeightedToken;
import org.elasticsearch.inference.WeightedTokensUtils;
import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentParser;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.head.SparseVector.Pruning;
import org.lanewise.plugin.models.Encoded;

/**
 * The {@code lanewise_sparse} query: a question becomes weights of tokens, and a document scores
 * the sum of their products with the weights of its own, in a {@code sparse_vector} or {@code
 * rank_features} field. The node that coordinates the search asks the model; shards get weights.
 */
public final class SparseQueryBuilder extends LeafQueryBuilder<SparseQueryBuilder> {
  /** The name of the query. */
  public static final String NAME = "lanewise_sparse";

  private static final ParseField FIELD = new ParseField("field");
  private static final ParseField MODEL_ID = new ParseField("model_id");
  private static final ParseField QUERY = new ParseField("query");
  private static final ParseField PROMPT_NAME = new ParseField("prompt_name");
  private static final ParseField PRUNING = new ParseField("pruning");

  private static final ConstructingObjectParser<SparseQueryBuilder, Void> PARSER =
      new ConstructingObjectParser<>(
          NAME,
          args ->
              new SparseQueryBuilder(
                      (String) args[0],
                      Question.of(
                          QUERY.getPreferredName(),
                          (String) args[1],
                          (String) args[2],
                          (String) args[3],
                          (String) args[7]),
                      args[4] == null ? Pruning.NONE : (Pruning) args[4],
                      Optional.empty())
                  .boost(args[5] == null ? DEFAULT_BOOST : (float) args[5])
                  .queryName((String) args[6]));

  static {
    PARSER.declareString(constructorArg(), FIELD);
    PARSER.declareString(optionalConstructorArg(), MODEL_ID);
    PARSER.declareString(optionalConstructorArg(), QUERY);
    PARSER.declareString(optionalConstructorArg(), PROMPT_NAME);
    PARSER.declareObject(optionalConstructorArg(), PruningParser.PARSER, PRUNING);
    PARSER.declareFloat(optionalConstructorArg(), BOOST_FIELD);
    PARSER.declareString(optionalConstructorArg(), NAME_FIELD);
    PARSER.declareString(optionalConstructorArg(), Question.TIMEOUT);
  }

  private final String field;
  private final Question question;
  private final Pruning pruning;

  /** Empty until the model is asked; what is in it is null until it answers. */
  private final Optional<AtomicReference<Map<String, Float>>> weights;

  private SparseQueryBuilder(
      String field,
      Question question,
      Pruning pruning,
      Optional<AtomicReference<Map<String, Float>>> weights) {
    this.field = field;
    this.question = question;
    this.pruning = pruning;
    this.weights = weights;
  }

  /** Reads what {@link #doWriteTo} wrote. */
  public SparseQueryBuilder(StreamInput in) throws IOException {
    super(in);
    field = in.readString();
    question = new Question(in);
    pruning = new Pruning(in.readVInt(), in.readDouble(), in.readDouble());
    weights =
        in.readBoolean()
            ? Optional.of(
                new AtomicReference<>(
                    in.readOrderedMap(StreamInput::readString, StreamInput::readFloat)))
            : Optional.empty();
  }

  /** Returns the query that a search request describes. */
  public static SparseQueryBuilder parse(XContentParser parser) throws IOException {
    return PARSER.parse(parser, null);
  }

  @Override
  protected QueryBuilder doRewrite(QueryRewriteContext context) {
    if (weights.isPresent()) {
      return this;
    }
    AtomicReference<Map<String, Float>> answer = new AtomicReference<>();
    context.registerAsyncAction(
        (client, listener) ->
            question.ask(
                client,
                Output.SPARSE,
                listener.map(
                    encoded -> {
                      answer.set(encoded.weights(pruning));
                      return null;
                    })));
    return new SparseQueryBuilder(field, question, pruning, Optional.of(answer))
        .boost(boost)
        .queryName(queryName);
  }

  private Map<String, Float> answer() {
    return weights.map(AtomicReference::get).orElse(null);
  }

  @Override
  protected Query doToQuery(SearchExecutionContext context) throws IOException {
    Map<String, Float> known = answer();
    if (known == null) {
      throw new IllegalStateException(
          "[" + NAME + "] must be rewritten before it can be a query of a shard");
    }
    MappedFieldType type = context.getFieldType(field);
    if (type == null) {
      return new MatchNoDocsQuery("field [" + field + "] is not mapped");
    }
    if (known.isEmpty()) {
      return new MatchNoDocsQuery("the question has no tokens of any weight");
    }
    List<WeightedToken> tokens = tokens(known);
    return switch (type) {
      case SparseVectorFieldType sparse ->
          sparse.finalizeSparseVectorQuery(context, field, tokens, null, null);
      default -> {
        if (!type.typeName().equals("rank_features")) {
          throw new IllegalArgumentException(
              "field ["
                  + field
                  + "] is of type ["
                  + type.typeName()
                  + "], expected [sparse_vector] or [rank_features]");
        }
        yield WeightedTokensUtils.queryBuilderWithAllTokens(
            field, tokens(withFeatureNames(known)), type, context);
      }
    };
  }

  private static List<WeightedToken> tokens(Map<String, Float> weights) {
    List<WeightedToken> tokens = new ArrayList<>();
    weights.forEach((token, weight) -> tokens.add(new WeightedToken(token, weight)));
    return tokens;
  }

  /** Returns the weights, also by the names that tokens may have in a field without dots. */
  static Map<String, Float> withFeatureNames(Map<String, Float> weights) {
    Map<String, Float> all = new LinkedHashMap<>(weights);
    weights.forEach((token, weight) -> all.putIfAbsent(Encoded.featureName(token), weight));
    return all;
  }

  @Override
  protected void doWriteTo(StreamOutput out) throws IOException {
    out.writeString(field);
    question.writeTo(out);
    out.writeVInt(pruning.topK());
    out.writeDouble(pruning.maxRatio());
    out.writeDouble(pruning.absValue());
    Map<String, Float> known = answer();
    out.writeBoolean(known != null);
    if (known != null) {
      out.writeMap(new LinkedHashMap<>(known), StreamOutput::writeString, StreamOutput::writeFloat);
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
    if (!pruning.equals(Pruning.NONE)) {
      builder.startObject(PRUNING.getPreferredName());
      builder.field("top_k", pruning.topK());
      builder.field("max_ratio", pruning.maxRatio());
      builder.field("abs_value", pruning.absValue());
      builder.endObject();
    }
    question.timeoutToXContent(builder);
    boostAndQueryNameToXContent(builder);
    builder.endObject();
  }

  @Override
  protected boolean doEquals(SparseQueryBuilder other) {
    return field.equals(other.field)
        && question.equals(other.question)
        && pruning.equals(other.pruning)
        && Objects.equals(answer(), other.answer());
  }

  @Override
  protected int doHashCode() {
    return Objects.hash(field, question, pruning, answer());
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
