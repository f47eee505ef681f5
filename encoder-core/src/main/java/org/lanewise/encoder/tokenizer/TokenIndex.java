package org.lanewise.encoder.tokenizer;

import java.util.Map;

/** Finds the longest key at a place in a char array without making strings. */
final class TokenIndex {
  /** Slots that one key may try: tables are at most half full, where honest keys try some tens. */
  static final int MOST_PROBES = 1024;

  static final String COLLIDES =
      "has the same hash as too many others, expected a vocabulary that was not made for that";

  private static final int MULTIPLIER = 0x9E3779B1;

  // Open addressing with linear probing; a slot holds the entry's number plus one, 0 is free.
  private final int[] slots;
  private final int[] hashes;
  private final int[] keyStarts;
  private final char[] keys;
  private final int[] ids;
  private final int longest;
  // Which hashes the beginnings of keys have: a search stops where no key goes on.
  private final long[] beginnings;

  TokenIndex(Map<String, Integer> idsByKey) {
    int units = 0;
    int longestKey = 0;
    for (String key : idsByKey.keySet()) {
      units = Math.addExact(units, key.length());
      longestKey = Math.max(longestKey, key.length());
    }
    longest = longestKey;
    slots = new int[Integer.highestOneBit(Math.max(4, idsByKey.size())) * 4];
    hashes = new int[idsByKey.size()];
    ids = new int[idsByKey.size()];
    keyStarts = new int[idsByKey.size() + 1];
    keys = new char[units];
    beginnings = new long[Math.max(1, Integer.highestOneBit(Math.max(1, units)) / 8)];
    int entry = 0;
    for (Map.Entry<String, Integer> idByKey : idsByKey.entrySet()) {
      String key = idByKey.getKey();
      int start = keyStarts[entry];
      key.getChars(0, key.length(), keys, start);
      keyStarts[entry + 1] = start + key.length();
      ids[entry] = idByKey.getValue();
      int hash = 0;
      for (int i = 0; i < key.length(); i++) {
        hash = step(hash, key.charAt(i));
        beginnings[bit(hash) >>> 6] |= 1L << bit(hash);
      }
      hashes[entry] = hash;
      int slot = slot(hash);
      for (int probes = 0; slots[slot] != 0; probes++) {
        if (probes == MOST_PROBES) {
          throw new IllegalArgumentException("token [" + key + "] " + COLLIDES);
        }
        slot = slot + 1 & slots.length - 1;
      }
      slots[slot] = ++entry;
    }
  }

  /**
   * Returns the entry of the longest non-empty key that the characters [start, end) begin with, or
   * -1. {@code prefixHashes} is room for one hash per character.
   */
  int findLongest(char[] chars, int start, int end, int[] prefixHashes) {
    int length = Math.min(end - start, longest);
    int hash = 0;
    for (int i = 0; i < length; i++) {
      hash = step(hash, chars[start + i]);
      if (!mayBegin(hash)) {
        length = i;
        break;
      }
      prefixHashes[i] = hash;
    }
    for (; length > 0; length--) {
      int entry = find(chars, start, length, prefixHashes[length - 1]);
      if (entry >= 0) {
        return entry;
      }
    }
    return -1;
  }

  int id(int entry) {
    return ids[entry];
  }

  int length(int entry) {
    return keyStarts[entry + 1] - keyStarts[entry];
  }

  /** Returns the units of the longest key. */
  int longest() {
    return longest;
  }

  /** Returns false if no key begins with characters of this hash. */
  boolean mayBegin(int hash) {
    return (beginnings[bit(hash) >>> 6] & 1L << bit(hash)) != 0;
  }

  /** Returns the entry of the key that the characters are, or -1. */
  int find(char[] chars, int start, int length) {
    int hash = 0;
    for (int i = 0; i < length && length <= longest; i++) {
      hash = step(hash, chars[start + i]);
    }
    return length > longest ? -1 : find(chars, start, length, hash);
  }

  /** Returns the entry of the key that the characters of this hash are, or -1. */
  int find(char[] chars, int start, int length, int hash) {
    for (int slot = slot(hash); slots[slot] != 0; slot = slot + 1 & slots.length - 1) {
      int entry = slots[slot] - 1;
      if (hashes[entry] == hash && length(entry) == length && matches(entry, chars, start)) {
        return entry;
      }
    }
    return -1;
  }

  private boolean matches(int entry, char[] chars, int start) {
    int from = keyStarts[entry];
    int to = keyStarts[entry + 1];
    for (int i = from; i < to; i++) {
      if (keys[i] != chars[start + i - from]) {
        return false;
      }
    }
    return true;
  }

  private int bit(int hash) {
    return (hash ^ hash >>> 15) & beginnings.length * 64 - 1;
  }

  /** Returns the hash of characters and one more. */
  static int step(int hash, char c) {
    return (hash ^ c) * MULTIPLIER;
  }

  private int slot(int hash) {
    return (hash ^ hash >>> 15) & slots.length - 1;
  }
}
