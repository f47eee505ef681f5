package org.lanewise.encoder.backend;

/**
 * The weights of one direction of a recurrent layer, or their gradients, while they are trained.
 *
 * @param weight W_h (gates * hiddenSize, hiddenSize)
 * @param bias b_h (1, gates * hiddenSize)
 * @param peepholes (peepholes, hiddenSize); no rows for cells without
 */
public record RecurrentMatrices(Matrix weight, Matrix bias, Matrix peepholes) {}
