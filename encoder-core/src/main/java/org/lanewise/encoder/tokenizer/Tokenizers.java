package org.lanewise.encoder.tokenizer;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/** Stand-in until the tokenizers are merged; their file replaces this one. */
public final class Tokenizers {
  private Tokenizers() {}

  /** Returns the tokenizer that a tokenizer.json describes. */
  public static Tokenizer fromJson(Path file) {
    return new Nothing();
  }

  /** Returns the WordPiece tokenizer of a vocab.txt. */
  public static Tokenizer fromVocabulary(Path vocabulary, Optional<Path> tokenizerConfig) {
    return new Nothing();
  }

  private static final class Nothing implements Tokenizer {
    @Override
    public Tokens encode(
        String text,
        Optional<String> pair,
        boolean addSpecialTokens,
        Optional<Truncation> truncation) {
      return new Tokens(
          new int[0], new int[0], new int[0], new int[0], new boolean[0], false, List.of());
    }

    @Override
    public String token(int id) {
      return "";
    }

    @Override
    public OptionalInt id(String token) {
      return OptionalInt.empty();
    }

    @Override
    public int vocabularySize() {
      return 1;
    }

    @Override
    public String decode(int[] ids, boolean skipSpecialTokens) {
      return "";
    }
  }
}
