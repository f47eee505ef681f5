package org.lanewise.encoder.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.BFloat16;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.DeviceException;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;

/**
 * A device's products of rows with weights: fp32 by a plain kernel, bf16 on tensor cores in
 * whichever way {@link ProductChoices} found fastest.
 *
 * <p>Before a way other than our own tiles is timed, its answer is compared with theirs: one that
 * computes something else is not used.
 */
final class CudaProducts {
  /** The system property that switches Hopper's own kernels off. */
  static final String WARPGROUPS_PROPERTY = "lanewise.gpu.warpgroups";

  private static final int PLAIN_TILE = 64;
  private static final int PLAIN_DEPTH = 16;
  private static final int PLAIN_THREADS = 256;

  /** A model has some four shapes, each measured at up to four numbers of rows. */
  private static final int TRIAL_ROUNDS = 2;

  private static final int TRIAL_REPEATS = 4;
  private static final long TRIAL_NANOS = 10_000_000;

  /** A process's first calls of the library take 200 times as long as when the JIT is done. */
  private static final long FIRST_TRIAL_NANOS = 300_000_000;

  /** Numbers that a trial's input repeats. */
  private static final int TRIAL_NUMBERS = 1 << 16;

  /**
   * How far answers may be apart, as a share of their length: bf16 rounds by 0.002, and cuBLASLt
   * twice where an activation follows.
   */
  private static final double MOST_DIFFERENCE = 0.02;

  private final CudaDevice device;
  private final Precision precision;
  private final Optional<ProductChoices> choices;
  private final Optional<BlasProducts> blas;
  private final Optional<String> warpgroupProblem;

  /** The ways that there are without the library, and all that there are. */
  private final Set<ProductChoices.Way> ownWays;

  private final Set<ProductChoices.Way> ways;

  /**
   * Rows of the output, padded with zeros to whole tiles.
   *
   * @param bias fp32
   * @param roundedBias bf16
   */
  record Weight(
      MemorySegment rows,
      int stride,
      MemorySegment bias,
      MemorySegment roundedBias,
      int inputSize,
      int outputSize)
      implements LinearWeight {}

  /** A product that a way could not compute; nothing is wrong with the device itself. */
  static final class Failure extends RuntimeException {
    private static final long serialVersionUID = 1;

    Failure(String message) {
      super(message);
    }
  }

  /**
   * Creates products; the calling thread has entered the device.
   *
   * @param choices of the way in which bf16 is multiplied; without them, by tiles
   */
  CudaProducts(CudaDevice device, Precision precision, Optional<ProductChoices> choices) {
    this.device = device;
    this.precision = precision;
    this.choices = precision == Precision.BF16 ? choices : Optional.empty();
    device.load("product");
    blas = this.choices.flatMap(each -> each.open(device));
    boolean wanted =
        this.choices.isPresent() && device.hasWarpgroups() && Backends.isOn(WARPGROUPS_PROPERTY);
    warpgroupProblem = wanted ? loadWarpgroups() : Optional.empty();
    ownWays = EnumSet.of(ProductChoices.Way.TILES);
    if (wanted && warpgroupProblem.isEmpty()) {
      ownWays.add(ProductChoices.Way.WARPGROUPS);
    }
    ways = EnumSet.copyOf(ownWays);
    if (blas.isPresent()) {
      ways.add(ProductChoices.Way.LIBRARY);
    }
  }

  /** Loads kernels of a newer PTX than all others, and returns why the driver did not take them. */
  private Optional<String> loadWarpgroups() {
    try {
      device.load("warpgroup");
      return Optional.empty();
    } catch (DeviceException e) {
      return Optional.of(String.valueOf(e.getMessage()));
    }
  }

  /** Returns what multiplies, and why, in a few words; empty without choices. */
  Optional<String> text() {
    String problem = warpgroupProblem.map(each -> "; no warpgroups: " + each).orElse("");
    return choices.map(each -> each.text() + problem);
  }

  /** Returns whether cuBLASLt can be used on the device. */
  boolean hasLibrary() {
    return blas.isPresent();
  }

  /** Returns the stride of weights for an input of that size. */
  int weightStride(int inputSize) {
    int block = precision == Precision.BF16 ? ProductTile.DEPTH : PLAIN_DEPTH;
    return CudaBackend.roundUp(inputSize, block);
  }

  /** Returns the rows of weights for an output of that size, whole tiles. */
  int weightRows(int outputSize) {
    int block = precision == Precision.BF16 ? ProductTile.COLUMN_BLOCK : PLAIN_TILE;
    return CudaBackend.roundUp(outputSize, block);
  }

