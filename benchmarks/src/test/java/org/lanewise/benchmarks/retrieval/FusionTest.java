package org.lanewise.benchmarks.retrieval;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class FusionTest {
  private static final Run FIRST =
      new Run("a", List.of(List.of(new Hit(7, 9), new Hit(3, 5), new Hit(1, 1))));
  private static final Run SECOND = new Run("b", List.of(List.of(new Hit(3, 0.5f), new Hit(4, 0))));
  private static final Run NOTHING = new Run("c", List.of(List.of()));

  @Test
  void ranksAddUp() {
    Run fused = new Fusion.ReciprocalRank().fuse(List.of(FIRST, SECOND, NOTHING), 10);
    assertEquals("rrf(a, b, c)", fused.name());
    assertEquals(
        List.of(
            new Hit(3, (float) (1.0 / 62 + 1.0 / 61)),
            new Hit(7, (float) (1.0 / 61)),
            new Hit(4, (float) (1.0 / 62)),
            new Hit(1, (float) (1.0 / 63))),
        fused.hits().getFirst());
  }

  @Test
  void scaledScoresAddUpByTheirWeights() {
    Run fused = new Fusion.WeightedSum(Map.of("a", 0.5)).fuse(List.of(FIRST, SECOND, NOTHING), 10);
    assertEquals("sum(a, b, c)", fused.name());
    // Documents 1 and 4 are tied at 0 and keep the collection's order.
    assertEquals(
        List.of(new Hit(3, 1.25f), new Hit(7, 0.5f), new Hit(1, 0), new Hit(4, 0)),
        fused.hits().getFirst());
  }

  @Test
  void equalScoresAreScaledToOne() {
    Run equal = new Run("a", List.of(List.of(new Hit(2, 3), new Hit(5, 3))));
    assertEquals(
        List.of(new Hit(2, 1), new Hit(5, 1)),
        new Fusion.WeightedSum(Map.of()).fuse(List.of(equal), 10).hits().getFirst());
  }

  @Test
  void keepsTheBest() {
    List<Hit> kept = new Fusion.ReciprocalRank().fuse(List.of(FIRST, SECOND), 1).hits().getFirst();
    assertEquals(List.of(3), kept.stream().map(Hit::document).toList());
  }
}
