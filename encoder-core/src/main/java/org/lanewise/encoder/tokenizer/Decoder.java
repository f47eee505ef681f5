package org.lanewise.encoder.tokenizer;

import java.util.List;

/** Turns tokens back into text. */
sealed interface Decoder permits Decoder.Spaced, Decoder.WordPieces {

  /** Returns the text that the tokens stand for. */
  String decode(List<String> tokens);

  /** The tokens with a space between each two. */
  record Spaced() implements Decoder {
    @Override
    public String decode(List<String> tokens) {
      return String.join(" ", tokens);
    }
  }

  /**
   * Continuations join the token before; English punctuation loses the space before it if asked.
   *
   * @param prefix what continuations begin with
   * @param cleanup whether to take away spaces that tokenizing added
   */
  record WordPieces(String prefix, boolean cleanup) implements Decoder {
    @Override
    public String decode(List<String> tokens) {
      StringBuilder text = new StringBuilder();
      boolean first = true;
      for (String token : tokens) {
        String piece =
            first
                ? token
                : token.startsWith(prefix) ? token.substring(prefix.length()) : ' ' + token;
        text.append(cleanup ? clean(piece) : piece);
        first = false;
      }
      return text.toString();
    }

    private static String clean(String piece) {
      return piece
          .replace(" .", ".")
          .replace(" ?", "?")
          .replace(" !", "!")
          .replace(" ,", ",")
          .replace(" ' ", "'")
          .replace(" n't", "n't")
          .replace(" 'm", "'m")
          .replace(" do not", " don't")
          .replace(" 's", "'s")
          .replace(" 've", "'ve")
          .replace(" 're", "'re");
    }
  }
}
