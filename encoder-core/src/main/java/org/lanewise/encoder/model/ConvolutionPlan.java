package org.lanewise.encoder.model;

import org.lanewise.encoder.backend.Activation;

/**
 * A convolution over the embeddings whose activated result is added to the first layer's, and the
 * sum normalised (DeBERTa v2).
 *
 * @param name of the tensors {@code .weight} (hiddenSize, hiddenSize, width) and {@code .bias}
 * @param width tokens that it sees at once, odd
 */
public record ConvolutionPlan(String name, int width, Activation activation, NormPlan norm) {}
