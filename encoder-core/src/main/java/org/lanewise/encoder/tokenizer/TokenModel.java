package org.lanewise.encoder.tokenizer;

/** Turns one piece of text into tokens of a vocabulary. */
sealed interface TokenModel permits Bpe, Unigram, WordPiece {
  /** Returns the name that tokenizer.json has for the algorithm. */
  String kind();

  /** Returns the tokens that the model knows, without added tokens. */
  Vocabulary vocabulary();

  /** Appends the tokens of the piece [start, end) with offsets into the original text. */
  void tokenize(NormalizedText text, int start, int end, TokenBuffer tokens);
}
