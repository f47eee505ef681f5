package org.lanewise.encoder.model;

import org.lanewise.encoder.backend.NormKind;

/**
 * A normalisation of a checkpoint.
 *
 * @param name its name, without {@code .weight} and {@code .bias}
 * @param bias whether it has a bias
 * @param epsilon what it adds to the variance
 */
public record NormPlan(String name, NormKind kind, boolean bias, float epsilon) {}
