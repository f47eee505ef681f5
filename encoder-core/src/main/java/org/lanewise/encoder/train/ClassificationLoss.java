package org.lanewise.encoder.train;

import java.util.Optional;
import java.util.random.RandomGenerator;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.TrainingBackend;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;

/** A class, or any number of classes, for each text: cross-entropy over its pooled states. */
final class ClassificationLoss implements SequenceLoss {
  private final TrainingBackend backend;
  private final TrainablePooling pooling;
  private final Choice choice;
  private final TrainableLinear linear;

  ClassificationLoss(
      TrainingBackend backend,
      Parameters parameters,
      TrainablePooling pooling,
      Choice choice,
      int labels,
      int stateSize) {
    this.backend = backend;
    this.pooling = pooling;
    this.choice = choice;
    linear = TrainableLinear.add(backend, parameters, "head.", labels, stateSize);
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
    int texts = sequenceStarts.length - 1;
    SequenceLoss.check(labels, texts, linear.outputSize(), "text");
    Matrix pooled = workspace.matrix(texts, linear.inputSize());
    TrainablePooling.Backward back = pooling.forward(workspace, states, sequenceStarts, pooled);
    Optional<Matrix> mask = workspace.mask(texts, pooled.columns(), dropout, random);
    mask.ifPresent(present -> backend.multiplyElements(present, pooled));
    Matrix scores = workspace.matrix(texts, linear.outputSize());
    linear.forward(pooled, scores);
    double loss =
        switch (choice) {
          case MULTI_CLASS -> CrossEntropy.backward(backend, scores, labels);
          case MULTI_LABEL -> CrossEntropy.binary(backend, scores, labels);
        };
    linear.addGradients(pooled, scores);
    Matrix pooledGradient = workspace.matrix(texts, pooled.columns());
    linear.inputGradient(scores, false, pooledGradient);
    mask.ifPresent(present -> backend.multiplyElements(present, pooledGradient));
    back.run(pooledGradient, gradient);
    return loss;
  }
}
