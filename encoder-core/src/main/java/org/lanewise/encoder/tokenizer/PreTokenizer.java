package org.lanewise.encoder.tokenizer;

import java.util.List;

/** Splits normalized text into the pieces that the model sees one by one. */
sealed interface PreTokenizer
    permits PreTokenizer.Whole,
        PreTokenizer.Sequence,
        PreTokenizer.Bert,
        PreTokenizer.WhitespaceSplit,
        PreTokenizer.Split,
        PreTokenizer.PrefixSpace,
        PreTokenizer.Metaspace {

  /** What becomes of the matches that a text is split at. */
  enum Behavior {
    /** They are dropped. */
    REMOVED,
    /** Each is a piece. */
    ISOLATED,
    /** Each ends the piece before it. */
    MERGED_WITH_PREVIOUS,
    /** Each begins the piece behind it. */
    MERGED_WITH_NEXT,
    /** Matches side by side are one piece. */
    CONTIGUOUS
  }

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
      splitAt(true, text, start, end, next);
    }
  }

  /** Whitespace separates and is dropped. */
  record WhitespaceSplit() implements PreTokenizer {
    @Override
    public void split(NormalizedText text, int start, int end, Pieces next) {
      splitAt(false, text, start, end, next);
    }
  }

  /**
   * Splits at what a pattern matches.
   *
   * @param invert whether the text between the matches takes their part
   */
  record Split(TextPattern pattern, Behavior behavior, boolean invert) implements PreTokenizer {
    @Override
    public void split(NormalizedText text, int start, int end, Pieces next) {
      if (pattern instanceof WordPattern && behavior == Behavior.ISOLATED) {
        // Every character belongs to a match.
        pattern.find(text.chars(), start, end, (from, to) -> next.piece(text, from, to));
        return;
      }
      Joiner joiner = new Joiner(text, start, behavior, invert, next);
      pattern.find(text.chars(), start, end, joiner::match);
      joiner.finish(end);
    }
  }

  /** Puts a space in front of a piece that does not begin with one. */
  record PrefixSpace() implements PreTokenizer {
    @Override
    public void split(NormalizedText text, int start, int end, Pieces next) {
      if (text.chars()[start] == ' ') {
        next.piece(text, start, end);
      } else {
        NormalizedText derived = text.derived();
        derived.append(' ', text, start);
        derived.append(text, start, end);
        next.piece(derived, 0, derived.length());
      }
    }
  }

  /**
   * Replaces spaces by a visible character and puts one in front of a piece.
   *
   * @param prepend when one is put in front
   * @param split whether every such character begins a new piece
   */
  record Metaspace(char replacement, Prepend prepend, boolean split) implements PreTokenizer {
    /** When a replaced space is put in front of a piece that does not begin with one. */
    enum Prepend {
      ALWAYS,
      /** Only where the original text begins. */
      FIRST,
      NEVER
    }

    @Override
    public void split(NormalizedText text, int start, int end, Pieces next) {
      char first = text.chars()[start];
      boolean prepends =
          switch (prepend) {
            case ALWAYS -> true;
            case FIRST -> text.originalStart(start) == 0;
            case NEVER -> false;
          };
      NormalizedText derived = text.derived();
      if (prepends && first != ' ' && first != replacement) {
        derived.append(replacement, text, start);
      }
      derived.append(text, start, end);
      char[] chars = derived.chars();
      int piece = 0;
      for (int i = 0; i < derived.length(); i++) {
        if (chars[i] == ' ') {
          chars[i] = replacement;
        }
        if (split && chars[i] == replacement && i > piece) {
          next.piece(derived, piece, i);
          piece = i;
        }
      }
      next.piece(derived, piece, derived.length());
    }
  }

  /** Makes pieces of matches and what lies between them. */
  final class Joiner {
    private final NormalizedText text;
    private final Behavior behavior;
    private final boolean invert;
    private final Pieces next;
    private int done;
    private int open;
    private boolean pending;
    private boolean pendingMatches;

    Joiner(NormalizedText text, int start, Behavior behavior, boolean invert, Pieces next) {
      this.text = text;
      this.done = start;
      this.open = start;
      this.behavior = behavior;
      this.invert = invert;
      this.next = next;
    }

    void match(int from, int to) {
      if (done < from) {
        stretch(done, invert);
      }
      stretch(from, !invert);
      done = to;
    }

    void finish(int end) {
      if (done < end) {
        stretch(done, invert);
      }
      flush(end);
    }

    private void stretch(int from, boolean matches) {
      boolean joins =
          switch (behavior) {
            case REMOVED, ISOLATED -> false;
            case CONTIGUOUS -> matches == pendingMatches;
            case MERGED_WITH_PREVIOUS -> matches && !pendingMatches;
            case MERGED_WITH_NEXT -> !matches && pendingMatches;
          };
      if (!pending || !joins) {
        flush(from);
        open = from;
      }
      pending = true;
      pendingMatches = matches;
    }

    private void flush(int end) {
      boolean dropped = behavior == Behavior.REMOVED && pendingMatches;
      if (pending && !dropped && open < end) {
        next.piece(text, open, end);
      }
      pending = false;
    }
  }

  private static void splitAt(
      boolean punctuation, NormalizedText text, int start, int end, Pieces next) {
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
      boolean dropped = CharacterFacts.isWhitespace(codePoint);
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
