package org.lanewise.encoder;

/**
 * The vector of one text.
 *
 * @param vector the sentence vector, {@link TextEmbedder#dimensions()} numbers
 * @param tokens tokens that entered the model, special tokens and prompt included
 * @param truncated whether the text was longer than the model takes and was cut
 */
public record Embedding(float[] vector, int tokens, boolean truncated) {}