  /** Launches {@code output = activation(input * weight^T + bias)}. */
  void multiply(Lane lane, Matrix input, Weight weight, Activation activation, Matrix output) {
    if (precision == Precision.FP32) {
      product(lane.kernel("product", "product_fp32_plain"), input, weight, activation, output)
          .run(
              Math.ceilDiv(input.rows(), PLAIN_TILE),
              Math.ceilDiv(output.columns(), PLAIN_TILE),
              PLAIN_THREADS,
              2 * PLAIN_TILE * PLAIN_DEPTH * Float.BYTES);
      return;
    }
    ProductChoices.Shape shape =
        new ProductChoices.Shape(
            weight.inputSize(), weight.outputSize(), activation, output.format());
    ProductChoices.Way way = way(lane, weight, shape, output);
    try {
      multiply(way, lane, input, weight, activation, output);
    } catch (Failure e) {
      choices.orElseThrow().refuse(way, shape, String.valueOf(e.getMessage()));
      multiply(ProductChoices.Way.TILES, lane, input, weight, activation, output);
    }
  }

  private ProductChoices.Way way(
      Lane lane, Weight weight, ProductChoices.Shape shape, Matrix output) {
    boolean library =
        blas.isPresent()
            && CudaBackend.aligned(output)
            && lane.workspace(blas.get().workspaceBytes()).isPresent();
    Set<ProductChoices.Way> possible = library ? ways : ownWays;
    if (possible.size() == 1 || output.rows() == 0) {
      return ProductChoices.Way.TILES;
    }
    return choices
        .orElseThrow()
        .way(shape, output.rows(), possible, count -> time(lane, weight, shape, count, possible));
  }

  /**
   * Launches a bf16 product in one way.
   *
   * @throws Failure if the library fails
   */
  void multiply(
      ProductChoices.Way way,
      Lane lane,
      Matrix input,
      Weight weight,
      Activation activation,
      Matrix output) {
    if (way == ProductChoices.Way.LIBRARY) {
      byLibrary(lane, input, weight, activation, output);
      return;
    }
    ProductTile tile =
        ProductTile.choose(
            input.rows(),
            input.columns(),
            output.columns(),
            device.multiprocessors(),
            device.sharedMemory(),
            way == ProductChoices.Way.WARPGROUPS);
    multiply(tile, lane, input, weight, activation, output);
  }

  /** Launches a bf16 product in tiles of a kind. */
  static void multiply(
      ProductTile tile,
      Lane lane,
      Matrix input,
      Weight weight,
      Activation activation,
      Matrix output) {
    String name =
        "product_bf16_"
            + tile.name().toLowerCase(Locale.ROOT)
            + "_to_"
            + CudaBackend.suffix(output);
    product(lane.kernel(tile.file(), name), halved(lane, input), weight, activation, output)
        .run(
            tile.rowTiles(input.rows()),
            tile.columnTiles(output.columns()),
            tile.threads(),
            tile.sharedBytes());
  }

  private static Lane.Launch product(
      Lane.Launch launch, Matrix left, Weight weight, Activation activation, Matrix output) {
    return launch
        .matrix(left)
        .pointer(weight.rows())
        .integer(weight.stride())
        .pointer(weight.bias())
        .integer(CudaBackend.code(activation))
        .matrix(output)
        .integer(left.rows())
        .integer(left.columns())
        .integer(output.columns());
  }

  /** Launches a product by cuBLASLt, which knows no GELU by the error function. */
  private void byLibrary(
      Lane lane, Matrix input, Weight weight, Activation activation, Matrix output) {
    BlasProducts library = blas.orElseThrow();
    long workspace = lane.workspace(library.workspaceBytes()).orElseThrow();
    MemorySegment bias = output.format() == Precision.BF16 ? weight.roundedBias() : weight.bias();
    library.multiply(
        lane,
        halved(lane, input),
        weight.rows().address(),
        weight.stride(),
        bias.address(),
        output,
        workspace);
    if (activation != Activation.IDENTITY) {
      int columns = output.columns();
      boolean wide = CudaBackend.readsEight(columns, output);
      CudaBackend.elements(
          lane.kernel("rows", (wide ? "activate_wide_" : "activate_") + CudaBackend.suffix(output))
              .matrix(output)
              .integer(CudaBackend.code(activation))
              .integer(columns),
          output.rows(),
          wide ? columns / CudaBackend.EIGHT : columns);
    }
  }

  /**
   * Returns what tensor cores can read: the matrix, or a copy in memory that the lane's next copy
   * takes again.
   */
  @SuppressWarnings("restricted") // A device address.
  private static Matrix halved(Lane lane, Matrix input) {
    if (input.format() == Precision.BF16 && CudaBackend.aligned(input)) {
      return input;
    }
    int stride = CudaBackend.roundUp(input.columns(), CudaBackend.EIGHT);
    long bytes = (long) input.rows() * stride * Short.BYTES;
    MemorySegment data = MemorySegment.ofAddress(lane.scratch(bytes)).reinterpret(bytes);
    Matrix copy = new Matrix(data, input.rows(), input.columns(), stride, Precision.BF16);
    CudaBackend.elements(
        lane.kernel("rows", "to_bf16_from_" + CudaBackend.suffix(input))
            .matrix(input)
            .matrix(copy)
            .integer(input.columns()),
        input.rows(),
        input.columns());
    return copy;
  }

