package org.lanewise.plugin.models;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.lanewise.encoder.Chunk;
import org.lanewise.encoder.head.SparseVector.Pruning;

/**
 * What an encoder made of a text; everything that was not asked for is empty.
 *
 * @param dense the vector
 * @param sparse weights of tokens of the vocabulary, the heaviest first
 * @param multiVector a vector for each token, [token][dimensions]
 * @param tags entities or classes
 * @param tokens tokens that entered the model, special tokens and prompt included
 * @param truncated whether the text was longer than the model takes and was cut
 * @param pieces what was made of the chunks of a text that was cut into them, in order; empty for
 *     others
 */
public record Encoded(
    Optional<float[]> dense,
    Optional<Map<String, Float>> sparse,
    Optional<float[][]> multiVector,
    Optional<Tags> tags,
    int tokens,
    boolean truncated,
    List<Piece> pieces) {

  /**
   * What was made of a chunk.
   *
   * @param chunk where it stands in the text
   * @param encoded what was made of it
   */
  public record Piece(Chunk chunk, Encoded encoded) {}

  /** Copies the list. */
  public Encoded {
    pieces = List.copyOf(pieces);
  }

  /** Returns what was made of a text as a whole. */
  public Encoded(
      Optional<float[]> dense,
      Optional<Map<String, Float>> sparse,
      Optional<float[][]> multiVector,
      Optional<Tags> tags,
      int tokens,
      boolean truncated) {
    this(dense, sparse, multiVector, tags, tokens, truncated, List.of());
  }

  /** Returns what was made of a text's chunks. */
  public static Encoded ofPieces(List<Piece> pieces, int tokens) {
    return new Encoded(
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        tokens,
        false,
        pieces);
  }

  /** Returns the vector, which was asked for. */
  public float[] vector() {
    return dense.orElseThrow();
  }

  /**
   * Returns the name of a token in a {@code rank_features} field, which takes no dots: two
   * underscores stand for each, as Elasticsearch's own sparse encoder wrote them there.
   */
  public static String featureName(String token) {
    return token.replace(".", "__");
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
