package org.lanewise.encoder.head;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Spans, counts and constraints, each case worked out by hand. */
final class SpansTest {
  @ParameterizedTest
  @CsvSource({
    "O O, ''",
    "B-A I-A O B-B, A0-1 B3-3",
    // Neighbours of one name are parted by B-.
    "B-A B-A I-A, A0-0 A1-2",
    // I- begins a span after O, at the beginning and after another name.
    "I-A I-A O I-A, A0-1 A3-3",
    "B-A I-B I-A, A0-0 B1-1 A2-2",
    // IOB1: B- only parts neighbours.
    "I-A I-A B-A I-A O, A0-1 A2-3",
    // BIOES.
    "S-A B-A I-A E-A S-B O, A0-0 A1-3 B4-4",
    // After E- and S- nothing of the same name goes on.
    "B-A E-A I-A E-A E-A, A0-1 A2-3 A4-4",
    "S-A I-A S-A E-A, A0-0 A1-1 A2-2 A3-3",
    // A span without its end, and ends without a span.
    "B-A I-A O E-A, A0-1 A3-3",
    "B-A E-B I-A, A0-0 B1-1 A2-2",
    "B-A S-A E-A, A0-0 A1-1 A2-2",
    // Names may hold hyphens.
    "B-A-B I-A-B I-A, A-B0-1 A2-2",
  })
  void conllevalReadsAnySequence(String labels, String expected) {
    StringBuilder found = new StringBuilder();
    for (Span span : Spans.decode(List.of(labels.split(" ")))) {
      found.append(found.isEmpty() ? "" : " ").append(span.label());
      found.append(span.firstToken()).append('-').append(span.lastToken());
    }
    assertEquals(expected, found.toString());
  }

  @Test
  void theScoreIsTheMeanOfTheTokens() {
    List<Span> spans =
        Spans.decode(List.of("B-A", "I-A", "O", "I-B"), new double[] {0.5, 1, 0.1, 0.25});
    assertEquals(List.of(new Span("A", 0, 1, 0.75), new Span("B", 3, 3, 0.25)), spans);
    assertEquals(List.of(), Spans.decode(List.of()));
  }

  @Test
  void otherLabelsAreRefused() {
    for (String label : List.of("NOUN", "", "B", "B-", "-A", "X-A", "o", "BA", "L-A")) {
      refused("label [" + label + "]", () -> Spans.decode(List.of("O", label)));
    }
    refused("1 scores", () -> Spans.decode(List.of("O", "O"), new double[1]));
  }

  @Test
  void countsAreThoseOfConlleval() {
    SpanCounts counts = new SpanCounts();
    // One right, one with the wrong name, one with the wrong end.
    counts.add(decode("B-A I-A O B-B O B-A I-A"), decode("B-A I-A O B-A O B-A O"));
    // The same spans in another scheme, and one found where there is none.
    counts.add(decode("B-B I-B O O"), decode("B-B E-B O S-C"));
    assertCount(counts.label("A"), 2, 3, 1, 1 / 3.0, 0.5, 0.4);
    assertCount(counts.label("B"), 2, 1, 1, 1, 0.5, 2 / 3.0);
    assertCount(counts.label("C"), 0, 1, 0, 0, 0, 0);
    assertCount(counts.label("D"), 0, 0, 0, 0, 0, 0);
    assertCount(counts.micro(), 4, 5, 2, 0.4, 0.5, 4 / 9.0);
    assertEquals((0.4 + 2 / 3.0 + 0) / 3, counts.macroF1(), 1e-12);
    assertEquals(Set.of("A", "B", "C"), counts.labels());
    assertEquals(0, new SpanCounts().macroF1());
  }

  @Test
  void labelsAreLeftOutOnBothSides() {
    SpanCounts counts = new SpanCounts(List.of("A"));
    counts.add(decode("B-A B-B B-C"), decode("B-A B-C B-B"));
    assertEquals(new SpanCounts.Count(1, 1, 1), counts.micro());
    assertEquals(Set.of("A"), counts.labels());
  }

  @Test
  void scoresDoNotDecideWhetherASpanIsCorrect() {
    SpanCounts counts = new SpanCounts();
    counts.add(List.of(new Span("A", 0, 1, 1)), List.of(new Span("A", 0, 1, 0.3)));
    assertEquals(1, counts.micro().f1());
  }

  @Test
  void bioAllowsInsideOnlyAfterTheSameName() {
    // O, B-A, I-A, B-B, I-B
    LabelConstraints allowed = LabelConstraints.bio(List.of("O", "B-A", "I-A", "B-B", "I-B"));
    assertEquals("11010", bits(allowed.start()));
    assertEquals("11111", bits(allowed.end()));
    assertEquals("11010 11110 11110 11011 11011", bits(allowed.transitions()));
  }

  @Test
  void bioesClosesWhatItOpens() {
    LabelConstraints allowed = LabelConstraints.bioes(List.of("O", "B-A", "I-A", "E-A", "S-B"));
    assertEquals("11001", bits(allowed.start()));
    assertEquals("10011", bits(allowed.end()));
    assertEquals("11001 00110 00110 11001 11001", bits(allowed.transitions()));
  }

  @Test
  void invalidLabelSetsAreRefusedByName() {
    refused("label [I-A] needs [B-A]", () -> LabelConstraints.bio(List.of("O", "I-A", "B-B")));
    refused("label [E-A] is not a BIO label", () -> LabelConstraints.bio(List.of("B-A", "E-A")));
    refused("label [O] is listed twice", () -> LabelConstraints.bio(List.of("O", "O")));
    refused("label [NOUN]", () -> LabelConstraints.bio(List.of("NOUN")));
    refused(
        "[transitions] and [end]",
        () -> new LabelConstraints(new boolean[2], new boolean[2][1], new boolean[2]));
    refused("there are no labels", () -> LabelConstraints.bioes(List.of()));
    refused("label [B-A] needs [E-A]", () -> LabelConstraints.bioes(List.of("O", "B-A")));
    refused("label [E-A] needs [B-A]", () -> LabelConstraints.bioes(List.of("O", "E-A")));
    refused("label [I-A] needs [B-A]", () -> LabelConstraints.bioes(List.of("O", "I-A", "S-A")));
    refused("no sequence of one token", () -> LabelConstraints.bioes(List.of("B-A", "E-A")));
  }

  private static List<Span> decode(String labels) {
    return Spans.decode(List.of(labels.split(" ")));
  }

  private static void assertCount(
      SpanCounts.Count count,
      long expected,
      long found,
      long correct,
      double precision,
      double recall,
      double f1) {
    assertEquals(new SpanCounts.Count(expected, found, correct), count);
    assertEquals(precision, count.precision(), 1e-12);
    assertEquals(recall, count.recall(), 1e-12);
    assertEquals(f1, count.f1(), 1e-12);
  }

  private static String bits(boolean[]... rows) {
    StringBuilder bits = new StringBuilder();
    for (boolean[] row : rows) {
      bits.append(bits.isEmpty() ? "" : " ");
      for (boolean bit : row) {
        bits.append(bit ? '1' : '0');
      }
    }
    return bits.toString();
  }

  private static void refused(String words, Runnable call) {
    String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
    assertTrue(message.contains(words), message);
  }
}
