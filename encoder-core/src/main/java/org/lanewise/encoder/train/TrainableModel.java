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
   * @param states share of the last layer's numbers
   * @param words share of words that are read as unknown
   */
  public record Dropout(double inputs, double layers, double states, double words) {
    /** Nothing is dropped. */
    public static final Dropout NONE = new Dropout(0, 0, 0, 0);
  }

  /**
   * Creates a model with random weights from the seed (uniform as PyTorch initialises its layers).
   *
   * @param rows for each input the rows of its table of words or characters, 0 where it has none
   */
  public TrainableModel(
      TrainingBackend backend, SequenceModelConfig config, List<Integer> rows, long seed) {
    throw new UnsupportedOperationException();
  }

  /** Replaces weights by given ones (static vectors, a checkpoint, a golden), checked for shape. */
  public void load(Weights weights) {
    throw new UnsupportedOperationException();
  }

  /** Returns all weights under their names, F32, as they are now (a view, not a copy). */
  public Map<String, Tensor> weights() {
    throw new UnsupportedOperationException();
  }

  /**
   * Adds the gradient of the summed loss to the gradients and returns the summed loss: of a tagger
   * over words (softmax) or over sequences (negative log-likelihood of the CRF), of a classifier
   * over texts.
   *
   * @param labels (words) for taggers; (texts) for classifiers
   */
  public double accumulate(
      SequenceInputs.Batch batch, int[] labels, Dropout dropout, RandomGenerator random) {
    throw new UnsupportedOperationException();
  }

  /** Changes the weights by one step of AdamW on the gradients, and sets these to zero. */
  public void step(Optimizer optimizer, int step, double scale) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {
    throw new UnsupportedOperationException();
  }
}
