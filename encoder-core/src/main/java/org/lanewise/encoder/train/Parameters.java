package org.lanewise.encoder.train;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.TrainingBackend;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/** All parameters of a model, in the order in which its parts added them. Not thread-safe. */
final class Parameters implements AutoCloseable {
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** PyTorch's defaults. */
  private static final double BETA1 = 0.9;

  private static final double BETA2 = 0.999;
  private static final double EPSILON = 1e-8;

  /** As {@code torch.nn.utils.clip_grad_norm_} has it. */
  private static final double NORM_EPSILON = 1e-6;

  private static final String FIRST_MOMENT = "first_moment.";
  private static final String SECOND_MOMENT = "second_moment.";

  private final TrainingBackend backend;
  private final Arena arena = Arena.ofShared();
  private final Random random;
  private final List<Parameter> all = new ArrayList<>();

  Parameters(TrainingBackend backend, long seed) {
    this.backend = backend;
    random = new Random(seed);
  }

  /**
   * Returns a new parameter.
   *
   * @param bound its numbers are random, between this and its negative
   */
  Parameter add(
      Parameter.Kind kind, int rows, int columns, double bound, List<Parameter.Slice> slices) {
    Matrix value = backend.allocate(arena, rows, columns);
    for (int row = 0; row < rows && bound > 0; row++) {
      float[] numbers = new float[columns];
      for (int i = 0; i < columns; i++) {
        numbers[i] = (float) ((2 * random.nextDouble() - 1) * bound);
      }
      backend.write(numbers, value, row, 0);
    }
    int trained = kind == Parameter.Kind.FROZEN ? 0 : rows;
    Parameter parameter =
        new Parameter(
            kind,
            value,
            backend.allocate(arena, trained, columns),
            backend.allocate(arena, trained, columns),
            backend.allocate(arena, trained, columns),
            List.copyOf(slices));
    all.add(parameter);
    return parameter;
  }

  /** Returns a new weight that is one tensor. */
  Parameter addWeight(String name, int rows, int columns, double bound) {
    return add(
        Parameter.Kind.WEIGHT,
        rows,
        columns,
        bound,
        List.of(Parameter.Slice.rows(name, 0, rows, columns)));
  }

  /** Returns a new parameter that is one tensor of one dimension. */
  Parameter addVector(Parameter.Kind kind, String name, int size, double bound) {
    return add(kind, 1, size, bound, List.of(Parameter.Slice.vector(name, 0, 0, size)));
  }

  Map<String, Tensor> weights() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    copy(all, "", Parameter::value, tensors);
    return tensors;
  }

  Map<String, Tensor> gradients() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    copy(trained(), "", Parameter::gradient, tensors);
    return tensors;
  }

  Map<String, Tensor> checkpoint() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    copy(trained(), "", Parameter::value, tensors);
    copy(trained(), FIRST_MOMENT, Parameter::firstMoment, tensors);
    copy(trained(), SECOND_MOMENT, Parameter::secondMoment, tensors);
    return tensors;
  }

  void load(Weights weights) {
    for (Parameter parameter : all) {
      for (Parameter.Slice slice : parameter.slices()) {
        if (weights.has(slice.name())) {
          load(weights, slice.name(), slice, parameter.value());
        }
      }
    }
  }

  void restore(Weights checkpoint) {
    for (Parameter parameter : trained()) {
      for (Parameter.Slice slice : parameter.slices()) {
        load(checkpoint, slice.name(), slice, parameter.value());
        load(checkpoint, FIRST_MOMENT + slice.name(), slice, parameter.firstMoment());
        load(checkpoint, SECOND_MOMENT + slice.name(), slice, parameter.secondMoment());
      }
      backend.zero(parameter.gradient());
    }
  }

  double step(Optimizer optimizer, int step, double scale) {
    double squares = 0;
    for (Parameter parameter : trained()) {
      squares += backend.sumOfSquares(parameter.gradient());
    }
    double norm = Math.abs(scale) * Math.sqrt(squares);
    if (!Double.isFinite(norm)) {
      throw new ArithmeticException(
          "the norm of the gradient is ["
              + norm
              + "] at step "
              + step
              + ", expected a finite number: the training has diverged; lower the learning rate");
    }
    double clipped = scale * Math.min(1, optimizer.maxNorm() / (norm + NORM_EPSILON));
    TrainingBackend.AdamW decayed =
        new TrainingBackend.AdamW(BETA1, BETA2, EPSILON, optimizer.weightDecay());
    TrainingBackend.AdamW free = new TrainingBackend.AdamW(BETA1, BETA2, EPSILON, 0);
    for (Parameter parameter : trained()) {
      backend.adamW(
          parameter.value(),
          parameter.gradient(),
          parameter.firstMoment(),
          parameter.secondMoment(),
          parameter.kind() == Parameter.Kind.WEIGHT ? decayed : free,
          optimizer.learningRate(step),
          clipped,
          step);
      backend.zero(parameter.gradient());
    }
    return norm;
  }

  @Override
  public void close() {
    arena.close();
  }

  private List<Parameter> trained() {
    return all.stream().filter(each -> each.kind() != Parameter.Kind.FROZEN).toList();
  }

  private void copy(
      List<Parameter> parameters,
      String prefix,
      Function<Parameter, Matrix> which,
      Map<String, Tensor> tensors) {
    for (Parameter parameter : parameters) {
      for (Parameter.Slice slice : parameter.slices()) {
        long bytes = (long) slice.rows() * slice.columns() * Float.BYTES;
        MemorySegment data = Arena.ofAuto().allocate(bytes);
        for (int row = 0; row < slice.rows(); row++) {
          int end = slice.column() + slice.columns();
          float[] numbers = backend.read(which.apply(parameter), slice.row() + row, end);
          MemorySegment.copy(
              numbers,
              slice.column(),
              data,
              FLOAT,
              (long) row * slice.columns() * Float.BYTES,
              slice.columns());
        }
        String name = prefix + slice.name();
        tensors.put(name, new Tensor(name, DataType.F32, slice.shape(), data));
      }
    }
  }

  private void load(Weights weights, String name, Parameter.Slice slice, Matrix matrix) {
    Tensor tensor = weights.tensor(name, slice.shape());
    float[] numbers = new float[slice.columns()];
    for (int row = 0; row < slice.rows(); row++) {
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = tensor.get((long) row * numbers.length + i);
      }
      backend.write(numbers, matrix, slice.row() + row, slice.column());
    }
  }
}
