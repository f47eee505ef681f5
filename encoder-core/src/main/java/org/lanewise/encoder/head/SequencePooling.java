package org.lanewise.encoder.head;

import java.lang.foreign.Arena;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.batch.PackedBatch;

/** How the states of a sequence become one row that is classified. */
public sealed interface SequencePooling
    permits SequencePooling.Reduction, SequencePooling.LastStates, AttentionPooling {
  /**
   * Returns one row per sequence, (sequences, stateSize), in host memory.
   *
   * @param arena takes what is computed on the way
   * @param states (tokens, stateSize)
   */
  double[][] pool(Backend backend, Arena arena, Matrix states, PackedBatch batch);

  /** The backend's own reductions: last token, mean, maximum and the others. */
  record Reduction(PoolingMode mode) implements SequencePooling {
    @Override
    public double[][] pool(Backend backend, Arena arena, Matrix states, PackedBatch batch) {
      Matrix pooled = backend.allocate(arena, batch.sequences(), states.columns());
      backend.pool(states, batch, mode, pooled, 0);
      double[][] rows = new double[batch.sequences()][states.columns()];
      for (int sequence = 0; sequence < rows.length; sequence++) {
        float[] row = backend.read(pooled, sequence, states.columns());
        for (int i = 0; i < row.length; i++) {
          rows[sequence][i] = row[i];
        }
      }
      return rows;
    }
  }

  /**
   * The states that a recurrent layer ends with (PyTorch's h_n): forward that of the last token,
   * backward that of the first.
   *
   * @param directions 1, or 2 where the second half of each state was made backwards
   */
  record LastStates(int directions) implements SequencePooling {
    @Override
    public double[][] pool(Backend backend, Arena arena, Matrix states, PackedBatch batch) {
      int hiddenSize = states.columns() / directions;
      double[][] rows = new double[batch.sequences()][states.columns()];
      for (int sequence = 0; sequence < rows.length; sequence++) {
        int first = batch.sequenceStarts()[sequence];
        float[] begin = backend.read(states, first, states.columns());
        float[] end =
            backend.read(states, batch.sequenceStarts()[sequence + 1] - 1, states.columns());
        for (int i = 0; i < end.length; i++) {
          rows[sequence][i] = i < hiddenSize ? end[i] : begin[i];
        }
      }
      return rows;
    }
  }
}
