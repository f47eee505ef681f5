package org.lanewise.encoder.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.tokenizer.WordSegmenter;

/** What a model reads of texts. */
final class SequenceInputsTest {
  private static final RecurrentConfig CHARACTERS =
      new RecurrentConfig(RecurrentCell.LSTM, 2, 3, 1, true);

  @Test
  void wordsThatAreSpelledAlikeAreReadOnce() {
    SequenceModelConfig config =
        config(
            List.of(
                new SequenceInput.WordVectors(4, true),
                new SequenceInput.StaticVectors(5, false),
                new SequenceInput.Characters(2, CHARACTERS)));
    SequenceInputs inputs =
        new SequenceInputs(
            config,
            List.of(
                List.of("the", "cat"),
                List.of("The", "the"),
                List.of("t", "h", "e", "\ud83d\ude00")),
            null);
    SequenceInputs.Batch batch =
        inputs.read(
            List.of(
                WordSegmenter.words("the cat The the"), WordSegmenter.words("the \ud83d\ude00")));
    assertArrayEquals(new int[] {0, 4, 6}, batch.sequenceStarts());
    assertArrayEquals(new int[] {0, 1, 2, 0, 0, 3}, batch.distinct());
    assertEquals(6, batch.words());
    assertArrayEquals(
        new int[] {1, 2, 1, 0}, ((SequenceInputs.Part.Rows) batch.parts().get(0)).rows());
    assertArrayEquals(
        new int[] {2, 0, 1, 0}, ((SequenceInputs.Part.Rows) batch.parts().get(1)).rows());
    SequenceInputs.Part.CharacterRows characters =
        (SequenceInputs.Part.CharacterRows) batch.parts().get(2);
    assertArrayEquals(new int[] {0, 3, 6, 9, 10}, characters.starts());
    assertArrayEquals(new int[] {1, 2, 3, 0, 0, 1, 0, 2, 3, 4}, characters.rows());
  }

  @Test
  void longWordsAreReadAtBothEnds() {
    SequenceModelConfig config = config(List.of(new SequenceInput.Characters(2, CHARACTERS)));
    SequenceInputs inputs = new SequenceInputs(config, List.of(List.of("a", "b", "c")), null);
    String word = "a".repeat(32) + "c".repeat(1000) + "b".repeat(32);
    SequenceInputs.Part.CharacterRows rows =
        (SequenceInputs.Part.CharacterRows)
            inputs.read(List.of(WordSegmenter.words(word))).parts().getFirst();
    assertEquals(64, rows.rows().length);
    for (int i = 0; i < 64; i++) {
      assertEquals(i < 32 ? 1 : 2, rows.rows()[i]);
    }
  }

  @Test
  void anEncoderIsAskedForItsLayer() {
    SequenceModelConfig config =
        config(List.of(new SequenceInput.EncoderVectors(2, "id", 7, "sha")));
    float[][] answer = {{1, 2}};
    SequenceInputs inputs =
        new SequenceInputs(
            config,
            List.of(List.of()),
            (texts, layer) -> {
              assertEquals(7, layer);
              return answer;
            });
    SequenceInputs.Batch batch = inputs.read(List.of(WordSegmenter.words("one")));
    assertSame(answer, ((SequenceInputs.Part.Vectors) batch.parts().getFirst()).vectors());
  }

  @Test
  void whatDoesNotFitIsRefused() {
    SequenceModelConfig config = config(List.of(new SequenceInput.WordVectors(4, true)));
    assertThrows(IllegalArgumentException.class, () -> new SequenceInputs(config, List.of(), null));
    assertThrows(
        IllegalArgumentException.class,
        () -> new SequenceInputs(config, List.of(List.of("a", "a")), null));
    SequenceInputs inputs = new SequenceInputs(config, List.of(List.of("a")), null);
    assertThrows(
        IllegalArgumentException.class, () -> inputs.read(List.of(SegmentedText.characters(""))));
    SequenceModelConfig encoded =
        config(List.of(new SequenceInput.EncoderVectors(2, "id", 7, "sha")));
    assertThrows(
        IllegalArgumentException.class,
        () -> new SequenceInputs(encoded, List.of(List.of()), null));
    assertThrows(
        IllegalArgumentException.class,
        () -> new SegmentedText("abc", new int[] {0, 1}, new int[] {2, 3}));
    assertThrows(
        IllegalArgumentException.class,
        () -> new SegmentedText("abc", new int[] {0}, new int[] {4}));
  }

  private static SequenceModelConfig config(List<SequenceInput> inputs) {
    int size = inputs.stream().mapToInt(SequenceInput::size).sum();
    return new SequenceModelConfig(
        SequenceModelConfig.Unit.WORD,
        inputs,
        new RecurrentConfig(RecurrentCell.LSTM, size, 4, 1, false),
        SequenceModelConfig.Head.TAG_SOFTMAX,
        List.of("A", "B"));
  }
}
