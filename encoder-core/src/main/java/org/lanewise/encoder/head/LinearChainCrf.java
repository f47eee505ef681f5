package org.lanewise.encoder.head;

import org.lanewise.encoder.weights.Weights;

/**
 * A linear-chain conditional random field over packed sequences.
 *
 * <p>The score of a path is start[first] + the emissions of its labels + transitions[from, to] of
 * its neighbours + end[last]; its probability is exp(score - log partition). Everything is computed
 * in log space and in double. Forbidden transitions may be large negative numbers, such as -10000,
 * or negative infinity. Immutable and thread-safe.
 *
 * <p>Emissions are (tokens, labels) in row-major order, the sequences end to end; {@code
 * sequenceStarts} has one entry more than there are sequences.
 */
public final class LinearChainCrf {
  private final int labels;
  private final double[] start; // (labels)
  private final double[] transitions; // (from, to)
  private final double[] end; // (labels)

  /**
   * The best path of every sequence.
   *
   * @param labels label of each token
   * @param scores score of each sequence's path
   */
  public record Paths(int[] labels, double[] scores) {}

  /**
   * Reads the field.
   *
   * @param weights start (labels), transitions (from, to) and end (labels)
   */
  public LinearChainCrf(Weights weights, int labels) {
    if (labels < 1) {
      throw new IllegalArgumentException("there are " + labels + " labels, expected at least 1");
    }
    ShapedWeights shaped = new ShapedWeights(weights);
    this.labels = labels;
    start = shaped.numbers("start", labels);
    transitions = shaped.numbers("transitions", labels, labels);
    end = shaped.numbers("end", labels);
  }

  private LinearChainCrf(LinearChainCrf field, LabelConstraints allowed) {
    labels = field.labels;
    start = field.start.clone();
    transitions = field.transitions.clone();
    end = field.end.clone();
    for (int from = 0; from < labels; from++) {
      start[from] = allowed.start()[from] ? start[from] : Double.NEGATIVE_INFINITY;
      end[from] = allowed.end()[from] ? end[from] : Double.NEGATIVE_INFINITY;
      for (int to = 0; to < labels; to++) {
        if (!allowed.transitions()[from][to]) {
          transitions[from * labels + to] = Double.NEGATIVE_INFINITY;
        }
      }
    }
  }

  /** Returns the field in which only the allowed paths have a probability above 0. */
  public LinearChainCrf constrained(LabelConstraints allowed) {
    if (allowed.start().length != labels) {
      throw new IllegalArgumentException(
          "constraints are for " + allowed.start().length + " labels, expected " + labels);
    }
    return new LinearChainCrf(this, allowed);
  }

  /** Returns the number of labels. */
  public int labels() {
    return labels;
  }

  /** Returns, for each sequence, the logarithm of the sum of exp(score) over all paths. */
  public double[] logPartition(float[] emissions, int[] sequenceStarts) {
    check(emissions, sequenceStarts);
    double[] partitions = new double[sequenceStarts.length - 1];
    for (int i = 0; i < partitions.length; i++) {
      int first = sequenceStarts[i];
      int tokens = sequenceStarts[i + 1] - first;
      partitions[i] = logPartition(forward(emissions, first, tokens), tokens, i);
    }
    return partitions;
  }

  /**
   * Returns the score of the given path of each sequence.
   *
   * @param path label of each token
   */
  public double[] pathScore(float[] emissions, int[] sequenceStarts, int[] path) {
    check(emissions, sequenceStarts);
    if (path.length * (long) labels != emissions.length) {
      throw new IllegalArgumentException(
          "path has " + path.length + " labels, expected " + emissions.length / labels);
    }
    for (int token = 0; token < path.length; token++) {
      if (path[token] < 0 || path[token] >= labels) {
        throw new IllegalArgumentException(
            "token [" + token + "] has label " + path[token] + ", expected 0 to " + (labels - 1));
      }
    }
    double[] scores = new double[sequenceStarts.length - 1];
    for (int i = 0; i < scores.length; i++) {
      int first = sequenceStarts[i];
      int last = sequenceStarts[i + 1] - 1;
      double score = start[path[first]] + emissions[first * labels + path[first]];
      for (int token = first + 1; token <= last; token++) {
        score += transitions[path[token - 1] * labels + path[token]];
        score += emissions[token * labels + path[token]];
      }
      scores[i] = score + end[path[last]];
    }
    return scores;
  }

  /** Returns the path of the highest score; of equal ones, that of the smaller last label. */
  public Paths viterbi(float[] emissions, int[] sequenceStarts) {
    check(emissions, sequenceStarts);
    int[] path = new int[emissions.length / labels];
    double[] scores = new double[sequenceStarts.length - 1];
    for (int i = 0; i < scores.length; i++) {
      int first = sequenceStarts[i];
      scores[i] = viterbi(emissions, first, sequenceStarts[i + 1] - first, path);
      checkScore(scores[i], i);
    }
    return new Paths(path, scores);
  }

