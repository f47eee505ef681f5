package org.lanewise.encoder.train;

import java.util.List;
import java.util.Optional;
import java.util.random.RandomGenerator;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.TrainingBackend;
import org.lanewise.encoder.head.LabelConstraints;
import org.lanewise.encoder.head.LinearChainCrf;

/**
 * A tag for each word: cross-entropy, or the negative log-likelihood of a linear-chain CRF in which
 * what the labels' scheme forbids has no probability, and therefore no gradient. With the CRF, a
 * word may have several labels, any of which is right.
 */
final class TaggingLoss implements SequenceLoss {
  /** As pytorch-crf initialises it. */
  private static final double CRF_BOUND = 0.1;

  private final TrainingBackend backend;
  private final TrainableLinear linear;
  private final Optional<Field> field;

  /** The parameters of a CRF. */
  private record Field(
      Parameter start, Parameter transitions, Parameter end, LabelConstraints constraints) {}

  private TaggingLoss(TrainingBackend backend, TrainableLinear linear, Optional<Field> field) {
    this.backend = backend;
    this.linear = linear;
    this.field = field;
  }

  static TaggingLoss softmax(
      TrainingBackend backend, Parameters parameters, int labels, int stateSize) {
    return new TaggingLoss(
        backend,
        TrainableLinear.add(backend, parameters, "head.", labels, stateSize),
        Optional.empty());
  }

  static TaggingLoss crf(
      TrainingBackend backend, Parameters parameters, List<String> labels, int stateSize) {
    int size = labels.size();
    Parameter.Kind kind = Parameter.Kind.WEIGHT;
    Field field =
        new Field(
            parameters.addVector(kind, "crf.start", size, CRF_BOUND),
            parameters.addWeight("crf.transitions", size, size, CRF_BOUND),
            parameters.addVector(kind, "crf.end", size, CRF_BOUND),
            LabelConstraints.of(labels));
    return new TaggingLoss(
        backend,
        TrainableLinear.add(backend, parameters, "head.", size, stateSize),
        Optional.of(field));
  }

  @Override
  public double backward(
      Workspace workspace,
      States states,
      int[] sequenceStarts,
      int[][] labels,
      double dropout,
      RandomGenerator random,
      States gradient) {
    int words = states.each().rows();
    int known = linear.outputSize();
    SequenceLoss.check(labels, words, known, "word");
    Matrix read = states.each();
    Optional<Matrix> mask = workspace.mask(words, read.columns(), dropout, random);
    if (mask.isPresent()) {
      read = workspace.matrix(words, read.columns());
      backend.copy(states.each(), read);
      backend.multiplyElements(mask.get(), read);
    }
    Matrix scores = workspace.matrix(words, known);
    linear.forward(read, scores);
    double loss =
        field.isPresent()
            ? backward(field.get(), scores, sequenceStarts, labels)
            : CrossEntropy.backward(backend, scores, labels);
    linear.addGradients(read, scores);
    linear.inputGradient(scores, false, gradient.each());
    if (mask.isPresent()) {
      backend.multiplyElements(mask.get(), gradient.each());
    }
    backend.zero(gradient.last());
    return loss;
  }

  private double backward(Field field, Matrix scores, int[] sequenceStarts, int[][] labels) {
    int known = linear.outputSize();
    float[] emissions = new float[labels.length * known];
    for (int word = 0; word < labels.length; word++) {
      System.arraycopy(backend.read(scores, word, known), 0, emissions, word * known, known);
    }
    LinearChainCrf.Gradient gradient = crf(field).gradient(emissions, sequenceStarts, labels);
    float[] row = new float[known];
    for (int word = 0; word < labels.length; word++) {
      for (int i = 0; i < known; i++) {
        row[i] = (float) gradient.emissions()[word * known + i];
      }
      backend.write(row, scores, word, 0);
    }
    add(gradient.start(), field.start().gradient());
    add(gradient.transitions(), field.transitions().gradient());
    add(gradient.end(), field.end().gradient());
    return gradient.loss();
  }

  private LinearChainCrf crf(Field field) {
    return new LinearChainCrf(
            numbers(field.start().value()),
            numbers(field.transitions().value()),
            numbers(field.end().value()))
        .constrained(field.constraints());
  }

  private double[] numbers(Matrix matrix) {
    double[] numbers = new double[matrix.rows() * matrix.columns()];
    for (int row = 0; row < matrix.rows(); row++) {
      float[] from = backend.read(matrix, row, matrix.columns());
      for (int i = 0; i < from.length; i++) {
        numbers[row * from.length + i] = from[i];
      }
    }
    return numbers;
  }

  private void add(double[] numbers, Matrix gradient) {
    for (int row = 0; row < gradient.rows(); row++) {
      float[] sums = backend.read(gradient, row, gradient.columns());
      for (int i = 0; i < sums.length; i++) {
        sums[i] += (float) numbers[row * sums.length + i];
      }
      backend.write(sums, gradient, row, 0);
    }
  }
}
