package org.lanewise.encoder.head;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Decodes the labels of one sequence into spans by the rules of <a
 * href="https://www.clips.uantwerpen.be/conll2000/chunking/conlleval.txt">conlleval</a>, which read
 * BIO, IOB1 (where {@code B-} only parts neighbours) and BIOES alike and never fail on a sequence.
 *
 * <p>A label other than {@code O} continues the span before it if it has the same name, is {@code
 * I-} or {@code E-}, and the label before it is {@code B-} or {@code I-}; otherwise it begins a
 * span. So {@code I-} after {@code O}, after another name, after {@code E-} or after {@code S-}
 * begins one, and a span that lacks its {@code E-} ends where it is interrupted. The original
 * script does not know {@code S-}; here it is a span of its own, as in the script's later ports.
 */
public final class Spans {
  private Spans() {}

  /** Returns the spans of the labels in their order, each with score 1. */
  public static List<Span> decode(List<String> labels) {
    double[] scores = new double[labels.size()];
    Arrays.fill(scores, 1);
    return decode(labels, scores);
  }

  /**
   * Returns the spans of the labels in their order.
   *
   * @param scores score of each token's label
   * @throws IllegalArgumentException naming a label that is neither {@code O} nor a prefix and a
   *     name
   */
  public static List<Span> decode(List<String> labels, double[] scores) {
    if (scores.length != labels.size()) {
      throw new IllegalArgumentException(
          "there are " + scores.length + " scores, expected one for each of " + labels.size());
    }
    List<Tag> tags = labels.stream().map(Tag::parse).toList();
    List<Span> spans = new ArrayList<>();
    for (int first = 0; first < tags.size(); ) {
      int end = first + 1;
      if (!tags.get(first).outside()) {
        double sum = scores[first];
        while (end < tags.size() && joined(tags.get(end - 1), tags.get(end))) {
          sum += scores[end];
          end++;
        }
        spans.add(new Span(tags.get(first).type(), first, end - 1, sum / (end - first)));
      }
      first = end;
    }
    return spans;
  }

  /** Returns whether all labels are {@code O} or a prefix and a name, so that they mark spans. */
  public static boolean mark(List<String> labels) {
    return labels.stream().allMatch(Tag::isTag);
  }

  /** Returns whether a label continues the span of the label before it. */
  public static boolean joined(String before, String after) {
    return joined(Tag.parse(before), Tag.parse(after));
  }

  private static boolean joined(Tag before, Tag after) {
    return before.open() && after.continues() && before.type().equals(after.type());
  }
}
