package org.lanewise.encoder.tokenizer;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Tokens that are cut out of the text before the model sees it, such as [MASK]. */
final class AddedTokens {
  /**
   * One added token.
   *
   * @param content the token as it stands in a text
   * @param singleWord whether it counts only between characters that are not word characters
   * @param leftStrip whether it takes the whitespace before it
   * @param rightStrip whether it takes the whitespace after it
   * @param normalized whether it is looked for in the normalized text, in its normalized form
   * @param special whether decoding may leave it out
   */
  record AddedToken(
      int id,
      String content,
      boolean singleWord,
      boolean leftStrip,
      boolean rightStrip,
      boolean normalized,
      boolean special) {}

  /** Takes the stretches of a text in reading order; the id is -1 where no added token stands. */
  @FunctionalInterface
  interface Stretches {
    void stretch(int start, int end, int id);
  }

  private final Tree raw = new Tree();
  private final Tree normalized = new Tree();
  private final Set<Integer> ids = new HashSet<>();
  private final Set<Integer> specialIds = new HashSet<>();

  AddedTokens(List<AddedToken> tokens, Normalizer normalizer) {
    // Special tokens come first: of two with the same text the first one wins.
    List<AddedToken> ordered = new ArrayList<>(tokens);
    ordered.sort((a, b) -> Boolean.compare(b.special(), a.special()));
    for (AddedToken token : ordered) {
      ids.add(token.id());
      if (token.special()) {
        specialIds.add(token.id());
      }
      if (token.normalized()) {
        NormalizedText text = new NormalizedText(token.content(), 0, token.content().length());
        normalizer.normalize(text);
        normalized.add(text.chars(), text.length(), token);
      } else {
        raw.add(token.content().toCharArray(), token.content().length(), token);
      }
    }
  }

  boolean contains(int id) {
    return ids.contains(id);
  }

  boolean isSpecial(int id) {
    return specialIds.contains(id);
  }

  /** Splits a text at the tokens that are looked for before normalizing. */
  void splitRaw(String text, Stretches stretches) {
    if (raw.isEmpty()) {
      stretches.stretch(0, text.length(), -1);
    } else {
      split(raw, text.toCharArray(), text.length(), stretches);
    }
  }

  /** Splits a normalized text at the tokens that are looked for after normalizing. */
  void splitNormalized(NormalizedText text, Stretches stretches) {
    if (normalized.isEmpty()) {
      stretches.stretch(0, text.length(), -1);
    } else {
      split(normalized, text.chars(), text.length(), stretches);
    }
  }

  private static void split(Tree tree, char[] chars, int length, Stretches stretches) {
    int open = 0;
    for (int i = 0; i < length; ) {
      Match match = tree.longest(chars, i, length);
      if (match == null) {
        i++;
        continue;
      }
      AddedToken token = match.token();
      int start = i;
      int end = match.end();
      i = end;
      if (token.singleWord() && !isSingleWord(chars, start, end, length)) {
        continue;
      }
      if (token.leftStrip()) {
        while (start > open && CharacterFacts.isWhitespace(chars[start - 1])) {
          start--;
        }
      }
      if (token.rightStrip()) {
        while (end < length && CharacterFacts.isWhitespace(chars[end])) {
          end++;
        }
      }
      if (open < start) {
        stretches.stretch(open, start, -1);
      }
      stretches.stretch(start, end, token.id());
      open = end;
    }
    if (open < length) {
      stretches.stretch(open, length, -1);
    }
  }

  private static boolean isSingleWord(char[] chars, int start, int end, int length) {
    return (start == 0 || !CharacterFacts.isWord(Character.codePointBefore(chars, start)))
        && (end == length || !CharacterFacts.isWord(Character.codePointAt(chars, end, length)));
  }

  private record Match(AddedToken token, int end) {}

  /** Tokens by their characters; filled once, then only read. */
  private static final class Tree {
    private final Node root = new Node();
    // Which characters begin a token: nearly all places of a text are dismissed here.
    private final BitSet starts = new BitSet();

    boolean isEmpty() {
      return starts.isEmpty();
    }

    void add(char[] content, int length, AddedToken added) {
      Node node = root;
      for (int i = 0; i < length; i++) {
        node = node.children.computeIfAbsent(content[i], c -> new Node());
      }
      if (length > 0) {
        starts.set(content[0]);
        node.token = node.token == null ? added : node.token;
      }
    }

    Match longest(char[] chars, int start, int length) {
      if (!starts.get(chars[start])) {
        return null;
      }
      AddedToken found = null;
      int end = start;
      Node node = root;
      for (int i = start; i < length; i++) {
        node = node.children.get(chars[i]);
        if (node == null) {
          break;
        }
        if (node.token != null) {
          found = node.token;
          end = i + 1;
        }
      }
      return found == null ? null : new Match(found, end);
    }
  }

  private static final class Node {
    private final Map<Character, Node> children = new HashMap<>(4);
    private AddedToken token;
  }
}
