/**
 * The door of the library: open a {@link org.lanewise.encoder.ModelDirectory}, put a {@link
 * org.lanewise.encoder.TextEmbedder} over it, embed texts. Everything else is in the packages below:
 * tokenizer, batch, weights, model, head and backend.
 *
 * <p>Nothing in this library accepts or returns null. Unless a class says otherwise its instances
 * are immutable and may be used by any number of threads.
 */
package org.lanewise.encoder;
