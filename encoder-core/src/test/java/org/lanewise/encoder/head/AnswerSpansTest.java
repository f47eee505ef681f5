package org.lanewise.encoder.head;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AnswerSpansTest {
  private static final float[] START = {9, 0, 3, 1};
  private static final float[] END = {0, 1, 0, 4};

  @ParameterizedTest
  @CsvSource({
    "1, 3, 3, 5",
    "2, 2, 3, 7",
    "3, 2, 3, 7",
    "2147483647, 2, 3, 7",
  })
  void findsTheBestOfSoManyTokens(int mostTokens, int first, int last, float score) {
    AnswerSpans.AnswerSpan span = AnswerSpans.best(START, END, 1, 4, mostTokens);
    assertEquals(new AnswerSpans.AnswerSpan(first, last, score), span);
  }

  @Test
  void refusesWhatHoldsNoAnswer() {
    assertThrows(IllegalArgumentException.class, () -> AnswerSpans.best(START, END, 2, 2, 1));
    assertThrows(IllegalArgumentException.class, () -> AnswerSpans.best(START, END, 0, 5, 1));
    assertThrows(IllegalArgumentException.class, () -> AnswerSpans.best(START, END, 0, 4, 0));
  }
}
