package org.lanewise.encoder.model;

/**
 * The sizes of a BERT encoder, from config.json.
 *
 * @param activation {@code hidden_act}: gelu (exact erf), gelu_new and gelu_pytorch_tanh (tanh), relu, silu
 */
public record BertConfig(
    int vocabularySize,
    int hiddenSize,
    int layers,
    int heads,
    int intermediateSize,
    int maxPositions,
    int typeVocabularySize,
    float layerNormEpsilon,
    String activation) {}
