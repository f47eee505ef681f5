package org.lanewise.encoder.train;

import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.lanewise.encoder.backend.TrainingBackend;
import org.lanewise.encoder.model.SequenceInputs;
import org.lanewise.encoder.model.SequenceModelConfig;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/**
 * A sequence model whose weights can be trained: its forward pass keeps what its backward pass
 * needs. Not thread-safe: one step at a time, whose operations the backend shares out.
 */
public final class TrainableModel implements AutoCloseable {
  /**
   * What is switched off at random in training.
   *
   * @param inputs share of the joined inputs' numbers
   * @param layers share of the numbers between recurrent layers
   * @param states share of the numbers that the head's linear layer reads: states of a tagger,
   *     pooled states of a classifier
   * @param words share of words whose trained vector is that of unknown words
   */
  public record Dropout(double inputs, double layers, double states, double words) {
    /** Nothing is dropped. */
    public static final Dropout NONE = new Dropout(0, 0, 0, 0);
  }

  /**
   * Creates a model with random weights from the seed, uniform as PyTorch initialises its layers;
   * vectors of words and characters are uniform with a variance of 1 / size. Static vectors are 0
   * until they are loaded.
   *
   * @param rows for each input the rows of its table of words or characters, 0 where it has none
   * @throws IllegalArgumentException where inputs, rows and configuration do not fit together
   */
  public TrainableModel(
      TrainingBackend backend, SequenceModelConfig config, List<Integer> rows, long seed) {
    throw new UnsupportedOperationException();
  }

  /** Replaces those weights that are given (static vectors, a golden), checked for shape. */
  public void load(Weights weights) {
    throw new UnsupportedOperationException();
  }

  /** Returns all weights under their names, F32, as they are now: a copy. */
  public Map<String, Tensor> weights() {
    throw new UnsupportedOperationException();
  }

  /**
   * Returns what a training that was stopped goes on from: the weights but for frozen ones, and
   * what the optimiser keeps of each, under {@code first_moment.NAME} and {@code
   * second_moment.NAME}. A copy.
   */
  public Map<String, Tensor> checkpoint() {
    throw new UnsupportedOperationException();
  }

  /** Goes back to what {@link #checkpoint} returned, bit for bit. */
  public void restore(Weights checkpoint) {
    throw new UnsupportedOperationException();
  }

  /**
   * Adds the gradient of the summed loss to the gradients and returns the summed loss: of a tagger
   * over words (softmax) or over sequences (negative log-likelihood of the CRF), of a classifier
   * over texts.
   *
   * @param labels (words) for taggers; (texts) for classifiers
   * @throws IllegalArgumentException naming what does not fit: a row beyond its table, a label
   *     beyond the labels, a path that the labels' scheme forbids
   */
  public double accumulate(
      SequenceInputs.Batch batch, int[] labels, Dropout dropout, RandomGenerator random) {
    throw new UnsupportedOperationException();
  }

  /**
   * Changes the weights by one step of AdamW on the gradients, and sets these to zero.
   *
   * @param step 1 for the first
   * @param scale multiplies the gradients first: 1 / words or texts for a mean
   * @return the norm of the scaled gradient before it was clipped
   * @throws ArithmeticException where the norm is not a number: the training has diverged
   */
  public double step(Optimizer optimizer, int step, double scale) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {
    throw new UnsupportedOperationException();
  }
}
