package org.lanewise.encoder.head;

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
