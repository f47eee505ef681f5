package org.lanewise.encoder.backend;

/**
 * How many tokens a batch should have.
 *
 * @param fewest below this, one batch on all threads is faster than a batch for each thread
 * @param most beyond this, a larger batch is no faster
 */
public record BatchTokens(int fewest, int most) {
  /** Those of a processor: activations of more than 512 tokens leave the caches. */
  static final BatchTokens CACHES = new BatchTokens(64, 512);
}
