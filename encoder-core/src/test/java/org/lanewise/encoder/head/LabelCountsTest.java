package org.lanewise.encoder.head;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Counts of labels against numbers worked out by hand. */
final class LabelCountsTest {
  @Test
  void countsByHand() {
    LabelCounts counts = new LabelCounts();
    counts.add("A", "A");
    counts.add("A", "A");
    counts.add("A", "B");
    counts.add("B", "B");
    counts.add("C", "A");
    assertEquals(5, counts.items());
    assertEquals(3 / 5.0, counts.accuracy());
    assertEquals(counts.accuracy(), counts.micro().f1());
    assertEquals(new SpanCounts.Count(3, 3, 2), counts.label("A"));
    assertEquals(new SpanCounts.Count(1, 2, 1), counts.label("B"));
    assertEquals(new SpanCounts.Count(1, 0, 0), counts.label("C"));
    assertEquals((4 / 6.0 + 2 / 3.0 + 0) / 3, counts.macroF1(), 1e-12);
    assertEquals(
        List.of(new LabelCounts.Confusion("A", "B", 1), new LabelCounts.Confusion("C", "A", 1)),
        counts.confusions(5));
    assertEquals(1, counts.confusions(1).size());
  }

  @Test
  void countsSomeLabelsOnBothSides() {
    LabelCounts counts = new LabelCounts(Set.of("A", "B"));
    counts.add("A", "A");
    counts.add("A", "C");
    counts.add("C", "B");
    counts.add("C", "C");
    assertEquals(2, counts.items());
    assertEquals(1 / 2.0, counts.accuracy());
    assertEquals(Set.of("A", "B"), counts.labels());
    assertEquals(new SpanCounts.Count(2, 2, 1), counts.micro());
  }

  @Test
  void countsAnyNumberOfLabels() {
    LabelCounts counts = new LabelCounts();
    counts.add(List.of("A", "B"), List.of("B", "A"));
    counts.add(List.of("A", "B"), List.of("A", "C"));
    counts.add(List.of(), List.of());
    counts.add(List.of(), List.of("C"));
    assertEquals(4, counts.items());
    assertEquals(2 / 4.0, counts.accuracy());
    assertEquals(new SpanCounts.Count(4, 5, 3), counts.micro());
    assertEquals(new SpanCounts.Count(2, 1, 1), counts.label("B"));
    LabelCounts some = new LabelCounts(Set.of("A"));
    some.add(List.of("A", "B"), List.of("A", "C"));
    assertEquals(1, some.accuracy());
    assertEquals(new SpanCounts.Count(1, 1, 1), some.micro());
  }

  @Test
  void countsWhatIsMissedAndWhatIsThereTooMuch() {
    LabelCounts counts = new LabelCounts();
    counts.addMissed("A");
    counts.addFound("B");
    assertEquals(1, counts.items());
    assertEquals(0, counts.accuracy());
    assertEquals(new SpanCounts.Count(1, 1, 0), counts.micro());
    assertEquals(0, new LabelCounts().accuracy());
    assertEquals(0, new LabelCounts().macroF1());
  }
}
