package org.lanewise.plugin.search;

import java.util.Arrays;
import java.util.Locale;
import org.apache.lucene.search.ScoreDoc;

/**
 * What the hits of one inner retriever add to the scores of their documents. A document that is not
 * among them gets nothing from it.
 */
sealed interface Fusion {
  /** The name of a way to fuse, in a search. */
  enum Method {
    RRF,
    WEIGHTED_SUM;

    static Method of(String name) {
      for (Method each : values()) {
        if (each.label().equals(name)) {
          return each;
        }
      }
      throw new IllegalArgumentException(
          "[fusion] is ["
              + name
              + "], expected one of "
              + Arrays.stream(values()).map(Method::label).toList());
    }

    String label() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** One number for each hit, and how it came about. */
  interface Shares {
    double of(int hit);

    String formula(int hit);
  }

  /** Returns how much this retriever counts, at least 0. */
  float weight();

  /** Returns what the hits of a retriever, best first, add to the scores of their documents. */
  Shares shares(ScoreDoc[] hits);

  /**
   * Reciprocal rank fusion: {@code weight / (rankConstant + rank)}, where the best hit has rank 1
   * (Cormack, Clarke and Buettcher, 2009).
   */
  record ReciprocalRank(float weight, int rankConstant) implements Fusion {
    public ReciprocalRank {
      checkWeight(weight);
      if (rankConstant < 1) {
        throw new IllegalArgumentException(
            "[rank_constant] is [" + rankConstant + "], expected at least [1]");
      }
    }

    @Override
    public Shares shares(ScoreDoc[] hits) {
      return new Shares() {
        @Override
        public double of(int hit) {
          return weight / ((double) rankConstant + hit + 1);
        }

        @Override
        public String formula(int hit) {
          return weight + " / (" + rankConstant + " + " + (hit + 1) + ")";
        }
      };
    }
  }

  /** {@code weight * normalized score}. */
  record WeightedScore(float weight, Normalizer normalizer) implements Fusion {
    public WeightedScore {
      checkWeight(weight);
    }

    @Override
    public Shares shares(ScoreDoc[] hits) {
      float[] scores = new float[hits.length];
      for (int i = 0; i < hits.length; i++) {
        scores[i] = hits[i].score;
      }
      Normalizer.Scale scale = normalizer.scale(scores);
      return new Shares() {
        @Override
        public double of(int hit) {
          return weight * scale.of(scores[hit]);
        }

        @Override
        public String formula(int hit) {
          return weight + " * " + scale.formula(scores[hit]);
        }
      };
    }
  }

  private static void checkWeight(float weight) {
    if (!(weight >= 0) || Float.isInfinite(weight)) {
      throw new IllegalArgumentException(
          "[weight] is [" + weight + "], expected a number of at least [0]");
    }
  }
}
