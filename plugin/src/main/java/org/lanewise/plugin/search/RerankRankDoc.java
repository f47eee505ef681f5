package org.lanewise.plugin.search;

import java.io.IOException;
import org.apache.lucene.search.Explanation;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.search.rank.RankDoc;

/** A reranked hit that knows how its score came about; only where a search wants that told. */
public final class RerankRankDoc extends RankDoc {
  /** The name under which it goes from node to node. */
  public static final String NAME = "lanewise_rerank_rank_doc";

  private final String formula;

  /** Takes the formula in words. */
  RerankRankDoc(int doc, float score, int shardIndex, String formula) {
    super(doc, score, shardIndex);
    this.formula = formula;
  }

  /** Reads what {@link #writeTo} wrote. */
  public RerankRankDoc(StreamInput in) throws IOException {
    super(in);
    formula = in.readString();
  }

  @Override
  public String getWriteableName() {
    return NAME;
  }

  @Override
  protected void doWriteTo(StreamOutput out) throws IOException {
    out.writeString(formula);
  }

  @Override
  public Explanation explain(Explanation[] sources, String[] queryNames) {
    return Explanation.match(
        score, "rank [" + rank + "], " + formula + "; the hit was found by:", sources);
  }

  @Override
  protected boolean doEquals(RankDoc other) {
    return formula.equals(((RerankRankDoc) other).formula);
  }

  @Override
  protected int doHashCode() {
    return formula.hashCode();
  }
}
