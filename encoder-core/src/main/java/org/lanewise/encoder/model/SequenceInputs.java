package org.lanewise.encoder.model;

import java.util.List;
import org.lanewise.encoder.tokenizer.SegmentedText;

/**
 * Turns segmented texts into the numbers that a sequence model reads: the same in training and in
 * use. Immutable and thread-safe.
 */
public final class SequenceInputs {
  /**
   * The input of a batch of texts, words end to end. Words that are spelled alike are kept once.
   *
   * @param sequenceStarts n + 1 ascending offsets of the texts, in words
   * @param distinct (words): index of each word among the distinct ones
   * @param parts for each input of the configuration
   */
  public record Batch(int[] sequenceStarts, int[] distinct, List<Part> parts) {
    /** Returns the number of words. */
    public int words() {
      return distinct.length;
    }
  }

  /** The numbers of one input. */
  public sealed interface Part {
    /** Row in the table of vectors, for each distinct word. */
    record Rows(int[] rows) implements Part {}

    /**
     * Rows in the table of characters, the distinct words end to end.
     *
     * @param starts n + 1 ascending offsets of the distinct words, in characters
     */
    record CharacterRows(int[] rows, int[] starts) implements Part {}

    /** A vector for each word of the batch (not of the distinct ones), (words, size). */
    record Vectors(float[][] vectors) implements Part {}
  }

  /** Vectors of an encoder for the words of texts. */
  @FunctionalInterface
  public interface WordEncoder {
    /** Returns a vector for each word of each text, (words of all texts, size). */
    float[][] encode(List<SegmentedText> texts, int layer);
  }

  /**
   * Creates the reader.
   *
   * @param vocabularies for each input the spellings of rows 1, 2 and so on; empty where it has
   *     none
   * @param encoder asked for the inputs that are an encoder's; may be null where there are none
   */
  public SequenceInputs(
      SequenceModelConfig config, List<List<String>> vocabularies, WordEncoder encoder) {
    throw new UnsupportedOperationException();
  }

  /** Returns the input of the texts, each of at least one word. */
  public Batch read(List<SegmentedText> texts) {
    throw new UnsupportedOperationException();
  }
}
