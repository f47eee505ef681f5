package org.lanewise.encoder.train;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.random.RandomGenerator;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.TrainingBackend;
import org.lanewise.encoder.model.SequenceInput;
import org.lanewise.encoder.model.SequenceInputs;
import org.lanewise.encoder.model.SequenceModelConfig;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/**
 * A sequence model whose weights can be trained: its forward pass keeps what its backward pass
 * needs. Not thread-safe: one step at a time, whose operations the backend shares out.
 */
public final class TrainableModel implements AutoCloseable {
  private final TrainingBackend backend;
  private final SequenceModelConfig config;
  private final Parameters parameters;
  private final Workspace workspace;
  private final TrainableInputs inputs;
  private final TrainableRecurrence recurrence;
  private final SequenceLoss loss;

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

    /** Checks the shares. */
    public Dropout {
      check("inputs", inputs);
      check("layers", layers);
      check("states", states);
      check("words", words);
    }

    private static void check(String name, double share) {
      // Beyond that, what is left is scaled by more than a hundred.
      if (!(share >= 0 && share <= 0.99)) {
        throw new IllegalArgumentException(
            "dropout [" + name + "] is " + share + ", expected 0 to 0.99");
      }
    }
  }

  /**
   * Creates a model with random weights from the seed, uniform as PyTorch initialises its layers;
   * vectors of words and characters are uniform with a variance of 1 / size. Static vectors are 0
   * until they are loaded.
   *
   * @param rows for each input the rows of its table of words or characters, 0 where it has none
   * @throws IllegalArgumentException where rows and configuration do not fit together
   */
  public TrainableModel(
      TrainingBackend backend, SequenceModelConfig config, List<Integer> rows, long seed) {
    check(config, rows);
    this.backend = backend;
    this.config = config;
    parameters = new Parameters(backend, seed);
    workspace = new Workspace(backend);
    inputs = new TrainableInputs(backend, parameters, config, rows);
    recurrence = new TrainableRecurrence(backend, parameters, "recurrent.", config.recurrent());
    int size = config.recurrent().outputSize();
    int labels = config.labels().size();
    loss =
        switch (config.head()) {
          case TAG_SOFTMAX -> TaggingLoss.softmax(backend, parameters, labels, size);
          case TAG_CRF -> TaggingLoss.crf(backend, parameters, config.labels(), size);
          case CLASS_LAST ->
              classifier(new TrainablePooling.Last(backend, config.recurrent().directions()));
          case CLASS_MEAN -> classifier(new TrainablePooling.Mean(backend));
          case CLASS_MAX -> classifier(new TrainablePooling.Max(backend));
          case CLASS_ADDITIVE_ATTENTION ->
              classifier(TrainablePooling.Attention.additive(backend, parameters, size, size));
          case CLASS_DOT_ATTENTION ->
              classifier(TrainablePooling.Attention.dot(backend, parameters, size));
        };
  }

  private SequenceLoss classifier(TrainablePooling pooling) {
    return new ClassificationLoss(
        backend,
        parameters,
        pooling,
        config.choice(),
        config.labels().size(),
        config.recurrent().outputSize());
  }

  private static void check(SequenceModelConfig config, List<Integer> rows) {
    if (rows.size() != config.inputs().size()) {
      throw new IllegalArgumentException(
          "[rows] has " + rows.size() + " entries, expected " + config.inputs().size());
    }
    for (int i = 0; i < rows.size(); i++) {
      boolean table = !(config.inputs().get(i) instanceof SequenceInput.EncoderVectors);
      if (table && rows.get(i) < 1) {
        throw new IllegalArgumentException(
            "the table of input [" + i + "] has " + rows.get(i) + " rows, expected at least 1");
      }
    }
  }

  /** Replaces those weights that are given (static vectors, a golden), checked for shape. */
  public void load(Weights weights) {
    parameters.load(weights);
  }

  /**
   * Returns all weights under their names, F32, averaged as the optimiser of the steps said: a
   * copy.
   */
  public Map<String, Tensor> weights() {
    return parameters.weights();
  }

  /**
   * Returns what a training that was stopped goes on from: the weights but for frozen ones, and
   * what the optimiser keeps of each, under {@code first_moment.NAME}, {@code second_moment.NAME}
   * and {@code mean.NAME}. A copy.
   */
  public Map<String, Tensor> checkpoint() {
    return parameters.checkpoint();
  }

  /** Goes back to what {@link #checkpoint} returned, bit for bit. */
  public void restore(Weights checkpoint) {
    parameters.restore(checkpoint);
  }

  /**
   * Adds the gradient of the summed loss to the gradients and returns the summed loss: of a tagger
   * over words (softmax) or over sequences (negative log-likelihood of the CRF), of a classifier
   * over texts (softmax; of any number of classes, summed over these too).
   *
   * @param labels of each word for taggers, several where any of them is right (CRF only); of each
   *     text for classifiers, one or any number as the configuration chooses
   * @throws IllegalArgumentException naming what does not fit: a row beyond its table, a label
   *     beyond the labels, a path that the labels' scheme forbids
   */
  public double accumulate(
      SequenceInputs.Batch batch, int[][] labels, Dropout dropout, RandomGenerator random) {
    workspace.reset();
    int[] starts = batch.sequenceStarts();
    TrainableInputs.checkStarts(starts, batch.words(), "texts");
    TrainableInputs.Pass read = inputs.forward(workspace, batch, dropout.words(), random);
    Matrix joined = read.joined();
    Optional<Matrix> mask =
        workspace.mask(joined.rows(), joined.columns(), dropout.inputs(), random);
    mask.ifPresent(present -> backend.multiplyElements(present, joined));
    TrainableRecurrence.Pass pass =
        recurrence.forward(
            workspace,
            joined,
            starts,
            recurrence.zeroStates(workspace, starts.length - 1),
            dropout.layers(),
            random);
    Matrix outputGradient = workspace.matrix(pass.output().rows(), pass.output().columns());
    List<Matrix> stateGradients = recurrence.zeroStates(workspace, starts.length - 1);
    double sum =
        loss.backward(
            workspace,
            new States(pass.output(), pass.after().getLast()),
            starts,
            labels,
            dropout.states(),
            random,
            new States(outputGradient, stateGradients.getLast()));
    int trained = inputs.trainedColumns();
    Optional<Matrix> joinedGradient =
        trained > 0
            ? Optional.of(workspace.matrix(joined.rows(), joined.columns()).firstColumns(trained))
            : Optional.empty();
    recurrence.backward(workspace, pass, outputGradient, stateGradients, joinedGradient);
    if (joinedGradient.isPresent()) {
      Matrix gradient = joinedGradient.get();
      mask.ifPresent(present -> backend.multiplyElements(present.firstColumns(trained), gradient));
      inputs.backward(workspace, read, gradient);
    }
    return sum;
  }

  /** Returns the gradients by all weights that are trained, under their names: a copy. */
  Map<String, Tensor> gradients() {
    return parameters.gradients();
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
    return parameters.step(optimizer, step, scale);
  }

  @Override
  public void close() {
    parameters.close();
  }
}
