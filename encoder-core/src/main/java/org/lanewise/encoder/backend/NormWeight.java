package org.lanewise.encoder.backend;

import java.lang.foreign.MemorySegment;

/**
 * Weight and bias of a normalisation, fp32.
 *
 * @param centered whether the mean is taken off first: LayerNorm, not RMSNorm
 * @param weight {@code size} numbers
 * @param bias {@code size} numbers, zeros where the norm has none
 * @param size columns that are normalised together
 * @param epsilon added to the variance
 */
public record NormWeight(
    boolean centered, MemorySegment weight, MemorySegment bias, int size, float epsilon) {}
