package org.lanewise.encoder.model;

import java.util.Optional;
import org.lanewise.encoder.backend.Activation;

/** One transformer layer. Layers whose plans are equal share their weights. */
public record LayerPlan(Attention attention, FeedForward feedForward) {
  /**
   * The attention of a layer.
   *
   * @param heads heads of the queries
   * @param keyValueHeads heads of keys and values
   * @param headSize numbers of a head
   * @param scale factor of the dot products
   * @param behind how far before a query the first key is that it reads
   * @param ahead how far after a query the last key is that it reads
   * @param bias what positions add to the scores
   * @param queryKeyValue all queries, then keys, then values
   * @param queryNorm norm of the queries: of each head, or of all together, as its size says
   * @param keyNorm norm of the keys, likewise
   * @param rotary how queries and keys are turned
   */
  public record Attention(
      int heads,
      int keyValueHeads,
      int headSize,
      float scale,
      int behind,
      int ahead,
      BiasPlan bias,
      LinearPlan queryKeyValue,
      Optional<NormPlan> queryNorm,
      Optional<NormPlan> keyNorm,
      Optional<RotaryPlan> rotary,
      LinearPlan output,
      ResidualPlan residual) {}

  /**
   * The feed-forward block of a layer.
   *
   * @param gated whether the input layer gives what is activated and then what that is multiplied
   *     with, side by side
   */
  public record FeedForward(
      Activation activation,
      boolean gated,
      LinearPlan input,
      LinearPlan output,
      ResidualPlan residual) {
    /** Returns the columns between the two linear layers. */
    public int intermediateSize() {
      return gated ? input.outputSize() / 2 : input.outputSize();
    }
  }
}