  private double viterbi(float[] emissions, int first, int tokens, int[] path) {
    int[] previous = new int[tokens * labels]; // (tokens, labels): the best label before
    double[] best = new double[labels];
    double[] next = new double[labels];
    for (int to = 0; to < labels; to++) {
      best[to] = start[to] + emissions[first * labels + to];
    }
    for (int token = 1; token < tokens; token++) {
      for (int to = 0; to < labels; to++) {
        int argument = 0;
        double largest = best[0] + transitions[to];
        for (int from = 1; from < labels; from++) {
          double score = best[from] + transitions[from * labels + to];
          if (score > largest) {
            largest = score;
            argument = from;
          }
        }
        previous[token * labels + to] = argument;
        next[to] = largest + emissions[(first + token) * labels + to];
      }
      double[] swap = best;
      best = next;
      next = swap;
    }
    int label = 0;
    for (int last = 0; last < labels; last++) {
      best[last] += end[last];
      if (best[last] > best[label]) {
        label = last;
      }
    }
    double score = best[label];
    for (int token = tokens - 1; token >= 0; token--) {
      path[first + token] = label;
      label = previous[token * labels + label];
    }
    return score;
  }

  /** Returns the probability of each label at each token, (tokens, labels), over all paths. */
  public double[] marginals(float[] emissions, int[] sequenceStarts) {
    check(emissions, sequenceStarts);
    double[] marginals = new double[emissions.length];
    for (int i = 0; i < sequenceStarts.length - 1; i++) {
      int first = sequenceStarts[i];
      int tokens = sequenceStarts[i + 1] - first;
      double[] prefixes = forward(emissions, first, tokens);
      double[] suffixes = backward(emissions, first, tokens);
      double partition = logPartition(prefixes, tokens, i);
      for (int at = 0; at < tokens * labels; at++) {
        marginals[first * labels + at] = Math.exp(prefixes[at] + suffixes[at] - partition);
      }
    }
    return marginals;
  }

  /** Returns log sums over all paths up to a token with a label, (tokens, labels). */
  private double[] forward(float[] emissions, int first, int tokens) {
    double[] prefixes = new double[tokens * labels];
    double[] terms = new double[labels];
    for (int to = 0; to < labels; to++) {
      prefixes[to] = start[to] + emissions[first * labels + to];
    }
    for (int token = 1; token < tokens; token++) {
      for (int to = 0; to < labels; to++) {
        for (int from = 0; from < labels; from++) {
          terms[from] = prefixes[(token - 1) * labels + from] + transitions[from * labels + to];
        }
        prefixes[token * labels + to] =
            LogSpace.logSumExp(terms) + emissions[(first + token) * labels + to];
      }
    }
    return prefixes;
  }

  /** Returns log sums over all paths that follow a token with a label, (tokens, labels). */
  private double[] backward(float[] emissions, int first, int tokens) {
    double[] suffixes = new double[tokens * labels];
    double[] terms = new double[labels];
    System.arraycopy(end, 0, suffixes, (tokens - 1) * labels, labels);
    for (int token = tokens - 2; token >= 0; token--) {
      for (int from = 0; from < labels; from++) {
        for (int to = 0; to < labels; to++) {
          terms[to] =
              transitions[from * labels + to]
                  + emissions[(first + token + 1) * labels + to]
                  + suffixes[(token + 1) * labels + to];
        }
        suffixes[token * labels + from] = LogSpace.logSumExp(terms);
      }
    }
    return suffixes;
  }

  private double logPartition(double[] prefixes, int tokens, int sequence) {
    double[] terms = new double[labels];
    for (int label = 0; label < labels; label++) {
      terms[label] = prefixes[(tokens - 1) * labels + label] + end[label];
    }
    double partition = LogSpace.logSumExp(terms);
    checkScore(partition, sequence);
    return partition;
  }

  private static void checkScore(double score, int sequence) {
    if (!Double.isFinite(score)) {
      throw new IllegalArgumentException(
          "sequence ["
              + sequence
              + "] has the score "
              + score
              + ", expected a finite one: its emissions or the weights are not numbers, or no path"
              + " is allowed");
    }
  }

  private void check(float[] emissions, int[] sequenceStarts) {
    if (sequenceStarts.length == 0 || sequenceStarts[0] != 0) {
      throw new IllegalArgumentException("[sequenceStarts] must begin with 0");
    }
    for (int i = 1; i < sequenceStarts.length; i++) {
      if (sequenceStarts[i] <= sequenceStarts[i - 1]) {
        throw new IllegalArgumentException(
            "sequence [" + (i - 1) + "] has no tokens, expected at least 1");
      }
    }
    long expected = (long) sequenceStarts[sequenceStarts.length - 1] * labels;
    if (emissions.length != expected) {
      throw new IllegalArgumentException(
          "[emissions] has "
              + emissions.length
              + " numbers, expected "
              + expected
              + ": tokens times labels");
    }
  }
}
