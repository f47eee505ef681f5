package org.lanewise.encoder.head;

import java.util.Arrays;

/**
 * How the logits of a text's tokens become one weight for each token of the vocabulary.
 *
 * @param sum whether the tokens' weights are added up; otherwise the largest counts
 * @param logarithms how often log(1 + x) is applied to relu(logit): 1, or 2 for {@code log1p_relu}
 */
public record SparsePooling(boolean sum, int logarithms) {
  /** The largest log(1 + relu(logit)) over the tokens, as SPLADE does. */
  public static final SparsePooling MAX = new SparsePooling(false, 1);

  /** Refuses what no model says. */
  public SparsePooling {
    if (logarithms < 1 || logarithms > 2) {
      throw new IllegalArgumentException(
          "[logarithms] is " + logarithms + ", expected 1 or 2: relu or log1p_relu");
    }
  }

  /** Returns the weight of a logit. */
  float weight(float logit) {
    double weight = Math.max(0, logit);
    for (int i = 0; i < logarithms; i++) {
      weight = Math.log1p(weight);
    }
    return (float) weight;
  }

  /** Returns the weights of a text's pooled logits, those of 0 left out. */
  SparseVector sparse(float[] pooled) {
    int[] ids = new int[pooled.length];
    float[] weights = new float[pooled.length];
    int kept = 0;
    for (int id = 0; id < pooled.length; id++) {
      // Logarithms keep the order, so they wait until the largest logit is known.
      float weight = sum ? pooled[id] : weight(pooled[id]);
      if (weight > 0) {
        ids[kept] = id;
        weights[kept++] = weight;
      }
    }
    return new SparseVector(Arrays.copyOf(ids, kept), Arrays.copyOf(weights, kept));
  }
}
