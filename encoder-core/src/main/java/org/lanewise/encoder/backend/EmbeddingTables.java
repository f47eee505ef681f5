package org.lanewise.encoder.backend;

import java.util.Optional;
import org.lanewise.encoder.weights.Tensor;

/**
 * The lookups whose sum enters the first layer.
 *
 * @param words (vocabularySize, size)
 * @param scale factor of the words
 * @param positions (maxPositions, size)
 * @param types (typeVocabularySize, size)
 */
public record EmbeddingTables(
    Tensor words, float scale, Optional<Tensor> positions, Optional<Tensor> types) {
  /** Creates BERT's three lookups. */
  public EmbeddingTables(Tensor words, Tensor positions, Tensor types) {
    this(words, 1, Optional.of(positions), Optional.of(types));
  }

  /** Returns the columns of every table. */
  public int size() {
    return Math.toIntExact(words.shape()[1]);
  }
}
