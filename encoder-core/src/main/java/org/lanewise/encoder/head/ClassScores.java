package org.lanewise.encoder.head;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;

/**
 * What a classifier says of one sequence.
 *
 * @param classes names of the classes
 * @param choice how many of them a sequence has
 * @param logits score of each class
 * @param probabilities probability of each class, from 0 to 1
 */
public record ClassScores(
    List<String> classes, Choice choice, double[] logits, double[] probabilities) {
  /** From here on a class is more probable than not. */
  private static final double LIKELY = 0.5;

  /** A class with its probability. */
  public record ClassScore(String name, double probability) {}

  /**
   * Returns what the parts of a text say together: the weighted mean of the logarithms of their
   * probabilities as logits, and their softmax as probabilities; of classes of which a text has any
   * number, the weighted mean of their logits, and its sigmoid.
   *
   * @param parts at least one, all of the same classes
   * @param weights one for each part, above 0
   */
  public static ClassScores mean(List<ClassScores> parts, double[] weights) {
    List<String> classes = parts.getFirst().classes;
    Choice choice = parts.getFirst().choice;
    double[] logits = new double[classes.size()];
    double sum = Arrays.stream(weights).sum();
    for (int part = 0; part < weights.length; part++) {
      double[] scores = parts.get(part).logits;
      double logSum = choice == Choice.MULTI_CLASS ? LogSpace.logSumExp(scores) : 0;
      for (int i = 0; i < logits.length; i++) {
        logits[i] += weights[part] / sum * (scores[i] - logSum);
      }
    }
    return of(classes, choice, logits);
  }

  /** Returns the probabilities that the logits stand for. */
  public static ClassScores of(List<String> classes, Choice choice, double[] logits) {
    double[] probabilities =
        switch (choice) {
          case MULTI_CLASS -> LogSpace.softmax(logits);
          case MULTI_LABEL -> LogSpace.sigmoid(logits);
        };
    return new ClassScores(classes, choice, logits, probabilities);
  }

  /**
   * Returns the classes that the sequence has, the best first: the most probable one, or those of
   * at least 0.5 where it may have any number.
   */
  public List<ClassScore> chosen() {
    return switch (choice) {
      case MULTI_CLASS -> top(1);
      case MULTI_LABEL -> top(-1).stream().filter(score -> score.probability() >= LIKELY).toList();
    };
  }

  /**
   * Returns the most probable classes, the best first; equal ones in the order of the classes.
   *
   * @param count how many at most; all if negative
   */
  public List<ClassScore> top(int count) {
    return IntStream.range(0, classes.size())
        .mapToObj(i -> new ClassScore(classes.get(i), probabilities[i]))
        .sorted(Comparator.comparingDouble(ClassScore::probability).reversed())
        .limit(count < 0 ? classes.size() : count)
        .toList();
  }
}
