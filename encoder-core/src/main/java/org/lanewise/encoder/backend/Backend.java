package org.lanewise.encoder.backend;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.Tensor;

/**
 * Memory and the fused operations that a model is made of, on one kind of device.
 *
 * <p>{@link ScalarBackend} defines what each operation computes; every other backend is held
 * against it by one contract test. Operations are thread-safe as long as no two calls share an
 * output. Shapes are checked by assertions: callers are our own models, whose weights were checked
 * when they were opened.
 */
public interface Backend {
  /** Returns {@code scalar}, {@code vector} or {@code cuda}. */
  String name();

  /** Returns the precision in which linear weights are kept. */
  Precision precision();

  /**
   * Returns what multiplies matrices: {@code loops}, {@code vector_512} and the like, {@code
   * avx512_int8}, {@code amx_bf16} and the like.
   */
  String kernels();

  /** Returns why it is {@link #kernels()} that multiply, in a few words. */
  String kernelsReason();

  /**
   * Returns memory for matrices that live as long as a call, for the calling thread to close. What
   * is read after that may be another call's.
   */
  default Arena callMemory() {
    return Arena.ofConfined();
  }

  /** Returns a zeroed matrix that lives as long as the arena. */
  Matrix allocate(Arena arena, int rows, int columns);

  /**
   * Returns a zeroed matrix for states between layers, which may be kept in the backend's own
   * precision. Within one operation, states that are added to each other, and the output of an
   * operation that changes states row by row, are of one format; {@link #linear} and {@link #pool}
   * take either and give what their output is.
   */
  default Matrix allocateState(Arena arena, int rows, int columns) {
    return allocate(arena, rows, columns);
  }

  /**
   * Returns the tables as {@link #embed} reads them: where they lie, or copied to the device that
   * computes.
   */
  default EmbeddingTables prepareEmbeddings(Arena arena, EmbeddingTables tables) {
    return tables;
  }

  /**
   * Returns a linear layer made of several stacked ones: the outputs follow each other.
   *
   * @param weights (outputSize, inputSize) each, as {@code torch.nn.Linear} stores them
   * @param biases (outputSize) each; empty for none
   */
  LinearWeight prepareLinear(Arena arena, List<Tensor> weights, List<Tensor> biases);

  /** Returns a normalisation over as many columns as {@code weight} has numbers. */
  NormWeight prepareNorm(
      Arena arena, NormKind kind, Tensor weight, Optional<Tensor> bias, float epsilon);

  /**
   * Returns the recurrent part of a layer.
   *
   * @param directions forward, then backward where there is one
   */
  RecurrentWeight prepareRecurrent(
      Arena arena, RecurrentCell cell, List<RecurrentTensors> directions);

  /**
   * hidden[t] = norm(scale * words[ids[t]] + types[typeIds[t]] + positions[positions[t]]), without
   * the tables that are not there.
   *
   * @param tables as {@link #prepareEmbeddings} returned them
   * @param norm empty for none
   */
  void embed(PackedBatch batch, EmbeddingTables tables, Optional<NormWeight> norm, Matrix hidden);

  /**
   * output = activation(input * weight^T + bias).
   *
   * @param output may not overlap the input; before all of that is read, whatever lies between the
   *     output's columns and the next multiple of 32, in its rows, may be written
   */
  void linear(Matrix input, LinearWeight weight, Activation activation, Matrix output);

  /**
   * output = activation(input * first^T + bias) * second^T + bias.
   *
   * @param between (rows of the input, at least first.outputSize()) for what lies between, which
   *     may be anything afterwards
   */
  default void feedForward(
      Matrix input,
      LinearWeight first,
      Activation activation,
      LinearWeight second,
      Matrix between,
      Matrix output) {
    Matrix activated = between.firstColumns(first.outputSize());
    linear(input, first, activation, activated);
    linear(activated, second, Activation.IDENTITY, output);
  }

