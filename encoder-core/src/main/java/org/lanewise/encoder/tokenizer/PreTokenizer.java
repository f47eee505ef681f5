package org.lanewise.encoder.tokenizer;

import java.util.List;

/** Splits normalized text into the pieces that the model sees one by one. */
sealed interface PreTokenizer
    permits PreTokenizer.Whole,
        PreTokenizer.Sequence,
        PreTokenizer.Bert,
        PreTokenizer.WhitespaceSplit,
        PreTokenizer.Punctuation {

  /** Takes the pieces in reading order. */
  @FunctionalInterface
  interface Pieces {
    /** Takes the non-empty piece [start, end) of a text. */
    void piece(NormalizedText text, int start, int end);
  }

  /**
   * Hands the pieces of [start, end) to {@code next}; a piece may lie in another, rewritten text.
   */
  void split(NormalizedText text, int start, int end, Pieces next);

  /** No splitting. */
  record Whole() implements PreTokenizer {
    @Override
    public void split(NormalizedText text, int start, int end, Pieces next) {
      if (start < end) {
        next.piece(text, start, end);
      }
    }
  }

  /** Each splits the pieces of the one before. */
  record Sequence(List<PreTokenizer> preTokenizers) implements PreTokenizer {
    public Sequence {
      preTokenizers = List.copyOf(preTokenizers);
    }

    @Override
    public void split(NormalizedText text, int start, int end, Pieces next) {
      Pieces pieces = next;
      for (PreTokenizer preTokenizer : preTokenizers.reversed()) {
        Pieces further = pieces;
        pieces = (piece, from, to) -> preTokenizer.split(piece, from, to, further);
      }
      if (start < end) {
        pieces.piece(text, start, end);
      }
    }
  }

  /** Whitespace separates and is dropped; each punctuation character is a piece of its own. */
  record Bert() implements PreTokenizer {
    @Override
    public void split(NormalizedText text, int start, int end, Pieces next) {
      splitAt(true, true, text, start, end, next);
    }
  }

  /** Whitespace separates and is dropped. */
  record WhitespaceSplit() implements PreTokenizer {
    @Override
    public void split(NormalizedText text, int start, int end, Pieces next) {
      splitAt(true, false, text, start, end, next);
    }
  }

  /** Each punctuation character is a piece of its own. */
  record Punctuation() implements PreTokenizer {
    @Override
    public void split(NormalizedText text, int start, int end, Pieces next) {
      splitAt(false, true, text, start, end, next);
    }
  }

  private static void splitAt(
      boolean whitespace,
      boolean punctuation,
      NormalizedText text,
      int start,
      int end,
      Pieces next) {
    char[] chars = text.chars();
    int word = start;
    for (int i = start; i < end; ) {
      int codePoint = chars[i];
      if (codePoint >= 'a' && codePoint <= 'z') {
        i++;
        continue;
      }
      if (Character.isSurrogate(chars[i])) {
        codePoint = text.codePointAt(i);
      }
      int after = i + Character.charCount(codePoint);
      boolean dropped = whitespace && CharacterFacts.isWhitespace(codePoint);
      if (dropped || (punctuation && CharacterFacts.isPunctuation(codePoint))) {
        if (word < i) {
          next.piece(text, word, i);
        }
        if (!dropped) {
          next.piece(text, i, after);
        }
        word = after;
      }
      i = after;
    }
    if (word < end) {
      next.piece(text, word, end);
    }
  }
}
