package org.lanewise.encoder.tokenizer;

import java.util.Locale;

/**
 * The WordPiece model: the longest token of the vocabulary that the word begins with, then the
 * longest continuation, and so on; a word that cannot be covered, or is too long, is one unknown
 * token.
 */
final class WordPiece implements TokenModel {
  private final Vocabulary vocabulary;
  private final TokenIndex words;
  private final TokenIndex continuations;
  private final int unknownId;
  private final int maxCharsPerWord;

  /**
   * Returns the model of a vocabulary.
   *
   * @param prefix what tokens that continue a word begin with, for example "##"
   * @param maxCharsPerWord most code points of a word that is looked up
   * @throws IllegalArgumentException if the vocabulary lacks the unknown token
   */
  WordPiece(Vocabulary vocabulary, String unknownToken, String prefix, int maxCharsPerWord) {
    this.vocabulary = vocabulary;
    this.words = vocabulary.index("");
    this.continuations = vocabulary.index(prefix);
    this.maxCharsPerWord = maxCharsPerWord;
    this.unknownId =
        vocabulary
            .id(unknownToken)
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        String.format(
                            Locale.ROOT,
                            "the vocabulary of %d tokens lacks the unknown token [%s]",
                            vocabulary.tokenCount(),
                            unknownToken)));
  }

  @Override
  public String kind() {
    return "WordPiece";
  }

  @Override
  public Vocabulary vocabulary() {
    return vocabulary;
  }

  @Override
  public void tokenize(NormalizedText text, int start, int end, TokenBuffer tokens) {
    char[] chars = text.chars();
    int first = tokens.length();
    if (isTooLong(chars, start, end)) {
      tokens.add(unknownId, text.originalStart(start), text.originalEnd(end));
      return;
    }
    int[] hashes = text.scratch(end - start);
    TokenIndex index = words;
    for (int at = start; at < end; ) {
      int entry = index.findLongest(chars, at, end, hashes);
      if (entry < 0) {
        tokens.cut(first);
        tokens.add(unknownId, text.originalStart(start), text.originalEnd(end));
        return;
      }
      int after = at + index.length(entry);
      tokens.add(index.id(entry), text.originalStart(at), text.originalEnd(after));
      at = after;
      index = continuations;
    }
  }

  private boolean isTooLong(char[] chars, int start, int end) {
    return end - start > maxCharsPerWord
        && Character.codePointCount(chars, start, end - start) > maxCharsPerWord;
  }
}
