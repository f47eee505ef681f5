package org.lanewise.encoder.head;

import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Which label may begin a sequence, follow another one and end a sequence.
 *
 * @param start (labels)
 * @param transitions (from, to)
 * @param end (labels)
 */
public record LabelConstraints(boolean[] start, boolean[][] transitions, boolean[] end) {
  public LabelConstraints {
    boolean square = transitions.length == start.length && end.length == start.length;
    for (boolean[] row : transitions) {
      square &= row.length == start.length;
    }
    if (!square) {
      throw new IllegalArgumentException(
          "[transitions] and [end] must have as many labels as [start], which has " + start.length);
    }
  }

  /**
   * Returns the constraints of the labels' scheme: BIOES where all are span labels and one ends a
   * span, BIO where all are span labels and none does, and no constraints for other labels.
   *
   * @throws IllegalArgumentException as {@link #bio} and {@link #bioes}
   */
  public static LabelConstraints of(List<String> labels) {
    if (!Spans.mark(labels)) {
      boolean[][] transitions = new boolean[labels.size()][];
      for (int from = 0; from < transitions.length; from++) {
        transitions[from] = free(labels.size());
      }
      return new LabelConstraints(free(labels.size()), transitions, free(labels.size()));
    }
    boolean ends = labels.stream().anyMatch(each -> "ES".indexOf(each.charAt(0)) >= 0);
    return ends ? bioes(labels) : bio(labels);
  }

  /**
   * Returns whether a sequence may have one of these labels at each of its tokens.
   *
   * @param labels of each token, at least one token
   */
  public boolean allow(int[][] labels) {
    boolean[] reached = new boolean[start.length];
    for (int label : labels[0]) {
      reached[label] = start[label];
    }
    for (int token = 1; token < labels.length; token++) {
      boolean[] next = new boolean[start.length];
      for (int to : labels[token]) {
        for (int from : labels[token - 1]) {
          next[to] |= reached[from] && transitions[from][to];
        }
      }
      reached = next;
    }
    boolean allowed = false;
    for (int label : labels[labels.length - 1]) {
      allowed |= reached[label] && end[label];
    }
    return allowed;
  }

  private static boolean[] free(int labels) {
    boolean[] free = new boolean[labels];
    Arrays.fill(free, true);
    return free;
  }

  /**
   * Returns the constraints of BIO labels: {@code I-X} only follows {@code B-X} and {@code I-X}.
   *
   * @param labels {@code O}, {@code B-X} and {@code I-X}
   * @throws IllegalArgumentException naming the label that no valid sequence can hold, or that is
   *     not of this scheme
   */
  public static LabelConstraints bio(List<String> labels) {
    List<Tag> tags = tags(labels, "BI", "BIO");
    for (Tag tag : tags) {
      if (tag.prefix() == 'I') {
        require(labels, tag, 'B', "begins it");
      }
    }
    return of(tags, false);
  }

  /**
   * Returns the constraints of BIOES labels: a span is {@code S-X}, or {@code B-X}, any {@code I-X}
   * and {@code E-X}.
   *
   * @param labels {@code O}, {@code B-X}, {@code I-X}, {@code E-X} and {@code S-X}
   * @throws IllegalArgumentException naming the label that no valid sequence can hold, or that is
   *     not of this scheme
   */
  public static LabelConstraints bioes(List<String> labels) {
    List<Tag> tags = tags(labels, "BIES", "BIOES");
    boolean single = false;
    for (Tag tag : tags) {
      switch (tag.prefix()) {
        case 'B' -> require(labels, tag, 'E', "ends it");
        case 'E' -> require(labels, tag, 'B', "begins it");
        case 'I' -> {
          require(labels, tag, 'B', "begins it");
          require(labels, tag, 'E', "ends it");
        }
        default -> single = true;
      }
    }
    if (!single) {
      throw new IllegalArgumentException(
          "BIOES labels "
              + labels
              + " allow no sequence of one token; expected [O] or a label that begins with [S-]");
    }
    return of(tags, true);
  }

  private static LabelConstraints of(List<Tag> tags, boolean closed) {
    int labels = tags.size();
    boolean[] start = new boolean[labels];
    boolean[][] transitions = new boolean[labels][labels];
    boolean[] end = new boolean[labels];
    for (int from = 0; from < labels; from++) {
      Tag before = tags.get(from);
      start[from] = !before.continues();
      end[from] = !(closed && before.open());
      for (int to = 0; to < labels; to++) {
        Tag after = tags.get(to);
        boolean inside = before.open() && before.type().equals(after.type());
        transitions[from][to] = after.continues() ? inside : end[from];
      }
    }
    return new LabelConstraints(start, transitions, end);
  }

  private static List<Tag> tags(List<String> labels, String prefixes, String scheme) {
    if (labels.isEmpty()) {
      throw new IllegalArgumentException("there are no labels, expected at least 1");
    }
    Set<String> seen = new HashSet<>();
    for (String label : labels) {
      if (!seen.add(label)) {
        throw new IllegalArgumentException("label [" + label + "] is listed twice");
      }
    }
    List<Tag> tags = labels.stream().map(Tag::parse).toList();
    for (Tag tag : tags) {
      if (!tag.outside() && prefixes.indexOf(tag.prefix()) < 0) {
        throw new IllegalArgumentException(
            "label [" + tag.label() + "] is not a " + scheme + " label");
      }
    }
    return tags;
  }

  private static void require(List<String> labels, Tag tag, char prefix, String what) {
    String other = prefix + "-" + tag.type();
    if (!labels.contains(other)) {
      throw new IllegalArgumentException(
          "label [" + tag.label() + "] needs [" + other + "], which " + what + "; found " + labels);
    }
  }
}
