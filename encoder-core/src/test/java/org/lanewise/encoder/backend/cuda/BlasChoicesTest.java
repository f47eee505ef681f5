package org.lanewise.encoder.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.DeviceException;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.cuda.BlasChoices.Figure;
import org.lanewise.encoder.backend.cuda.BlasChoices.Shape;

/** Who multiplies, by made-up times. */
final class BlasChoicesTest {
  private static final Shape SMALL = new Shape(384, 1152, Activation.IDENTITY, Precision.BF16);
  private static final Shape WIDE = new Shape(768, 30522, Activation.IDENTITY, Precision.FP32);

  private final List<Integer> timed = new ArrayList<>();

  private static CudaBlas missing() {
    throw new IllegalArgumentException("no library in this test");
  }

  /** The library is faster from 512 rows on. */
  private Figure time(int rows) {
    timed.add(rows);
    return new Figure(rows, 1e-6 * rows, 1e-4 + 5e-7 * rows);
  }

  @Test
  void whatWasMeasuredAtTheNextFewerRowsDecides() {
    List<Figure> figures =
        List.of(new Figure(4096, 2, 1), new Figure(64, 1, 2), new Figure(512, 1, 1));
    assertFalse(BlasChoices.faster(figures, 1));
    assertFalse(BlasChoices.faster(figures, 64));
    assertFalse(BlasChoices.faster(figures, 511));
    assertFalse(BlasChoices.faster(figures, 4095), "our own kernel is as fast at 512");
    assertTrue(BlasChoices.faster(figures, 4096));
    assertTrue(BlasChoices.faster(figures, Integer.MAX_VALUE));
    assertTrue(BlasChoices.faster(List.of(new Figure(64, 2, 1), new Figure(512, 1, 2)), 3));
    assertTrue(BlasChoices.faster(List.of(new Figure(64, 1, 2), new Figure(512, 2, 1)), 512));
    assertFalse(BlasChoices.faster(List.of(), 3));
  }

  @Test
  void aShapeIsMeasuredOnceWhereThereIsRoom() {
    BlasChoices choices = BlasChoices.measuring(BlasChoicesTest::missing);
    assertEquals("products: cuBLASLt where it is faster", choices.text());
    assertTrue(choices.byLibrary(SMALL, 700, this::time));
    assertFalse(choices.byLibrary(SMALL, 100, this::time));
    assertEquals(List.of(16384, 4096, 512, 64), timed);
    timed.clear();
    assertTrue(choices.byLibrary(WIDE, 700, this::time));
    assertEquals(List.of(512, 64), timed);
    assertEquals("products: cuBLASLt for 2 of 2 shapes", choices.text());
  }

  @Test
  void memoryThatIsFullIsNotMeasured() {
    BlasChoices choices = BlasChoices.measuring(BlasChoicesTest::missing);
    boolean chosen =
        choices.byLibrary(
            SMALL,
            10_000,
            rows -> {
              if (rows > 100) {
                throw new DeviceException(DeviceException.Kind.OUT_OF_MEMORY, "full");
              }
              return time(rows);
            });
    assertFalse(chosen);
    assertEquals(List.of(64), timed);
    assertThrows(
        DeviceException.class,
        () ->
            choices.byLibrary(
                WIDE,
                10_000,
                rows -> {
                  throw new DeviceException(DeviceException.Kind.LOST, "lost");
                }));
  }

  @Test
  void aShapeThatFailedStaysWithOurOwnKernel() {
    BlasChoices choices =
        new BlasChoices(
            BlasChoicesTest::missing, (shape, stopwatch) -> List.of(stopwatch.time(1000)));
    assertTrue(choices.byLibrary(SMALL, 1, this::time));
    choices.failed(SMALL, "cublasLtMatmul failed: X");
    assertFalse(choices.byLibrary(SMALL, 1, this::time));
    assertFalse(
        choices.byLibrary(
            WIDE,
            1,
            rows -> {
              throw new BlasProducts.Failure("cublasLtMatmul failed: Y");
            }));
    assertEquals(
        "products: cuBLASLt for 0 of 2 shapes; it failed for 2, the last time because"
            + " cublasLtMatmul failed: Y",
        choices.text());
  }
}
