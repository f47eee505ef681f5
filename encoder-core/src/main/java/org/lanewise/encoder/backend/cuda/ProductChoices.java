package org.lanewise.encoder.backend.cuda;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.DeviceException;
import org.lanewise.encoder.backend.Precision;

/**
 * In which way a device computes products: each shape in the one that was fastest when the first
 * product of that shape came. That stays so for the rest of the process, so that the same texts
 * have the same vectors, unless the library fails. Thread-safe.
 */
final class ProductChoices {
  /** From a single text to a large batch; the largest first, where calls count least. */
  private static final int[] MEASURED_ROWS = {16384, 4096, 512, 64};

  /** What a product may read and write to be measured: a device has other uses for its memory. */
  private static final long MOST_BYTES = 256L << 20;

  private static final Set<Way> ALL = EnumSet.allOf(Way.class);

  private static final Map<Integer, ProductChoices> OF_DEVICES = new ConcurrentHashMap<>();

  private final Supplier<CudaBlas> library;
  private final Trial trial;
  private final Map<Shape, List<Figure>> figures = new ConcurrentHashMap<>();
  private final Map<Way, Map<Shape, String>> refused = new EnumMap<>(Way.class);
  private String name = "cuBLASLt";
  private Optional<String> absent = Optional.empty();
  private boolean timed;

  /** What multiplies. */
  enum Way {
    /** Our own kernels for any tensor cores, which can always be used. */
    TILES,
    /** Our own kernels for Hopper's. */
    WARPGROUPS,
    /** cuBLASLt. */
    LIBRARY
  }

  /** What products have in common that differ in their rows alone. */
  record Shape(int inputSize, int outputSize, Activation activation, Precision format) {}

  /** The seconds that a product of so many rows takes in each way that was tried. */
  record Figure(int rows, Map<Way, Double> seconds) {

    /** Returns the fastest of the ways that may be used; tiles if none was tried. */
    Way fastest(Set<Way> possible) {
      return Arrays.stream(Way.values())
          .filter(each -> possible.contains(each) && seconds.containsKey(each))
          .min(Comparator.comparing(seconds::get))
          .orElse(Way.TILES);
    }
  }

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
  ProductChoices(Supplier<CudaBlas> library, Trial trial) {
    this.library = library;
    this.trial = trial;
  }

  /** Returns this process's choices on the device of that number. */
  static ProductChoices of(int device) {
    return OF_DEVICES.computeIfAbsent(device, each -> measuring(CudaBlas::load));
  }

  /** Returns choices that are measured. */
  static ProductChoices measuring(Supplier<CudaBlas> library) {
    return new ProductChoices(library, ProductChoices::measured);
  }

  /** Returns the library on a device; empty where it cannot be used. */
  synchronized Optional<BlasProducts> open(CudaDevice device) {
    try {
      BlasProducts products = new BlasProducts(library.get(), device);
      name = products.name();
      absent = Optional.empty();
      return Optional.of(products);
    } catch (IllegalArgumentException | CudaProducts.Failure e) {
      absent = Optional.of(String.valueOf(e.getMessage()));
      return Optional.empty();
    }
  }

  /** Returns what multiplies, and why, in a few words. */
  synchronized String text() {
    String text =
        absent
            .map(each -> "products: our own kernels: " + each)
            .orElseGet(
                () ->
                    "products: "
                        + name
                        + (figures.isEmpty() ? " where it is faster" : shapes(Way.LIBRARY)));
    if (figures.values().stream().anyMatch(each -> tried(each, Way.WARPGROUPS))) {
      text += "; warpgroups" + shapes(Way.WARPGROUPS);
    }
    return text + failures(Way.LIBRARY, "cuBLASLt") + failures(Way.WARPGROUPS, "warpgroups");
  }

  private static boolean tried(List<Figure> figures, Way way) {
    return figures.stream().anyMatch(each -> each.seconds().containsKey(way));
  }

  private String shapes(Way way) {
    long fastest =
        figures.values().stream()
            .filter(each -> each.stream().anyMatch(figure -> figure.fastest(ALL) == way))
            .count();
    return " for " + fastest + " of " + figures.size() + " shapes";
  }

  private String failures(Way way, String subject) {
    Map<Shape, String> reasons = refused.getOrDefault(way, Map.of());
    if (reasons.isEmpty()) {
      return "";
    }
    String last = List.copyOf(reasons.values()).getLast();
    return "; " + subject + " failed for " + reasons.size() + ", the last time because " + last;
  }

  /**
   * Returns in which way to compute a product of that shape and so many rows: what was fastest at
   * the next fewer rows that were measured, or at the fewest, and tiles where nothing was.
   *
   * @param possible the ways that there are
   * @param stopwatch is used where none of that shape was seen yet
   */
  Way way(Shape shape, int rows, Set<Way> possible, Stopwatch stopwatch) {
    List<Figure> known = figures.get(shape);
    return fastest(known == null ? measure(shape, stopwatch) : known, rows, possible);
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
      known = trial.figures(shape, stopwatch);
      for (Way way : Way.values()) {
        known = refused(way, shape) ? without(way, known) : known;
      }
      figures.put(shape, known);
    }
    return known;
  }

  /** Notes that a way failed: it computes no product of that shape any more. */
  synchronized void refuse(Way way, Shape shape, String reason) {
    refused.computeIfAbsent(way, each -> new LinkedHashMap<>()).put(shape, reason);
    figures.computeIfPresent(shape, (each, known) -> without(way, known));
  }

  private static List<Figure> without(Way way, List<Figure> figures) {
    return figures.stream()
        .map(
            figure -> {
              Map<Way, Double> seconds = new EnumMap<>(Way.class);
              seconds.putAll(figure.seconds());
              seconds.remove(way);
              return new Figure(figure.rows(), seconds);
            })
        .toList();
  }

  /** Returns whether a way has failed for that shape. */
  synchronized boolean refused(Way way, Shape shape) {
    return refused.getOrDefault(way, Map.of()).containsKey(shape);
  }

  static Way fastest(List<Figure> figures, int rows, Set<Way> possible) {
    Comparator<Figure> byRows = Comparator.comparingInt(Figure::rows);
    return figures.stream()
        .filter(each -> each.rows() <= rows)
        .max(byRows)
        .or(() -> figures.stream().min(byRows))
        .map(each -> each.fastest(possible))
        .orElse(Way.TILES);
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
