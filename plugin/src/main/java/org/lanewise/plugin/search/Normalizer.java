package org.lanewise.plugin.search;

import java.util.Arrays;
import java.util.Locale;

/** What scores are made of before weighted sums add them up. */
public enum Normalizer {
  /** The score as it is. */
  NONE,
  /** From 0, the least score of a retriever's hits, to 1, the greatest; 1 where all are equal. */
  MINMAX,
  /** The score over the root of the sum of squares of the scores of a retriever's hits. */
  L2_NORM;

  /** A score becomes (score - from) / width, or 1 where the width is 0. */
  record Scale(double from, double width) {
    double of(float score) {
      return width == 0 ? 1 : (score - from) / width;
    }

    String formula(float score) {
      if (width == 0) {
        return "1 (all scores are " + score + ")";
      }
      String difference = from == 0 ? "" + score : "(" + score + " - " + from + ")";
      return width == 1 ? difference : difference + " / " + width;
    }
  }

  /** Returns the normalizer of that name. Throws if there is none. */
  public static Normalizer of(String name) {
    for (Normalizer each : values()) {
      if (each.label().equals(name)) {
        return each;
      }
    }
    throw new IllegalArgumentException(
        "[normalizer] is ["
            + name
            + "], expected one of "
            + Arrays.stream(values()).map(Normalizer::label).toList());
  }

  /** Returns the name in a search. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Returns what makes the scores of all hits of one retriever comparable. */
  Scale scale(float[] scores) {
    return switch (this) {
      case NONE -> new Scale(0, 1);
      case MINMAX -> {
        double least = Double.POSITIVE_INFINITY;
        double greatest = Double.NEGATIVE_INFINITY;
        for (float score : scores) {
          least = Math.min(least, score);
          greatest = Math.max(greatest, score);
        }
        yield new Scale(least, greatest - least);
      }
      case L2_NORM -> {
        double squares = 0;
        for (float score : scores) {
          squares += (double) score * score;
        }
        yield new Scale(0, squares == 0 ? 1 : Math.sqrt(squares));
      }
    };
  }
}
