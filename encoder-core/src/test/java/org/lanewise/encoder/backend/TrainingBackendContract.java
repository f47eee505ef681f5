package org.lanewise.encoder.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What every backend must do that trains: its other operations against {@link ScalarBackend}. */
abstract class TrainingBackendContract extends BackendContract {
  /** Returns the backend under test in fp32, on other numbers of threads. */
  abstract List<TrainingBackend> backendsOnOtherThreads();

  @Override
  protected abstract TrainingBackend backend(Precision precision);

  @Test
  void multiplyTakesEitherSideTransposedAndAdds() {
    for (int rows : new int[] {1, 2, 5, 6, 9, 33, 70}) {
      for (int depth : new int[] {1, 4, 7, 16, 35, 64}) {
        for (int columns : new int[] {1, 3, 8, 15, 17, 32, 70}) {
          compareProducts(rows, depth, columns);
        }
      }
    }
    // Several chunks of the depth, of the rows and of the panels.
    compareProducts(130, 1050, 75);
    compareProducts(420, 40, 200);
  }

  private void compareProducts(int rows, int depth, int columns) {
    for (int variant = 0; variant < 8; variant++) {
      boolean transposeLeft = (variant & 1) != 0;
      boolean transposeRight = (variant & 2) != 0;
      boolean accumulate = (variant & 4) != 0;
      float[][] left = transposeLeft ? numbers(depth, rows) : numbers(rows, depth);
      float[][] right = transposeRight ? numbers(columns, depth) : numbers(depth, columns);
      float[][] start = numbers(rows, columns);
      compare(
          "multiply " + rows + "x" + depth + "x" + columns + " variant " + variant,
          2e-6 * Math.sqrt(depth) + 1e-6,
          backend -> {
            Matrix output = matrix(backend, start);
            backend.multiply(
                matrix(backend, left),
                transposeLeft,
                matrix(backend, right),
                transposeRight,
                accumulate,
                output);
            return List.of(output);
          });
    }
  }

  @Test
  void multiplyOverNoDepthIsZero() {
    for (boolean accumulate : new boolean[] {false, true}) {
      float[][] start = numbers(7, 5);
      compare(
          "multiply over no depth",
          0,
          backend -> {
            Matrix output = matrix(backend, start);
            Matrix left = backend.allocate(arena, 0, 7);
            Matrix right = backend.allocate(arena, 0, 5);
            backend.multiply(left, true, right, false, accumulate, output);
            return List.of(output);
          });
    }
  }

  @Test
  void gatherCopiesRowsAndScatterAddsThem() {
    for (int columns : SIZES) {
      float[][] table = numbers(11, columns);
      float[][] input = numbers(150, columns + 9);
      int[] rows = random.ints(150, 0, 11).toArray();
      compare(
          "gather and scatterAdd of " + columns,
          1e-5,
          backend -> {
            Matrix to = matrix(backend, table);
            Matrix gathered = matrix(backend, input);
            backend.gather(to, rows, gathered, 4);
            backend.scatterAdd(matrix(backend, input), 5, rows, to);
            return List.of(gathered, to);
          });
    }
  }

  @Test
  void gatherAndScatterRefuseRowsThatAreNotThere() {
    TrainingBackend backend = backend(Precision.FP32);
    Matrix table = matrix(backend, numbers(3, 4));
    Matrix rows = matrix(backend, numbers(2, 4));
    for (int row : new int[] {-1, 3, Integer.MAX_VALUE}) {
      int[] picked = {0, row};
      assertThrows(IndexOutOfBoundsException.class, () -> backend.gather(table, picked, rows, 0));
      assertThrows(
          IndexOutOfBoundsException.class, () -> backend.scatterAdd(rows, 0, picked, table));
    }
  }

  @Test
  void rowsAndColumnsAreAddedMaskedAndAveragedNumberByNumber() {
    for (int columns : SIZES) {
      for (int rows : new int[] {1, 5, 64, 65, 200}) {
        float[][] matrix = numbers(rows, columns);
        float[][] mask = numbers(rows, columns);
        float[][] row = numbers(1, columns);
        compare(
            "rows of " + rows + "x" + columns,
            1e-5,
            backend -> {
              Matrix numbers = matrix(backend, matrix);
              backend.addRow(matrix(backend, row), numbers);
              backend.multiplyElements(matrix(backend, mask), numbers);
              backend.average(matrix(backend, mask), 0.3f, numbers);
              Matrix sums = matrix(backend, row);
              backend.addColumnSums(numbers, sums);
              Matrix squares = backend.allocate(arena, 1, 1);
              squares.set(0, 0, (float) backend.sumOfSquares(numbers));
              return List.of(numbers, sums, squares);
            });
      }
    }
  }

