package org.lanewise.benchmarks;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.tokenizer.Tokenizer;

class RaceTextsTest {
  @Test
  void mixHasItsMedianAndItsTail() {
    int[] lengths = RaceTexts.mixedLengths(4000, 1);
    Arrays.sort(lengths);
    assertEquals(30, lengths[2000], 2);
    assertTrue(lengths[0] >= 5, "shortest " + lengths[0]);
    assertTrue(lengths[3999] > 200 && lengths[3999] <= 256, "longest " + lengths[3999]);
    assertArrayEquals(RaceTexts.mixedLengths(50, 3), RaceTexts.mixedLengths(50, 3));
    assertFalse(Arrays.equals(RaceTexts.mixedLengths(50, 3), RaceTexts.mixedLengths(50, 4)));
  }

  @Test
  void textsHaveTheirLengthsAndDiffer() {
    Tokenizer tokenizer = ModelDirectory.openTokenizer(Path.of("..").resolve(RaceCommand.BUNDLED));
    Workload texts = new RaceTexts(tokenizer).cut("texts", true, 12, 12, 128, 512);
    assertEquals(12 + 12 + 128 + 512, texts.tokens());
    for (int i = 0; i < 4; i++) {
      assertEquals(
          texts.encoded().get(i).length(), tokenizer.encode(texts.texts().get(i)).length());
    }
    assertFalse(texts.texts().get(0).equals(texts.texts().get(1)));
    assertFalse(texts.single());
  }
}
