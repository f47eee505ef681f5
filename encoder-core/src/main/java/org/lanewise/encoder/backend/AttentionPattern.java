package org.lanewise.encoder.backend;

/**
 * Which keys a query reads, and how its scores are made.
 *
 * @param heads heads of the queries
 * @param keyValueHeads heads of keys and values, a divisor of {@code heads}: consecutive query
 *     heads share one
 * @param headSize numbers of each head
 * @param scale factor of the dot products
 * @param behind how far before the query the first key is that it reads
 * @param ahead how far after the query the last key is that it reads: 0 in a causal model
 * @param bias what the positions add to the scores
 */
public record AttentionPattern(
    int heads,
    int keyValueHeads,
    int headSize,
    float scale,
    int behind,
    int ahead,
    PositionBias bias) {

  /** The reach of a query that reads its whole sequence. */
  public static final int EVERYTHING = 1 << 30;

  /** Checks what no model could mean. */
  public AttentionPattern {
    if (heads < 1 || keyValueHeads < 1 || heads % keyValueHeads != 0 || headSize < 1) {
      throw new IllegalArgumentException(
          "attention has ["
              + heads
              + "] heads of ["
              + headSize
              + "] over ["
              + keyValueHeads
              + "] key and value heads, expected a divisor of the heads");
    }
    if (behind < 0 || ahead < 0 || behind > EVERYTHING || ahead > EVERYTHING) {
      throw new IllegalArgumentException(
          "attention reaches [" + behind + "] behind and [" + ahead + "] ahead");
    }
    if (!(scale > 0)) {
      throw new IllegalArgumentException(
          "attention scales by [" + scale + "], expected a positive number");
    }
  }

  /** Returns BERT's attention: every query reads all keys, scaled by 1 / sqrt(headSize). */
  public static AttentionPattern full(int heads, int headSize) {
    return new AttentionPattern(
        heads,
        heads,
        headSize,
        (float) (1 / Math.sqrt(headSize)),
        EVERYTHING,
        EVERYTHING,
        new PositionBias.None());
  }

  /** Returns the columns of the matrix of all queries, then keys, then values. */
  public int queryKeyValueSize() {
    return (heads + 2 * keyValueHeads) * headSize;
  }

  /** Returns the columns of the context. */
  public int contextSize() {
    return heads * headSize;
  }

  /** Returns the first column of a head's keys. */
  int keyColumn(int keyValueHead) {
    return (heads + keyValueHead) * headSize;
  }

  /** Returns the first column of a head's values. */
  int valueColumn(int keyValueHead) {
    return (heads + keyValueHeads + keyValueHead) * headSize;
  }

  /** Returns the key and value head that a head reads. */
  int keyValueHead(int head) {
    return head / (heads / keyValueHeads);
  }
}
