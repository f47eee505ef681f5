package org.lanewise.encoder.head;

import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * Counts labels of words or classes of texts that were found beside those that were expected. Not
 * thread-safe.
 */
public final class LabelCounts {
  private final Optional<Set<String>> only;
  private final Map<String, Map<String, Long>> found = new TreeMap<>();
  private final Map<String, SpanCounts.Count> counts = new TreeMap<>();
  private long items;
  private long correct;

  /** How often one label was found where another was expected. */
  public record Confusion(String expected, String found, long count) {}

  /** Counts all labels. */
  public LabelCounts() {
    only = Optional.empty();
  }

  /** Counts items of which these labels are expected, and where these labels are found. */
  public LabelCounts(Collection<String> labels) {
    only = Optional.of(Set.copyOf(labels));
  }

  /** Adds an item that has one label and was given another or the same. */
  public void add(String expected, String label) {
    boolean right = expected.equals(label);
    if (counts(expected)) {
      items++;
      correct += right ? 1 : 0;
      add(expected, new SpanCounts.Count(1, 0, right ? 1 : 0));
      found.computeIfAbsent(expected, key -> new TreeMap<>()).merge(label, 1L, Long::sum);
    }
    addFound(label);
  }

  /** Adds an item that has any number of labels and was given others or the same. */
  public void add(Collection<String> expected, Collection<String> labels) {
    Set<String> wanted = counted(expected);
    Set<String> given = counted(labels);
    items++;
    correct += wanted.equals(given) ? 1 : 0;
    for (String label : wanted) {
      add(label, new SpanCounts.Count(1, 0, given.contains(label) ? 1 : 0));
    }
    given.forEach(this::addFound);
  }

  private Set<String> counted(Collection<String> labels) {
    return labels.stream().filter(this::counts).collect(Collectors.toSet());
  }

  /** Adds an item that was not found at all. */
  public void addMissed(String expected) {
    if (counts(expected)) {
      items++;
      add(expected, new SpanCounts.Count(1, 0, 0));
    }
  }

  /** Adds an item that was found where there is none. */
  public void addFound(String label) {
    if (counts(label)) {
      add(label, new SpanCounts.Count(0, 1, 0));
    }
  }

  private boolean counts(String label) {
    return only.isEmpty() || only.get().contains(label);
  }

  private void add(String label, SpanCounts.Count count) {
    counts.merge(label, count, SpanCounts.Count::plus);
  }

  /**
   * Returns the items that have a label that counts, and all that may have any number of labels.
   */
  public long items() {
    return items;
  }

  /** Returns the share of these that were given just their labels; 0 where there are none. */
  public double accuracy() {
    return items == 0 ? 0 : (double) correct / items;
  }

  /** Returns the labels that were expected or found so far, sorted. */
  public SortedSet<String> labels() {
    return SpanCounts.labels(counts);
  }

  /** Returns what was counted of one label. */
  public SpanCounts.Count label(String label) {
    return counts.getOrDefault(label, SpanCounts.Count.NONE);
  }

  /** Returns the counts of all labels together; its F1 is micro F1. */
  public SpanCounts.Count micro() {
    return SpanCounts.micro(counts);
  }

  /** Returns the mean F1 of {@link #labels}, each weighing the same; 0 without labels. */
  public double macroF1() {
    return SpanCounts.macroF1(counts);
  }

  /** Returns the most frequent mistakes, the most frequent first. */
  public List<Confusion> confusions(int most) {
    return found.entrySet().stream()
        .flatMap(
            row ->
                row.getValue().entrySet().stream()
                    .filter(cell -> !cell.getKey().equals(row.getKey()))
                    .map(cell -> new Confusion(row.getKey(), cell.getKey(), cell.getValue())))
        .sorted(Comparator.comparingLong(Confusion::count).reversed())
        .limit(most)
        .toList();
  }
}
