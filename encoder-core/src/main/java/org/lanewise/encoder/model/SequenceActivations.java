package org.lanewise.encoder.model;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;

/**
 * The state of one pass of a sequence model; it belongs to one pass at a time and may be used again
 * by the next.
 *
 * @param joined (words, inputs): all inputs of each word side by side
 * @param sequences the most that fit
 * @param characters for each input; empty where it reads no characters
 */
public record SequenceActivations(
    Matrix joined,
    RecurrentActivations recurrent,
    int sequences,
    List<Optional<Characters>> characters) {
  /**
   * Characters and words that a network of characters reads at once: enough to fill the kernels,
   * and memory that does not depend on the texts.
   */
  private static final int CHARACTERS_AT_ONCE = 4096;

  private static final int WORDS_AT_ONCE = 1024;

  /**
   * The state of a network of characters.
   *
   * @param embedded (characters, embeddingSize)
   * @param words the most at once
   */
  record Characters(Matrix embedded, RecurrentActivations recurrent, int words) {
    private static Characters allocate(
        Backend backend, Arena arena, SequenceInput.Characters input) {
      return new Characters(
          backend.allocate(arena, CHARACTERS_AT_ONCE, input.embeddingSize()),
          RecurrentActivations.allocate(
              backend, arena, input.recurrent(), CHARACTERS_AT_ONCE, WORDS_AT_ONCE),
          WORDS_AT_ONCE);
    }
  }

  /** Returns state for that many words and sequences that lives as long as the arena. */
  public static SequenceActivations allocate(
      Backend backend, Arena arena, SequenceModelConfig config, int words, int sequences) {
    List<Optional<Characters>> characters = new ArrayList<>();
    for (SequenceInput input : config.inputs()) {
      characters.add(
          input instanceof SequenceInput.Characters read
              ? Optional.of(Characters.allocate(backend, arena, read))
              : Optional.empty());
    }
    return new SequenceActivations(
        backend.allocate(arena, words, config.recurrent().inputSize()),
        RecurrentActivations.allocate(backend, arena, config.recurrent(), words, sequences),
        sequences,
        characters);
  }

  /** Returns the most words that fit. */
  public int words() {
    return joined.rows();
  }
}