  /** Times products of random rows with the weight, in turns, the fastest of each way. */
  private ProductChoices.Figure time(
      Lane lane,
      Weight weight,
      ProductChoices.Shape shape,
      int rows,
      Set<ProductChoices.Way> possible) {
    try (Arena arena = Arena.ofConfined()) {
      Matrix input =
          CudaBackend.allocate(device, lane, arena, rows, weight.inputSize(), Precision.BF16);
      Matrix output =
          CudaBackend.allocate(device, lane, arena, rows, weight.outputSize(), shape.format());
      fill(lane, input.data(), input.data().byteSize());
      Map<ProductChoices.Way, Double> seconds = new EnumMap<>(ProductChoices.Way.class);
      float[][] expected = null;
      for (ProductChoices.Way way : possible) {
        if (choices.orElseThrow().refused(way, shape)) {
          continue;
        }
        try {
          sampled(output).forEach(row -> fill(lane, row.data(), output.rowOffset(1)));
          multiply(way, lane, input, weight, shape.activation(), output);
          float[][] answer = sample(lane, output);
          if (expected == null) {
            expected = answer;
          } else {
            requireNear(expected, answer);
          }
          seconds.put(way, Double.POSITIVE_INFINITY);
        } catch (Failure e) {
          choices.orElseThrow().refuse(way, shape, String.valueOf(e.getMessage()));
        }
      }
      long nanos = choices.orElseThrow().timesFirst() ? FIRST_TRIAL_NANOS : TRIAL_NANOS;
      long began = System.nanoTime();
      for (int round = 0; round < TRIAL_ROUNDS || System.nanoTime() - began < nanos; round++) {
        for (ProductChoices.Way way : EnumSet.copyOf(seconds.keySet())) {
          try {
            double taken =
                seconds(lane, () -> multiply(way, lane, input, weight, shape.activation(), output));
            seconds.merge(way, taken, Math::min);
          } catch (Failure e) {
            choices.orElseThrow().refuse(way, shape, String.valueOf(e.getMessage()));
            seconds.remove(way);
          }
        }
      }
      return new ProductChoices.Figure(rows, seconds);
    }
  }

  /** Fills memory with bf16 numbers: zeros would hide mistakes, and are multiplied faster. */
  private static void fill(Lane lane, MemorySegment memory, long bytes) {
    MemorySegment numbers = TrialNumbers.SEGMENT;
    for (long done = 0; done < bytes; done += numbers.byteSize()) {
      long count = Math.min(bytes - done, numbers.byteSize());
      lane.copyIn(memory.address() + done, numbers.asSlice(0, count));
    }
  }

  private static final class TrialNumbers {
    static final MemorySegment SEGMENT = MemorySegment.ofArray(numbers());

    private static short[] numbers() {
      SplittableRandom random = new SplittableRandom(0);
      short[] numbers = new short[TRIAL_NUMBERS];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = (short) BFloat16.bits((float) random.nextGaussian());
      }
      return numbers;
    }
  }

  /** Returns the first row, one in the middle and the last. */
  private static List<Matrix> sampled(Matrix output) {
    return IntStream.of(0, output.rows() / 2, output.rows() - 1)
        .mapToObj(row -> output.rows(row, 1))
        .toList();
  }

  private static float[][] sample(Lane lane, Matrix output) {
    return sampled(output).stream()
        .map(row -> CudaBackend.read(lane, row, output.columns())[0])
        .toArray(float[][]::new);
  }

  private static void requireNear(float[][] expected, float[][] actual) {
    double squares = 0;
    double differences = 0;
    for (int row = 0; row < expected.length; row++) {
      for (int i = 0; i < expected[row].length; i++) {
        double difference = expected[row][i] - actual[row][i];
        squares += expected[row][i] * expected[row][i];
        differences += difference * difference;
      }
    }
    double share = differences == 0 ? 0 : Math.sqrt(differences / squares);
    if (!(share <= MOST_DIFFERENCE)) {
      throw new Failure(
          String.format(
              Locale.ROOT,
              "its answers differ from those of our own tiles by [%.3g] of their length, expected"
                  + " at most [%s]",
              share,
              MOST_DIFFERENCE));
    }
  }

  private static double seconds(Lane lane, Runnable product) {
    long began = System.nanoTime();
    for (int i = 0; i < TRIAL_REPEATS; i++) {
      product.run();
    }
    lane.synchronize();
    return (System.nanoTime() - began) / 1e9 / TRIAL_REPEATS;
  }
}
