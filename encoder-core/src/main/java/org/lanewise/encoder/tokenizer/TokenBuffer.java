package org.lanewise.encoder.tokenizer;

import java.util.Arrays;
import java.util.List;

/** A growing list of tokens. Belongs to one call; not thread-safe. */
final class TokenBuffer {
  private int[] ids;
  private int[] typeIds;
  private int[] starts;
  private int[] ends;
  private boolean[] special;
  private int length;

  TokenBuffer(int capacity) {
    ids = new int[capacity];
    typeIds = new int[capacity];
    starts = new int[capacity];
    ends = new int[capacity];
    special = new boolean[capacity];
  }

  int length() {
    return length;
  }

  /** Appends the token of a text, with the type id 0 until a post-processor sets it. */
  void add(int id, int start, int end) {
    reserve(1);
    ids[length] = id;
    starts[length] = start;
    ends[length] = end;
    length++;
  }

  /** Appends a token that no text stands behind. */
  void addSpecial(int id, int typeId) {
    reserve(1);
    ids[length] = id;
    typeIds[length] = typeId;
    special[length] = true;
    length++;
  }

  /** Appends the tokens [from, to) of another buffer under a type id. */
  void addAll(TokenBuffer other, int from, int to, int typeId) {
    addAll(other, from, to);
    Arrays.fill(typeIds, length - (to - from), length, typeId);
  }

  /** Appends the tokens [from, to) of another buffer as they are. */
  void addAll(TokenBuffer other, int from, int to) {
    int count = to - from;
    reserve(count);
    System.arraycopy(other.ids, from, ids, length, count);
    System.arraycopy(other.typeIds, from, typeIds, length, count);
    System.arraycopy(other.starts, from, starts, length, count);
    System.arraycopy(other.ends, from, ends, length, count);
    System.arraycopy(other.special, from, special, length, count);
    length += count;
  }

  /** Takes spaces at the ends of the tokens from {@code first} on out of their offsets. */
  void trim(int first, Vocabulary vocabulary, boolean prefixSpace) {
    for (int i = first; i < length; i++) {
      String token = vocabulary.token(ids[i]);
      int leading = 0;
      while (leading < token.length() && isSpace(token.charAt(leading))) {
        leading++;
      }
      int trailing = 0;
      while (trailing < token.length() && isSpace(token.charAt(token.length() - 1 - trailing))) {
        trailing++;
      }
      boolean atStart = i == first || starts[i] == 0;
      if (leading > 0 && !(leading == 1 && atStart && prefixSpace)) {
        starts[i] = Math.min(starts[i] + leading, ends[i]);
      }
      if (trailing > 0 && ends[i] >= trailing) {
        ends[i] = Math.max(ends[i] - trailing, starts[i]);
      }
    }
  }

  private static boolean isSpace(char c) {
    return c == ByteAlphabet.SPACE || CharacterFacts.isWhitespace(c);
  }

  /** Forgets the tokens from {@code newLength} on. */
  void cut(int newLength) {
    length = newLength;
  }

  Tokens toTokens(boolean truncated, List<Tokens> overflow) {
    return new Tokens(
        Arrays.copyOf(ids, length),
        Arrays.copyOf(typeIds, length),
        Arrays.copyOf(starts, length),
        Arrays.copyOf(ends, length),
        Arrays.copyOf(special, length),
        truncated,
        overflow);
  }

  private void reserve(int count) {
    if (length + count > ids.length) {
      int capacity = Math.max(length + count, ids.length + (ids.length >> 1) + 16);
      ids = Arrays.copyOf(ids, capacity);
      typeIds = Arrays.copyOf(typeIds, capacity);
      starts = Arrays.copyOf(starts, capacity);
      ends = Arrays.copyOf(ends, capacity);
      special = Arrays.copyOf(special, capacity);
    }
  }
}
