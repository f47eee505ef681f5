package org.lanewise.plugin.models;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.lanewise.encoder.ChunkOptions;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.EncoderOutputs.Reading;
import org.lanewise.encoder.Prompts;
import org.lanewise.encoder.TokenEmbedder.Role;

/** A model that makes vectors, and whatever else its heads say of a text. */
public non-sealed interface Encoder extends Model<Reading, Encoded> {

  /**
   * Returns the tokens of prompt and text, cut to {@link #maxLength()}.
   *
   * @param prompt goes in front of the text; late interaction has its own
   * @param role what the text is to late interaction
   * @param outputs what is wanted of the text
   * @throws IllegalArgumentException or a {@code ModelException} if the model has not got one of
   *     them
   */
  Reading read(String text, String prompt, Role role, Set<Output> outputs);

  /**
   * Returns what is read of the chunks of a long text, in order; nothing where it has no tokens.
   *
   * @param prompt goes in front of every chunk
   * @param outputs what is wanted of each chunk
   * @param options where the text is cut
   * @param late whether vectors come from one pass over the whole text
   * @throws IllegalArgumentException or a {@code ModelException} if that does not fit the model
   */
  List<Reading> readChunks(
      String text, String prompt, Set<Output> outputs, ChunkOptions options, boolean late);

  /** Returns how many tokens prompt and text have uncut, special tokens included. */
  int countTokens(String text, String prompt);

  /** Returns the outputs that can be had of the model. */
  Set<Output> outputs();

  /** Returns the names of the classes that tags have, in the model's order; none without tags. */
  List<String> classes();

  /** Returns the length of dense vectors; empty where the model makes none. */
  OptionalInt dimensions();

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
  default int tokens(Reading text) {
    return text.tokens();
  }

  @Override
  default boolean truncated(Reading text) {
    return text.truncated();
  }

  @Override
  default Encoded join(List<Encoded> parts) {
    if (parts.size() == 1) {
      return parts.getFirst();
    }
    return Encoded.ofPieces(
        parts.stream().flatMap(part -> part.pieces().stream()).toList(),
        parts.stream().mapToInt(Encoded::tokens).sum());
  }

  @Override
  default Optional<String> flaw(Reading text, Encoded answer) {
    return usable(answer) && answer.pieces().stream().allMatch(piece -> usable(piece.encoded()))
        ? Optional.empty()
        : Optional.of(
            "no usable vector of a text of ["
                + tokens(text)
                + "] tokens: its numbers must be finite and not all zero");
  }

  private static boolean usable(Encoded answer) {
    return answer.dense().stream().allMatch(Encoder::usable)
        && answer.multiVector().stream().flatMap(Arrays::stream).allMatch(Encoder::usable)
        && answer.sparse().stream()
            .flatMap(weights -> weights.values().stream())
            .allMatch(Float::isFinite);
  }

  private static boolean usable(float[] vector) {
    float largest = 0;
    for (float value : vector) {
      largest = Float.isFinite(value) ? Math.max(largest, Math.abs(value)) : Float.NaN;
    }
    return largest > 0;
  }
}
