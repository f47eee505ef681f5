package org.lanewise.encoder.head;

import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Counts spans that a tagger found as conlleval does: a span is correct if label, first and last
 * token are those of an expected span. Not thread-safe.
 */
public final class SpanCounts {
  private final Optional<Set<String>> only;
  private final Map<String, Count> counts = new TreeMap<>();

  /**
   * What was counted; the rates are from 0 to 1, and 0 where they would divide by 0.
   *
   * @param expected spans that are there
   * @param found spans that the tagger reported
   * @param correct spans that are both
   */
  public record Count(long expected, long found, long correct) {
    static final Count NONE = new Count(0, 0, 0);

    Count plus(Count other) {
      return new Count(expected + other.expected, found + other.found, correct + other.correct);
    }

    /** Returns the share of the reported spans that is correct. */
    public double precision() {
      return found == 0 ? 0 : (double) correct / found;
    }

    /** Returns the share of the expected spans that was found. */
    public double recall() {
      return expected == 0 ? 0 : (double) correct / expected;
    }

    /** Returns the harmonic mean of precision and recall. */
    public double f1() {
      return expected + found == 0 ? 0 : 2.0 * correct / (expected + found);
    }
  }

  /** Counts spans of all labels. */
  public SpanCounts() {
    only = Optional.empty();
  }

  /** Counts spans of these labels; others are left out on both sides. */
  public SpanCounts(Collection<String> labels) {
    only = Optional.of(Set.copyOf(labels));
  }

  /** Adds the spans of one sequence. */
  public void add(List<Span> expected, List<Span> found) {
    Set<Span> there = places(expected);
    Set<Span> reported = places(found);
    there.forEach(span -> add(span, new Count(1, 0, 0)));
    reported.forEach(span -> add(span, new Count(0, 1, there.contains(span) ? 1 : 0)));
  }

  private void add(Span span, Count count) {
    counts.merge(span.label(), count, Count::plus);
  }

  private Set<Span> places(List<Span> spans) {
    Set<Span> places = new HashSet<>();
    for (Span span : spans) {
      if (only.isEmpty() || only.get().contains(span.label())) {
        places.add(new Span(span.label(), span.firstToken(), span.lastToken(), 1));
      }
    }
    return places;
  }

  /** Returns the labels that were expected or found so far, sorted. */
  public SortedSet<String> labels() {
    return labels(counts);
  }

  /** Returns what was counted of one label. */
  public Count label(String label) {
    return counts.getOrDefault(label, Count.NONE);
  }

  /** Returns the counts of all labels together; its F1 is micro F1. */
  public Count micro() {
    return micro(counts);
  }

  /** Returns the mean F1 of {@link #labels}, each weighing the same; 0 without labels. */
  public double macroF1() {
    return macroF1(counts);
  }

  static SortedSet<String> labels(Map<String, Count> counts) {
    return Collections.unmodifiableSortedSet(new TreeSet<>(counts.keySet()));
  }

  static Count micro(Map<String, Count> counts) {
    return counts.values().stream().reduce(Count.NONE, Count::plus);
  }

  static double macroF1(Map<String, Count> counts) {
    return counts.values().stream().mapToDouble(Count::f1).average().orElse(0);
  }
}
