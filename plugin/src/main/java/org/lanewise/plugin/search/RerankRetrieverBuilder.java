package org.lanewise.plugin.search;

import static org.elasticsearch.xcontent.ConstructingObjectParser.constructorArg;
import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.util.SetOnce;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionRequestValidationException;
import org.elasticsearch.action.ResolvedIndices;
import org.elasticsearch.action.search.SearchRequest;
import org.elasticsearch.action.search.TransportSearchAction;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.common.document.DocumentField;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.index.query.QueryBuilder;
import org.elasticsearch.index.query.QueryRewriteContext;
import org.elasticsearch.search.SearchHit;
import org.elasticsearch.search.builder.SearchSourceBuilder;
import org.elasticsearch.search.fetch.StoredFieldsContext;
import org.elasticsearch.search.rank.RankDoc;
import org.elasticsearch.search.retriever.CompoundRetrieverBuilder;
import org.elasticsearch.search.retriever.RankDocsRetrieverBuilder;
import org.elasticsearch.search.retriever.RetrieverBuilder;
import org.elasticsearch.search.retriever.RetrieverParserContext;
import org.elasticsearch.search.sort.ShardDocSortField;
import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentParseException;
import org.elasticsearch.xcontent.XContentParser;
import org.lanewise.plugin.action.Deadline;
import org.lanewise.plugin.encode.EncodeRequest;
import org.lanewise.plugin.models.Relevance;

/**
 * The {@code lanewise_rerank} retriever: the best hits of another retriever in the order that a
 * cross-encoder gives them.
 *
 * <p>One search finds the {@code rank_window_size} best hits over all shards together with their
 * texts; the model scores these while no thread waits. Hits whose field has no text come behind all
 * others, in the order in which they were found. Equal scores are ordered by shard, then by the
 * place in it. Where the model fails, the search fails with its reason.
 */
public final class RerankRetrieverBuilder extends CompoundRetrieverBuilder<RerankRetrieverBuilder> {
  /** The name of the retriever in a search. */
  public static final String NAME = "lanewise_rerank";

  private static final int DEFAULT_WINDOW = 10;
  private static final int LARGEST_WINDOW = 1000;

  private static final ParseField RETRIEVER = new ParseField("retriever");

