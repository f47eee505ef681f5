package org.lanewise.encoder.head;

import java.util.List;

/**
 * Finds the best labels of one sequence that its scheme allows. Every path counts by its emissions
 * alone: models of transformers have no transitions. Immutable and thread-safe.
 */
public final class TokenLabeller {
  private final LinearChainCrf paths;
  private final int labels;

  /**
   * The labels of a sequence.
   *
   * @param labels index of each token's label
   * @param probabilities of each label at its token, by the softmax of the emissions
   */
  public record Labelled(int[] labels, double[] probabilities) {}

  /**
   * Reads the scheme.
   *
   * @param labels names of the labels. Where one continues spans that none begins, as in IOB1, any
   *     label may follow any other
   */
  public TokenLabeller(List<String> labels) {
    this.labels = labels.size();
    double[] free = new double[this.labels];
    LinearChainCrf all = new LinearChainCrf(free, new double[this.labels * this.labels], free);
    paths = begins(labels) ? all.constrained(LabelConstraints.of(labels)) : all;
  }

  private static boolean begins(List<String> labels) {
    boolean marks = Spans.mark(labels);
    return !marks
        || labels.stream()
            .map(Tag::parse)
            .allMatch(tag -> !tag.continues() || labels.contains("B-" + tag.type()));
  }

  /**
   * Returns the best labels.
   *
   * @param emissions (tokens, labels), at least one token
   */
  public Labelled label(float[] emissions) {
    int tokens = emissions.length / labels;
    int[] best = paths.viterbi(emissions, new int[] {0, tokens}).labels();
    double[] probabilities = new double[tokens];
    double[] row = new double[labels];
    for (int token = 0; token < tokens; token++) {
      for (int label = 0; label < labels; label++) {
        row[label] = emissions[token * labels + label];
      }
      probabilities[token] = LogSpace.softmax(row)[best[token]];
    }
    return new Labelled(best, probabilities);
  }
}
