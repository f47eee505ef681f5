package org.lanewise.plugin.search;

import static org.elasticsearch.action.ValidateActions.addValidationError;
import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.apache.lucene.search.ScoreDoc;
import org.elasticsearch.action.ActionRequestValidationException;
import org.elasticsearch.index.query.QueryBuilder;
import org.elasticsearch.search.builder.SearchSourceBuilder;
import org.elasticsearch.search.rank.RankDoc;
import org.elasticsearch.search.retriever.CompoundRetrieverBuilder;
import org.elasticsearch.search.retriever.RetrieverBuilder;
import org.elasticsearch.search.retriever.RetrieverParserContext;
import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentLocation;
import org.elasticsearch.xcontent.XContentParseException;
import org.elasticsearch.xcontent.XContentParser;

/**
 * The {@code lanewise_hybrid} retriever: one list of hits from those of any other retrievers.
 *
 * <p>Each inner retriever is searched for its {@code rank_window_size} best hits over all shards,
 * at one point in time. {@link Fusion} says what these add to the scores of their documents. The
 * sums are computed in double precision, rounded once, and ordered as Elasticsearch orders hits:
 * equal scores by shard, then by their place in it.
 */
public final class HybridRetrieverBuilder extends CompoundRetrieverBuilder<HybridRetrieverBuilder> {
  /** The name of the retriever in a search. */
  public static final String NAME = "lanewise_hybrid";

  private static final int DEFAULT_RANK_CONSTANT = 60;
  private static final int DEFAULT_WINDOW = 10;

  private static final ParseField RETRIEVERS = new ParseField("retrievers");
  private static final ParseField RETRIEVER = new ParseField("retriever");
  private static final ParseField WEIGHT = new ParseField("weight");
  private static final ParseField NORMALIZER = new ParseField("normalizer");
  private static final ParseField FUSION = new ParseField("fusion");
  private static final ParseField RANK_CONSTANT = new ParseField("rank_constant");

  /** An inner retriever as a search describes it. */
  private record Inner(RetrieverBuilder retriever, float weight, Optional<Normalizer> normalizer) {}

  private static final ConstructingObjectParser<HybridRetrieverBuilder, RetrieverParserContext>
      PARSER =
          new ConstructingObjectParser<>(
              NAME,
              args -> {
                try {
                  return described(args);
                } catch (IllegalArgumentException e) {
                  // Of nested errors, the innermost of this type is what a response shows first.
                  throw new XContentParseException(null, e.getMessage(), e);
                }
              });

  static {
    PARSER.declareObjectArray(
        optionalConstructorArg(), HybridRetrieverBuilder::parseInner, RETRIEVERS);
    PARSER.declareString(optionalConstructorArg(), FUSION);
    PARSER.declareInt(optionalConstructorArg(), RANK_WINDOW_SIZE_FIELD);
    PARSER.declareInt(optionalConstructorArg(), RANK_CONSTANT);
    PARSER.declareString(optionalConstructorArg(), NORMALIZER);
    RetrieverBuilder.declareBaseParserFields(PARSER);
  }

  private final Fusion.Method method;
  private final List<Fusion> fusions;
  private final List<String> labels;

  private HybridRetrieverBuilder(
      List<RetrieverSource> retrievers,
      int rankWindowSize,
      Fusion.Method method,
      List<Fusion> fusions,
      List<String> labels) {
    super(List.copyOf(retrievers), rankWindowSize);
    this.method = method;
    this.fusions = fusions;
    this.labels = labels;
  }

  /** Returns the retriever that a search request describes. */
  public static HybridRetrieverBuilder parse(XContentParser parser, RetrieverParserContext context)
      throws IOException {
    return PARSER.apply(parser, context);
  }

  /** Reads {@code {"standard": {...}}}, also with a weight, or with {@code "retriever"} around. */
  private static Inner parseInner(XContentParser parser, RetrieverParserContext context)
      throws IOException {
    XContentLocation location = parser.getTokenLocation();
    RetrieverBuilder retriever = null;
    float weight = 1;
    Optional<Normalizer> normalizer = Optional.empty();
    while (parser.nextToken() != XContentParser.Token.END_OBJECT) {
      String field = parser.currentName();
      XContentParser.Token value = parser.nextToken();
      if (field.equals(WEIGHT.getPreferredName())) {
        weight = parser.floatValue();
      } else if (field.equals(NORMALIZER.getPreferredName())) {
        normalizer = Optional.of(parsed(location, parser.text(), Normalizer::of));
      } else if (value != XContentParser.Token.START_OBJECT) {
        throw new XContentParseException(
            location,
            "["
                + field
                + "] is not an object, expected a retriever, [retriever], [weight] or"
                + " [normalizer]");
      } else if (retriever != null) {
        throw new XContentParseException(
            location,
            "one of [retrievers] has [" + field + "] beside another retriever, expected only one");
      } else if (field.equals(RETRIEVER.getPreferredName())) {
        retriever = parseInnerRetrieverBuilder(parser, context);
      } else {
        retriever = parser.namedObject(RetrieverBuilder.class, field, context);
        context.trackRetrieverUsage(retriever);
      }
    }
    if (retriever == null) {
      throw new XContentParseException(location, "one of [retrievers] has no retriever");
    }
    return new Inner(retriever, weight, normalizer);
  }

