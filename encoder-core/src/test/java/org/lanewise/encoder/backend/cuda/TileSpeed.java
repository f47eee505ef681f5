package org.lanewise.encoder.backend.cuda;

import java.io.PrintStream;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/**
 * Times every tile and cuBLASLt on the products of encoders, on this machine's device: what {@link
 * ProductTile}'s estimates are to be replaced by. benchmarks/gpu.sh starts it.
 */
public final class TileSpeed {
  private static final int REPEATS = 20;
  private static final int ROUNDS = 7;

  /** Depth and columns: what MiniLM and a base model multiply. */
  private static final int[][] WEIGHTS = {
    {384, 1152},
    {384, 384},
    {384, 1536},
    {1536, 384},
    {768, 2304},
    {768, 768},
    {768, 3072},
    {3072, 768}
  };

  private TileSpeed() {}

  /** Prints a table: TFLOP/s of each tile, the chosen ones marked, and of cuBLASLt. */
  public static void main(String[] arguments) {
    PrintStream out = System.out;
    CudaDevice device = CudaDevice.open(CudaDriver.load(), 0, Long.MAX_VALUE);
    CudaBackend backend =
        new CudaBackend(device, Precision.BF16, Optional.of(ProductChoices.of(0)));
    out.println(backend.kernelsReason());
    out.println(
        "| rows | depth | columns | "
            + Arrays.toString(ProductTile.values())
            + " TFLOP/s | cuBLASLt | cuBLASLt and GELU | ours and GELU |");
    out.println("|---|---|---|---|---|---|---|");
    for (int rows : new int[] {12, 128, 512, 2048, 8192, 32768}) {
      for (int[] weight : WEIGHTS) {
        try (Arena arena = Arena.ofConfined()) {
          StringBuilder line = new StringBuilder();
          Set<ProductTile> chosen = chosen(device, rows, weight[0], weight[1]);
          Product product = new Product(backend, arena, rows, weight[0], weight[1]);
          double work = 2e-12 * rows * weight[0] * weight[1];
          for (ProductTile tile : ProductTile.values()) {
            if (tile.ofWarpgroups() && !device.hasWarpgroups()) {
              continue;
            }
            double rate = work / product.seconds(Activation.IDENTITY, tile);
            line.append(
                String.format(Locale.ROOT, chosen.contains(tile) ? " **%.1f**" : " %.1f", rate));
          }
          out.printf(
              Locale.ROOT,
              "| %d | %d | %d |%s | %s | %s | %s |%n",
              rows,
              weight[0],
              weight[1],
              line,
              product.library(Activation.IDENTITY, work),
              product.library(Activation.GELU, work),
              chosen.stream()
                  .map(tile -> work / product.seconds(Activation.GELU, tile))
                  .map(rate -> String.format(Locale.ROOT, "%.1f", rate))
                  .collect(Collectors.joining(" ")));
        }
      }
    }
  }

  /** Returns the tile that is chosen of each way that the device has. */
  private static Set<ProductTile> chosen(CudaDevice device, int rows, int depth, int columns) {
    Set<ProductTile> chosen = EnumSet.noneOf(ProductTile.class);
    for (boolean warpgroups :
        device.hasWarpgroups() ? new boolean[] {false, true} : new boolean[1]) {
      chosen.add(
          ProductTile.choose(
              rows, depth, columns, device.multiprocessors(), device.sharedMemory(), warpgroups));
    }
    return chosen;
  }

  /** One product with random numbers. */
  private static final class Product {
    private final CudaBackend backend;
    private final Matrix input;
    private final Matrix output;
    private final LinearWeight weight;

    Product(CudaBackend backend, Arena arena, int rows, int depth, int columns) {
      this.backend = backend;
      Random random = new Random(1);
      float[] numbers = new float[depth * columns];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = (float) random.nextGaussian();
      }
      Tensor tensor =
          new Tensor(
              "random",
              DataType.F32,
              new long[] {columns, depth},
              arena.allocateFrom(ValueLayout.JAVA_FLOAT, numbers));
      weight = backend.prepareLinear(arena, List.of(tensor), List.of());
      input = backend.allocateState(arena, rows, depth);
      output = backend.allocateState(arena, rows, columns);
      for (int row = 0; row < rows; row++) {
        int first = row % columns * depth;
        backend.write(Arrays.copyOfRange(numbers, first, first + depth), input, row, 0);
      }
    }

    double seconds(Activation activation, ProductTile tile) {
      return seconds(() -> backend.multiply(tile, input, weight, activation, output));
    }

    /** Returns the library's TFLOP/s for so many TFLOP, or why there are none. */
    String library(Activation activation, double work) {
      if (!backend.hasLibrary()) {
        return "absent";
      }
      try {
        double seconds =
            seconds(
                () ->
                    backend.multiply(
                        ProductChoices.Way.LIBRARY, input, weight, activation, output));
        return String.format(Locale.ROOT, "%.1f", work / seconds);
      } catch (CudaProducts.Failure e) {
        return e.getMessage();
      }
    }

    private double seconds(Runnable operation) {
      double[] rounds = new double[ROUNDS];
      for (int round = 0; round < ROUNDS; round++) {
        long began = System.nanoTime();
        for (int i = 0; i < REPEATS; i++) {
          operation.run();
        }
        backend.read(output, 0, 1);
        rounds[round] = (System.nanoTime() - began) / 1e9 / REPEATS;
      }
      Arrays.sort(rounds);
      return rounds[ROUNDS / 2];
    }
  }
}
