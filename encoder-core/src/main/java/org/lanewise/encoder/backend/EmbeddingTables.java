package org.lanewise.encoder.backend;

import org.lanewise.encoder.weights.Tensor;

/**
 * The three lookups of BERT whose sum enters the first layer.
 *
 * @param words (vocabularySize, hiddenSize)
 * @param positions (maxPositions, hiddenSize)
 * @param types (typeVocabularySize, hiddenSize)
 */
public record EmbeddingTables(Tensor words, Tensor positions, Tensor types) {}
