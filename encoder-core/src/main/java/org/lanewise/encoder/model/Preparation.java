package org.lanewise.encoder.model;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.EmbeddingTables;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.NormWeight;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/** Turns the plans of one encoder into weights of one backend; equal plans into the same ones. */
final class Preparation {
  private final Backend backend;
  private final Arena arena;
  private final Weights weights;
  private final Map<Object, Object> prepared = new HashMap<>();

  Preparation(Backend backend, Arena arena, Weights weights) {
    this.backend = backend;
    this.arena = arena;
    this.weights = weights;
  }

  Backend backend() {
    return backend;
  }

  Tensor tensor(String name) {
    return weights.tensor(name);
  }

  Matrix allocate(int rows, int columns) {
    return backend.allocate(arena, rows, columns);
  }

  EmbeddingTables embeddings(EmbeddingTables tables) {
    return backend.prepareEmbeddings(arena, tables);
  }

  /** Returns what the plan was made into before, or makes it. */
  @SuppressWarnings("unchecked") // Every plan is made into one type, by the one caller for it.
  <P, T> T once(P plan, Function<P, T> make) {
    if (!prepared.containsKey(plan)) {
      prepared.put(plan, make.apply(plan));
    }
    return (T) prepared.get(plan);
  }

  LinearWeight linear(LinearPlan plan) {
    List<Tensor> rows = new ArrayList<>();
    List<Tensor> biases = new ArrayList<>();
    boolean anyBias = plan.pieces().stream().anyMatch(LinearPlan.Piece::bias);
    for (LinearPlan.Piece piece : plan.pieces()) {
      rows.add(rows(tensor(piece.name() + ".weight"), piece.firstRow(), piece.rows()));
      if (piece.bias()) {
        biases.add(rows(tensor(piece.name() + ".bias"), piece.firstRow(), piece.rows()));
      } else if (anyBias) {
        biases.add(zeros(piece.rows()));
      }
    }
    return backend.prepareLinear(arena, rows, biases);
  }

  private Tensor zeros(int size) {
    return floats("zeros", new long[] {size}, new float[size]);
  }

  /** Returns the layer of that name with rows in another order than the file has. */
  LinearWeight linear(String name, long[] shape, float[] rows) {
    Tensor weight = floats(name, shape, rows);
    return backend.prepareLinear(arena, List.of(weight), List.of(tensor(name + ".bias")));
  }

  private Tensor floats(String name, long[] shape, float[] numbers) {
    MemorySegment data = arena.allocate((long) numbers.length * Float.BYTES, 64);
    data.asByteBuffer().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().put(numbers);
    return new Tensor(name, DataType.F32, shape, data);
  }

  private static Tensor rows(Tensor tensor, int first, int count) {
    if (first == 0 && count == tensor.shape()[0]) {
      return tensor;
    }
    long[] shape = tensor.shape().clone();
    long rowBytes = tensor.data().byteSize() / shape[0];
    shape[0] = count;
    MemorySegment data = tensor.data().asSlice(first * rowBytes, count * rowBytes);
    return new Tensor(tensor.name(), tensor.type(), shape, data);
  }

  NormWeight norm(NormPlan plan) {
    Optional<Tensor> bias =
        plan.bias() ? Optional.of(tensor(plan.name() + ".bias")) : Optional.empty();
    return backend.prepareNorm(
        arena, plan.kind(), tensor(plan.name() + ".weight"), bias, plan.epsilon());
  }

  Optional<NormWeight> norm(Optional<NormPlan> plan) {
    return plan.map(this::norm);
  }
}
