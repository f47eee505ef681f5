package org.lanewise.encoder.tokenizer;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** The merges of a byte-pair encoding: by two ids their rank and the id of what they become. */
final class MergeTable {
  /** The rank of two tokens that are not merged. */
  static final int NONE = Integer.MAX_VALUE;

  // Open addressing with linear probing; a slot with the rank NONE is free.
  private final long[] keys;
  private final int[] ranks;
  private final int[] merged;

  /**
   * Returns the table.
   *
   * @param prefixLength units that the right token loses when it is joined
   * @throws IllegalArgumentException if the vocabulary lacks a token
   */
  MergeTable(Vocabulary vocabulary, List<Bpe.Merge> merges, int prefixLength) {
    int capacity = Integer.highestOneBit(Math.max(8, merges.size())) * 4;
    keys = new long[capacity];
    ranks = new int[capacity];
    merged = new int[capacity];
    Arrays.fill(ranks, NONE);
    for (int rank = 0; rank < merges.size(); rank++) {
      Bpe.Merge merge = merges.get(rank);
      int left = id(vocabulary, merge.left(), rank);
      int right = id(vocabulary, merge.right(), rank);
      if (merge.right().length() < prefixLength) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "merge [%d] continues with [%s], expected at least %d units",
                rank,
                merge.right(),
                prefixLength));
      }
      String whole = merge.left() + merge.right().substring(prefixLength);
      long key = key(left, right);
      int slot = slot(key);
      for (int probes = 0; ranks[slot] != NONE && keys[slot] != key; probes++) {
        if (probes == TokenIndex.MOST_PROBES) {
          throw new IllegalArgumentException("merge [" + rank + "] " + TokenIndex.COLLIDES);
        }
        slot = slot + 1 & capacity - 1;
      }
      keys[slot] = key;
      ranks[slot] = rank;
      merged[slot] = id(vocabulary, whole, rank);
    }
  }

  /** Returns the place of the merge of two tokens in the list, or {@link #NONE}. */
  int rank(int left, int right) {
    return ranks[find(key(left, right))];
  }

  /** Returns the id of what two tokens become that have a rank. */
  int merged(int left, int right) {
    return merged[find(key(left, right))];
  }

  private int find(long key) {
    int slot = slot(key);
    while (ranks[slot] != NONE && keys[slot] != key) {
      slot = slot + 1 & keys.length - 1;
    }
    return slot;
  }

  private static int id(Vocabulary vocabulary, String token, int rank) {
    return vocabulary
        .id(token)
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    String.format(
                        Locale.ROOT,
                        "merge [%d] needs the token [%s], which the vocabulary lacks",
                        rank,
                        token)));
  }

  private static long key(int left, int right) {
    return (long) left << 32 | right;
  }

  private int slot(long key) {
    long hash = key * 0x9E3779B97F4A7C15L;
    return (int) (hash >>> 32 ^ hash >>> 47) & keys.length - 1;
  }
}
