package org.lanewise.encoder.head;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;

/**
 * The Dense and Normalize modules of a directory, prepared: what happens to rows, whether these are
 * sequences or tokens. Immutable and thread-safe.
 */
final class DenseSteps {
  private final List<Step> steps = new ArrayList<>();
  private final int dimensions;

  /** What happens to the rows. */
  private sealed interface Step {
    record Dense(LinearWeight weight, Activation activation) implements Step {}

    record Normalize() implements Step {}
  }

  /**
   * Prepares the modules.
   *
   * @param modules any Dense and Normalize
   * @param inputSize columns of the rows that the first one reads
   */
  DenseSteps(Backend backend, Arena arena, List<SentenceModule> modules, int inputSize) {
    int size = inputSize;
    for (SentenceModule module : modules) {
      switch (module) {
        case SentenceModule.Dense dense -> {
          LinearWeight weight =
              backend.prepareLinear(
                  arena,
                  List.of(dense.weight()),
                  dense.bias() == null ? List.of() : List.of(dense.bias()));
          if (weight.inputSize() != size) {
            throw new IllegalArgumentException(
                "a Dense module takes "
                    + weight.inputSize()
                    + " numbers but the module before it gives "
                    + size);
          }
          size = weight.outputSize();
          steps.add(new Step.Dense(weight, Activation.named(dense.activation())));
        }
        case SentenceModule.Normalize normalize -> steps.add(new Step.Normalize());
        case SentenceModule.Pooling second ->
            throw new IllegalArgumentException("a second Pooling module follows the first");
      }
    }
    dimensions = size;
  }

  /** Returns the columns after the last step. */
  int dimensions() {
    return dimensions;
  }

  /** Returns the rows after all steps, in memory of the arena or in their own. */
  Matrix forward(Backend backend, Arena arena, Matrix input) {
    Matrix rows = input;
    for (Step step : steps) {
      switch (step) {
        case Step.Dense dense -> {
          Matrix output = backend.allocate(arena, rows.rows(), dense.weight().outputSize());
          backend.linear(rows, dense.weight(), dense.activation(), output);
          rows = output;
        }
        case Step.Normalize normalize -> backend.normalize(rows);
      }
    }
    return rows;
  }
}
