package org.lanewise.encoder.head;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * What a classifier says of one sequence.
 *
 * @param classes names of the classes
 * @param logits score of each class
 * @param probabilities probability of each class, from 0 to 1
 */
public record ClassScores(List<String> classes, double[] logits, double[] probabilities) {
  /** A class with its probability. */
  public record ClassScore(String name, double probability) {}

  /**
   * Returns what the parts of a text say together: the mean of the logarithms of their
   * probabilities, weighted, as logits, and their softmax as probabilities. For classes of which a
   * text has exactly one.
   *
   * @param parts at least one, all of the same classes
   * @param weights one for each part, above 0
   */
  public static ClassScores mean(List<ClassScores> parts, double[] weights) {
    List<String> classes = parts.getFirst().classes;
    double[] logits = new double[classes.size()];
    double sum = Arrays.stream(weights).sum();
    for (int part = 0; part < weights.length; part++) {
      double[] scores = parts.get(part).logits;
      double logSum = LogSpace.logSumExp(scores);
      for (int i = 0; i < logits.length; i++) {
        logits[i] += weights[part] / sum * (scores[i] - logSum);
      }
    }
    return new ClassScores(classes, logits, LogSpace.softmax(logits));
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
