package org.lanewise.encoder.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lanewise.encoder.weights.Tensor;

/** Files of word vectors. */
class StaticVectorsTest {
  @TempDir private Path directory;

  @Test
  void bothFormatsAreRead() throws IOException {
    String lines = "the 1 -2.5e-1 3\n. . . 4 5 6 \nthe 7 7 7\ncaf\u00e9\t8 9 10\n";
    for (String header : List.of("", "4 3\n")) {
      StaticVectors vectors = read(header + lines, 100);
      assertEquals(List.of("the", ". . .", "caf\u00e9"), vectors.words());
      assertEquals(3, vectors.size());
      assertArrayEquals(new float[] {1, -0.25f, 3, 4, 5, 6, 8, 9, 10}, vectors.numbers());
    }
    assertEquals(List.of("the", ". . ."), read(lines, 2).words());
  }

  @Test
  void theTableBeginsWithTheUnknownWord() throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      Tensor table = read("a 1 2\nb 3 4\n", 9).table("t", arena);
      assertArrayEquals(new long[] {3, 2}, table.shape());
      float[] numbers = new float[6];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = table.get(i);
      }
      assertArrayEquals(new float[] {0, 0, 1, 2, 3, 4}, numbers);
    }
  }

  @Test
  void wordsInLowerCaseOnlySaySo() throws IOException {
    assertTrue(read("the 1\ncaf\u00e9 2 \n", 9).lowercase());
    assertFalse(read("the 1\nParis 2\n", 9).lowercase());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "a 1 2;b 1|line 2 of [F] has 2 fields, expected a word and 2 numbers",
        "a 1 2;b 1 x|line 2 of [F] has [x], expected a number",
        "a 1 2;b 1 NaN|line 2 of [F] has [NaN], expected a number",
        "2 0;b 1|line 1 of [F] says [0], expected the numbers of a vector, 1 to 16384",
        "a;b|line 1 of [F] has 1 fields, expected a word and its numbers, at most 16384",
        "3 2|[F] has no word vectors"
      })
  void whatIsWrongIsNamed(String lines, String message) {
    Exception e =
        assertThrows(IllegalArgumentException.class, () -> read(lines.replace(';', '\n'), 9));
    assertEquals(message.replace("F", directory.resolve("vectors").toString()), e.getMessage());
  }

  private StaticVectors read(String lines, int most) throws IOException {
    return StaticVectors.read(Files.writeString(directory.resolve("vectors"), lines), most);
  }
}
