package org.lanewise.encoder.head;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Labels that keep to their scheme, and those of schemes that cannot be kept to. */
final class TokenLabellerTest {
  private static final float[] INSIDE_WINS = {
    2, 0, 1, // O, then B-X, then I-X
    0, 1, 3,
    0, 0, 2
  };

  @Test
  void aSpanThatNothingBeganIsBegun() {
    TokenLabeller.Labelled labelled =
        new TokenLabeller(List.of("O", "B-X", "I-X")).label(INSIDE_WINS);
    // O I I has 7 but is forbidden; O B I and B I I have 5.
    assertEquals(5, score(labelled.labels()));
    assertEquals(2, labelled.labels()[2]);
    double sum = Math.exp(0) + Math.exp(0) + Math.exp(2);
    assertEquals(Math.exp(2) / sum, labelled.probabilities()[2], 1e-9);
  }

  private static int score(int[] labels) {
    int score = 0;
    for (int token = 0; token < labels.length; token++) {
      score += (int) INSIDE_WINS[token * 3 + labels[token]];
    }
    return score;
  }

  @Test
  void labelsThatBeginNoSpanFollowAnyOther() {
    assertArrayEquals(
        new int[] {0, 2, 2},
        new TokenLabeller(List.of("O", "B-Y", "I-X")).label(INSIDE_WINS).labels());
  }

  @Test
  void labelsOfWordsAreFree() {
    assertArrayEquals(
        new int[] {0, 2, 2},
        new TokenLabeller(List.of("NOUN", "VERB", "X")).label(INSIDE_WINS).labels());
  }
}
