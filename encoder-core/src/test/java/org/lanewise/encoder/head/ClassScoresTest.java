package org.lanewise.encoder.head;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lanewise.encoder.head.ClassScores.ClassScore;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;

class ClassScoresTest {
  private static final List<String> CLASSES = List.of("a", "b", "c");

  @ParameterizedTest
  @EnumSource
  void refusesLogitsThatAreNoNumbers(Choice choice) {
    double[] logits = {1, Double.NaN, 2};
    assertThrows(IllegalArgumentException.class, () -> ClassScores.of(CLASSES, choice, logits));
  }

  @Test
  void choosesAnyNumberOfClassesThatAreMoreProbableThanNot() {
    double[] logits = {0, -0.1, Double.POSITIVE_INFINITY};
    assertEquals(
        List.of(new ClassScore("c", 1), new ClassScore("a", 0.5)),
        ClassScores.of(CLASSES, Choice.MULTI_LABEL, logits).chosen());
  }
}
