package org.lanewise.encoder.batch;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

final class BatchesTest {
  @Test
  void theLongestComeFirstAndNoBatchExceedsItsBudget() {
    int[] lengths = {3, 9, 1, 4, 3, 20};
    assertEquals(
        List.of(List.of(5), List.of(1), List.of(3, 0, 4), List.of(2)),
        Batches.longestFirst(lengths, 10));
  }

  @Test
  void noTextsAreNoBatches() {
    assertEquals(List.of(), Batches.longestFirst(new int[0], 10));
  }
}
