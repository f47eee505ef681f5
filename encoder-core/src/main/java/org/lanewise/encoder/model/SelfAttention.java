package org.lanewise.encoder.model;

import java.util.Optional;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.AttentionPattern;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.NormWeight;
import org.lanewise.encoder.backend.RotaryTable;
import org.lanewise.encoder.batch.PackedBatch;

/** Multi-head self-attention with its output layer. */
final class SelfAttention {
  private final LinearWeight queryKeyValue;
  private final Optional<NormWeight> queryNorm;
  private final Optional<NormWeight> keyNorm;
  private final Optional<RotaryTable> rotary;
  private final AttentionPattern pattern;
  private final LinearWeight output;
  private final Residual residual;

  SelfAttention(Preparation preparation, LayerPlan.Attention plan, int maxPositions) {
    queryKeyValue = preparation.linear(plan.queryKeyValue());
    queryNorm = preparation.norm(plan.queryNorm());
    keyNorm = preparation.norm(plan.keyNorm());
    rotary =
        plan.rotary()
            .map(
                each ->
                    preparation.once(
                        each, angles -> Positions.rotary(preparation, angles, maxPositions)));
    pattern =
        new AttentionPattern(
            plan.heads(),
            plan.keyValueHeads(),
            plan.headSize(),
            plan.scale(),
            plan.behind(),
            plan.ahead(),
            preparation.once(
                plan.bias(),
                bias -> Positions.bias(preparation, bias, plan.heads(), maxPositions)));
    output = preparation.linear(plan.output());
    residual = new Residual(preparation, plan.residual());
  }

  void forward(Backend backend, PackedBatch batch, Activations state) {
    Matrix projected = state.queryKeyValue().firstColumns(pattern.queryKeyValueSize());
    Matrix context = state.context().firstColumns(pattern.contextSize());
    backend.linear(residual.enter(backend, state), queryKeyValue, Activation.IDENTITY, projected);
    int querySize = pattern.contextSize();
    int keySize = pattern.keyValueHeads() * pattern.headSize();
    normalize(backend, queryNorm, projected.columns(0, querySize));
    normalize(backend, keyNorm, projected.columns(querySize, keySize));
    if (rotary.isPresent()) {
      int heads = pattern.heads() + pattern.keyValueHeads();
      backend.rotate(projected, batch, heads, pattern.headSize(), rotary.get());
    }
    if (batch.allRead()) {
      backend.attention(projected, batch, pattern, context);
    } else {
      UnreadTokens.attention(backend, projected, batch, pattern, context);
    }
    backend.linear(context, output, Activation.IDENTITY, state.projected());
    residual.leave(backend, state);
  }

  private static void normalize(Backend backend, Optional<NormWeight> norm, Matrix matrix) {
    norm.ifPresent(weight -> backend.norm(matrix, weight, matrix));
  }
}
