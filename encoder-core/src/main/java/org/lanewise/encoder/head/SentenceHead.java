package org.lanewise.encoder.head;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.batch.PackedBatch;

/**
 * Turns hidden states into one vector per sequence by the modules that follow the encoder in a
 * sentence-transformers model. Immutable and thread-safe; weights live as long as the arena.
 */
public final class SentenceHead {
  private final List<PoolingMode> pooling;
  private final List<Step> steps = new ArrayList<>();
  private final int dimensions;

  /** What happens to the pooled rows. */
  private sealed interface Step {
    record Dense(LinearWeight weight, Activation activation) implements Step {}

    record Normalize() implements Step {}
  }

  /**
   * Prepares the modules.
   *
   * @param modules one Pooling first, then any Dense and Normalize
   */
  public SentenceHead(Backend backend, Arena arena, List<SentenceModule> modules, int hiddenSize) {
    SentenceModule.Pooling first = (SentenceModule.Pooling) modules.getFirst();
    pooling = first.modes();
    int size = hiddenSize * pooling.size();
    for (SentenceModule module : modules.subList(1, modules.size())) {
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

  /** Returns the length of the vectors. */
  public int dimensions() {
    return dimensions;
  }

  /** Returns the vectors of the sequences, (sequences, dimensions), in memory of the arena. */
  public Matrix forward(Backend backend, Arena arena, Matrix hidden, PackedBatch batch) {
    Matrix vectors = backend.allocate(arena, batch.sequences(), hidden.columns() * pooling.size());
    for (int i = 0; i < pooling.size(); i++) {
      backend.pool(hidden, batch, pooling.get(i), vectors, i * hidden.columns());
    }
    for (Step step : steps) {
      switch (step) {
        case Step.Dense dense -> {
          Matrix output = backend.allocate(arena, batch.sequences(), dense.weight().outputSize());
          backend.linear(vectors, dense.weight(), dense.activation(), output);
          vectors = output;
        }
        case Step.Normalize normalize -> backend.normalize(vectors);
      }
    }
    return vectors;
  }
}