  private static final ConstructingObjectParser<RerankRetrieverBuilder, RetrieverParserContext>
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
    PARSER.declareNamedObject(
        constructorArg(),
        (parser, context, name) -> {
          RetrieverBuilder inner = parser.namedObject(RetrieverBuilder.class, name, context);
          context.trackRetrieverUsage(inner);
          return inner;
        },
        RETRIEVER);
    PARSER.declareString(constructorArg(), Reranking.MODEL_ID);
    PARSER.declareString(constructorArg(), Reranking.FIELD);
    PARSER.declareString(constructorArg(), Reranking.INFERENCE_TEXT);
    PARSER.declareInt(optionalConstructorArg(), RANK_WINDOW_SIZE_FIELD);
    PARSER.declareString(optionalConstructorArg(), Question.TIMEOUT);
    RetrieverBuilder.declareBaseParserFields(PARSER);
  }

  private final Reranking reranking;
  private final TimeValue timeout;

  /**
   * A hit of the inner retriever.
   *
   * @param hit its rank and score there, and its place in its shard
   * @param text of the field; empty where it has none
   */
  private record Candidate(RankDoc hit, String text) {
    boolean hasText() {
      return EncodeRequest.hasText(text);
    }
  }

  private RerankRetrieverBuilder(
      RetrieverSource inner, int rankWindowSize, Reranking reranking, TimeValue timeout) {
    super(List.of(inner), rankWindowSize);
    this.reranking = reranking;
    this.timeout = timeout;
  }

  /** Returns the retriever that a search request describes. */
  public static RerankRetrieverBuilder parse(XContentParser parser, RetrieverParserContext context)
      throws IOException {
    return PARSER.apply(parser, context);
  }

  private static RerankRetrieverBuilder described(Object[] args) {
    int window = args[4] == null ? DEFAULT_WINDOW : (int) args[4];
    if (window < 1 || window > LARGEST_WINDOW) {
      throw new IllegalArgumentException(
          "[rank_window_size] is ["
              + window
              + "], expected [1] to ["
              + LARGEST_WINDOW
              + "]: the model reads every hit of the window");
    }
    return new RerankRetrieverBuilder(
        RetrieverSource.from((RetrieverBuilder) args[0]),
        window,
        new Reranking((String) args[1], (String) args[2], (String) args[3]),
        Question.timeout((String) args[5]));
  }

  @Override
  protected RerankRetrieverBuilder clone(
      List<RetrieverSource> retrievers, List<QueryBuilder> filters) {
    RerankRetrieverBuilder copy =
        new RerankRetrieverBuilder(retrievers.getFirst(), rankWindowSize, reranking, timeout);
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
    return HybridRetrieverBuilder.checkPage(
        NAME,
        rankWindowSize,
        source,
        super.validate(source, errors, scroll, allowPartialSearchResults));
  }

  @Override
  protected SearchSourceBuilder finalizeSourceBuilder(SearchSourceBuilder source) {
    // The server reads no fields where stored ones are switched off.
    return source
        .storedFields((StoredFieldsContext) null)
        .fetchSource(false)
        .fetchField(reranking.field());
  }

  /**
   * The server rewrites filters and inner retriever until the latter has a search that needs no
   * more of it; from there on this takes over, since the server would wait for no model between the
   * search and its result.
   */
  @Override
  @SuppressWarnings("ReferenceEquality") // what is rewritten to itself needs no more of it
  protected RetrieverBuilder doRewrite(QueryRewriteContext context) {
    RetrieverSource inner = innerRetrievers.getFirst();
    if (inner.source() == null) {
      return this;
    }
    SearchSourceBuilder source;
    try {
      source = inner.source().rewrite(context);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (source != inner.source()) {
      return clone(List.of(new RetrieverSource(inner.retriever(), source)), preFilterQueryBuilders);
    }
    SetOnce<RankDoc[]> best = new SetOnce<>();
    boolean explain = context.isExplain() || context.isProfile();
    ResolvedIndices indices = context.getResolvedIndices();
    SearchRequest request =
        new SearchRequest()
            .source(source)
            .allowPartialSearchResults(context.allowPartialSearchResults());
    // Asking first which shards can match may reorder them, and hits are known by their shard.
    request.setPreFilterShardSize(Integer.MAX_VALUE);
    context.registerAsyncAction(
        (client, listener) ->
            search(
                client,
                request,
                indices,
                explain,
                listener.delegateFailureAndWrap(
                    (next, ranked) -> {
                      best.set(ranked);
                      next.onResponse(null);
                    })));
    RankDocsRetrieverBuilder result =
        new RankDocsRetrieverBuilder(
            rankWindowSize, List.of(inner.retriever()), best::get, minScore);
    result.retrieverName(retrieverName);
    return result;
  }

  private void search(
      Client client,
      SearchRequest request,
      ResolvedIndices indices,
      boolean explain,
      ActionListener<RankDoc[]> listener) {
    SearchTasks.adopt(request, client);
    client.execute(
        TransportSearchAction.TYPE,
        request,
        listener.delegateFailureAndWrap(
            (next, response) -> {
              List<Candidate> candidates = new ArrayList<>();
              for (SearchHit hit : response.getHits()) {
                candidates.add(candidate(hit, candidates.size() + 1));
              }
              // What a retriever found stands for it where a search explains or counts its matches.
              innerRetrievers
                  .getFirst()
                  .retriever()
                  .setRankDocs(candidates.stream().map(Candidate::hit).toArray(RankDoc[]::new));
              if (candidates.isEmpty() || candidates.stream().anyMatch(Candidate::hasText)) {
                rank(client, candidates, explain, next);
                return;
              }
              reranking.mapped(
                  client,
                  indices,
                  next.delegateFailureAndWrap(
                      (asker, mapped) -> {
                        if (!mapped) {
                          throw reranking.unmapped();
                        }
                        rank(client, candidates, explain, asker);
                      }));
            }));
  }

  private Candidate candidate(SearchHit hit, int rank) {
    Object[] sortValues = hit.getRawSortValues();
    long place = (long) sortValues[sortValues.length - 1];
    DocumentField field = hit.field(reranking.field());
    RankDoc found =
        new RankDoc(
            ShardDocSortField.decodeDoc(place),
            hit.getScore(),
            ShardDocSortField.decodeShardRequestIndex(place));
    found.rank = rank;
    return new Candidate(
        found, field == null ? "" : FieldText.of(reranking.field(), field.getValues()));
  }

  private void rank(
      Client client,
      List<Candidate> candidates,
      boolean explain,
      ActionListener<RankDoc[]> listener) {
    List<String> texts =
        candidates.stream().filter(Candidate::hasText).map(Candidate::text).toList();
    ActionListener<List<Relevance>> scored =
        listener.map(
            relevances ->
                combineInnerRetrieverResults(
                    List.<ScoreDoc[]>of(scored(candidates, relevances, explain)), explain));
    if (texts.isEmpty()) {
      scored.onResponse(List.of());
    } else {
      reranking.score(client, texts, new Deadline(timeout), scored);
    }
  }

  private ScoreDoc[] scored(
      List<Candidate> candidates, List<Relevance> relevances, boolean explain) {
    ScoreDoc[] hits = new ScoreDoc[candidates.size()];
    int next = 0;
    for (int i = 0; i < hits.length; i++) {
      Candidate each = candidates.get(i);
      if (each.hasText()) {
        Relevance relevance = relevances.get(next++);
        // Not so small that a hit without text could be in front.
        float score = Math.max(relevance.hitScore(), Float.MIN_NORMAL);
        hits[i] = hit(each, score, relevance.formula(), explain);
      } else {
        // Numbers below all others, so that these hits keep their order.
        float score = Float.MIN_VALUE * (hits.length - i);
        hits[i] = hit(each, score, "no text in [" + reranking.field() + "]", explain);
      }
    }
    return hits;
  }

  private RankDoc hit(Candidate candidate, float score, String formula, boolean explain) {
    return explain
        ? new RerankRankDoc(
            candidate.hit.doc,
            score,
            candidate.hit.shardIndex,
            "by [" + reranking.modelId() + "]: " + formula)
        : new RankDoc(candidate.hit.doc, score, candidate.hit.shardIndex);
  }

  /** Puts hits that have their scores into order. */
  @Override
  protected RankDoc[] combineInnerRetrieverResults(List<ScoreDoc[]> hits, boolean explain) {
    RankDoc[] best =
        Arrays.stream(hits.getFirst()).map(RankDoc.class::cast).sorted().toArray(RankDoc[]::new);
    for (int i = 0; i < best.length; i++) {
      best[i].rank = i + 1;
    }
    return best;
  }

  @Override
  public String getName() {
    return NAME;
  }

  @Override
  protected void doToXContent(XContentBuilder builder, Params params) throws IOException {
    builder.field(RETRIEVER.getPreferredName(), innerRetrievers.getFirst().retriever());
    reranking.toXContent(builder, params);
    builder.field(RANK_WINDOW_SIZE_FIELD.getPreferredName(), rankWindowSize);
    if (!timeout.equals(Deadline.USUAL.timeout())) {
      builder.field(Question.TIMEOUT.getPreferredName(), timeout.getStringRep());
    }
  }

  @Override
  public boolean doEquals(Object o) {
    return super.doEquals(o)
        && reranking.equals(((RerankRetrieverBuilder) o).reranking)
        && timeout.equals(((RerankRetrieverBuilder) o).timeout);
  }

  @Override
  public int doHashCode() {
    return Objects.hash(super.doHashCode(), reranking, timeout);
  }
}
