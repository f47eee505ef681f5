package org.lanewise.encoder.tokenizer;

import java.util.Arrays;
import java.util.List;
import java.util.function.IntPredicate;

/** A growing list of tokens. Belongs to one call; not thread-safe. */
final class TokenBuffer {
  private final String text;
  private int[] ids;
  private int[] typeIds;
  private int[] starts;
  private int[] ends;
  private boolean[] special;
  private int length;

  /** Returns an empty list for the tokens of a text. */
  TokenBuffer(String text, int capacity) {
    this.text = text;
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

  /** Returns the text that the tokens were made of. */
  String text() {
    return text;
  }

  /**
   * Takes spaces at the ends of the tokens from {@code first} on out of their offsets.
   *
   * @param added whether a token is an added one, which looks as the text does where it stands
   * @param prefixSpace whether one space in front of the first token, or of the text, stays in
   */
  void trim(int first, Vocabulary vocabulary, IntPredicate added, boolean prefixSpace) {
    for (int i = first; i < length; i++) {
      boolean asInText = added.test(ids[i]);
      String token = asInText ? text.substring(starts[i], ends[i]) : vocabulary.token(ids[i]);
      int leading = 0;
      while (leading < token.length() && isSpace(token.charAt(leading), asInText)) {
        leading++;
      }
      int trailing = 0;
      while (trailing < token.length()
          && isSpace(token.charAt(token.length() - 1 - trailing), asInText)) {
        trailing++;
      }
      boolean stays = leading == 1 && prefixSpace && (i == first || starts[i] == 0);
      for (int step = stays ? leading : 0; step < leading && starts[i] < ends[i]; step++) {
        starts[i] += Character.charCount(text.codePointAt(starts[i]));
      }
      if (trailing > 0 && text.codePointCount(0, Math.min(ends[i], 2 * trailing)) >= trailing) {
        for (int step = 0; step < trailing && ends[i] > starts[i]; step++) {
          ends[i] -= Character.charCount(text.codePointBefore(ends[i]));
        }
      }
    }
  }

  private static boolean isSpace(char c, boolean asInText) {
    return (c == ByteAlphabet.SPACE && !asInText) || CharacterFacts.isWhitespace(c);
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
