package org.lanewise.plugin.search;

import java.io.IOException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.ReaderUtil;
import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TopDocs;
import org.apache.lucene.util.BytesRef;
import org.elasticsearch.index.fielddata.IndexFieldData;
import org.elasticsearch.index.fielddata.SortedBinaryDocValues;
import org.elasticsearch.search.rescore.RescoreContext;
import org.elasticsearch.search.rescore.Rescorer;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.head.MaxSim;
import org.lanewise.encoder.head.StoredTokenVectors;

/**
 * Adds MaxSim to the scores of a shard's best hits. A hit without vectors gets nothing added; of
 * several texts in a field the best one counts.
 */
final class MaxSimRescorer implements Rescorer {
  private static final MaxSimRescorer INSTANCE = new MaxSimRescorer();

  private MaxSimRescorer() {}

  /** What rescoring needs on one shard. */
  static final class Context extends RescoreContext {
    private final String field;
    private final Optional<IndexFieldData<?>> stored;
    private final float[][] query;
    private final float queryWeight;
    private final float rescoreQueryWeight;
    private final Backend backend;

    /**
     * Creates a context.
     *
     * @param stored the field's vectors; empty where the shard's index does not map it
     */
    Context(
        int windowSize,
        String field,
        Optional<IndexFieldData<?>> stored,
        float[][] query,
        float queryWeight,
        float rescoreQueryWeight,
        Backend backend) {
      super(windowSize, INSTANCE);
      this.field = field;
      this.stored = stored;
      this.query = query;
      this.queryWeight = queryWeight;
      this.rescoreQueryWeight = rescoreQueryWeight;
      this.backend = backend;
    }
  }

  @Override
  public TopDocs rescore(TopDocs topDocs, IndexSearcher searcher, RescoreContext rescoreContext)
      throws IOException {
    if (topDocs == null || topDocs.scoreDocs.length == 0) {
      return topDocs;
    }
    Context context = (Context) rescoreContext;
    ScoreDoc[] window = Rescorer.topN(topDocs, context.getWindowSize()).scoreDocs.clone();
    Set<Integer> rescored =
        Arrays.stream(window).map(hit -> hit.doc).collect(Collectors.toUnmodifiableSet());
    context.setRescoredDocs(rescored);
    for (ScoreDoc hit : topDocs.scoreDocs) {
      hit.score *= context.queryWeight;
    }
    // Vectors are read in the order in which they lie.
    Arrays.sort(window, Comparator.comparingInt(hit -> hit.doc));
    try (MaxSim maxSim = new MaxSim(context.backend, context.query)) {
      Leaf leaf = null;
      for (ScoreDoc hit : window) {
        context.checkCancellation();
        if (leaf == null || !leaf.holds(hit.doc)) {
          leaf = leaf(searcher, context, hit.doc);
        }
        OptionalDouble score = leaf.score(hit.doc, maxSim, context.field);
        if (score.isPresent()) {
          hit.score += context.rescoreQueryWeight * (float) score.getAsDouble();
        }
      }
    }
    Arrays.sort(topDocs.scoreDocs, SCORE_DOC_COMPARATOR);
    return topDocs;
  }

  private static Leaf leaf(IndexSearcher searcher, Context context, int doc) {
    LeafReaderContext reader =
        searcher.getLeafContexts().get(ReaderUtil.subIndex(doc, searcher.getLeafContexts()));
    return new Leaf(reader, context.stored.map(field -> field.load(reader).getBytesValues()));
  }

  /** The vectors of one segment. */
  private record Leaf(LeafReaderContext reader, Optional<SortedBinaryDocValues> stored) {
    boolean holds(int doc) {
      return doc >= reader.docBase && doc < reader.docBase + reader.reader().maxDoc();
    }

    OptionalDouble score(int doc, MaxSim maxSim, String field) throws IOException {
      if (stored.isEmpty() || !stored.get().advanceExact(doc - reader.docBase)) {
        return OptionalDouble.empty();
      }
      double best = Double.NEGATIVE_INFINITY;
      for (int i = 0; i < stored.get().docValueCount(); i++) {
        BytesRef bytes = stored.get().nextValue();
        try {
          StoredTokenVectors document =
              StoredTokenVectors.read(bytes.bytes, bytes.offset, bytes.length);
          best = Math.max(best, maxSim.score(document));
        } catch (IllegalArgumentException e) {
          throw new IllegalArgumentException("field [" + field + "]: " + e.getMessage(), e);
        }
      }
      return OptionalDouble.of(best);
    }
  }

  @Override
  public Explanation explain(
      int doc, IndexSearcher searcher, RescoreContext rescoreContext, Explanation source)
      throws IOException {
    Context context = (Context) rescoreContext;
    float before = source.getValue().floatValue() * context.queryWeight;
    Explanation first =
        Explanation.match(
            before, "product of:", source, Explanation.match(context.queryWeight, "query_weight"));
    if (!context.isRescored(doc)) {
      return first;
    }
    OptionalDouble score;
    try (MaxSim maxSim = new MaxSim(context.backend, context.query)) {
      score = leaf(searcher, context, doc).score(doc, maxSim, context.field);
    }
    if (score.isEmpty()) {
      return first;
    }
    float added = context.rescoreQueryWeight * (float) score.getAsDouble();
    return Explanation.match(
        before + added,
        "sum of:",
        first,
        Explanation.match(
            added,
            "product of:",
            Explanation.match(
                score.getAsDouble(),
                "sum over the question's tokens of the largest dot product with a token of ["
                    + context.field
                    + "]"),
            Explanation.match(context.rescoreQueryWeight, "rescore_query_weight")));
  }
}
