package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.model.SequenceModelConfig.Head;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.encoder.model.SequenceModels;
import org.lanewise.encoder.weights.DataType;

/** What models take of a budget they give back, and what does not fit is refused. */
final class ModelMemoryTest {
  @TempDir private Path directory;

  /** A budget that counts. */
  private static final class Budget implements MemoryBudget {
    private long limit = Long.MAX_VALUE;
    private long used;

    @Override
    public synchronized void reserve(long bytes) {
      if (bytes > limit - used) {
        throw new IllegalStateException("only [" + (limit - used) + "] left for [" + bytes + "]");
      }
      used += bytes;
    }

    @Override
    public synchronized void release(long bytes) {
      used -= bytes;
    }
  }

  private final Budget budget = new Budget();

  private EmbedderOptions options() {
    return EmbedderOptions.defaults()
        .withBackend("scalar")
        .withThreads(1)
        .withBatchTokens(16)
        .withMemory(budget);
  }

  private TextEmbedder encoder() throws IOException {
    if (!Files.exists(directory.resolve("config.json"))) {
      ModelDirectoryTest.copy(Goldens.path("encoders/bert_gelu"), directory);
    }
    return TextEmbedder.open(ModelDirectory.open(directory), options());
  }

  @Test
  void encodersGiveBackWhatTheyTook() throws IOException {
    try (TextEmbedder encoder = encoder()) {
      long weights = budget.used;
      long elements = encoder.directory().weightBytes() / Float.BYTES;
      assertTrue(weights > elements, weights + " bytes of " + elements + " weights");
      encoder.embed(List.of("a"));
      long once = budget.used;
      assertTrue(once > weights, "activations are not counted");
      encoder.embed(List.of("b"));
      assertEquals(once, budget.used);
    }
    assertEquals(0, budget.used);
  }

  @Test
  void encodersThatDoNotFitLeaveNothing() throws IOException {
    encoder().close();
    budget.limit = 10_000;
    assertThrows(IllegalStateException.class, this::encoder);
    assertEquals(0, budget.used);
  }

  @Test
  void textsThatDoNotFitHurtNoOthers() throws IOException {
    String longText = "the cat ".repeat(40);
    try (TextEmbedder encoder = encoder()) {
      float[] expected = encoder.embed(List.of("a")).getFirst().vector();
      long once = budget.used;
      budget.limit = once;
      assertThrows(IllegalStateException.class, () -> encoder.embed(List.of(longText)));
      assertEquals(once, budget.used);
      assertEquals(expected[0], encoder.embed(List.of("a")).getFirst().vector()[0], 0);
      budget.limit = Long.MAX_VALUE;
      encoder.embed(List.of(longText));
      assertTrue(budget.used > once);
    }
    assertEquals(0, budget.used);
  }

  @Test
  void taggersGiveBackWhatTheyTook() throws IOException {
    SequenceModels.Model model =
        SequenceModels.ofWords(RecurrentCell.LSTM, Head.TAG_SOFTMAX, List.of("A", "B"), 3);
    SequenceModelDirectory.write(
        directory, model.config(), model.vocabularies(), model.weights(), DataType.F32);
    try (TextTagger tagger =
        TextTagger.open(
            directory,
            options(),
            id -> {
              throw new AssertionError(id);
            })) {
      long weights = budget.used;
      assertTrue(weights > 0, "weights are not counted");
      tagger.tag(List.of("Ada lived in London."));
      assertTrue(budget.used > weights, "activations are not counted");
    }
    assertEquals(0, budget.used);
  }
}
