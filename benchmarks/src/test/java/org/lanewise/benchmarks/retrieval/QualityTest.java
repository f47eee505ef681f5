package org.lanewise.benchmarks.retrieval;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Values computed by hand from the definitions. */
class QualityTest {
  private static final double EXACT = 1e-12;

  @Test
  void gainIsTheGradeDiscountedByTheLogarithmOfTheRank() {
    // Grades of the hits: 1, 3, unjudged, 2; one more document of grade 3 was not found.
    Quality quality = quality(Map.of("d0", 1, "d1", 3, "d3", 2, "d9", 3), 0, 1, 2, 3);
    double found = 1 + 3 / 1.5849625007211562 + 2 / 2.321928094887362;
    double ideal = 3 + 3 / 1.5849625007211562 + 2 / 2.0 + 1 / 2.321928094887362;
    assertEquals(found / ideal, quality.ndcg(), EXACT);
    assertEquals(0.5937, quality.ndcg(), 5e-5);
    assertEquals(0.75, quality.recall(), EXACT);
    assertEquals(1, quality.mrr(), EXACT);
  }

  @Test
  void gradesBelowOneAreNotRelevant() {
    Quality quality = quality(Map.of("d0", -1, "d1", 0, "d2", 1), 0, 1, 2);
    assertEquals(0.5, quality.ndcg(), EXACT);
    assertEquals(1, quality.recall(), EXACT);
    assertEquals(1.0 / 3, quality.mrr(), EXACT);
  }

  @Test
  void onlyTheFirstTenAndTheFirstHundredCount() {
    int[] hits = IntStream.range(0, 120).toArray();
    Quality tenth = quality(Map.of("d9", 1), hits);
    assertEquals(1 / 3.4594316186372973, tenth.ndcg(), EXACT);
    assertEquals(0.1, tenth.mrr(), EXACT);
    assertEquals(new Quality(0, 1, 0), quality(Map.of("d10", 1), hits));
    assertEquals(new Quality(0, 0.5, 0), quality(Map.of("d99", 1, "d100", 1), hits));
  }

  @Test
  void theIdealOrderIsCutAtTenToo() {
    Map<String, Integer> twelve = new HashMap<>();
    for (int i = 0; i < 12; i++) {
      twelve.put("d" + i, 2);
    }
    int[] hits = IntStream.range(0, 10).toArray();
    Quality quality = quality(twelve, hits);
    assertEquals(1, quality.ndcg(), EXACT);
    assertEquals(10.0 / 12, quality.recall(), EXACT);
  }

  @Test
  void queriesWithoutHitsAndWithoutRelevantDocumentsCountZero() {
    TestCollection collection =
        collection(List.of(Map.of("d0", 1), Map.of("d0", 1), Map.of("d0", 0)));
    Run run = new Run("r", List.of(hits(0), List.of(), hits(0)));
    Quality third = new Quality(1.0 / 3, 1.0 / 3, 1.0 / 3);
    assertEquals(third, Quality.of(run, collection));
    assertEquals(
        new Quality(2.0 / 3, 0.5, 0.25),
        Quality.mean(List.of(new Quality(1, 0.5, 0.5), new Quality(1.0 / 3, 0.5, 0))));
  }

  private static Quality quality(Map<String, Integer> grades, int... hits) {
    return Quality.of(new Run("r", List.of(hits(hits))), collection(List.of(grades)));
  }

  private static List<Hit> hits(int... documents) {
    List<Hit> hits = new ArrayList<>();
    for (int document : documents) {
      hits.add(new Hit(document, -hits.size()));
    }
    return hits;
  }

  private static TestCollection collection(List<Map<String, Integer>> judgements) {
    List<String> ids = IntStream.range(0, 130).mapToObj(i -> "d" + i).toList();
    List<String> queries = Collections.nCopies(judgements.size(), "q");
    return new TestCollection("c", ids, ids, queries, queries, judgements);
  }
}
