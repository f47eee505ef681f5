package org.lanewise.encoder.backend.cuda;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.DeviceException;
import org.lanewise.encoder.backend.Precision;

/**
 * Which products of a device cuBLASLt computes: those that it was faster at than our own kernel
 * when the first product of that shape came. That stays so for the rest of the process, so that the
 * same texts have the same vectors, unless the library fails. Thread-safe.
 */
final class BlasChoices {
  /** From a single text to a large batch; the largest first, where calls count least. */
  private static final int[] MEASURED_ROWS = {16384, 4096, 512, 64};

  /** What a product may read and write to be measured: a device has other uses for its memory. */
  private static final long MOST_BYTES = 256L << 20;

  private static final Map<Integer, BlasChoices> OF_DEVICES = new ConcurrentHashMap<>();

  private final Supplier<CudaBlas> library;
  private final Trial trial;
  private final Map<Shape, List<Figure>> figures = new ConcurrentHashMap<>();
  private String name = "cuBLASLt";
  private Optional<String> absent = Optional.empty();
  private Optional<String> failure = Optional.empty();
  private int failures;
  private boolean timed;

  /** What products have in common that differ in their rows alone. */
  record Shape(int inputSize, int outputSize, Activation activation, Precision format) {}

  /** The time that a product takes by our own kernel and by the library. */
  record Figure(int rows, double ownSeconds, double librarySeconds) {}

  /** Times products of a shape. */
  @FunctionalInterface
  interface Stopwatch {
    Figure time(int rows);
  }

  /** Says what is to be measured of a shape. */
  @FunctionalInterface
  interface Trial {
    List<Figure> figures(Shape shape, Stopwatch stopwatch);
  }

  /**
   * Creates choices.
   *
   * @param library throws an IllegalArgumentException where it cannot be used, with the reason
   */
  BlasChoices(Supplier<CudaBlas> library, Trial trial) {
    this.library = library;
    this.trial = trial;
  }

  /** Returns this process's choices on the device of that number. */
  static BlasChoices of(int device) {
    return OF_DEVICES.computeIfAbsent(device, each -> measuring(CudaBlas::load));
  }

  /** Returns choices that are measured. */
  static BlasChoices measuring(Supplier<CudaBlas> library) {
    return new BlasChoices(library, BlasChoices::measured);
  }

  /** Returns the library on a device; empty where it cannot be used. */
  synchronized Optional<BlasProducts> open(CudaDevice device) {
    try {
      BlasProducts products = new BlasProducts(library.get(), device);
      name = products.name();
      absent = Optional.empty();
      return Optional.of(products);
    } catch (IllegalArgumentException | BlasProducts.Failure e) {
      absent = Optional.of(String.valueOf(e.getMessage()));
      return Optional.empty();
    }
  }

  /** Returns what multiplies, and why, in a few words. */
  synchronized String text() {
    if (absent.isPresent()) {
      return "products: our own kernels: " + absent.get();
    }
    long faster = figures.values().stream().filter(BlasChoices::everFaster).count();
    String where =
        figures.isEmpty()
            ? " where it is faster"
            : " for " + faster + " of " + figures.size() + " shapes";
    String failed =
        failure
            .map(each -> "; it failed for " + failures + ", the last time because " + each)
            .orElse("");
    return "products: " + name + where + failed;
  }

  /**
   * Returns whether the library computes products of that shape and so many rows.
   *
   * @param stopwatch is used where none of that shape was seen yet
   */
  boolean byLibrary(Shape shape, int rows, Stopwatch stopwatch) {
    List<Figure> known = figures.get(shape);
    return faster(known == null ? measure(shape, stopwatch) : known, rows);
  }

  /** Returns whether nothing was timed before; from now on something was. */
  synchronized boolean timesFirst() {
    boolean first = !timed;
    timed = true;
    return first;
  }

  private synchronized List<Figure> measure(Shape shape, Stopwatch stopwatch) {
    List<Figure> known = figures.get(shape);
    if (known == null) {
      try {
        known = trial.figures(shape, stopwatch);
      } catch (BlasProducts.Failure e) {
        failed(shape, String.valueOf(e.getMessage()));
        return List.of();
      }
      figures.put(shape, known);
    }
    return known;
  }

  /** Notes that the library failed: it computes no product of that shape any more. */
  synchronized void failed(Shape shape, String reason) {
    figures.put(shape, List.of());
    failure = Optional.of(reason);
    failures++;
  }

  /**
   * Returns whether the library is faster at so many rows: what was measured at the next fewer, or
   * at the fewest, decides, and our own kernel where nothing was.
   */
  static boolean faster(List<Figure> figures, int rows) {
    Comparator<Figure> byRows = Comparator.comparingInt(Figure::rows);
    return figures.stream()
        .filter(each -> each.rows() <= rows)
        .max(byRows)
        .or(() -> figures.stream().min(byRows))
        .filter(BlasChoices::faster)
        .isPresent();
  }

  private static boolean faster(Figure figure) {
    return figure.librarySeconds() < figure.ownSeconds();
  }

  private static boolean everFaster(List<Figure> figures) {
    return figures.stream().anyMatch(BlasChoices::faster);
  }

  /** Measures at those numbers of rows for which there is room. */
  private static List<Figure> measured(Shape shape, Stopwatch stopwatch) {
    List<Figure> figures = new ArrayList<>();
    for (int rows : MEASURED_ROWS) {
      long numbers = (long) rows * (shape.inputSize() + shape.outputSize());
      if (numbers * shape.format().bytes() > MOST_BYTES) {
        continue;
      }
      try {
        figures.add(stopwatch.time(rows));
      } catch (DeviceException e) {
        if (e.kind() == DeviceException.Kind.LOST) {
          throw e;
        }
      }
    }
    return List.copyOf(figures);
  }
}
