/**
 * Text to tokens: ids, type ids and exact character offsets, as the Hugging Face tokenizers library
 * computes them.
 *
 * <p>A tokenizer is a pipeline read from tokenizer.json (or implied by vocab.txt, or by vocab.json
 * and merges.txt): added tokens, a {@code Normalizer}, a {@code PreTokenizer}, a {@code
 * TokenModel}, a {@code PostProcessor} and a {@code Decoder}, each a sealed family. {@link
 * org.lanewise.encoder.tokenizer.Tokenizers} opens files; the neighbours are {@code batch}, which
 * packs {@link org.lanewise.encoder.tokenizer.Tokens}, and nothing else. {@link
 * org.lanewise.encoder.tokenizer.WordSegmenter} cuts text into sentences and words for taggers.
 *
 * <p>No argument and no result is ever null. Everything reachable from a {@link
 * org.lanewise.encoder.tokenizer.Tokenizer} may be shared between threads and, but for caches that
 * no result shows, is immutable; working buffers belong to one call.
 */
package org.lanewise.encoder.tokenizer;
