package org.lanewise.encoder.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.ScalarBackend;

/** The matrices of steps, and masks. */
final class WorkspaceTest {
  private final ScalarBackend backend = new ScalarBackend(Precision.FP32);
  private final Workspace workspace = new Workspace(backend);

  @Test
  void memoryIsUsedAgainByTheNextStep() {
    Matrix first = workspace.matrix(8, 5);
    assertNotSame(first.data(), workspace.matrix(8, 5).data(), "lent twice in one step");
    workspace.reset();
    Matrix small = workspace.matrix(2, 5);
    assertEquals(2, small.rows());
    workspace.reset();
    Matrix large = workspace.matrix(100, 5);
    workspace.reset();
    Matrix fits = workspace.matrix(6, 5);
    assertNotSame(large.data(), fits.data(), "a small one leaves the large one alone");
    assertSame(large.data(), workspace.matrix(90, 5).data());
    backend.write(new float[] {1, 2, 3, 4, 5}, fits, 0, 0);
    workspace.reset();
    assertEquals(0, backend.sumOfSquares(workspace.zeros(6, 5)));
  }

  @Test
  void masksKeepTheSumOnAverage() {
    for (double share : new double[] {0.1, 0.5, 0.9}) {
      for (int columns : new int[] {1, 3, 4, 7, 64}) {
        int rows = 40_000 / columns;
        Matrix mask = workspace.mask(rows, columns, share, new Random(1)).orElseThrow();
        double dropped = 0;
        double sum = 0;
        for (int row = 0; row < rows; row++) {
          for (float number : backend.read(mask, row, columns)) {
            assertTrue(number == 0 || Math.abs(number - 1 / (1 - share)) < 1e-3, "mask " + number);
            dropped += number == 0 ? 1 : 0;
            sum += number;
          }
        }
        int numbers = rows * columns;
        // Four standard deviations.
        assertEquals(share, dropped / numbers, 4 * Math.sqrt(share * (1 - share) / numbers));
        assertEquals(1, sum / numbers, 4 * Math.sqrt(share / (1 - share) / numbers));
      }
    }
    assertEquals(Optional.empty(), workspace.mask(3, 3, 0, new Random(1)));
  }

  @Test
  void masksAreThoseOfTheGenerator() {
    Random random = new Random(5);
    float[] first = row(random);
    float[] second = row(random);
    assertArrayEquals(first, row(new Random(5)));
    assertTrue(!Arrays.equals(first, second), "two masks are alike");
  }

  private float[] row(Random random) {
    return backend.read(workspace.mask(1, 50, 0.5, random).orElseThrow(), 0, 50);
  }
}
