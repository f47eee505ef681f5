package org.lanewise.encoder.model;

import java.util.Optional;

/**
 * How a sublayer f joins the hidden states: {@code after(hidden + inside(f(before(hidden))))}.
 *
 * @param before norm of what the sublayer reads
 * @param inside norm of what it gives
 * @param insideAdds whether that norm reads the hidden states too: {@code inside(hidden + f)}
 * @param after norm of the sum
 */
public record ResidualPlan(
    Optional<NormPlan> before,
    Optional<NormPlan> inside,
    boolean insideAdds,
    Optional<NormPlan> after) {

  /** Returns BERT's way: the norm follows the sum. */
  public static ResidualPlan postNorm(NormPlan norm) {
    return new ResidualPlan(Optional.empty(), Optional.empty(), false, Optional.of(norm));
  }

  /** Returns the way of most later models: the norm comes first, where there is one. */
  public static ResidualPlan preNorm(Optional<NormPlan> norm) {
    return new ResidualPlan(norm, Optional.empty(), false, Optional.empty());
  }
}