  @Test
  void adamWTakesSteps() {
    TrainingBackend.AdamW coefficients = new TrainingBackend.AdamW(0.9, 0.999, 1e-8, 0.02);
    for (int columns : SIZES) {
      float[][] parameter = numbers(70, columns);
      List<float[][]> gradients = List.of(numbers(70, columns), numbers(70, columns));
      compare(
          "adamW of " + columns,
          2e-6,
          backend -> {
            Matrix parameters = matrix(backend, parameter);
            Matrix first = backend.allocate(arena, 70, columns);
            Matrix second = backend.allocate(arena, 70, columns);
            for (int step = 1; step <= 6; step++) {
              Matrix gradient = matrix(backend, gradients.get(step % 2));
              backend.adamW(parameters, gradient, first, second, coefficients, 0.01, 0.3, step);
            }
            return List.of(parameters, first, second);
          });
    }
  }

  @Test
  void aParameterWithoutAGradientOnlyDecays() {
    TrainingBackend.AdamW coefficients = new TrainingBackend.AdamW(0.9, 0.999, 1e-8, 0.5);
    float[][] parameter = numbers(2, 21);
    compare(
        "adamW without a gradient",
        1e-7,
        backend -> {
          Matrix parameters = matrix(backend, parameter);
          Matrix first = backend.allocate(arena, 2, 21);
          Matrix second = backend.allocate(arena, 2, 21);
          Matrix gradient = backend.allocate(arena, 2, 21);
          backend.adamW(parameters, gradient, first, second, coefficients, 0.01, 1, 1);
          return List.of(parameters, first, second);
        });
  }

  /** Compares the matrices that a computation returns with the oracle's. */
  private void compare(
      String what, double tolerance, Function<TrainingBackend, List<Matrix>> computation) {
    List<Matrix> expected = computation.apply(oracle);
    TrainingBackend backend = backend(Precision.FP32);
    List<Matrix> actual = computation.apply(backend);
    for (int i = 0; i < expected.size(); i++) {
      assertClose(
          what + ", result " + i,
          read(oracle, expected.get(i)),
          read(backend, actual.get(i)),
          tolerance);
    }
  }

  @ParameterizedTest
  @EnumSource(RecurrentCell.class)
  void recurGradientGoesBackThroughEachSequence(RecurrentCell cell) {
    for (int hiddenSize : new int[] {1, 3, 4, 8, 16, 33}) {
      for (int directions : new int[] {1, 2}) {
        compareGradient(cell, hiddenSize, directions, 1);
        compareGradient(cell, hiddenSize, directions, 11);
        compareGradient(cell, hiddenSize, directions, 2, 7, 1, 7, 4, 12, 3);
      }
    }
    int[] lengths = new int[113];
    for (int i = 0; i < lengths.length; i++) {
      lengths[i] = 1 + i * 37 % 10;
    }
    compareGradient(cell, 17, 2, lengths);
  }

  private void compareGradient(RecurrentCell cell, int hiddenSize, int directions, int... lengths) {
    Recurrence recurrence = new Recurrence(cell, hiddenSize, directions, lengths);
    int tokens = recurrence.projected.length;
    // Sums over all tokens carry the errors of as many.
    compare(
        "gradient of " + cell + " " + directions + "x" + hiddenSize + Arrays.toString(lengths),
        2e-5 * Math.sqrt(1 + tokens / 30.0),
        recurrence::trainingStep);
  }

  @Test
  void sumsAreTheSameOnAnyNumberOfThreads() {
    float[][] left = numbers(1300, 70);
    float[][] right = numbers(1300, 45);
    float[][] table = numbers(11, 45);
    int[] rows = random.ints(1300, 0, 11).toArray();
    List<TrainingBackend> backends = new ArrayList<>(backendsOnOtherThreads());
    backends.add(backend(Precision.FP32));
    List<float[][]> answers = new ArrayList<>();
    for (TrainingBackend backend : backends) {
      Matrix input = matrix(backend, right);
      Matrix product = backend.allocate(arena, 70, 45);
      backend.multiply(matrix(backend, left), true, input, false, false, product);
      Matrix sums = backend.allocate(arena, 1, 45);
      backend.addColumnSums(input, sums);
      Matrix scattered = matrix(backend, table);
      backend.scatterAdd(input, 0, rows, scattered);
      List<float[]> all = new ArrayList<>();
      for (Matrix matrix : List.of(product, sums, scattered)) {
        all.addAll(Arrays.asList(read(backend, matrix)));
      }
      all.add(new float[] {(float) backend.sumOfSquares(input)});
      answers.add(all.toArray(float[][]::new));
    }
    for (float[][] answer : answers) {
      assertArrayEquals(answers.getFirst(), answer);
    }
  }

  @ParameterizedTest
  @EnumSource(RecurrentCell.class)
  void recurGradientIsTheSameOnAnyNumberOfThreads(RecurrentCell cell) {
    int[] lengths = random.ints(70, 1, 30).toArray();
    Recurrence recurrence = new Recurrence(cell, 21, 2, lengths);
    TrainingBackend shared = backend(Precision.FP32);
    List<Matrix> expected = recurrence.trainingStep(shared);
    for (TrainingBackend other : backendsOnOtherThreads()) {
      List<Matrix> again = recurrence.trainingStep(other);
      for (int i = 0; i < expected.size(); i++) {
        float[][] numbers = read(other, again.get(i));
        assertArrayEquals(read(shared, expected.get(i)), numbers, cell + " result " + i);
      }
    }
  }
}
