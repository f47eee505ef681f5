package org.lanewise.benchmarks;

import java.io.PrintStream;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.AttentionPattern;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.NormKind;
import org.lanewise.encoder.backend.NormWeight;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * {@code benchmarks device-speed}: a roofline for the operations of an encoder layer on a device:
 * their time beside what the device's arithmetic and its memory allow.
 */
@Command(
    name = "device-speed",
    description = "Times the operations of an encoder layer beside the device's limits.",
    mixinStandardHelpOptions = true)
final class DeviceSpeedCommand implements Callable<Integer> {
  private static final int REPEATS = 20;
  private static final int ROUNDS = 5;
  private static final int LONG_TEXT = 512;
  private static final double TERA = 1e12;
  private static final double GIGA = 1e9;

  @Option(names = "--backend", paramLabel = "NAME", description = "The backend; cuda unless given.")
  private String name = "cuda";

  @Option(
      names = "--tokens",
      paramLabel = "N",
      description = "Tokens of a batch; 32768 unless given.")
  private int tokens = 32768;

  @Option(
      names = "--matrix-rate",
      paramLabel = "TFLOPS",
      description = "What the device multiplies in bf16, measured in the same run; 0 if unknown.")
  private double matrixRate;

  @Option(
      names = "--bandwidth",
      paramLabel = "GB/S",
      description = "What the device copies, reads and writes counted; 0 if unknown.")
  private double bandwidth;

  private final Random random = new Random(1);
  private final PrintStream out = System.out;

  @Override
  public Integer call() {
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(1)) {
      Backend backend = Backends.create(name, Optional.of(Precision.BF16), workers);
      out.println(backend.kernelsReason());
      out.println();
      out.println("| operation | us | TFLOP/s | GB/s | share of the nearer limit |");
      out.println("|---|---|---|---|---|");
      layer(backend, arena, "minilm", 384, 12, 1536);
      layer(backend, arena, "base", 768, 12, 3072);
      out.println();
      out.println(backend.kernelsReason());
    }
    return 0;
  }

  private void layer(Backend backend, Arena arena, String shape, int size, int heads, int between) {
    Matrix hidden = filled(backend, arena, size);
    Matrix other = filled(backend, arena, size);
    Matrix sum = filled(backend, arena, size);
    Matrix queryKeyValue = filled(backend, arena, 3 * size);
    Matrix intermediate = filled(backend, arena, between);
    LinearWeight first = weight(backend, arena, hidden, queryKeyValue);
    LinearWeight second = weight(backend, arena, other, sum);
    LinearWeight third = weight(backend, arena, hidden, intermediate);
    LinearWeight fourth = weight(backend, arena, intermediate, other);
    linear(
        backend, shape + " query, key, value", hidden, first, Activation.IDENTITY, queryKeyValue);
    linear(backend, shape + " output", other, second, Activation.IDENTITY, sum);
    linear(backend, shape + " feed-forward in", hidden, third, Activation.GELU, intermediate);
    linear(backend, shape + " feed-forward out", intermediate, fourth, Activation.IDENTITY, other);
    AttentionPattern pattern = AttentionPattern.full(heads, size / heads);
    for (int length : new int[] {32, 128, LONG_TEXT}) {
      PackedBatch batch = texts(length);
      time(
          backend,
          shape + " attention of " + length,
          other,
          4.0 * tokens * length * size,
          2.0 * tokens * 4 * size,
          () -> backend.attention(queryKeyValue, batch, pattern, other));
    }
    Tensor ones = tensor(arena, 1, size);
    NormWeight norm = backend.prepareNorm(arena, NormKind.LAYER, ones, Optional.of(ones), 1e-12f);
    time(
        backend,
        shape + " add and norm",
        other,
        0,
        2.0 * tokens * 3 * size,
        () -> backend.addNorm(hidden, other, norm, other));
    PackedBatch batch = texts(LONG_TEXT);
    // By the matrix rate alone: what is bound by memory is part of what it costs.
    time(
        backend,
        shape + " layer, texts of " + LONG_TEXT,
        hidden,
        2.0 * tokens * size * (4.0 * size + 2.0 * between) + 4.0 * tokens * LONG_TEXT * size,
        0,
        () -> {
          backend.linear(hidden, first, Activation.IDENTITY, queryKeyValue);
          backend.attention(queryKeyValue, batch, pattern, other);
          backend.linear(other, second, Activation.IDENTITY, sum);
          backend.addNorm(sum, hidden, norm, hidden);
          backend.linear(hidden, third, Activation.GELU, intermediate);
          backend.linear(intermediate, fourth, Activation.IDENTITY, other);
          backend.addNorm(other, hidden, norm, hidden);
        });
  }

  private PackedBatch texts(int length) {
    return PackedBatch.of(IntStream.rangeClosed(0, tokens / length).map(i -> i * length).toArray());
  }

  private LinearWeight weight(Backend backend, Arena arena, Matrix input, Matrix output) {
    return backend.prepareLinear(
        arena,
        List.of(tensor(arena, output.columns(), input.columns())),
        List.of(tensor(arena, 1, output.columns())));
  }

  private void linear(
      Backend backend,
      String what,
      Matrix input,
      LinearWeight weight,
      Activation activation,
      Matrix output) {
    double product = (double) input.columns() * output.columns();
    time(
        backend,
        what,
        output,
        2.0 * tokens * product,
        2.0 * (product + (double) tokens * (input.columns() + output.columns())),
        () -> backend.linear(input, weight, activation, output));
  }

  private void time(
      Backend backend, String what, Matrix output, double flops, double bytes, Runnable operation) {
    List<Double> rounds = new ArrayList<>();
    for (int round = 0; round <= ROUNDS; round++) {
      long began = System.nanoTime();
      for (int i = 0; i < REPEATS; i++) {
        operation.run();
      }
      // Reading waits for all of them.
      backend.read(output, 0, 1);
      rounds.add((System.nanoTime() - began) / 1e9 / REPEATS);
    }
    double seconds =
        Timing.median(rounds.stream().skip(1).mapToDouble(Double::doubleValue).toArray());
    double floor =
        Math.max(
            matrixRate > 0 ? flops / (matrixRate * TERA) : 0,
            bandwidth > 0 ? bytes / (bandwidth * GIGA) : 0);
    out.printf(
        Locale.ROOT,
        "| %s | %.1f | %.0f | %.0f | %.2f |%n",
        what,
        seconds * 1e6,
        flops / seconds / TERA,
        bytes / seconds / GIGA,
        floor / seconds);
  }

  private Matrix filled(Backend backend, Arena arena, int columns) {
    Matrix matrix = backend.allocateState(arena, tokens, columns);
    for (int row = 0; row < tokens; row++) {
      backend.write(numbers(columns), matrix, row, 0);
    }
    return matrix;
  }

  private float[] numbers(int count) {
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = (float) random.nextGaussian();
    }
    return numbers;
  }

  private Tensor tensor(Arena arena, int rows, int columns) {
    float[] numbers = numbers(rows * columns);
    float scale = rows == 1 ? 1 : (float) (1 / Math.sqrt(columns));
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] *= scale;
    }
    long[] shape = rows == 1 ? new long[] {columns} : new long[] {rows, columns};
    return new Tensor(
        "random", DataType.F32, shape, arena.allocateFrom(ValueLayout.JAVA_FLOAT, numbers));
  }
}
