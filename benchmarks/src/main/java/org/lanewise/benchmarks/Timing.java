package org.lanewise.benchmarks;

import java.util.Arrays;

/**
 * How long a contender took for a workload.
 *
 * @param shape the model
 * @param threads threads that every contender had
 * @param workload the workload's name
 * @param tokens tokens of the workload
 * @param contender the contender's name
 * @param setting how it ran
 * @param others processors that other programs used meanwhile
 * @param rounds seconds of one run in each round: the median of the round's runs
 */
record Timing(
    String shape,
    int threads,
    String workload,
    long tokens,
    String contender,
    String setting,
    double others,
    double[] rounds) {

  /** Returns the median of the numbers. */
  static double median(double... numbers) {
    double[] sorted = numbers.clone();
    Arrays.sort(sorted);
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  /** Returns the seconds of one run. */
  double seconds() {
    return median(rounds);
  }

  /** Returns the fastest round. */
  double least() {
    return Arrays.stream(rounds).min().orElseThrow();
  }

  /** Returns the slowest round. */
  double most() {
    return Arrays.stream(rounds).max().orElseThrow();
  }

  /** Returns how many times as fast as the other this is, round by round, sorted. */
  double[] timesAsFastAs(Timing other) {
    double[] ratios = new double[rounds.length];
    for (int i = 0; i < ratios.length; i++) {
      ratios[i] = other.rounds[i] / rounds[i];
    }
    Arrays.sort(ratios);
    return ratios;
  }
}
