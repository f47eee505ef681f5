package org.lanewise.encoder.head;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.head.StoredTokenVectors.Encoding;

/** Stored token vectors, and MaxSim over them against its plain definition. */
final class MaxSimTest {
  private static float[][] vectors(long seed, int tokens, int dimensions) {
    Random random = new Random(seed);
    float[][] vectors = new float[tokens][dimensions];
    for (float[] vector : vectors) {
      double sum = 0;
      for (int i = 0; i < dimensions; i++) {
        vector[i] = (float) random.nextGaussian();
        sum += vector[i] * vector[i];
      }
      for (int i = 0; i < dimensions; i++) {
        vector[i] /= (float) Math.sqrt(sum);
      }
    }
    return vectors;
  }

  private static StoredTokenVectors stored(float[][] vectors, Encoding encoding) {
    byte[] bytes = StoredTokenVectors.write(vectors, encoding);
    byte[] moved = new byte[bytes.length + 5];
    Arrays.fill(moved, (byte) 0x55);
    System.arraycopy(bytes, 0, moved, 3, bytes.length);
    return StoredTokenVectors.read(moved, 3, bytes.length);
  }

  private static float[][] rows(StoredTokenVectors stored) {
    float[][] rows = new float[stored.rows()][stored.dimensions()];
    for (int i = 0; i < rows.length; i++) {
      stored.row(i, rows[i]);
    }
    return rows;
  }

  @ParameterizedTest
  @CsvSource({"BF16, 3.9e-3, 259", "INT8, 4e-3, 139", "BIT, 1, 19"})
  void whatIsReadIsNearWhatWasWritten(Encoding encoding, double error, int bytes) {
    float[][] vectors = vectors(1, 2, 64);
    assertEquals(bytes, StoredTokenVectors.write(vectors, encoding).length);
    float[][] read = rows(stored(vectors, encoding));
    assertEquals(2, read.length);
    for (int row = 0; row < 2; row++) {
      float largest = 0;
      double length = 0;
      for (int i = 0; i < 64; i++) {
        largest = Math.max(largest, Math.abs(vectors[row][i]));
        length += read[row][i] * read[row][i];
        assertTrue(read[row][i] * vectors[row][i] >= 0, "a sign was lost");
      }
      for (int i = 0; i < 64; i++) {
        double allowed =
            encoding == Encoding.BF16 ? error * Math.abs(vectors[row][i]) : error * largest;
        assertEquals(vectors[row][i], read[row][i], allowed);
      }
      assertEquals(1, length, 0.01);
    }
  }

  @Test
  void bf16RoundsToEven() {
    float[][] halves = {{1 + 0x1p-8f, 1 + 0x3p-8f, -1 - 0x1p-8f, 0}};
    assertArrayEquals(
        new float[] {1, 1 + 0x1p-6f, -1, 0}, rows(stored(halves, Encoding.BF16))[0], 0);
  }

  @ParameterizedTest
  @EnumSource
  void noVectorsAndZerosAreStoredToo(Encoding encoding) {
    assertEquals(0, stored(new float[0][], encoding).rows());
    float[][] read = rows(stored(new float[1][9], encoding));
    assertEquals(1, read.length);
    for (float value : read[0]) {
      assertEquals(0, value, encoding == Encoding.BIT ? 1.0 / 3 + 1e-6 : 0);
    }
  }

  @Test
  void otherBytesAreRefused() {
    byte[] good = StoredTokenVectors.write(vectors(1, 3, 8), Encoding.INT8);
    for (byte[] bad :
        new byte[][] {
          {}, {1, 8}, {9, 8, 0}, {-1, 8, 0, 1}, {1, 0, 0, 1}, Arrays.copyOf(good, good.length - 1)
        }) {
      Exception e =
          assertThrows(
              IllegalArgumentException.class, () -> StoredTokenVectors.read(bad, 0, bad.length));
      assertTrue(e.getMessage().contains("bytes are no vectors of"), e.getMessage());
    }
    assertThrows(
        IllegalArgumentException.class,
        () -> StoredTokenVectors.write(new float[][] {{1, 2}, {1}}, Encoding.BF16));
  }

  @ParameterizedTest
  @ValueSource(strings = {"scalar", "vector"})
  void scoresAreThoseOfTheDefinition(String name) {
    for (int dimensions : new int[] {1, 31, 128}) {
      for (int queries : new int[] {1, 5, 32}) {
        float[][] query = vectors(dimensions, queries, dimensions);
        Backend backend = Backends.create(name, Optional.of(Precision.FP32), new Workers(1));
        try (MaxSim maxSim = new MaxSim(backend, query)) {
          for (int tokens : new int[] {1, 7, 256, 300, 513}) {
            for (Encoding encoding : Encoding.values()) {
              StoredTokenVectors document = stored(vectors(tokens, tokens, dimensions), encoding);
              assertEquals(
                  TokenVectorHead.maxSim(query, rows(document)), maxSim.score(document), 1e-5);
            }
          }
          assertEquals(0, maxSim.score(stored(new float[0][], Encoding.BF16)));
        }
      }
    }
  }

  /** Against the vectors as they were: what an encoding costs. */
  @ParameterizedTest
  @CsvSource({"BF16, 1e-3", "INT8, 2e-3", "BIT, 0.15"})
  void encodingsKeepScores(Encoding encoding, double relative) {
    Backend backend = Backends.create("auto", Optional.of(Precision.FP32), new Workers(1));
    float[][] query = vectors(5, 32, 128);
    try (MaxSim maxSim = new MaxSim(backend, query)) {
      for (int seed = 10; seed < 20; seed++) {
        float[][] document = vectors(seed, 100, 128);
        double exact = TokenVectorHead.maxSim(query, document);
        assertEquals(exact, maxSim.score(stored(document, encoding)), relative * exact);
      }
    }
  }

  @Test
  void vectorsOfAnotherModelAreRefused() {
    Backend backend = Backends.create("scalar", Optional.of(Precision.FP32), new Workers(1));
    try (MaxSim maxSim = new MaxSim(backend, vectors(1, 2, 8))) {
      Exception e =
          assertThrows(
              IllegalArgumentException.class,
              () -> maxSim.score(stored(vectors(1, 2, 9), Encoding.BF16)));
      assertEquals(
          "a document's vectors have [9] dimensions, expected the query's [8]: another model made"
              + " them",
          e.getMessage());
    }
  }
}
