package org.lanewise.encoder.train;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/**
 * Word vectors that were made elsewhere.
 *
 * @param words spellings, each once
 * @param size numbers of a vector
 * @param numbers (words, size)
 */
public record StaticVectors(List<String> words, int size, float[] numbers) {
  private static final int LARGEST_SIZE = 1 << 14;
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** Copies the list. */
  public StaticVectors {
    words = List.copyOf(words);
  }

  /** Returns whether all words are in lower case, so that texts are to be lower-cased for them. */
  public boolean lowercase() {
    return words.stream().allMatch(word -> word.equals(word.toLowerCase(Locale.ROOT)));
  }

  /** Returns the table (words + 1, size), whose row 0, of unknown words, is zeros. */
  Tensor table(String name, Arena arena) {
    MemorySegment data = arena.allocate((numbers.length + (long) size) * Float.BYTES, 64);
    MemorySegment.copy(numbers, 0, data, FLOAT, (long) size * Float.BYTES, numbers.length);
    return new Tensor(name, DataType.F32, new long[] {words.size() + 1L, size}, data);
  }

  /**
   * Returns the vectors of a text file in the format of word2vec, whose first line is the numbers
   * of words and of dimensions, or of GloVe, which lacks that line: a word and its numbers,
   * separated by blanks. Of a word that comes twice the first vector counts.
   *
   * @param most reads so many words at most, the most frequent ones in files as they are published
   * @throws IllegalArgumentException naming file, line and what is wrong
   */
  public static StaticVectors read(Path file, int most) throws IOException {
    Reader reader = new Reader();
    try (CorpusLines lines = CorpusLines.open(file)) {
      String line = lines.next();
      while (line != null && reader.words.size() < most) {
        reader.add(line, lines);
        line = lines.next();
      }
    }
    if (reader.words.isEmpty()) {
      throw new IllegalArgumentException("[" + file + "] has no word vectors");
    }
    return new StaticVectors(
        new ArrayList<>(reader.words),
        reader.size,
        Arrays.copyOf(reader.numbers, reader.words.size() * reader.size));
  }

  private static final class Reader {
    private final Set<String> words = new LinkedHashSet<>();
    private float[] numbers = new float[0];
    private int size;
    private boolean begun;

    void add(String text, CorpusLines lines) {
      boolean first = !begun;
      begun = true;
      String[] fields = text.strip().split("[ \t]+", -1);
      if (first && fields.length == 2) {
        size = dimensions(fields[1], lines);
        return;
      }
      if (size == 0) {
        size = fields.length - 1;
      }
      // Some published files have words of several fields, such as ". . .".
      int spelling = fields.length - size;
      if (spelling < 1 || size < 1 || size > LARGEST_SIZE) {
        throw lines.wrong(
            "has "
                + fields.length
                + " fields, expected a word and "
                + (size < 1 ? "its numbers, at most " + LARGEST_SIZE : size + " numbers"));
      }
      if (!words.add(String.join(" ", Arrays.copyOf(fields, spelling)))) {
        return;
      }
      int at = (words.size() - 1) * size;
      if (numbers.length < at + size) {
        numbers = Arrays.copyOf(numbers, grown(at + size, lines));
      }
      for (int i = 0; i < size; i++) {
        numbers[at + i] = number(fields[spelling + i], lines);
      }
    }

    private int grown(int needed, CorpusLines lines) {
      int most = Integer.MAX_VALUE - 64;
      if (needed < 0 || needed > most) {
        throw lines.wrong(
            "is one too many: there are more numbers than one table holds; read fewer words");
      }
      return (int) Math.min(most, needed + (needed >> 1) + 1024L * size);
    }

    private int dimensions(String field, CorpusLines lines) {
      try {
        int dimensions = Integer.parseInt(field);
        if (dimensions >= 1 && dimensions <= LARGEST_SIZE) {
          return dimensions;
        }
      } catch (NumberFormatException e) {
        // Refused below, with the same words.
      }
      throw lines.wrong(
          "says [" + field + "], expected the numbers of a vector, 1 to " + LARGEST_SIZE);
    }

    private float number(String field, CorpusLines lines) {
      try {
        float number = Float.parseFloat(field);
        if (Float.isFinite(number)) {
          return number;
        }
      } catch (NumberFormatException e) {
        // Refused below, with the same words.
      }
      throw lines.wrong("has [" + field + "], expected a number");
    }
  }
}
