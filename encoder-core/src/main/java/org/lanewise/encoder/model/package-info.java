/**
 * What is computed: the encoder and the recurrent networks as blocks that each load their weights
 * and run forward, side by side in one small class, on whatever backend they are given. One
 * definition for every device. Sequence models, which join what is known of words and run a
 * recurrent network over it, are read from and written to their directories here.
 *
 * <p>Prepared blocks are immutable; the state of a pass is in {@code Activations} or {@code
 * RecurrentActivations}, never in a field.
 */
package org.lanewise.encoder.model;
