package org.lanewise.plugin.search;

import java.io.IOException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.ReaderUtil;
import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TopDocs;
import org.elasticsearch.common.document.DocumentField;
import org.elasticsearch.index.query.SearchExecutionContext;
import org.elasticsearch.search.fetch.subphase.FieldAndFormat;
import org.elasticsearch.search.fetch.subphase.FieldFetcher;
import org.elasticsearch.search.lookup.Source;
import org.elasticsearch.search.lookup.SourceProvider;
import org.elasticsearch.search.rescore.RescoreContext;
import org.elasticsearch.search.rescore.Rescorer;
import org.lanewise.plugin.encode.EncodeRequest;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.models.Relevance;

/**
 * Rescores the hits of one shard: reads their texts, and waits for the model on the search thread.
 *
 * @param combination how both scores make one
 * @param service scores the texts
 * @param shard reads the texts
 */
record RerankRescorer(
    Reranking reranking,
    RerankRescorerBuilder.Combination combination,
    ModelWait waiting,
    EncodeService service,
    SearchExecutionContext shard)
    implements Rescorer {

  /** What the server keeps of a rescorer while it runs. */
  static final class Context extends RescoreContext {
    Context(int windowSize, RerankRescorer rescorer) {
      super(windowSize, rescorer);
    }
  }

  @Override
  public TopDocs rescore(TopDocs top, IndexSearcher searcher, RescoreContext context)
      throws IOException {
    ScoreDoc[] window = Rescorer.topN(top, context.getWindowSize()).scoreDocs;
    context.setRescoredDocs(
        Arrays.stream(window).map(hit -> hit.doc).collect(Collectors.toUnmodifiableSet()));
    Map<Integer, Relevance> relevances =
        relevances(
            Arrays.stream(window).map(hit -> hit.doc).toList(),
            searcher,
            context::checkCancellation);
    for (ScoreDoc hit : top.scoreDocs) {
      hit.score = score(hit.score, Optional.ofNullable(relevances.get(hit.doc)));
    }
    Arrays.sort(top.scoreDocs, SCORE_DOC_COMPARATOR);
    return top;
  }

  /** Returns how well the text of each of the hits answers; those without text are left out. */
  private Map<Integer, Relevance> relevances(
      List<Integer> hits, IndexSearcher searcher, Runnable cancellation) throws IOException {
    FieldFetcher fetcher =
        FieldFetcher.create(shard, List.of(new FieldAndFormat(reranking.field(), null)));
    SourceProvider sources = shard.createSourceProvider(null);
    // Some readers of documents go forward only.
    List<Integer> inOrder = hits.stream().sorted(Comparator.naturalOrder()).toList();
    Map<Integer, String> texts = new LinkedHashMap<>();
    for (int hit : inOrder) {
      String text = text(hit, searcher, fetcher, sources);
      if (EncodeRequest.hasText(text)) {
        texts.put(hit, text);
      }
    }
    if (texts.isEmpty()) {
      return Map.of();
    }
    List<String> read = List.copyOf(texts.values());
    List<Relevance> answers =
        waiting.await(
            read.size(),
            cancellation,
            (abandoned, listener) ->
                service.rerank(reranking.modelId(), reranking.query(), read, abandoned, listener));
    Map<Integer, Relevance> relevances = new HashMap<>();
    int next = 0;
    for (int hit : texts.keySet()) {
      relevances.put(hit, answers.get(next++));
    }
    return relevances;
  }

  private String text(int hit, IndexSearcher searcher, FieldFetcher fetcher, SourceProvider sources)
      throws IOException {
    List<LeafReaderContext> leaves = searcher.getIndexReader().leaves();
    LeafReaderContext leaf = leaves.get(ReaderUtil.subIndex(hit, leaves));
    int doc = hit - leaf.docBase;
    fetcher.setNextReader(leaf);
    Source source =
        fetcher.storedFieldsSpec().requiresSource()
            ? sources.getSource(leaf, doc)
            : Source.empty(null);
    DocumentField field = fetcher.fetch(source, doc).get(reranking.field());
    return field == null ? "" : FieldText.of(reranking.field(), field.getValues());
  }

  /** Returns the score of a hit; what the model did not read is as what the query did not match. */
  private float score(float queryScore, Optional<Relevance> relevance) {
    return relevance
        .map(each -> combination.of(queryScore, each.hitScore()))
        .orElse(combination.query() * queryScore);
  }

  @Override
  public Explanation explain(
      int doc, IndexSearcher searcher, RescoreContext context, Explanation source)
      throws IOException {
    if (source == null || !source.isMatch()) {
      return Explanation.noMatch("nothing matched");
    }
    float queryScore = source.getValue().floatValue();
    Optional<Relevance> relevance =
        context.isRescored(doc)
            ? Optional.ofNullable(
                relevances(List.of(doc), searcher, context::checkCancellation).get(doc))
            : Optional.empty();
    float score = score(queryScore, relevance);
    String by =
        relevance
            .map(each -> "by [" + reranking.modelId() + "]: " + each.formula())
            .orElse("not read by [" + reranking.modelId() + "]");
    Explanation queryPart =
        Explanation.match(
            combination.query() * queryScore,
            "[query_weight] " + combination.query() + " times:",
            source);
    return relevance
        .map(
            each ->
                Explanation.match(
                    score,
                    combination.mode() + " of:",
                    queryPart,
                    Explanation.match(
                        combination.rescore() * each.hitScore(),
                        "[rescore_query_weight] " + combination.rescore() + " times:",
                        Explanation.match(each.hitScore(), by))))
        .orElse(Explanation.match(score, by + ":", queryPart));
  }
}
