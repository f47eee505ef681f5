package org.lanewise.encoder.head;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.weights.Weights;

/** Turns the states of each sequence into the probabilities of classes. */
public final class SequenceClassifier {
  private final SequencePooling pooling;
  private final Choice choice;
  private final List<String> classes;
  private final int stateSize;
  private final double[] weight; // (classes, stateSize)
  private final double[] bias; // (classes)

  /**
   * Reads the classifier.
   *
   * @param weights W (classes, stateSize) and b (classes)
   * @param classes names of the classes, at least one, no two alike
   */
  public SequenceClassifier(
      Weights weights,
      SequencePooling pooling,
      Choice choice,
      List<String> classes,
      int stateSize) {
    if (classes.isEmpty() || new HashSet<>(classes).size() != classes.size()) {
      throw new IllegalArgumentException(
          "classes are " + classes + ", expected at least one and no two alike");
    }
    ShapedWeights shaped = new ShapedWeights(weights);
    this.pooling = pooling;
    this.choice = choice;
    this.classes = List.copyOf(classes);
    this.stateSize = stateSize;
    weight = shaped.numbers("W", classes.size(), stateSize);
    bias = shaped.numbers("b", classes.size());
  }

  /**
   * Returns the scores of each sequence.
   *
   * @param arena takes what is computed on the way
   * @param states (tokens, stateSize)
   */
  public List<ClassScores> forward(Backend backend, Arena arena, Matrix states, PackedBatch batch) {
    if (states.columns() != stateSize || states.rows() != batch.tokens()) {
      throw new IllegalArgumentException(
          "states are ("
              + states.rows()
              + ", "
              + states.columns()
              + "), expected ("
              + batch.tokens()
              + ", "
              + stateSize
              + ")");
    }
    List<ClassScores> scores = new ArrayList<>();
    for (double[] row : pooling.pool(backend, arena, states, batch)) {
      scores.add(scores(row));
    }
    return scores;
  }

  /** Returns the scores of a sequence without tokens: those of the bias alone. */
  public ClassScores prior() {
    return scores(new double[stateSize]);
  }

  private ClassScores scores(double[] row) {
    return ClassScores.of(classes, choice, logits(row));
  }

  private double[] logits(double[] row) {
    double[] logits = bias.clone();
    for (int i = 0; i < logits.length; i++) {
      for (int column = 0; column < stateSize; column++) {
        logits[i] += weight[i * stateSize + column] * row[column];
      }
    }
    return logits;
  }
}
