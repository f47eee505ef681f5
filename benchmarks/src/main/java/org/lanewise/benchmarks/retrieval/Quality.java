package org.lanewise.benchmarks.retrieval;

import java.util.Comparator;
import java.util.List;
import java.util.Map;

/**
 * How good a run is: means over all queries that have judgements, also where nothing was found or
 * nothing is relevant, which counts 0. As trec_eval and BEIR define them, documents without a
 * judgement are not relevant, and grades below 0 count as 0.
 *
 * @param ndcg nDCG@10 ({@code ndcg_cut_10}): a document of rank r adds its grade / log2(r + 1); the
 *     sum over that of the ideal order
 * @param recall recall@100 ({@code recall_100}): the part of the relevant documents that is among
 *     the first 100
 * @param mrr MRR@10: 1 / rank of the first relevant document, 0 where it is not among the first 10
 */
public record Quality(double ndcg, double recall, double mrr) {
  private static final int TOP = 10;
  private static final int RECALLED = 100;

  /** Returns the quality of a run over the collection. */
  public static Quality of(Run run, TestCollection collection) {
    double ndcg = 0;
    double recall = 0;
    double mrr = 0;
    for (int query = 0; query < run.hits().size(); query++) {
      Map<String, Integer> grades = collection.judgements().get(query);
      int[] found =
          run.hits().get(query).stream()
              .mapToInt(hit -> grades.getOrDefault(collection.documentIds().get(hit.document()), 0))
              .toArray();
      ndcg += ndcg(found, grades);
      recall += recall(found, grades);
      mrr += reciprocalRank(found);
    }
    int queries = run.hits().size();
    return new Quality(ndcg / queries, recall / queries, mrr / queries);
  }

  /** Returns the means of several. */
  public static Quality mean(List<Quality> each) {
    return new Quality(
        each.stream().mapToDouble(Quality::ndcg).average().orElseThrow(),
        each.stream().mapToDouble(Quality::recall).average().orElseThrow(),
        each.stream().mapToDouble(Quality::mrr).average().orElseThrow());
  }

  private static double ndcg(int[] found, Map<String, Integer> grades) {
    int[] ideal =
        grades.values().stream()
            .sorted(Comparator.reverseOrder())
            .mapToInt(Integer::intValue)
            .toArray();
    double most = gain(ideal);
    return most == 0 ? 0 : gain(found) / most;
  }

  private static double gain(int[] grades) {
    double sum = 0;
    for (int i = 0; i < Math.min(TOP, grades.length); i++) {
      sum += Math.max(0, grades[i]) * Math.log(2) / Math.log(i + 2);
    }
    return sum;
  }

  private static double recall(int[] found, Map<String, Integer> grades) {
    long relevant = grades.values().stream().filter(grade -> grade > 0).count();
    long recalled = 0;
    for (int i = 0; i < Math.min(RECALLED, found.length); i++) {
      recalled += found[i] > 0 ? 1 : 0;
    }
    return relevant == 0 ? 0 : (double) recalled / relevant;
  }

  private static double reciprocalRank(int[] found) {
    for (int i = 0; i < Math.min(TOP, found.length); i++) {
      if (found[i] > 0) {
        return 1.0 / (i + 1);
      }
    }
    return 0;
  }
}
