package org.lanewise.benchmarks;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.ScalarBackend;
import org.lanewise.encoder.backend.VectorBackend;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The matrix product of a MiniLM feed-forward layer, one core, beside the core's own limit.
 *
 * <p>The unit {@code ops/ns} is GFLOP/s: an invocation counts as its floating-point operations.
 */
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 4, time = 2)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 2,
    jvmArgs = {"--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class MatrixProductBenchmark {
  /** One sequence of 128 tokens through the first feed-forward layer of MiniLM. */
  private static final int ROWS = 128;

  private static final int INPUT = 384;
  private static final int OUTPUT = 1536;
  private static final int PRODUCT_FLOPS = 2 * ROWS * INPUT * OUTPUT;

  /** Independent sums: enough to hide the latency of two multiply-add units. */
  private static final int SUMS = 12;

  private static final int STEPS = 100_000;
  private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;

  /** Floating-point operations of {@link #limit} on vectors of 512 bits; scaled where narrower. */
  private static final int LIMIT_FLOPS = 2 * 16 * SUMS * STEPS;

  /** Weights and activations of the product. */
  @State(Scope.Thread)
  public static class Product {
    @Param({"FP32", "BF16"})
    private Precision precision;

    private Arena arena;
    private Backend backend;
    private LinearWeight weight;
    private Matrix input;
    private Matrix output;

    /** Prepares the product and checks its answer against {@link ScalarBackend}. */
    @Setup(Level.Trial)
    public void prepare() {
      arena = Arena.ofShared();
      Random random = new Random(1);
      Tensor weights = tensor(random, OUTPUT, INPUT);
      Tensor bias = tensor(random, OUTPUT);
      backend = new VectorBackend(precision, new Workers(1));
      weight = backend.prepareLinear(arena, List.of(weights), List.of(bias));
      input = backend.allocate(arena, ROWS, INPUT);
      output = backend.allocate(arena, ROWS, OUTPUT);
      for (long i = 0; i < (long) input.stride() * ROWS; i++) {
        input.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
      }
      Backend oracle = new ScalarBackend(precision);
      Matrix expected = oracle.allocate(arena, ROWS, OUTPUT);
      oracle.linear(
          input,
          oracle.prepareLinear(arena, List.of(weights), List.of(bias)),
          Activation.IDENTITY,
          expected);
      backend.linear(input, weight, Activation.IDENTITY, output);
      for (int row = 0; row < ROWS; row++) {
        float[] right = oracle.read(expected, row, OUTPUT);
        float[] ours = backend.read(output, row, OUTPUT);
        for (int i = 0; i < OUTPUT; i++) {
          if (!(Math.abs(right[i] - ours[i]) < 1e-4)) {
            throw new IllegalStateException(
                "the product is wrong at ["
                    + row
                    + ", "
                    + i
                    + "]: "
                    + ours[i]
                    + ", not "
                    + right[i]);
          }
        }
      }
    }

    private Tensor tensor(Random random, long... shape) {
      long elements = 1;
      for (long size : shape) {
        elements *= size;
      }
      MemorySegment data = arena.allocate(ValueLayout.JAVA_FLOAT, elements);
      for (long i = 0; i < elements; i++) {
        data.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) (random.nextGaussian() * 0.05));
      }
      return new Tensor("random", DataType.F32, shape, data);
    }

    /** Releases the memory. */
    @TearDown(Level.Trial)
    public void close() {
      arena.close();
    }
  }

  /** The product as the encoder runs it, packing of its left side included. */
  @Benchmark
  @OperationsPerInvocation(PRODUCT_FLOPS)
  public Matrix product(Product state) {
    state.backend.linear(state.input, state.weight, Activation.IDENTITY, state.output);
    return state.output;
  }

  /** The product followed by the exact GELU on every output. */
  @Benchmark
  @OperationsPerInvocation(PRODUCT_FLOPS)
  public Matrix productAndGelu(Product state) {
    state.backend.linear(state.input, state.weight, Activation.GELU, state.output);
    return state.output;
  }

  /** What one core can do: multiply-adds on registers alone. */
  @Benchmark
  @OperationsPerInvocation(LIMIT_FLOPS)
  public float limit() {
    // Narrower vectors take more steps for the same operations.
    int steps = STEPS * (16 / SPECIES.length());
    FloatVector factor = FloatVector.broadcast(SPECIES, 0.5f);
    FloatVector addend = FloatVector.broadcast(SPECIES, 1e-7f);
    FloatVector s0 = FloatVector.broadcast(SPECIES, 0f);
    FloatVector s1 = FloatVector.broadcast(SPECIES, 1f);
    FloatVector s2 = FloatVector.broadcast(SPECIES, 2f);
    FloatVector s3 = FloatVector.broadcast(SPECIES, 3f);
    FloatVector s4 = FloatVector.broadcast(SPECIES, 4f);
    FloatVector s5 = FloatVector.broadcast(SPECIES, 5f);
    FloatVector s6 = FloatVector.broadcast(SPECIES, 6f);
    FloatVector s7 = FloatVector.broadcast(SPECIES, 7f);
    FloatVector s8 = FloatVector.broadcast(SPECIES, 8f);
    FloatVector s9 = FloatVector.broadcast(SPECIES, 9f);
    FloatVector s10 = FloatVector.broadcast(SPECIES, 10f);
    FloatVector s11 = FloatVector.broadcast(SPECIES, 11f);
    for (int i = 0; i < steps; i++) {
      s0 = s0.fma(factor, addend);
      s1 = s1.fma(factor, addend);
      s2 = s2.fma(factor, addend);
      s3 = s3.fma(factor, addend);
      s4 = s4.fma(factor, addend);
      s5 = s5.fma(factor, addend);
      s6 = s6.fma(factor, addend);
      s7 = s7.fma(factor, addend);
      s8 = s8.fma(factor, addend);
      s9 = s9.fma(factor, addend);
      s10 = s10.fma(factor, addend);
      s11 = s11.fma(factor, addend);
    }
    FloatVector all = s0.add(s1).add(s2).add(s3).add(s4).add(s5);
    return all.add(s6).add(s7).add(s8).add(s9).add(s10).add(s11).lane(0);
  }
}
