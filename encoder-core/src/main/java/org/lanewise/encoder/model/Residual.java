package org.lanewise.encoder.model;

import java.util.Optional;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.NormWeight;

/** How a sublayer is joined to the hidden states: the norms before, inside and after it. */
final class Residual {
  private final Optional<NormWeight> before;
  private final Optional<NormWeight> inside;
  private final boolean insideAdds;
  private final Optional<NormWeight> after;

  Residual(Preparation preparation, ResidualPlan plan) {
    before = preparation.norm(plan.before());
    inside = preparation.norm(plan.inside());
    insideAdds = plan.insideAdds();
    after = preparation.norm(plan.after());
  }

  /** Returns what the sublayer reads. */
  Matrix enter(Backend backend, Activations state) {
    if (before.isEmpty()) {
      return state.hidden();
    }
    backend.norm(state.hidden(), before.get(), state.projected());
    return state.projected();
  }

  /** Replaces the hidden states by their sum with the sublayer's output. */
  void leave(Backend backend, Activations state) {
    Matrix output = state.projected();
    if (inside.isPresent() && insideAdds) {
      backend.addNorm(output, state.hidden(), inside.get(), output);
    } else if (inside.isPresent()) {
      backend.norm(output, inside.get(), output);
    }
    if (after.isPresent()) {
      backend.addNorm(output, state.hidden(), after.get(), state.hidden());
    } else {
      backend.add(output, state.hidden());
    }
  }
}
