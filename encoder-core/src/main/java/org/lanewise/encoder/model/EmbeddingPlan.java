package org.lanewise.encoder.model;

import java.util.Optional;
import java.util.OptionalInt;

/**
 * What enters the first layer.
 *
 * @param words name of the tensor (vocabularySize, size)
 * @param size columns of the tables
 * @param scale factor of the words
 * @param positions name of the tensor (positions, size)
 * @param paddingId where it is there, positions are counted from the row after this one, and tokens
 *     of this id are not counted (RoBERTa)
 * @param types name of the tensor (typeVocabularySize, size)
 * @param norm of the sum
 * @param projection from {@code size} to the hidden size
 * @param projectionFirst whether the norm follows the projection
 */
public record EmbeddingPlan(
    String words,
    int size,
    float scale,
    Optional<String> positions,
    OptionalInt paddingId,
    Optional<String> types,
    Optional<NormPlan> norm,
    Optional<LinearPlan> projection,
    boolean projectionFirst) {}