  private static <T> T parsed(XContentLocation location, String text, Function<String, T> read) {
    try {
      return read.apply(text);
    } catch (IllegalArgumentException e) {
      throw new XContentParseException(location, e.getMessage(), e);
    }
  }

  private static HybridRetrieverBuilder described(Object[] args) {
    Fusion.Method method = args[1] == null ? Fusion.Method.RRF : Fusion.Method.of((String) args[1]);
    int window = args[2] == null ? DEFAULT_WINDOW : (int) args[2];
    if (window < 1) {
      throw new IllegalArgumentException(
          "[rank_window_size] is [" + window + "], expected at least [1]");
    }
    Optional<Normalizer> normalizer = Optional.ofNullable((String) args[4]).map(Normalizer::of);
    if (method == Fusion.Method.WEIGHTED_SUM && args[3] != null) {
      throw new IllegalArgumentException(
          "[rank_constant] belongs to [\"fusion\": \"rrf\"], not to [weighted_sum]");
    }
    int rankConstant = args[3] == null ? DEFAULT_RANK_CONSTANT : (int) args[3];
    List<RetrieverSource> retrievers = new ArrayList<>();
    List<Fusion> fusions = new ArrayList<>();
    List<String> labels = new ArrayList<>();
    for (Object each : args[0] == null ? List.of() : (List<?>) args[0]) {
      Inner inner = (Inner) each;
      retrievers.add(RetrieverSource.from(inner.retriever));
      fusions.add(
          fusion(
              method,
              inner.weight,
              rankConstant,
              inner.normalizer.isPresent() ? inner.normalizer : normalizer));
      String name = inner.retriever.retrieverName();
      labels.add(
          "retriever "
              + retrievers.size()
              + " ["
              + (name == null ? inner.retriever.getName() : name)
              + "]");
    }
    if (retrievers.isEmpty()) {
      throw new IllegalArgumentException(
          "[" + NAME + "] has no [retrievers], expected at least one");
    }
    if (fusions.stream().allMatch(each -> each.weight() == 0)) {
      throw new IllegalArgumentException("each [weight] is [0], expected at least one above it");
    }
    return new HybridRetrieverBuilder(
        retrievers, window, method, List.copyOf(fusions), List.copyOf(labels));
  }

  private static Fusion fusion(
      Fusion.Method method, float weight, int rankConstant, Optional<Normalizer> normalizer) {
    return switch (method) {
      case RRF -> {
        if (normalizer.isPresent()) {
          throw new IllegalArgumentException(
              "[normalizer] belongs to [\"fusion\": \"weighted_sum\"], but [fusion] is [rrf], which"
                  + " looks at ranks only");
        }
        yield new Fusion.ReciprocalRank(weight, rankConstant);
      }
      case WEIGHTED_SUM ->
          new Fusion.WeightedScore(
              weight,
              normalizer.orElseThrow(
                  () ->
                      new IllegalArgumentException(
                          "[weighted_sum] needs a [normalizer], for all retrievers or for each:"
                              + " [minmax], [l2_norm], or [none] to add scores as they are")));
    };
  }

  @Override
  protected HybridRetrieverBuilder clone(
      List<RetrieverSource> retrievers, List<QueryBuilder> filters) {
    HybridRetrieverBuilder copy =
        new HybridRetrieverBuilder(retrievers, rankWindowSize, method, fusions, labels);
    copy.preFilterQueryBuilders = filters;
    copy.retrieverName = retrieverName;
    copy.minScore = minScore;
    return copy;
  }

  @Override
  public ActionRequestValidationException validate(
      SearchSourceBuilder source,
      ActionRequestValidationException errors,
      boolean scroll,
      boolean allowPartialSearchResults) {
    return checkPage(
        NAME,
        rankWindowSize,
        source,
        super.validate(source, errors, scroll, allowPartialSearchResults));
  }

  /** Refuses pages beyond a retriever's window, where hits would be missing without a word. */
  static ActionRequestValidationException checkPage(
      String name,
      int rankWindowSize,
      SearchSourceBuilder source,
      ActionRequestValidationException errors) {
    // Without a size, a page reaches to the end of the window.
    int from = Math.max(source.from(), 0);
    long end = source.size() < 0 ? from + 1L : (long) from + source.size();
    if (source.size() <= rankWindowSize && end > rankWindowSize) {
      return addValidationError(
          "["
              + name
              + "] finds the best [rank_window_size: "
              + rankWindowSize
              + "] hits, but [from: "
              + from
              + "] and [size] ask for [rank_window_size] of at least ["
              + end
              + "]",
          errors);
    }
    return errors;
  }

