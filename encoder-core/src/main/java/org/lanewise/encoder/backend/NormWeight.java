package org.lanewise.encoder.backend;

import java.lang.foreign.MemorySegment;

/**
 * Weight and bias of a layer normalisation, fp32.
 *
 * @param weight {@code size} numbers
 * @param bias {@code size} numbers
 * @param size columns of a row
 * @param epsilon added to the variance
 */
public record NormWeight(MemorySegment weight, MemorySegment bias, int size, float epsilon) {}
