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

  /**
   * Some tokens of a batch.
   *
   * @param first the first of them
   * @param end one past the last; more than {@code first}
   */
  public record Range(int first, int end) {}

  /** Returns how hidden states are pooled; several modes are concatenated. */
  public List<PoolingMode> pooling() {
    return pooling;
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

  /** Returns the vectors of ranges of tokens, each pooled as if it were a sequence by itself. */
  public Matrix forward(Backend backend, Arena arena, Matrix hidden, List<Range> ranges) {
    Matrix vectors = backend.allocate(arena, ranges.size(), hidden.columns() * pooling.size());
    for (int row = 0; row < ranges.size(); row++) {
      Range range = ranges.get(row);
      int length = range.end - range.first;
      PackedBatch one = PackedBatch.of(new int[] {0, length});
      for (int i = 0; i < pooling.size(); i++) {
        backend.pool(
            hidden.rows(range.first, length),
            one,
            pooling.get(i),
            vectors.rows(row, 1),
            i * hidden.columns());
      }
    }
    return steps.forward(backend, arena, vectors);
  }
}
