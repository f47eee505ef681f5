package org.lanewise.benchmarks.retrieval;

import java.util.ArrayList;
import java.util.List;
import java.util.PriorityQueue;
import java.util.stream.IntStream;

/**
 * A model that reads queries and documents each alone and compares what it made of them.
 *
 * @param <T> what it makes of a text
 */
public interface BiEncoder<T> {
  /** Enough documents for batches of about one length. */
  int DOCUMENTS = 1024;

  /** Returns what the model makes of the queries, in order. */
  List<T> queries(List<String> texts);

  /** Returns what the model makes of the documents, in order. */
  List<T> documents(List<String> texts);

  /** Returns how similar the two are; called by many threads at once. */
  float similarity(T query, T document);

  /**
   * Returns the {@code depth} most similar documents for each query, by comparing all of them, so
   * that no approximation of an index has a part in it.
   */
  default List<List<Hit>> search(TestCollection collection, int depth) {
    List<T> queries = queries(collection.queries());
    List<PriorityQueue<Hit>> best = new ArrayList<>();
    for (int query = 0; query < queries.size(); query++) {
      best.add(new PriorityQueue<>(Hit.BEST_FIRST.reversed()));
    }
    int count = collection.documents().size();
    for (int from = 0; from < count; from += DOCUMENTS) {
      int first = from;
      List<T> documents =
          documents(collection.documents().subList(from, Math.min(count, from + DOCUMENTS)));
      IntStream.range(0, queries.size())
          .parallel()
          .forEach(query -> offer(queries.get(query), documents, first, best.get(query), depth));
    }
    return best.stream().map(hits -> hits.stream().sorted(Hit.BEST_FIRST).toList()).toList();
  }

  private void offer(T query, List<T> documents, int first, PriorityQueue<Hit> best, int depth) {
    for (int i = 0; i < documents.size(); i++) {
      Hit hit = new Hit(first + i, similarity(query, documents.get(i)));
      if (best.size() < depth) {
        best.add(hit);
      } else if (Hit.BEST_FIRST.compare(hit, best.peek()) < 0) {
        best.poll();
        best.add(hit);
      }
    }
  }
}
