package org.lanewise.encoder.head;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.batch.PackedBatch;

/**
 * Turns hidden states into sparse vectors over the vocabulary: SPLADE.
 *
 * <p>Logits are as wide as the vocabulary, so they exist for a few tokens at a time: memory depends
 * neither on the length of the texts nor on the size of the batch. Immutable and thread-safe.
 */
public final class MaskedLanguageHead {
  /** Numbers of the logits that exist at a time: 16 MiB. */
  private static final int MOST_LOGITS = 1 << 22;

  private final PredictionHead layers;
  private final SparsePooling pooling;
  private final int chunkRows;

  /** Prepares the weights for the backend. */
  public MaskedLanguageHead(Backend backend, Arena arena, HeadPlan plan, SparsePooling pooling) {
    this(backend, arena, plan, pooling, Math.max(1, MOST_LOGITS / plan.outputs()));
  }

  MaskedLanguageHead(
      Backend backend, Arena arena, HeadPlan plan, SparsePooling pooling, int chunkRows) {
    layers = new PredictionHead(backend, arena, plan);
    this.pooling = pooling;
    this.chunkRows = chunkRows;
  }

  /** Returns the number of tokens of the vocabulary. */
  public int vocabularySize() {
    return layers.outputs();
  }

  /** Returns the sparse vector of each sequence, its special tokens included. */
  public List<SparseVector> forward(
      Backend backend, Arena arena, Matrix hidden, PackedBatch batch) {
    Matrix transformed = layers.transform(backend, arena, hidden);
    Matrix logits = backend.allocate(arena, Math.min(chunkRows, batch.tokens()), vocabularySize());
    Matrix largest = backend.allocate(arena, 1, vocabularySize());
    List<SparseVector> vectors = new ArrayList<>();
    for (int i = 0; i < batch.sequences(); i++) {
      float[] pooled = new float[vocabularySize()];
      int end = batch.sequenceStarts()[i + 1];
      for (int first = batch.sequenceStarts()[i]; first < end; first += chunkRows) {
        Matrix chunk = logits.firstRows(Math.min(chunkRows, end - first));
        layers.project(backend, transformed.rows(first, chunk.rows()), chunk);
        pool(backend, chunk, largest, pooled);
      }
      vectors.add(pooling.sparse(pooled));
    }
    return vectors;
  }

  private void pool(Backend backend, Matrix logits, Matrix largest, float[] pooled) {
    if (pooling.sum()) {
      for (int row = 0; row < logits.rows(); row++) {
        float[] numbers = backend.read(logits, row, pooled.length);
        for (int id = 0; id < pooled.length; id++) {
          pooled[id] += pooling.weight(numbers[id]);
        }
      }
      return;
    }
    PackedBatch one = PackedBatch.of(new int[] {0, logits.rows()});
    backend.pool(logits, one, PoolingMode.MAX, largest, 0);
    float[] numbers = backend.read(largest, 0, pooled.length);
    for (int id = 0; id < pooled.length; id++) {
      pooled[id] = Math.max(pooled[id], numbers[id]);
    }
  }
}
