package org.lanewise.encoder.head;

import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * Weights of some tokens of a vocabulary.
 *
 * @param ids vocabulary ids, ascending unless they were pruned
 * @param weights weight of each, above 0
 */
public record SparseVector(int[] ids, float[] weights) {
  /** Refuses arrays of different lengths. */
  public SparseVector {
    if (ids.length != weights.length) {
      throw new IllegalArgumentException(
          "there are " + weights.length + " weights, expected one for each of " + ids.length);
    }
  }

  /** Returns the number of tokens. */
  public int size() {
    return ids.length;
  }

  /** Returns what the pruning keeps, the heaviest first. */
  public SparseVector prune(Pruning pruning) {
    int[] order =
        IntStream.range(0, ids.length)
            .boxed()
            .sorted(Comparator.comparingDouble((Integer i) -> weights[i]).reversed())
            .mapToInt(Integer::intValue)
            .toArray();
    double least =
        order.length == 0
            ? 0
            : Math.max(pruning.absValue(), pruning.maxRatio() * weights[order[0]]);
    int kept = 0;
    while (kept < Math.min(order.length, pruning.topK()) && weights[order[kept]] >= least) {
      kept++;
    }
    int[] keptIds = new int[kept];
    float[] keptWeights = new float[kept];
    for (int i = 0; i < kept; i++) {
      keptIds[i] = ids[order[i]];
      keptWeights[i] = weights[order[i]];
    }
    return new SparseVector(keptIds, keptWeights);
  }

  /**
   * Which tokens of a vector are kept; all three conditions hold for those.
   *
   * @param topK keeps so many of the heaviest tokens, at least 1
   * @param maxRatio keeps tokens of at least this part of the largest weight, 0 to 1
   * @param absValue keeps tokens of at least this weight, 0 or more
   */
  public record Pruning(int topK, double maxRatio, double absValue) {
    /** Keeps everything. */
    public static final Pruning NONE = new Pruning(Integer.MAX_VALUE, 0, 0);

    /** Refuses what is out of bounds. */
    public Pruning {
      if (topK < 1) {
        throw new IllegalArgumentException("[top_k] is " + topK + ", expected 1 or more");
      }
      if (!(maxRatio >= 0 && maxRatio <= 1)) {
        throw new IllegalArgumentException("[max_ratio] is " + maxRatio + ", expected 0 to 1");
      }
      if (!(absValue >= 0)) {
        throw new IllegalArgumentException("[abs_value] is " + absValue + ", expected 0 or more");
      }
    }
  }
}
