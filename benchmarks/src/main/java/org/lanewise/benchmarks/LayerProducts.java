package org.lanewise.benchmarks;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.VectorBackend;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.model.EncoderSizes;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/**
 * How fast one thread multiplies when nothing else is to be done, which bounds how fast a bulk can
 * be. Numbers are random: a processor that multiplies zeros draws less power, and is faster.
 */
final class LayerProducts {
  /** Rows of a bulk that goes through all layers. */
  private static final int ROWS = 1024;

  /** A product that fits a second cache of 2 MB with everything it reads and writes, in fp32. */
  private static final int CACHED_ROWS = 128;

  private static final int CACHED_DEPTH = 384;
  private static final int CACHED_COLUMNS = 768;
  private static final int CACHED_REPEATS = 400;

  private static final int LEAST_PASSES = 5;

  /** For so long the JIT compiles, and then passes are timed. */
  private static final long NANOS = 1_500_000_000L;

  /**
   * What was measured.
   *
   * @param operations of the products of all layers for one token
   * @param cached operations per second where weights, rows and sums stay in the second cache
   * @param layers operations per second of the products of all layers in turn, as a bulk meets them
   */
  record Speed(String shape, String precision, double operations, double cached, double layers) {}

  private record Layer(
      LinearWeight queryKeyValue, LinearWeight context, LinearWeight up, LinearWeight down) {}

  private final Backend backend;
  private final Arena arena;
  private final Random random = new Random(1);

  private LayerProducts(Precision precision, Arena arena) {
    backend = new VectorBackend(precision, new Workers(1));
    this.arena = arena;
  }

  /** Measures both on weights of the model's sizes. */
  static Speed measure(String shape, EncoderSizes sizes, Precision precision) {
    try (Arena arena = Arena.ofShared()) {
      LayerProducts products = new LayerProducts(precision, arena);
      double operations = 2.0 * OwnFigures.layerWeights(sizes);
      double layers = ROWS * operations / products.layerSeconds(sizes);
      return new Speed(shape, precision.label(), operations, products.cached(), layers);
    }
  }

  private double cached() {
    LinearWeight weight = weight(random(CACHED_COLUMNS, CACHED_DEPTH));
    Matrix input = matrix(CACHED_ROWS, CACHED_DEPTH);
    Matrix output = backend.allocate(arena, CACHED_ROWS, CACHED_COLUMNS);
    double operations = 2.0 * CACHED_ROWS * CACHED_DEPTH * CACHED_COLUMNS * CACHED_REPEATS;
    return operations
        / seconds(
            () -> {
              for (int i = 0; i < CACHED_REPEATS; i++) {
                backend.linear(input, weight, Activation.IDENTITY, output);
              }
            });
  }

  private double layerSeconds(EncoderSizes sizes) {
    int hidden = sizes.hiddenSize();
    int between = sizes.intermediateSize();
    Tensor square = random(hidden, hidden);
    Tensor wide = random(between, hidden);
    Tensor narrow = random(hidden, between);
    List<Layer> layers = new ArrayList<>();
    for (int i = 0; i < sizes.layers(); i++) {
      layers.add(
          new Layer(weight(square, square, square), weight(square), weight(wide), weight(narrow)));
    }
    Matrix input = matrix(ROWS, hidden);
    Matrix projected = backend.allocate(arena, ROWS, 3 * hidden);
    Matrix activated = backend.allocate(arena, ROWS, between);
    Matrix output = backend.allocate(arena, ROWS, hidden);
    return seconds(
        () -> {
          for (Layer layer : layers) {
            backend.linear(input, layer.queryKeyValue(), Activation.IDENTITY, projected);
            backend.linear(input, layer.context(), Activation.IDENTITY, output);
            backend.feedForward(
                input, layer.up(), Activation.GELU, layer.down(), activated, output);
          }
        });
  }

  /** The fastest of some passes, because what bounds a bulk is wanted. */
  private static double seconds(Runnable pass) {
    long warm = System.nanoTime() + NANOS;
    do {
      pass.run();
    } while (System.nanoTime() < warm);
    long best = Long.MAX_VALUE;
    long end = System.nanoTime() + NANOS;
    for (int i = 0; i < LEAST_PASSES || System.nanoTime() < end; i++) {
      long began = System.nanoTime();
      pass.run();
      best = Math.min(best, System.nanoTime() - began);
    }
    return best / 1e9;
  }

  private LinearWeight weight(Tensor... stacked) {
    return backend.prepareLinear(arena, List.of(stacked), List.of());
  }

  private Matrix matrix(int rows, int columns) {
    Matrix matrix = backend.allocate(arena, rows, columns);
    for (int row = 0; row < rows; row++) {
      float[] numbers = new float[columns];
      for (int i = 0; i < columns; i++) {
        numbers[i] = (float) random.nextGaussian();
      }
      backend.write(numbers, matrix, row, 0);
    }
    return matrix;
  }

  private Tensor random(int rows, int columns) {
    MemorySegment data = arena.allocate(ValueLayout.JAVA_FLOAT, (long) rows * columns);
    for (long i = 0; i < (long) rows * columns; i++) {
      data.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) (random.nextGaussian() * 0.05));
    }
    return new Tensor("random", DataType.F32, new long[] {rows, columns}, data);
  }
}
