package org.lanewise.encoder.model;

import java.util.Optional;

/** What positions add to the scores of attention. */
public sealed interface BiasPlan {
  /** Nothing. */
  record None() implements BiasPlan {}

  /**
   * A learned number for each head and bucket of distances (T5, MPNet): half of the buckets for
   * either direction, the first half of these exact, the others logarithmic.
   *
   * @param table name of the tensor (buckets, heads)
   * @param maxDistance from which on all distances share the last bucket
   */
  record Buckets(String table, int buckets, int maxDistance) implements BiasPlan {}

  /** A slope for each head times the negative distance (ALiBi), in both directions alike. */
  record Alibi() implements BiasPlan {}

  /**
   * DeBERTa's disentangled attention.
   *
   * @param table name of the tensor (2 * span, hiddenSize): what was learned for the distances
   * @param norm of that tensor
   * @param buckets 0 where distances are exact
   * @param maxDistance the largest distance that is told apart
   * @param keys layer that makes keys of the distances; empty if queries do not meet them
   * @param queries layer that makes queries of the distances; empty if keys do not meet them
   */
  record Disentangled(
      String table,
      Optional<NormPlan> norm,
      int buckets,
      int maxDistance,
      Optional<LinearPlan> keys,
      Optional<LinearPlan> queries)
      implements BiasPlan {
    /** Returns half of the rows of the table. */
    public int span() {
      return buckets > 0 ? buckets : maxDistance;
    }
  }
}
