package org.lanewise.encoder.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.DeviceException;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.cuda.ProductChoices.Figure;
import org.lanewise.encoder.backend.cuda.ProductChoices.Shape;
import org.lanewise.encoder.backend.cuda.ProductChoices.Way;

/** Who multiplies, by made-up times. */
final class ProductChoicesTest {
  private static final Shape SMALL = new Shape(384, 1152, Activation.IDENTITY, Precision.BF16);
  private static final Shape WIDE = new Shape(768, 30522, Activation.IDENTITY, Precision.FP32);

  private static final Set<Way> ALL = EnumSet.allOf(Way.class);

  private final List<Integer> timed = new ArrayList<>();

  private static CudaBlas missing() {
    throw new IllegalArgumentException("no library in this test");
  }

  /** The library is faster from 512 rows on, and warpgroups from 8192. */
  private Figure time(int rows) {
    timed.add(rows);
    return figure(rows, 1e-6 * rows, 1e-4 + 5e-7 * rows, 1e-3 + 4e-7 * rows);
  }

  private static Figure figure(int rows, double tiles, double library) {
    return new Figure(rows, Map.of(Way.TILES, tiles, Way.LIBRARY, library));
  }

  private static Figure figure(int rows, double tiles, double library, double warpgroups) {
    return new Figure(
        rows, Map.of(Way.TILES, tiles, Way.LIBRARY, library, Way.WARPGROUPS, warpgroups));
  }

  private static Way fastest(int rows, Figure... figures) {
    return ProductChoices.fastest(List.of(figures), rows, ALL);
  }

  @Test
  void whatWasMeasuredAtTheNextFewerRowsDecides() {
    Figure[] figures = {figure(4096, 2, 1), figure(64, 1, 2), figure(512, 1, 1)};
    assertEquals(Way.TILES, fastest(1, figures));
    assertEquals(Way.TILES, fastest(64, figures));
    assertEquals(Way.TILES, fastest(511, figures));
    assertEquals(Way.TILES, fastest(4095, figures), "our own kernel is as fast at 512");
    assertEquals(Way.LIBRARY, fastest(4096, figures));
    assertEquals(Way.LIBRARY, fastest(Integer.MAX_VALUE, figures));
    assertEquals(Way.LIBRARY, fastest(3, figure(64, 2, 1), figure(512, 1, 2)));
    assertEquals(Way.LIBRARY, fastest(512, figure(64, 1, 2), figure(512, 2, 1, 2)));
    assertEquals(Way.TILES, fastest(3));
  }

  @Test
  void onlyWhatIsPossibleIsChosen() {
    List<Figure> figures = List.of(figure(64, 3, 2, 1));
    assertEquals(Way.WARPGROUPS, ProductChoices.fastest(figures, 64, ALL));
    assertEquals(
        Way.LIBRARY, ProductChoices.fastest(figures, 64, EnumSet.of(Way.TILES, Way.LIBRARY)));
    assertEquals(Way.TILES, ProductChoices.fastest(figures, 64, EnumSet.of(Way.TILES)));
  }

  @Test
  void aShapeIsMeasuredOnceWhereThereIsRoom() {
    ProductChoices choices = ProductChoices.measuring(ProductChoicesTest::missing);
    assertEquals("products: cuBLASLt where it is faster", choices.text());
    assertEquals(Way.LIBRARY, choices.way(SMALL, 700, ALL, this::time));
    assertEquals(Way.TILES, choices.way(SMALL, 100, ALL, this::time));
    assertEquals(Way.WARPGROUPS, choices.way(SMALL, 20_000, ALL, this::time));
    assertEquals(List.of(16384, 4096, 512, 64), timed);
    timed.clear();
    assertEquals(Way.LIBRARY, choices.way(WIDE, 700, ALL, this::time));
    assertEquals(List.of(512, 64), timed);
    assertEquals(
        "products: cuBLASLt for 2 of 2 shapes; warpgroups for 1 of 2 shapes", choices.text());
  }

  @Test
  void memoryThatIsFullIsNotMeasured() {
    ProductChoices choices = ProductChoices.measuring(ProductChoicesTest::missing);
    Way chosen =
        choices.way(
            SMALL,
            10_000,
            ALL,
            rows -> {
              if (rows > 100) {
                throw new DeviceException(DeviceException.Kind.OUT_OF_MEMORY, "full");
              }
              return time(rows);
            });
    assertEquals(Way.TILES, chosen);
    assertEquals(List.of(64), timed);
    assertThrows(
        DeviceException.class,
        () ->
            choices.way(
                WIDE,
                10_000,
                ALL,
                rows -> {
                  throw new DeviceException(DeviceException.Kind.LOST, "lost");
                }));
  }

  @Test
  void aShapeThatFailedGoesAnotherWay() {
    ProductChoices choices =
        new ProductChoices(
            ProductChoicesTest::missing, (shape, stopwatch) -> List.of(stopwatch.time(1000)));
    assertEquals(Way.LIBRARY, choices.way(SMALL, 1, ALL, this::time));
    choices.refuse(Way.LIBRARY, SMALL, "cublasLtMatmul failed: X");
    assertEquals(Way.TILES, choices.way(SMALL, 1, ALL, this::time));
    // What fails while it is measured is not chosen either.
    assertEquals(
        Way.TILES,
        choices.way(
            WIDE,
            1,
            ALL,
            rows -> {
              choices.refuse(Way.LIBRARY, WIDE, "cublasLtMatmul failed: Y");
              choices.refuse(Way.WARPGROUPS, WIDE, "Z");
              return figure(rows, 3, 2, 1);
            }));
    assertEquals(
        "products: cuBLASLt for 0 of 2 shapes; warpgroups for 0 of 2 shapes; cuBLASLt failed for 2,"
            + " the last time because cublasLtMatmul failed: Y; warpgroups failed for 1, the last"
            + " time because Z",
        choices.text());
  }
}
