package org.lanewise.encoder.tokenizer;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.ObjIntConsumer;

/** Tokens by id and ids by token. */
final class Vocabulary {
  /** Ids at and above this are refused: the largest published vocabularies have about a million. */
  static final int MOST_IDS = 1 << 24;

  /** At each place of a text as many characters may be looked at; published tokens have 256. */
  static final int MOST_UNITS = 4096;

  private final String[] tokens;
  private final Map<String, Integer> ids;

  /**
   * Returns the vocabulary with these ids.
   *
   * @throws IllegalArgumentException if an id is negative, taken twice, or so high that most ids
   *     below it would be unused
   */
  static Vocabulary of(Map<String, Integer> ids) {
    int most = (int) Math.min(MOST_IDS, ids.size() * 4L + 1024);
    int highest = -1;
    for (Map.Entry<String, Integer> entry : ids.entrySet()) {
      int id = entry.getValue();
      if (id < 0 || id >= most) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "token [%s] has the id [%d], expected 0 to %d for %d tokens",
                entry.getKey(),
                id,
                most - 1,
                ids.size()));
      }
      highest = Math.max(highest, id);
    }
    String[] tokens = new String[highest + 1];
    for (Map.Entry<String, Integer> entry : ids.entrySet()) {
      int id = entry.getValue();
      if (tokens[id] != null) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "tokens [%s] and [%s] have the same id [%d], expected one token per id",
                tokens[id],
                entry.getKey(),
                id));
      }
      tokens[id] = entry.getKey();
    }
    return new Vocabulary(tokens, ids);
  }

  /** Returns the vocabulary of these tokens in order; of equal tokens the last one is found. */
  static Vocabulary of(String[] tokens) {
    Map<String, Integer> ids = HashMap.newHashMap(tokens.length);
    for (int id = 0; id < tokens.length; id++) {
      ids.put(tokens[id], id);
    }
    return new Vocabulary(tokens, ids);
  }

  private Vocabulary(String[] tokens, Map<String, Integer> ids) {
    for (String token : ids.keySet()) {
      if (token.length() > MOST_UNITS) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "token [%s...] has %d characters, expected at most %d",
                token.substring(0, 40),
                token.length(),
                MOST_UNITS));
      }
    }
    this.tokens = tokens.clone();
    this.ids = Map.copyOf(ids);
  }

  /** Returns a vocabulary with further tokens, whose ids must be free. */
  Vocabulary with(Map<String, Integer> added) {
    int size = tokens.length;
    for (int id : added.values()) {
      size = Math.max(size, id + 1);
    }
    String[] allTokens = Arrays.copyOf(tokens, size);
    Map<String, Integer> allIds = new HashMap<>(ids);
    added.forEach(
        (token, id) -> {
          allTokens[id] = token;
          allIds.put(token, id);
        });
    return new Vocabulary(allTokens, allIds);
  }

  OptionalInt id(String token) {
    Integer id = ids.get(token);
    return id == null ? OptionalInt.empty() : OptionalInt.of(id);
  }

  /** Returns whether a token has this id. */
  boolean contains(int id) {
    return id >= 0 && id < tokens.length && tokens[id] != null;
  }

  /** Returns the token with this id, which the vocabulary must contain. */
  String token(int id) {
    if (!contains(id)) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "no token has the id [%d], expected 0 to %d", id, tokens.length - 1));
    }
    return tokens[id];
  }

  /** Returns one more than the highest id. */
  int size() {
    return tokens.length;
  }

  /** Returns the number of different tokens. */
  int tokenCount() {
    return ids.size();
  }

  /** Returns the UTF-16 units of the longest token. */
  int longest() {
    int longest = 0;
    for (String token : ids.keySet()) {
      longest = Math.max(longest, token.length());
    }
    return longest;
  }

  /** Hands every different token with its id to {@code action}. */
  void forEach(ObjIntConsumer<String> action) {
    ids.forEach(action::accept);
  }

  /** Returns an index of the tokens that begin with the prefix, by what follows it. */
  TokenIndex index(String prefix) {
    Map<String, Integer> suffixes = new HashMap<>();
    ids.forEach(
        (token, id) -> {
          if (token.startsWith(prefix)) {
            suffixes.put(token.substring(prefix.length()), id);
          }
        });
    return new TokenIndex(suffixes);
  }
}
