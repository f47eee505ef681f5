package org.lanewise.plugin.models;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.lanewise.encoder.head.SparseVector.Pruning;

/**
 * What an encoder made of a text; everything that was not asked for is empty.
 *
 * @param dense the vector
 * @param sparse weights of tokens of the vocabulary, the heaviest first
 * @param multiVector a vector for each token, [token][dimensions]
 * @param tokens tokens that entered the model, special tokens and prompt included
 * @param truncated whether the text was longer than the model takes and was cut
 */
public record Encoded(
    Optional<float[]> dense,
    Optional<Map<String, Float>> sparse,
    Optional<float[][]> multiVector,
    int tokens,
    boolean truncated) {

  /** Returns the vector, which was asked for. */
  public float[] vector() {
    return dense.orElseThrow();
  }

  /** Returns what pruning leaves of the weights of tokens, which were asked for. */
  public Map<String, Float> weights(Pruning pruning) {
    Map<String, Float> weights = sparse.orElseThrow();
    double least = pruning.absValue();
    Map<String, Float> kept = new LinkedHashMap<>();
    for (Map.Entry<String, Float> weight : weights.entrySet()) {
      if (kept.isEmpty()) {
        least = Math.max(least, pruning.maxRatio() * weight.getValue());
      }
      if (weight.getValue() < least || kept.size() == pruning.topK()) {
        break;
      }
      kept.put(weight.getKey(), weight.getValue());
    }
    return kept;
  }
}
