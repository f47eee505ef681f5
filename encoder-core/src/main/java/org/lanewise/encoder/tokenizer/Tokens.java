package org.lanewise.encoder.tokenizer;

import java.util.List;

/**
 * The tokens of one text, or of a pair of texts, in model order.
 *
 * <p>The arrays have one entry per token and are not copied: treat them as read-only. Offsets count
 * UTF-16 units of the original text (of the first or the second text of a pair, as the sequence
 * says), half-open; special tokens that the tokenizer added have the offsets 0, 0.
 *
 * @param ids vocabulary ids
 * @param typeIds segment ids: 0 for the first text, 1 for the second
 * @param starts first UTF-16 unit of each token
 * @param ends one past the last UTF-16 unit of each token
 * @param special whether the token was added by the post-processor ([CLS], [SEP], ...)
 * @param truncated whether tokens were cut away to keep the asked length
 * @param overflow with a stride, the further windows in reading order; otherwise empty
 */
public record Tokens(
    int[] ids,
    int[] typeIds,
    int[] starts,
    int[] ends,
    boolean[] special,
    boolean truncated,
    List<Tokens> overflow) {

  /** Returns the number of tokens, special tokens included. */
  public int length() {
    return ids.length;
  }
}
