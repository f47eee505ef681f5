package org.lanewise.encoder.head;

import java.util.Arrays;
import org.lanewise.encoder.weights.Weights;

/**
 * A linear-chain conditional random field over packed sequences.
 *
 * <p>The score of a path is start[first] + the emissions of its labels + transitions[from, to] of
 * its neighbours + end[last]; its probability is exp(score - log partition). Everything is computed
 * in log space, or safely beside it, and in double. Forbidden transitions may be large negative
 * numbers, such as -10000, or negative infinity. Immutable and thread-safe.
 *
 * <p>Emissions are (tokens, labels) in row-major order, the sequences end to end; {@code
 * sequenceStarts} has one entry more than there are sequences.
 */
public final class LinearChainCrf {
  /**
   * Sums are taken over factors exp(score - largest score): a logarithm per label instead of one
   * per pair of labels. Below this a sum may lack terms that vanished in it, and is taken in log
   * space.
   */
  private static final double MIN_SUM = 1e-290;

  /** Products of vanished factors stay nothing when scaled by up to the exponential of this. */
  private static final double MAX_EXPONENT = 300;

  private final int labels;
  private final double[] start; // (labels)
  private final double[] transitions; // (from, to)
  private final double[] end; // (labels)
  private final double largest; // of the transitions
  private final double[] factors; // exp(transitions - largest), (from, to)

  /**
   * The best path of every sequence.
   *
   * @param labels label of each token
   * @param scores score of each sequence's path
   */
  public record Paths(int[] labels, double[] scores) {}

  /**
   * The negative log-likelihood of given paths, or of sets of paths, and its derivatives.
   *
   * @param loss summed over the sequences
   * @param emissions (tokens, labels)
   * @param start (labels)
   * @param transitions (from, to)
   * @param end (labels)
   */
  public record Gradient(
      double loss, double[] emissions, double[] start, double[] transitions, double[] end) {}

  /**
   * Reads the field.
   *
   * @param weights start (labels), transitions (from, to) and end (labels)
   */
  public LinearChainCrf(Weights weights, int labels) {
    this(
        new ShapedWeights(weights).numbers("start", atLeastOne(labels)),
        new ShapedWeights(weights).numbers("transitions", labels, labels),
        new ShapedWeights(weights).numbers("end", labels));
  }

  private static int atLeastOne(int labels) {
    if (labels < 1) {
      throw new IllegalArgumentException("there are " + labels + " labels, expected at least 1");
    }
    return labels;
  }

  /**
   * Makes a field of these numbers.
   *
   * @param start (labels)
   * @param transitions (from, to)
   * @param end (labels)
   */
  public LinearChainCrf(double[] start, double[] transitions, double[] end) {
    labels = atLeastOne(start.length);
    if (end.length != labels || transitions.length != (long) labels * labels) {
      throw new IllegalArgumentException(
          "[transitions] has "
              + transitions.length
              + " numbers and [end] "
              + end.length
              + ", expected those of the "
              + labels
              + " labels of [start]");
    }
    this.start = start;
    this.transitions = transitions;
    this.end = end;
    double maximum = Double.NEGATIVE_INFINITY;
    for (double transition : transitions) {
      maximum = Math.max(maximum, transition);
    }
    largest = Double.isInfinite(maximum) ? 0 : maximum;
    factors = new double[transitions.length];
    for (int i = 0; i < factors.length; i++) {
      factors[i] = Math.exp(transitions[i] - largest);
    }
  }

