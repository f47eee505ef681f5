package org.lanewise.benchmarks.retrieval;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** One run made of several, as the retriever {@code lanewise_hybrid} fuses them. */
public sealed interface Fusion {
  /** Returns the name of a run that is made of runs of these names. */
  String name(List<String> runs);

  /**
   * Returns what a hit adds to the score of its document.
   *
   * @param run the name of the run
   * @param hits of the run, the best first
   * @param at which of them
   */
  double share(String run, List<Hit> hits, int at);

  /** Returns the {@code depth} best documents by the sums of what runs add, rounded once. */
  default Run fuse(List<Run> runs, int depth) {
    List<List<Hit>> fused = new ArrayList<>();
    for (int query = 0; query < runs.getFirst().hits().size(); query++) {
      Map<Integer, Double> sums = new HashMap<>();
      for (Run run : runs) {
        List<Hit> hits = run.hits().get(query);
        for (int i = 0; i < hits.size(); i++) {
          sums.merge(hits.get(i).document(), share(run.name(), hits, i), Double::sum);
        }
      }
      fused.add(
          sums.entrySet().stream()
              .map(sum -> new Hit(sum.getKey(), sum.getValue().floatValue()))
              .sorted(Hit.BEST_FIRST)
              .limit(depth)
              .toList());
    }
    return new Run(name(runs.stream().map(Run::name).toList()), fused);
  }

  /**
   * Reciprocal rank fusion: 1 / (60 + rank), where the best hit has rank 1 (Cormack, Clarke and
   * Buettcher, 2009).
   */
  record ReciprocalRank() implements Fusion {
    private static final double RANK_CONSTANT = 60;

    @Override
    public String name(List<String> runs) {
      return "rrf(" + String.join(", ", runs) + ")";
    }

    @Override
    public double share(String run, List<Hit> hits, int at) {
      return 1 / (RANK_CONSTANT + at + 1);
    }
  }

  /**
   * Weighted sum: the weight times the score, brought to 0 for the least and to 1 for the greatest
   * score of the run's hits; to 1 where all are equal.
   *
   * @param weights by the names of runs; 1 for those that it does not name
   */
  record WeightedSum(Map<String, Double> weights) implements Fusion {
    /** Copies the weights. */
    public WeightedSum {
      weights = Map.copyOf(weights);
    }

    @Override
    public String name(List<String> runs) {
      return "sum(" + String.join(", ", runs) + ")";
    }

    @Override
    public double share(String run, List<Hit> hits, int at) {
      double least = hits.getLast().score();
      double width = hits.getFirst().score() - least;
      double scaled = width == 0 ? 1 : (hits.get(at).score() - least) / width;
      return weights.getOrDefault(run, 1.0) * scaled;
    }
  }
}
