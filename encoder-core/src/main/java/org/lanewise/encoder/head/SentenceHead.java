package org.lanewise.encoder.head;

import java.lang.foreign.Arena;
import java.util.List;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.batch.PackedBatch;

/**
 * Turns hidden states into one vector per sequence by the modules that follow the encoder in a
 * sentence-transformers model. Immutable and thread-safe; weights live as long as the arena.
 */
public final class SentenceHead {
  private final List<PoolingMode> pooling;
  private final DenseSteps steps;

  /**
   * Prepares the modules.
   *
   * @param modules one Pooling first, then any Dense and Normalize
   */
  public SentenceHead(Backend backend, Arena arena, List<SentenceModule> modules, int hiddenSize) {
    SentenceModule.Pooling first = (SentenceModule.Pooling) modules.getFirst();
    pooling = first.modes();
    List<SentenceModule> rest = modules.subList(1, modules.size());
    steps = new DenseSteps(backend, arena, rest, hiddenSize * pooling.size());
  }

  /** Returns the length of the vectors. */
  public int dimensions() {
    return steps.dimensions();
  }

  /** Returns the vectors of the sequences, (sequences, dimensions), in memory of the arena. */
  public Matrix forward(Backend backend, Arena arena, Matrix hidden, PackedBatch batch) {
    Matrix vectors = backend.allocate(arena, batch.sequences(), hidden.columns() * pooling.size());
    for (int i = 0; i < pooling.size(); i++) {
      backend.pool(hidden, batch, pooling.get(i), vectors, i * hidden.columns());
    }
    return steps.forward(backend, arena, vectors);
  }
}
