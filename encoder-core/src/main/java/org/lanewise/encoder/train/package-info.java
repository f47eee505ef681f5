/**
 * Trains taggers and classifiers: corpora, gradients, optimiser and the training loop.
 *
 * <p>Uses {@code model}, {@code head} and {@code backend}, and writes directories that the door
 * opens. Nothing of a forward pass in use depends on it. Nothing is null; classes say whether they
 * are thread-safe.
 */
package org.lanewise.encoder.train;
