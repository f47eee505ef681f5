package org.lanewise.encoder.head;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.weights.Weights;

/**
 * Turns the state of each token into a label: by a softmax per token, or by the best path of a
 * {@link LinearChainCrf}. Weights live as long as the arena.
 */
public final class TaggingHead {
  private final LinearWeight linear;
  private final Optional<LinearChainCrf> crf;

  /**
   * The label of each token.
   *
   * @param labels index of the label
   * @param scores its probability: of the softmax, or the marginal of the field
   */
  public record TokenLabels(int[] labels, double[] scores) {}

  /**
   * Prepares the layer.
   *
   * @param weights W (labels, stateSize) and b (labels)
   */
  public TaggingHead(
      Backend backend,
      Arena arena,
      Weights weights,
      int labels,
      int stateSize,
      Optional<LinearChainCrf> crf) {
    if (crf.isPresent() && crf.get().labels() != labels) {
      throw new IllegalArgumentException(
          "the CRF has " + crf.get().labels() + " labels, expected " + labels);
    }
    ShapedWeights shaped = new ShapedWeights(weights);
    linear =
        backend.prepareLinear(
            arena,
            List.of(shaped.tensor("W", labels, stateSize)),
            List.of(shaped.tensor("b", labels)));
    this.crf = crf;
  }

  /**
   * Returns the scores of all labels, (tokens, labels) in row-major order.
   *
   * @param states (tokens, stateSize)
   */
  public float[] emissions(Backend backend, Arena arena, Matrix states) {
    if (states.columns() != linear.inputSize()) {
      throw new IllegalArgumentException(
          "states have " + states.columns() + " columns, expected " + linear.inputSize());
    }
    int labels = linear.outputSize();
    Matrix output = backend.allocate(arena, states.rows(), labels);
    backend.linear(states, linear, Activation.IDENTITY, output);
    float[] emissions = new float[Math.multiplyExact(states.rows(), labels)];
    for (int token = 0; token < states.rows(); token++) {
      System.arraycopy(backend.read(output, token, labels), 0, emissions, token * labels, labels);
    }
    return emissions;
  }

  /** Returns the probability of every label at every token, (tokens, labels). */
  public double[] probabilities(float[] emissions, int[] sequenceStarts) {
    if (crf.isPresent()) {
      return crf.get().marginals(emissions, sequenceStarts);
    }
    if (emissions.length % linear.outputSize() != 0) {
      throw new IllegalArgumentException(
          "[emissions] has "
              + emissions.length
              + " numbers, expected a multiple of the "
              + linear.outputSize()
              + " labels");
    }
    double[] probabilities = new double[emissions.length];
    double[] row = new double[linear.outputSize()];
    for (int first = 0; first < emissions.length; first += row.length) {
      for (int i = 0; i < row.length; i++) {
        row[i] = emissions[first + i];
      }
      System.arraycopy(LogSpace.softmax(row), 0, probabilities, first, row.length);
    }
    return probabilities;
  }

  /** Returns the best label of every token; with a field, those of each sequence's best path. */
  public TokenLabels label(float[] emissions, int[] sequenceStarts) {
    double[] probabilities = probabilities(emissions, sequenceStarts);
    int labels = linear.outputSize();
    int[] best =
        crf.isPresent()
            ? crf.get().viterbi(emissions, sequenceStarts).labels()
            : mostProbable(probabilities, labels);
    double[] scores = new double[best.length];
    for (int token = 0; token < best.length; token++) {
      scores[token] = probabilities[token * labels + best[token]];
    }
    return new TokenLabels(best, scores);
  }

  private static int[] mostProbable(double[] probabilities, int labels) {
    int[] best = new int[probabilities.length / labels];
    for (int token = 0; token < best.length; token++) {
      for (int label = 1; label < labels; label++) {
        if (probabilities[token * labels + label] > probabilities[token * labels + best[token]]) {
          best[token] = label;
        }
      }
    }
    return best;
  }
}
