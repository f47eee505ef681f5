package org.lanewise.encoder.head;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/** Sparse vectors from logits that are never there all at once, and what pruning keeps. */
final class MaskedLanguageHeadTest {
  private static final int HIDDEN = 5;
  private static final int VOCABULARY = 37;
  private static final int[] STARTS = {0, 1, 8, 10};

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 7, 100})
  void chunksOfAnySizeGiveTheSameVectors(int chunkRows) {
    try (Arena arena = Arena.ofConfined();
        Workers workers = new Workers(1)) {
      Random random = new Random(5);
      Backend backend = Backends.create("scalar", Optional.of(Precision.FP32), workers);
      HeadPlan plan =
          new HeadPlan(
              Optional.empty(),
              Optional.empty(),
              tensor(arena, random, VOCABULARY, HIDDEN),
              Optional.of(tensor(arena, random, VOCABULARY)));
      Matrix hidden = backend.allocate(arena, STARTS[3], HIDDEN);
      for (int row = 0; row < hidden.rows(); row++) {
        backend.write(numbers(random, HIDDEN), hidden, row, 0);
      }
      PackedBatch batch = PackedBatch.of(STARTS);
      Matrix logits =
          new PredictionHead(backend, arena, plan).forward(backend, arena, hidden, batch);
      for (SparsePooling pooling :
          List.of(SparsePooling.MAX, new SparsePooling(true, 1), new SparsePooling(false, 2))) {
        List<SparseVector> vectors =
            new MaskedLanguageHead(backend, arena, plan, pooling, chunkRows)
                .forward(backend, arena, hidden, batch);
        assertEquals(3, vectors.size());
        for (int i = 0; i < vectors.size(); i++) {
          assertArrayEquals(
              expected(backend, logits, STARTS[i], STARTS[i + 1], pooling),
              dense(vectors.get(i)),
              1e-6f);
        }
      }
    }
  }

  private static float[] expected(
      Backend backend, Matrix logits, int first, int end, SparsePooling pooling) {
    float[] weights = new float[VOCABULARY];
    for (int token = first; token < end; token++) {
      float[] row = backend.read(logits, token, VOCABULARY);
      for (int id = 0; id < VOCABULARY; id++) {
        double weight = Math.log1p(Math.max(0, row[id]));
        weight = pooling.logarithms() == 2 ? Math.log1p(weight) : weight;
        weights[id] =
            (float) (pooling.sum() ? weights[id] + weight : Math.max(weights[id], weight));
      }
    }
    return weights;
  }

  private static float[] dense(SparseVector vector) {
    float[] dense = new float[VOCABULARY];
    for (int i = 0; i < vector.size(); i++) {
      dense[vector.ids()[i]] = vector.weights()[i];
    }
    return dense;
  }

  private static float[] numbers(Random random, int count) {
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = (float) random.nextGaussian();
    }
    return numbers;
  }

  private static Tensor tensor(Arena arena, Random random, long... shape) {
    int count = 1;
    for (long size : shape) {
      count *= (int) size;
    }
    MemorySegment data = arena.allocateFrom(ValueLayout.JAVA_FLOAT, numbers(random, count));
    return new Tensor("weight", DataType.F32, shape, data);
  }

  @Test
  void pruningKeepsTheHeaviestThatMeetEveryCondition() {
    SparseVector vector = new SparseVector(new int[] {1, 2, 3, 4}, new float[] {0.5f, 2, 1, 0.1f});
    assertArrayEquals(new int[] {2, 3, 1, 4}, vector.prune(SparseVector.Pruning.NONE).ids());
    assertArrayEquals(new int[] {2, 3}, vector.prune(new SparseVector.Pruning(2, 0, 0)).ids());
    assertArrayEquals(new int[] {2, 3}, vector.prune(new SparseVector.Pruning(9, 0.5, 0)).ids());
    SparseVector kept = vector.prune(new SparseVector.Pruning(9, 0, 0.5));
    assertArrayEquals(new int[] {2, 3, 1}, kept.ids());
    assertArrayEquals(new float[] {2, 1, 0.5f}, kept.weights());
    assertEquals(
        0, new SparseVector(new int[0], new float[0]).prune(SparseVector.Pruning.NONE).size());
    assertThrows(IllegalArgumentException.class, () -> new SparseVector.Pruning(0, 0, 0));
    assertThrows(IllegalArgumentException.class, () -> new SparseVector.Pruning(1, 1.5, 0));
    assertThrows(IllegalArgumentException.class, () -> new SparseVector.Pruning(1, 0, Double.NaN));
  }
}