  @Override
  protected RankDoc[] combineInnerRetrieverResults(List<ScoreDoc[]> hits, boolean explain) {
    List<Fusion.Shares> shares = new ArrayList<>();
    Map<RankDoc.RankKey, Double> sums = new HashMap<>();
    for (int i = 0; i < hits.size(); i++) {
      checkScored(hits.get(i), labels.get(i));
      Fusion.Shares added = fusions.get(i).shares(hits.get(i));
      shares.add(added);
      for (int hit = 0; hit < hits.get(i).length; hit++) {
        sums.merge(key(hits.get(i)[hit]), added.of(hit), Double::sum);
      }
    }
    RankDoc[] fused = new RankDoc[sums.size()];
    int next = 0;
    for (Map.Entry<RankDoc.RankKey, Double> each : sums.entrySet()) {
      fused[next++] =
          new RankDoc(each.getKey().doc(), score(each.getValue()), each.getKey().shardIndex());
    }
    Arrays.sort(fused);
    RankDoc[] best = Arrays.copyOf(fused, Math.min(rankWindowSize, fused.length));
    if (explain) {
      addParts(best, hits, shares);
    }
    for (int i = 0; i < best.length; i++) {
      best[i].rank = i + 1;
    }
    return best;
  }

  private void checkScored(ScoreDoc[] hits, String label) {
    if (method == Fusion.Method.WEIGHTED_SUM
        && Arrays.stream(hits).anyMatch(hit -> Float.isNaN(hit.score))) {
      throw new IllegalArgumentException(
          label
              + " sorts its hits and gives them no scores, which [weighted_sum] adds up: use"
              + " [\"fusion\": \"rrf\"] or leave its [sort] away");
    }
  }

  private static RankDoc.RankKey key(ScoreDoc hit) {
    return new RankDoc.RankKey(hit.doc, hit.shardIndex);
  }

  private static float score(double sum) {
    float score = (float) sum;
    if (Float.isInfinite(score)) {
      throw new IllegalArgumentException(
          "a weighted sum is [" + sum + "], more than a score can be: lower each [weight]");
    }
    return score;
  }

  private void addParts(RankDoc[] best, List<ScoreDoc[]> hits, List<Fusion.Shares> shares) {
    List<Map<RankDoc.RankKey, Integer>> places = new ArrayList<>();
    for (ScoreDoc[] each : hits) {
      Map<RankDoc.RankKey, Integer> place = new HashMap<>();
      for (int hit = 0; hit < each.length; hit++) {
        place.put(key(each[hit]), hit);
      }
      places.add(place);
    }
    for (int i = 0; i < best.length; i++) {
      List<HybridRankDoc.Part> parts = new ArrayList<>();
      for (int retriever = 0; retriever < hits.size(); retriever++) {
        Integer hit = places.get(retriever).get(key(best[i]));
        parts.add(
            hit == null
                ? new HybridRankDoc.Part(
                    false,
                    0,
                    "not among the ["
                        + hits.get(retriever).length
                        + "] hits of "
                        + labels.get(retriever))
                : new HybridRankDoc.Part(
                    true,
                    (float) shares.get(retriever).of(hit),
                    shares.get(retriever).formula(hit)
                        + ", at rank ["
                        + (hit + 1)
                        + "] with score ["
                        + hits.get(retriever)[hit].score
                        + "] of "
                        + labels.get(retriever)));
      }
      best[i] =
          new HybridRankDoc(best[i].doc, best[i].score, best[i].shardIndex, method.label(), parts);
    }
  }

  @Override
  public String getName() {
    return NAME;
  }

  @Override
  protected void doToXContent(XContentBuilder builder, Params params) throws IOException {
    builder.startArray(RETRIEVERS.getPreferredName());
    for (int i = 0; i < innerRetrievers.size(); i++) {
      builder.startObject();
      builder.field(RETRIEVER.getPreferredName(), innerRetrievers.get(i).retriever());
      builder.field(WEIGHT.getPreferredName(), fusions.get(i).weight());
      if (fusions.get(i) instanceof Fusion.WeightedScore scored) {
        builder.field(NORMALIZER.getPreferredName(), scored.normalizer().label());
      }
      builder.endObject();
    }
    builder.endArray();
    builder.field(FUSION.getPreferredName(), method.label());
    builder.field(RANK_WINDOW_SIZE_FIELD.getPreferredName(), rankWindowSize);
    if (fusions.getFirst() instanceof Fusion.ReciprocalRank ranked) {
      builder.field(RANK_CONSTANT.getPreferredName(), ranked.rankConstant());
    }
  }

  @Override
  public boolean doEquals(Object o) {
    HybridRetrieverBuilder that = (HybridRetrieverBuilder) o;
    return super.doEquals(o) && method == that.method && fusions.equals(that.fusions);
  }

  @Override
  public int doHashCode() {
    return 31 * (31 * super.doHashCode() + method.hashCode()) + fusions.hashCode();
  }
}
