package org.lanewise.benchmarks.retrieval;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.lanewise.encoder.TextReranker;

/** A cross-encoder's order of the best hits of another search; the other hits are dropped. */
public final class Reranking {
  private Reranking() {}

  /** Returns the run in which the first {@code depth} hits of {@code run} are ordered anew. */
  public static Run of(Run run, int depth, TextReranker reranker, TestCollection collection) {
    List<List<Hit>> reranked = new ArrayList<>();
    for (int query = 0; query < run.hits().size(); query++) {
      List<Hit> hits = run.hits().get(query);
      List<Hit> first = hits.subList(0, Math.min(depth, hits.size()));
      float[] scores =
          reranker.score(
              Collections.nCopies(first.size(), collection.queries().get(query)),
              first.stream().map(hit -> collection.documents().get(hit.document())).toList());
      List<Hit> scored = new ArrayList<>();
      for (int i = 0; i < scores.length; i++) {
        scored.add(new Hit(first.get(i).document(), scores[i]));
      }
      scored.sort(Hit.BEST_FIRST);
      reranked.add(scored);
    }
    return new Run("rerank(" + run.name() + ")", reranked);
  }
}
