package org.lanewise.encoder.head;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.Weights;

/**
 * The mean of a sequence's states s, weighted by a softmax over its tokens.
 *
 * <p>Additive attention scores a token v . tanh(W s + b), dot attention s . u / sqrt(stateSize).
 * The product with W runs on the backend, the rest on the host.
 */
public final class AttentionPooling implements SequencePooling {
  private final Optional<LinearWeight> projection;
  private final double[] query;
  private final double scale;

  private AttentionPooling(Optional<LinearWeight> projection, double[] query, double scale) {
    this.projection = projection;
    this.query = query;
    this.scale = scale;
  }

  /**
   * Returns additive attention.
   *
   * @param weights W (attentionSize, stateSize), b (attentionSize) and v (attentionSize)
   */
  public static AttentionPooling additive(
      Backend backend, Arena arena, Weights weights, int stateSize) {
    ShapedWeights shaped = new ShapedWeights(weights);
    int size = shaped.rows("W", stateSize);
    LinearWeight projection =
        backend.prepareLinear(
            arena, List.of(shaped.tensor("W", size, stateSize)), List.of(shaped.tensor("b", size)));
    return new AttentionPooling(Optional.of(projection), shaped.numbers("v", size), 1);
  }

  /**
   * Returns scaled dot-product attention.
   *
   * @param weights u (stateSize)
   */
  public static AttentionPooling dot(Weights weights, int stateSize) {
    double[] query = new ShapedWeights(weights).numbers("u", stateSize);
    return new AttentionPooling(Optional.empty(), query, 1 / Math.sqrt(stateSize));
  }

  @Override
  public double[][] pool(Backend backend, Arena arena, Matrix states, PackedBatch batch) {
    double[] attention = attention(backend, arena, states, batch);
    double[][] rows = new double[batch.sequences()][states.columns()];
    for (int sequence = 0; sequence < rows.length; sequence++) {
      int end = batch.sequenceStarts()[sequence + 1];
      for (int token = batch.sequenceStarts()[sequence]; token < end; token++) {
        float[] state = backend.read(states, token, states.columns());
        for (int i = 0; i < state.length; i++) {
          rows[sequence][i] += attention[token] * state[i];
        }
      }
    }
    return rows;
  }

  /** Returns the weight of each token; those of a sequence sum to 1. */
  double[] attention(Backend backend, Arena arena, Matrix states, PackedBatch batch) {
    Matrix keys = states;
    if (projection.isPresent()) {
      keys = backend.allocate(arena, states.rows(), query.length);
      backend.linear(states, projection.get(), Activation.TANH, keys);
    }
    double[] attention = new double[batch.tokens()];
    for (int sequence = 0; sequence < batch.sequences(); sequence++) {
      int first = batch.sequenceStarts()[sequence];
      double[] scores = new double[batch.length(sequence)];
      for (int token = 0; token < scores.length; token++) {
        float[] key = backend.read(keys, first + token, query.length);
        for (int i = 0; i < key.length; i++) {
          scores[token] += scale * query[i] * key[i];
        }
      }
      System.arraycopy(LogSpace.softmax(scores), 0, attention, first, scores.length);
    }
    return attention;
  }
}
