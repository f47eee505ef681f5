package org.lanewise.encoder.model;

/**
 * What users ask of an encoder first.
 *
 * @param vocabularySize rows of the word embeddings
 * @param hiddenSize numbers per token between layers
 * @param layers transformer layers
 * @param heads attention heads of each layer
 * @param intermediateSize width inside the feed-forward block
 * @param maxPositions the most tokens of one sequence
 * @param typeVocabularySize token types; 0 where the model does not look at them
 * @param activation the function of the feed-forward block: {@code gelu} (exact erf), {@code
 *     gelu_new} (the tanh formula, whichever of its names the file uses), {@code relu}, {@code
 *     silu} or {@code tanh}
 */
public record EncoderSizes(
    int vocabularySize,
    int hiddenSize,
    int layers,
    int heads,
    int intermediateSize,
    int maxPositions,
    int typeVocabularySize,
    String activation) {}
