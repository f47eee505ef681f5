package org.lanewise.encoder.backend;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * The loops of training that stream through memory, a row at a time. {@link #add} and {@link
 * #multiply} write nothing beyond their size: what follows may be another gate's, or belong to
 * another thread. The others go on to the end of a vector, within a matrix's own padding.
 */
final class TrainingKernels {
  private static final VectorSpecies<Float> FLOATS = VectorBackend.FLOATS;
  private static final VectorSpecies<Double> DOUBLES =
      VectorSpecies.of(double.class, VectorShape.forBitSize(FLOATS.vectorBitSize()));
  private static final int LANES = FLOATS.length();
  private static final long BYTES = FLOATS.vectorByteSize();
  private static final ByteOrder NATIVE = ByteOrder.nativeOrder();

  /** Rows that are summed before their sum is added to the others'. */
  private static final int SUMMED_ROWS = 64;

  private TrainingKernels() {}

  private static FloatVector load(MemorySegment data, long at) {
    return FloatVector.fromMemorySegment(FLOATS, data, at, NATIVE);
  }

  /** target += source. */
  static void add(MemorySegment source, long from, MemorySegment target, long at, int size) {
    source = NativeMemory.known(source);
    target = NativeMemory.known(target);
    int whole = FLOATS.loopBound(size);
    for (int i = 0; i < whole; i += LANES) {
      load(target, at).add(load(source, from)).intoMemorySegment(target, at, NATIVE);
      from += BYTES;
      at += BYTES;
    }
    if (whole < size) {
      VectorMask<Float> tail = FLOATS.indexInRange(whole, size);
      FloatVector numbers = FloatVector.fromMemorySegment(FLOATS, source, from, NATIVE, tail);
      FloatVector.fromMemorySegment(FLOATS, target, at, NATIVE, tail)
          .add(numbers)
          .intoMemorySegment(target, at, NATIVE, tail);
    }
  }

  /** target += left * right. */
  static void addProducts(
      MemorySegment left,
      long leftAt,
      MemorySegment right,
      long rightAt,
      MemorySegment target,
      long at,
      int size) {
    left = NativeMemory.known(left);
    right = NativeMemory.known(right);
    target = NativeMemory.known(target);
    for (int i = 0; i < size; i += LANES) {
      load(left, leftAt)
          .fma(load(right, rightAt), load(target, at))
          .intoMemorySegment(target, at, NATIVE);
      leftAt += BYTES;
      rightAt += BYTES;
      at += BYTES;
    }
  }

  /** target *= source. */
  static void multiply(MemorySegment source, long from, MemorySegment target, long at, int size) {
    source = NativeMemory.known(source);
    target = NativeMemory.known(target);
    int whole = FLOATS.loopBound(size);
    for (int i = 0; i < whole; i += LANES) {
      load(target, at).mul(load(source, from)).intoMemorySegment(target, at, NATIVE);
      from += BYTES;
      at += BYTES;
    }
    if (whole < size) {
      VectorMask<Float> tail = FLOATS.indexInRange(whole, size);
      FloatVector numbers = FloatVector.fromMemorySegment(FLOATS, source, from, NATIVE, tail);
      FloatVector.fromMemorySegment(FLOATS, target, at, NATIVE, tail)
          .mul(numbers)
          .intoMemorySegment(target, at, NATIVE, tail);
    }
  }

  /** mean += share * (source - mean); what lies beyond the size is written too. */
  static void average(
      MemorySegment source, long from, float share, MemorySegment mean, long at, int size) {
    source = NativeMemory.known(source);
    mean = NativeMemory.known(mean);
    for (int i = 0; i < size; i += LANES) {
      FloatVector before = load(mean, at);
      load(source, from)
          .sub(before)
          .fma(FloatVector.broadcast(FLOATS, share), before)
          .intoMemorySegment(mean, at, NATIVE);
      from += BYTES;
      at += BYTES;
    }
  }

  /** Returns the sum of squares of one row. */
  static double sumOfSquares(MemorySegment data, long at, int size) {
    data = NativeMemory.known(data);
    int whole = FLOATS.loopBound(size);
    DoubleVector lower = DoubleVector.zero(DOUBLES);
    DoubleVector upper = lower;
    for (int i = 0; i < whole; i += LANES) {
      FloatVector numbers = load(data, at);
      DoubleVector first = widened(numbers, 0);
      lower = first.fma(first, lower);
      DoubleVector second = widened(numbers, 1);
      upper = second.fma(second, upper);
      at += BYTES;
    }
    if (whole < size) {
      VectorMask<Float> tail = FLOATS.indexInRange(whole, size);
      FloatVector numbers = FloatVector.fromMemorySegment(FLOATS, data, at, NATIVE, tail);
      DoubleVector first = widened(numbers, 0);
      lower = first.fma(first, lower);
      DoubleVector second = widened(numbers, 1);
      upper = second.fma(second, upper);
    }
    // Lane after lane, as VectorMath.sum says why.
    double sum = 0;
    for (double square : lower.add(upper).toArray()) {
      sum += square;
    }
    return sum;
  }

  private static DoubleVector widened(FloatVector numbers, int part) {
    return (DoubleVector) numbers.convertShape(VectorOperators.F2D, DOUBLES, part);
  }

  /** Adds one row of what is summed to sums that begin at a byte offset. */
  interface RowSum {
    void add(int row, MemorySegment sums, long at);
  }

  /**
   * Adds the sum of rows to numbers of the target. Blocks of rows are summed apart and their sums
   * added in their order: closer than one long sum, and the same on any number of threads.
   */
  static void addColumnSums(
      Workers workers,
      ScratchPool scratches,
      int rows,
      int columns,
      RowSum body,
      MemorySegment target,
      long targetAt) {
    int blocks = Math.ceilDiv(rows, SUMMED_ROWS);
    int width = Matrix.roundUp(columns, LANES);
    try (ScratchPool.Scratch scratch = scratches.borrow()) {
      MemorySegment sums = scratch.zeros((long) blocks * width);
      workers.forEach(
          blocks,
          block -> {
            int end = Math.min(rows, (block + 1) * SUMMED_ROWS);
            for (int row = block * SUMMED_ROWS; row < end; row++) {
              body.add(row, sums, 4L * block * width);
            }
          });
      for (int block = 0; block < blocks; block++) {
        add(sums, 4L * block * width, target, targetAt, columns);
      }
    }
  }

  /** The numbers of one step of AdamW that are the same for all parameters. */
  record AdamWStep(
      float keep,
      float rate,
      float correction,
      float epsilon,
      float scale,
      float beta1,
      float rest1,
      float beta2,
      float rest2) {
    static AdamWStep of(
        TrainingBackend.AdamW coefficients, double learningRate, double scale, int step) {
      double beta1 = coefficients.beta1();
      double beta2 = coefficients.beta2();
      return new AdamWStep(
          (float) (1 - learningRate * coefficients.weightDecay()),
          (float) (learningRate / (1 - Math.pow(beta1, step))),
          (float) (1 / Math.sqrt(1 - Math.pow(beta2, step))),
          (float) coefficients.epsilon(),
          (float) scale,
          (float) beta1,
          (float) (1 - beta1),
          (float) beta2,
          (float) (1 - beta2));
    }

    /** Takes a row of parameters and their moments a step further. */
    void apply(
        MemorySegment parameter,
        long parameterAt,
        MemorySegment gradient,
        long gradientAt,
        MemorySegment firstMoment,
        long firstAt,
        MemorySegment secondMoment,
        long secondAt,
        int size) {
      parameter = NativeMemory.known(parameter);
      gradient = NativeMemory.known(gradient);
      firstMoment = NativeMemory.known(firstMoment);
      secondMoment = NativeMemory.known(secondMoment);
      for (int i = 0; i < size; i += LANES) {
        FloatVector slope = load(gradient, gradientAt).mul(scale);
        FloatVector first = load(firstMoment, firstAt).mul(beta1).add(slope.mul(rest1));
        FloatVector second =
            load(secondMoment, secondAt).mul(beta2).add(slope.mul(slope).mul(rest2));
        FloatVector root = second.sqrt().mul(correction).add(epsilon);
        load(parameter, parameterAt)
            .mul(keep)
            .sub(first.mul(rate).div(root))
            .intoMemorySegment(parameter, parameterAt, NATIVE);
        first.intoMemorySegment(firstMoment, firstAt, NATIVE);
        second.intoMemorySegment(secondMoment, secondAt, NATIVE);
        parameterAt += BYTES;
        gradientAt += BYTES;
        firstAt += BYTES;
        secondAt += BYTES;
      }
    }
  }
}
