package org.lanewise.encoder.model;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
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

  private final SequenceModelConfig config;
  private final List<Map<String, Integer>> rows;
  private final WordEncoder encoder;

  /**
   * Creates the reader.
   *
   * @param vocabularies for each input the spellings of rows 1, 2 and so on; empty where it has
   *     none
   * @param encoder asked for the inputs that are an encoder's; may be null where there are none
   */
  public SequenceInputs(
      SequenceModelConfig config, List<List<String>> vocabularies, WordEncoder encoder) {
    if (vocabularies.size() != config.inputs().size()) {
      throw new IllegalArgumentException(
          "there are "
              + vocabularies.size()
              + " vocabularies, expected one for each of "
              + config.inputs().size()
              + " inputs");
    }
    rows = new ArrayList<>();
    for (int input = 0; input < vocabularies.size(); input++) {
      boolean encoded = config.inputs().get(input) instanceof SequenceInput.EncoderVectors;
      if (encoded && encoder == null) {
        throw new IllegalArgumentException("input [" + input + "] needs an encoder, found none");
      }
      rows.add(rows(vocabularies.get(input), input));
    }
    this.config = config;
    this.encoder = encoder;
  }

  private SequenceInputs(
      List<Map<String, Integer>> rows, SequenceModelConfig config, WordEncoder encoder) {
    this.config = config;
    this.rows = rows;
    this.encoder = encoder;
  }

  private static Map<String, Integer> rows(List<String> vocabulary, int input) {
    Map<String, Integer> rows = HashMap.newHashMap(vocabulary.size());
    for (String spelling : vocabulary) {
      if (rows.put(spelling, rows.size() + 1) != null) {
        throw new IllegalArgumentException(
            "the vocabulary of input [" + input + "] has [" + spelling + "] twice");
      }
    }
    return rows;
  }

  /** Returns a reader of the same vocabularies that asks another encoder. */
  public SequenceInputs withEncoder(WordEncoder other) {
    return new SequenceInputs(rows, config, other);
  }

  /** Returns the input of the texts, each of at least one word. */
  public Batch read(List<SegmentedText> texts) {
    int[] sequenceStarts = new int[texts.size() + 1];
    for (int i = 0; i < texts.size(); i++) {
      int words = texts.get(i).words();
      if (words == 0) {
        throw new IllegalArgumentException("text [" + i + "] has no words, expected at least 1");
      }
      sequenceStarts[i + 1] = Math.addExact(sequenceStarts[i], words);
    }
    int[] distinct = new int[sequenceStarts[texts.size()]];
    Map<String, Integer> indexes = new HashMap<>();
    List<String> words = new ArrayList<>();
    for (int i = 0; i < texts.size(); i++) {
      for (int word = 0; word < texts.get(i).words(); word++) {
        String spelling = texts.get(i).word(word);
        Integer index = indexes.putIfAbsent(spelling, words.size());
        if (index == null) {
          index = words.size();
          words.add(spelling);
        }
        distinct[sequenceStarts[i] + word] = index;
      }
    }
    List<Part> parts = new ArrayList<>();
    for (int i = 0; i < rows.size(); i++) {
      parts.add(
          switch (config.inputs().get(i)) {
            case SequenceInput.WordVectors vectors ->
                wordRows(words, rows.get(i), vectors.lowercase());
            case SequenceInput.StaticVectors vectors ->
                wordRows(words, rows.get(i), vectors.lowercase());
            case SequenceInput.Characters characters -> characterRows(words, rows.get(i));
            case SequenceInput.EncoderVectors vectors ->
                new Part.Vectors(encoder.encode(texts, vectors.layer()));
          });
    }
    return new Batch(sequenceStarts, distinct, parts);
  }

  private static Part wordRows(
      List<String> words, Map<String, Integer> vocabulary, boolean lowercase) {
    int[] rows = new int[words.size()];
    for (int i = 0; i < rows.length; i++) {
      String word = words.get(i);
      rows[i] = vocabulary.getOrDefault(lowercase ? word.toLowerCase(Locale.ROOT) : word, 0);
    }
    return new Part.Rows(rows);
  }

  private static Part characterRows(List<String> words, Map<String, Integer> vocabulary) {
    int[] starts = new int[words.size() + 1];
    int[] rows = new int[words.stream().mapToInt(SequenceInputs::charactersRead).sum()];
    for (int i = 0; i < words.size(); i++) {
      int read = charactersRead(words.get(i));
      int[] codePoints = words.get(i).codePoints().toArray();
      for (int at = 0; at < read; at++) {
        int from = at < read / 2 ? at : codePoints.length - read + at;
        rows[starts[i] + at] = vocabulary.getOrDefault(Character.toString(codePoints[from]), 0);
      }
      starts[i + 1] = starts[i] + read;
    }
    return new Part.CharacterRows(rows, starts);
  }

  private static int charactersRead(String word) {
    return Math.min(
        word.codePointCount(0, word.length()), SequenceInput.Characters.MOST_CHARACTERS);
  }
}
