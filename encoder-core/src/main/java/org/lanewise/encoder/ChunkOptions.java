package org.lanewise.encoder;

import java.util.OptionalInt;

/**
 * How a long text is cut into chunks.
 *
 * @param strategy where it is cut
 * @param maxChunkSize most tokens of a chunk as the model reads it, special tokens and prompt
 *     included; empty for as many as the model takes
 * @param overlap how much of a chunk the next one repeats at most: sentences for {@link
 *     Strategy#SENTENCE}, tokens for {@link Strategy#TOKEN}
 */
public record ChunkOptions(Strategy strategy, OptionalInt maxChunkSize, int overlap) {
  /** More repeated sentences than these are a mistake: the work grows with them. */
  private static final int MOST_SENTENCES = 10;

  /** Where a text is cut. */
  public enum Strategy {
    /**
     * Between sentences: as many whole ones as fit. A sentence that alone is too long is cut
     * between words, and a word that alone is too long between tokens.
     */
    SENTENCE,
    /**
     * Between words, wherever sentences end: as many as fit. A word that alone is too long is cut
     * between tokens.
     */
    TOKEN
  }

  /** Refuses what is out of bounds. */
  public ChunkOptions {
    if (maxChunkSize.isPresent() && maxChunkSize.getAsInt() < 1) {
      throw new IllegalArgumentException(
          "[max_chunk_size] is [" + maxChunkSize.getAsInt() + "], expected 1 token or more");
    }
    switch (strategy) {
      case SENTENCE -> {
        if (overlap < 0 || overlap > MOST_SENTENCES) {
          throw new IllegalArgumentException(
              "[sentence_overlap] is ["
                  + overlap
                  + "], expected 0 to "
                  + MOST_SENTENCES
                  + " sentences");
        }
      }
      case TOKEN -> {
        if (overlap < 0) {
          throw new IllegalArgumentException(
              "[overlap] is [" + overlap + "], expected 0 tokens or more");
        }
        if (maxChunkSize.isPresent()) {
          checkOverlap(overlap, maxChunkSize.getAsInt());
        }
      }
    }
  }

  /** Refuses an overlap of more than half of the tokens that a chunk may have of the text. */
  static void checkOverlap(int overlap, int room) {
    if (overlap > room / 2) {
      throw new IllegalArgumentException(
          "[overlap] is ["
              + overlap
              + "] tokens, expected at most half of the "
              + room
              + " that a chunk may have: take a smaller [overlap] or a larger [max_chunk_size]");
    }
  }

  /** Returns whole sentences, as many as the model takes, none of them repeated. */
  public static ChunkOptions sentences() {
    return new ChunkOptions(Strategy.SENTENCE, OptionalInt.empty(), 0);
  }
}
