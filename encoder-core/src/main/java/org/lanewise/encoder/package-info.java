/**
 * The door of the library: open a {@link org.lanewise.encoder.ModelDirectory}, put a {@link
 * org.lanewise.encoder.TextEmbedder} over it, embed texts, or put over that one what reads another
 * head: {@link org.lanewise.encoder.SparseEmbedder}, {@link org.lanewise.encoder.TextReranker},
 * {@link org.lanewise.encoder.TokenEmbedder}, {@link org.lanewise.encoder.AnswerFinder}; or cut
 * long texts by {@link org.lanewise.encoder.Chunker} and {@link org.lanewise.encoder.LateChunker};
 * or open a {@link org.lanewise.encoder.TextTagger} or a {@link
 * org.lanewise.encoder.TextClassifier}. Everything else is in the packages below: tokenizer, batch,
 * weights, model, head, backend and train.
 *
 * <p>Nothing in this library accepts or returns null. Unless a class says otherwise its instances
 * are immutable and may be used by any number of threads.
 */
package org.lanewise.encoder;
