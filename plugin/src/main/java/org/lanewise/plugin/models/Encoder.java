package org.lanewise.plugin.models;

import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.lanewise.encoder.Embedding;
import org.lanewise.encoder.EncodedText;
import org.lanewise.encoder.Prompts;

/** A model that makes vectors. */
public non-sealed interface Encoder extends Model<EncodedText, Embedding> {

  /** Returns the tokens of prompt and text, cut to {@link #maxLength()}. */
  EncodedText encode(String text, String prompt);

  /** Returns how many tokens prompt and text have uncut, special tokens included. */
  int countTokens(String text, String prompt);

  /** Returns one vector for each text, computed as one batch. */
  float[][] vectors(List<EncodedText> texts);

  /** Returns the length of the vectors. */
  int dimensions();

  /** Returns the most tokens of one text, special tokens included. */
  int maxLength();

  /** Returns the model's prompts. */
  Prompts prompts();

  /** Returns the model family, such as {@code bert}. */
  String family();

  @Override
  default ModelKind kind() {
    return ModelKind.ENCODER;
  }

  @Override
  default int tokens(EncodedText text) {
    return text.length();
  }

  @Override
  default boolean truncated(EncodedText text) {
    return text.tokens().truncated();
  }

  @Override
  default List<Embedding> forward(List<EncodedText> texts) {
    float[][] vectors = vectors(texts);
    return IntStream.range(0, vectors.length)
        .mapToObj(i -> new Embedding(vectors[i], tokens(texts.get(i)), truncated(texts.get(i))))
        .toList();
  }

  @Override
  default Optional<String> flaw(EncodedText text, Embedding answer) {
    float largest = 0;
    for (float value : answer.vector()) {
      largest = Float.isFinite(value) ? Math.max(largest, Math.abs(value)) : Float.NaN;
    }
    return largest > 0
        ? Optional.empty()
        : Optional.of(
            "no usable vector of a text of ["
                + tokens(text)
                + "] tokens: its numbers must be finite and not all zero");
  }
}