  /**
   * output = activation(first half of the input's columns) * second half; output may be the first
   * half.
   */
  void gate(Matrix input, Activation activation, Matrix output);

  /** output = norm(input + residual), row by row; output may be residual or input. */
  void addNorm(Matrix input, Matrix residual, NormWeight norm, Matrix output);

  /**
   * output = norm(input), each {@code norm.size()} columns of a row by themselves; output may be
   * input.
   */
  void norm(Matrix input, NormWeight norm, Matrix output);

  /** output = output + input. */
  void add(Matrix input, Matrix output);

  /**
   * Turns the first {@code heads} heads of every row by the angles of the token's position.
   *
   * @param queryKeyValue (tokens, at least heads * headSize), changed in place
   */
  void rotate(Matrix queryKeyValue, PackedBatch batch, int heads, int headSize, RotaryTable table);

  /**
   * context = softmax(scale * query * key^T + bias) * value within each sequence and head, over the
   * keys that the pattern lets a query read.
   *
   * @param queryKeyValue (tokens, pattern.queryKeyValueSize()): all queries, then keys, then values
   *     of a token
   * @param context (tokens, pattern.contextSize())
   */
  void attention(Matrix queryKeyValue, PackedBatch batch, AttentionPattern pattern, Matrix context);

  /**
   * output[t] = input[t - width / 2], ..., input[t + width / 2] side by side, zeros beyond the ends
   * of the sequence: what a convolution along the sequence multiplies with its weight.
   *
   * @param width odd
   * @param output (tokens, width * input.columns())
   */
  void neighbours(Matrix input, PackedBatch batch, int width, Matrix output);

  /**
   * Runs a recurrent layer over each sequence: forward from its first token to its last, backward
   * from its last to its first. Numbers of different sequences never meet.
   *
   * @param projected (tokens, directions * gates * hiddenSize): the projected input of every token
   * @param sequenceStarts n + 1 ascending offsets, the first 0, the last the number of tokens
   * @param state (directions * n, states * hiddenSize), all sequences of a direction, then of the
   *     next: the states before the first step, replaced by those after the last
   * @param output (tokens, directions * hiddenSize): the hidden state after each token
   */
  void recur(
      Matrix projected, int[] sequenceStarts, RecurrentWeight weight, Matrix state, Matrix output);

  /**
   * Reduces the pooled tokens of each sequence to one row.
   *
   * @param hidden (tokens, hiddenSize)
   * @param vectors (sequences, at least column + hiddenSize), written from {@code column} on
   */
  void pool(Matrix hidden, PackedBatch batch, PoolingMode mode, Matrix vectors, int column);

  /** Scales every row to Euclidean length 1; a row of zeros stays as it is. */
  void normalize(Matrix vectors);

  /**
   * Makes an encoder's operations fast before they are needed, where that takes time: on the Vector
   * API the JIT compiles them while they work on small matrices. Takes about a second, once per
   * JVM.
   */
  default void warmUp() {}

  /**
   * Returns the fewest tokens that are worth a batch of their own on another thread, and the most
   * beyond which a larger batch is no faster.
   */
  default BatchTokens batchTokens() {
    return BatchTokens.CACHES;
  }

  /**
   * Returns whether the calling threads do not compute themselves, so that it pays to tokenize on
   * them meanwhile.
   */
  default boolean computesElsewhere() {
    return false;
  }

  /** Copies numbers from host memory into a row, from {@code column} on. */
  void write(float[] numbers, Matrix matrix, int row, int column);

  /** Returns the first {@code columns} numbers of a row, in host memory. */
  float[] read(Matrix matrix, int row, int columns);

  /** Returns the first {@code columns} numbers of every row, in host memory. */
  default float[][] read(Matrix matrix, int columns) {
    float[][] rows = new float[matrix.rows()][];
    for (int row = 0; row < rows.length; row++) {
      rows[row] = read(matrix, row, columns);
    }
    return rows;
  }
}
