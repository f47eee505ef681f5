package org.lanewise.plugin.search;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.lucene.search.Explanation;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.common.io.stream.Writeable;
import org.elasticsearch.search.rank.RankDoc;

/** A fused hit that knows what each retriever added to it; only where a search wants that told. */
public final class HybridRankDoc extends RankDoc {
  /** The name under which it goes from node to node. */
  public static final String NAME = "lanewise_hybrid_rank_doc";

  /**
   * What one retriever added.
   *
   * @param found whether the retriever has the document among its hits
   * @param share the number that was added to the score
   * @param formula how the number came about, in words
   */
  record Part(boolean found, float share, String formula) implements Writeable {
    Part(StreamInput in) throws IOException {
      this(in.readBoolean(), in.readFloat(), in.readString());
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
      out.writeBoolean(found);
      out.writeFloat(share);
      out.writeString(formula);
    }
  }

  private final String method;
  private final List<Part> parts;

  /** Takes over the parts, one for each retriever, in the order of the search. */
  HybridRankDoc(int doc, float score, int shardIndex, String method, List<Part> parts) {
    super(doc, score, shardIndex);
    this.method = method;
    this.parts = List.copyOf(parts);
  }

  /** Reads what {@link #writeTo} wrote. */
  public HybridRankDoc(StreamInput in) throws IOException {
    super(in);
    method = in.readString();
    parts = in.readCollectionAsImmutableList(Part::new);
  }

  @Override
  public String getWriteableName() {
    return NAME;
  }

  @Override
  protected void doWriteTo(StreamOutput out) throws IOException {
    out.writeString(method);
    out.writeCollection(parts);
  }

  @Override
  public Explanation explain(Explanation[] sources, String[] queryNames) {
    List<Explanation> details = new ArrayList<>();
    for (int i = 0; i < parts.size(); i++) {
      Part part = parts.get(i);
      details.add(
          part.found && i < sources.length
              ? Explanation.match(part.share, part.formula, sources[i])
              : Explanation.match(part.share, part.formula));
    }
    return Explanation.match(
        score, "rank [" + rank + "], [" + method + "] of what each retriever adds:", details);
  }

  @Override
  protected boolean doEquals(RankDoc other) {
    HybridRankDoc that = (HybridRankDoc) other;
    return method.equals(that.method) && parts.equals(that.parts);
  }

  @Override
  protected int doHashCode() {
    return 31 * method.hashCode() + parts.hashCode();
  }
}
