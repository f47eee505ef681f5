package org.lanewise.encoder.model;

/** One of the things that a sequence model knows of each of its words; their vectors are joined. */
public sealed interface SequenceInput {
  /** Returns the numbers per word that this input yields. */
  int size();

  /**
   * A trained vector per word, {@code inputs.N.weight} (vocabulary, size); row 0 is that of every
   * word that the vocabulary lacks. The vocabulary is {@code inputs.N.txt}, one word per line,
   * beginning with row 1.
   *
   * @param lowercase whether words are lower-cased before they are looked up
   */
  record WordVectors(int size, boolean lowercase) implements SequenceInput {}

  /**
   * The last states of a bidirectional recurrent network over the characters (code points) of each
   * word, forward then backward: {@code inputs.N.embedding.weight} (characters, embeddingSize), row
   * 0 for unknown ones, vocabulary in {@code inputs.N.txt}; {@code inputs.N.recurrent.*} as PyTorch
   * names them. Of a longer word, the first and the last half of {@link #MOST_CHARACTERS} are read.
   */
  record Characters(int embeddingSize, RecurrentConfig recurrent) implements SequenceInput {
    /** What is longer is no word but data, and would cost memory without end. */
    public static final int MOST_CHARACTERS = 64;

    /** Checks that the network reads what the table yields. */
    public Characters {
      if (recurrent.inputSize() != embeddingSize) {
        throw new IllegalArgumentException(
            "the recurrent network reads "
                + recurrent.inputSize()
                + " numbers per character, expected the "
                + embeddingSize
                + " of the table");
      }
    }

    @Override
    public int size() {
      return recurrent.outputSize();
    }
  }

  /**
   * Vectors made elsewhere (word2vec, GloVe) that training leaves as they are: {@code
   * inputs.N.weight} and {@code inputs.N.txt} as for {@link WordVectors}, with row 0 for unknown
   * words.
   */
  record StaticVectors(int size, boolean lowercase) implements SequenceInput {}

  /**
   * What an encoder says of each word, frozen: the mean of the vectors of its word pieces.
   *
   * @param model id of the encoder: that of a bundled one, or the name of its directory
   * @param layer the output of which layer, 0 for that of the embeddings
   * @param fingerprint SHA-256 of the encoder's weights, in hexadecimal, as {@code
   *     ModelDirectory.weightsFingerprint} gives it
   */
  record EncoderVectors(int size, String model, int layer, String fingerprint)
      implements SequenceInput {}
}
