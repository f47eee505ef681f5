/**
 * How things are computed: a {@link org.lanewise.encoder.backend.Backend} is memory and a few fused
 * operations on one kind of device. {@code ScalarBackend} defines them in plain loops; {@code
 * VectorBackend} is the same on the Vector API, with its inner loops in {@code ProductKernels},
 * {@code AttentionKernels}, {@code VectorRecurrence}, {@code TrainingKernels} and {@code
 * VectorMath}, and with machine code where there is some; {@code PanelAttention} has a subclass for
 * each of these. Both are also a {@link org.lanewise.encoder.backend.TrainingBackend}: weights that
 * change, and gradients. What is computed is the business of the packages model and head.
 *
 * <p>Operations are thread-safe as long as no two calls share an output.
 */
package org.lanewise.encoder.backend;