  /** Returns the field in which only the allowed paths have a probability above 0. */
  public LinearChainCrf constrained(LabelConstraints allowed) {
    if (allowed.start().length != labels) {
      throw new IllegalArgumentException(
          "constraints are for " + allowed.start().length + " labels, expected " + labels);
    }
    double[] start = this.start.clone();
    double[] transitions = this.transitions.clone();
    double[] end = this.end.clone();
    for (int from = 0; from < labels; from++) {
      start[from] = allowed.start()[from] ? start[from] : Double.NEGATIVE_INFINITY;
      end[from] = allowed.end()[from] ? end[from] : Double.NEGATIVE_INFINITY;
      for (int to = 0; to < labels; to++) {
        if (!allowed.transitions()[from][to]) {
          transitions[from * labels + to] = Double.NEGATIVE_INFINITY;
        }
      }
    }
    return new LinearChainCrf(start, transitions, end);
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
      scores[i] = pathScore(emissions, sequenceStarts[i], sequenceStarts[i + 1] - 1, path);
    }
    return scores;
  }

  private double pathScore(float[] emissions, int first, int last, int[] path) {
    double score = start[path[first]] + emissions[first * labels + path[first]];
    for (int token = first + 1; token <= last; token++) {
      score += transitions[path[token - 1] * labels + path[token]];
      score += emissions[token * labels + path[token]];
    }
    return score + end[path[last]];
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

  /**
   * Returns the loss of the paths that the given labels allow, and its derivatives by emissions and
   * weights: the sum over the sequences of log partition - log of the sum of exp(score) over the
   * allowed paths. Where each token of a sequence has one label that is log partition - score. What
   * is forbidden by negative infinity has the derivative 0.
   *
   * @param allowed labels that each token may have, at least one
   * @throws IllegalArgumentException also where all allowed paths are forbidden
   */
  public Gradient gradient(float[] emissions, int[] sequenceStarts, int[][] allowed) {
    check(emissions, sequenceStarts);
    checkAllowed(allowed, emissions.length / labels);
    int[] path = Arrays.stream(allowed).mapToInt(each -> each[0]).toArray();
    boolean unique = Arrays.stream(allowed).allMatch(each -> each.length == 1);
    float[] kept = unique ? emissions : restricted(emissions, allowed);
    double loss = 0;
    double[] byEmissions = new double[emissions.length];
    double[] byTransitions = new double[labels * labels];
    double[] byStart = new double[labels];
    double[] byEnd = new double[labels];
    for (int i = 0; i < sequenceStarts.length - 1; i++) {
      int first = sequenceStarts[i];
      int last = sequenceStarts[i + 1] - 1;
      loss += addExpected(emissions, first, last, i, 1, byEmissions, byTransitions);
      boolean single = true;
      for (int token = first; token <= last; token++) {
        single &= allowed[token].length == 1;
      }
      if (single) {
        double score = pathScore(emissions, first, last, path);
        checkScore(score, i);
        loss -= score;
        byEmissions[first * labels + path[first]] -= 1;
        for (int token = first + 1; token <= last; token++) {
          byEmissions[token * labels + path[token]] -= 1;
          byTransitions[path[token - 1] * labels + path[token]] -= 1;
        }
      } else {
        loss -= addExpected(kept, first, last, i, -1, byEmissions, byTransitions);
      }
      for (int label = 0; label < labels; label++) {
        byStart[label] += byEmissions[first * labels + label];
        byEnd[label] += byEmissions[last * labels + label];
      }
    }
    return new Gradient(loss, byEmissions, byStart, byTransitions, byEnd);
  }

  /** Returns the loss of one path of each sequence, and its derivatives. */
  public Gradient gradient(float[] emissions, int[] sequenceStarts, int[] path) {
    int[][] allowed =
        Arrays.stream(path).mapToObj(label -> new int[] {label}).toArray(int[][]::new);
    return gradient(emissions, sequenceStarts, allowed);
  }

  private void checkAllowed(int[][] allowed, int tokens) {
    if (allowed.length != tokens) {
      throw new IllegalArgumentException(
          "labels are given for " + allowed.length + " tokens, expected " + tokens);
    }
    for (int token = 0; token < tokens; token++) {
      boolean known = allowed[token].length > 0;
      for (int label : allowed[token]) {
        known &= label >= 0 && label < labels;
      }
      if (!known) {
        throw new IllegalArgumentException(
            "token ["
                + token
                + "] has the labels "
                + Arrays.toString(allowed[token])
                + ", expected at least one, each 0 to "
                + (labels - 1));
      }
    }
  }

  /** Returns the emissions of these labels; those of others forbid them. */
  private float[] restricted(float[] emissions, int[][] allowed) {
    float[] kept = new float[emissions.length];
    Arrays.fill(kept, Float.NEGATIVE_INFINITY);
    for (int token = 0; token < allowed.length; token++) {
      for (int label : allowed[token]) {
        kept[token * labels + label] = emissions[token * labels + label];
      }
    }
    return kept;
  }

  /**
   * Returns the log partition of a sequence and adds its derivatives, which are the probabilities
   * of labels and transitions.
   *
   * @param sign 1, or -1 to subtract them
   */
  private double addExpected(
      float[] emissions,
      int first,
      int last,
      int sequence,
      double sign,
      double[] byEmissions,
      double[] byTransitions) {
    int tokens = last - first + 1;
    double[] prefixes = forward(emissions, first, tokens);
    double[] suffixes = backward(emissions, first, tokens);
    double partition = logPartition(prefixes, tokens, sequence);
    for (int at = 0; at < tokens * labels; at++) {
      byEmissions[first * labels + at] += sign * Math.exp(prefixes[at] + suffixes[at] - partition);
    }
    for (int token = 1; token < tokens; token++) {
      addTransitions(prefixes, suffixes, emissions, first, token, partition, sign, byTransitions);
    }
    return partition;
  }

  /** Adds the probability of each transition to the token from the one before it, times sign. */
  private void addTransitions(
      double[] prefixes,
      double[] suffixes,
      float[] emissions,
      int first,
      int token,
      double partition,
      double sign,
      double[] sums) {
    double[] after = new double[labels];
    for (int to = 0; to < labels; to++) {
      after[to] = emissions[(first + token) * labels + to] + suffixes[token * labels + to];
    }
    double largestAfter = exponentiate(after, 0, after);
    double[] before = new double[labels];
    double largestBefore = exponentiate(prefixes, (token - 1) * labels, before);
    double exponent = largestBefore + largest + largestAfter - partition;
    if (exponent < MAX_EXPONENT) {
      double scale = sign * Math.exp(exponent);
      for (int from = 0; from < labels; from++) {
        double factor = scale * before[from];
        for (int to = 0; to < labels; to++) {
          sums[from * labels + to] += factor * factors[from * labels + to] * after[to];
        }
      }
      return;
    }
    for (int from = 0; from < labels; from++) {
      for (int to = 0; to < labels; to++) {
        sums[from * labels + to] +=
            sign
                * Math.exp(
                    prefixes[(token - 1) * labels + from]
                        + transitions[from * labels + to]
                        + emissions[(first + token) * labels + to]
                        + suffixes[token * labels + to]
                        - partition);
      }
    }
  }

  /**
   * Returns the largest of the labels' numbers, or 0 if that is infinite, and writes exp(number -
   * largest).
   */
  private double exponentiate(double[] numbers, int offset, double[] factors) {
    double maximum = Double.NEGATIVE_INFINITY;
    for (int label = 0; label < labels; label++) {
      maximum = Math.max(maximum, numbers[offset + label]);
    }
    double shift = Double.isInfinite(maximum) ? 0 : maximum;
    for (int label = 0; label < labels; label++) {
      factors[label] = Math.exp(numbers[offset + label] - shift);
    }
    return shift;
  }

  /** Returns log sums over all paths up to a token with a label, (tokens, labels). */
  private double[] forward(float[] emissions, int first, int tokens) {
    double[] prefixes = new double[tokens * labels];
    double[] before = new double[labels];
    double[] terms = new double[labels];
    for (int to = 0; to < labels; to++) {
      prefixes[to] = start[to] + emissions[first * labels + to];
    }
    for (int token = 1; token < tokens; token++) {
      int previous = (token - 1) * labels;
      double shift = exponentiate(prefixes, previous, before) + largest;
      for (int to = 0; to < labels; to++) {
        double sum = 0;
        for (int from = 0; from < labels; from++) {
          sum += before[from] * factors[from * labels + to];
        }
        double logSum = shift + Math.log(sum);
        if (sum < MIN_SUM) {
          for (int from = 0; from < labels; from++) {
            terms[from] = prefixes[previous + from] + transitions[from * labels + to];
          }
          logSum = LogSpace.logSumExp(terms);
        }
        prefixes[token * labels + to] = logSum + emissions[(first + token) * labels + to];
      }
    }
    return prefixes;
  }

  /** Returns log sums over all paths that follow a token with a label, (tokens, labels). */
  private double[] backward(float[] emissions, int first, int tokens) {
    double[] suffixes = new double[tokens * labels];
    double[] scores = new double[labels];
    double[] after = new double[labels];
    double[] terms = new double[labels];
    System.arraycopy(end, 0, suffixes, (tokens - 1) * labels, labels);
    for (int token = tokens - 2; token >= 0; token--) {
      for (int to = 0; to < labels; to++) {
        scores[to] =
            emissions[(first + token + 1) * labels + to] + suffixes[(token + 1) * labels + to];
      }
      double shift = exponentiate(scores, 0, after) + largest;
      for (int from = 0; from < labels; from++) {
        double sum = 0;
        for (int to = 0; to < labels; to++) {
          sum += after[to] * factors[from * labels + to];
        }
        double logSum = shift + Math.log(sum);
        if (sum < MIN_SUM) {
          for (int to = 0; to < labels; to++) {
            terms[to] = transitions[from * labels + to] + scores[to];
          }
          logSum = LogSpace.logSumExp(terms);
        }
        suffixes[token * labels + from] = logSum;
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
              + ", expected a finite one: its emissions or the weights are not numbers, or the"
              + " path, or every path, is forbidden");
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
