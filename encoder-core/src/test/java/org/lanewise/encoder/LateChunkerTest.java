package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.lanewise.encoder.ChunkOptions.Strategy;
import org.lanewise.encoder.EncoderOutputs.Answer;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.EncoderOutputs.Reading;
import org.lanewise.encoder.LateChunker.ChunkVector;
import org.lanewise.encoder.LateChunker.Window;
import org.lanewise.encoder.TokenEmbedder.Role;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.tokenizer.Tokens;

/** Vectors of chunks against a plain mean of token vectors, and against themselves in company. */
@Tag("backend")
final class LateChunkerTest {
  private static final Path BUNDLED = Path.of("..", "models", "lanewise-mini-en");

  /** Takes 14 tokens: everything is long. */
  private static final Path SHORT = Goldens.path("encoders/xlm_roberta");

  private static final EmbedderOptions FP32 =
      EmbedderOptions.defaults()
          .withBackend(System.getProperty("lanewise.backend", "auto"))
          .withPrecision(Precision.FP32)
          .withThreads(2);

  private static final String TEXT =
      "Berlin is the capital of Germany. It has 3.8 million people, more than any other city of"
          + " the European Union. The city lies on the river Spree. Its climate is mild.";

  private static TextEmbedder open(Path directory, EmbedderOptions options) {
    return TextEmbedder.open(ModelDirectory.open(directory), options);
  }

  private static LateChunker late(TextEmbedder model, int most, String prompt) {
    return LateChunker.over(
        Chunker.over(model, new ChunkOptions(Strategy.SENTENCE, OptionalInt.of(most), 1), prompt));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "title: none | text: "})
  void aChunkIsTheMeanOfItsTokensInTheWholeText(String prompt) {
    try (TextEmbedder model = open(BUNDLED, FP32)) {
      EncodedText read = model.encode(TEXT, prompt);
      float[][] hidden = model.forwardTokens(List.of(read))[0];
      List<ChunkVector> chunks = late(model, 30, prompt).embed(TEXT);
      assertTrue(chunks.size() > 2, chunks.toString());
      for (ChunkVector each : chunks) {
        int start = each.chunk().start() + prompt.length();
        int end = each.chunk().end() + prompt.length();
        assertArrayEquals(mean(read.tokens(), hidden, start, end), each.vector(), 1e-5f);
      }
    }
  }

  /** The bundled model's modules: the mean, scaled to length 1. */
  private static float[] mean(Tokens tokens, float[][] hidden, int start, int end) {
    double[] sum = new double[hidden[0].length];
    for (int i = 0; i < hidden.length; i++) {
      if (!tokens.special()[i] && tokens.starts()[i] >= start && tokens.ends()[i] <= end) {
        for (int j = 0; j < sum.length; j++) {
          sum[j] += hidden[i][j];
        }
      }
    }
    double length = 0;
    for (double value : sum) {
      length += value * value;
    }
    float[] mean = new float[sum.length];
    for (int j = 0; j < sum.length; j++) {
      mean[j] = (float) (sum[j] / Math.sqrt(length));
    }
    return mean;
  }

  @Test
  void whatStandsAroundAChunkMatters() {
    try (TextEmbedder model = open(BUNDLED, FP32)) {
      List<ChunkVector> chunks = late(model, 30, "").embed(TEXT);
      ChunkVector second = chunks.get(1);
      float[] alone = model.embed(List.of(second.chunk().of(TEXT))).getFirst().vector();
      double cosine = 0;
      for (int i = 0; i < alone.length; i++) {
        cosine += alone[i] * second.vector()[i];
      }
      assertTrue(cosine < 0.999, "cosine " + cosine);
    }
  }

  @Test
  void vectorsAreTheSameInAnyBatch() {
    List<String> texts = List.of(TEXT, "Short.", TEXT.repeat(2), "Fog. Rain. Snow.");
    ChunkOptions options = new ChunkOptions(Strategy.SENTENCE, OptionalInt.of(8), 1);
    try (TextEmbedder model = open(SHORT, FP32)) {
      EncoderOutputs outputs = EncoderOutputs.over(model);
      LateChunker late = late(model, 8, "");
      List<Reading> readings = new ArrayList<>();
      for (String text : texts) {
        readings.addAll(outputs.readChunks(text, "", Set.of(Output.DENSE), options, true));
        // Whole texts share the batch.
        readings.add(outputs.read(text, "", Role.DOCUMENT, Set.of(Output.DENSE)));
      }
      List<Answer> answers = outputs.forward(readings);
      int next = 0;
      for (String text : texts) {
        List<ChunkVector> alone = late.embed(text);
        int chunk = 0;
        while (chunk < alone.size()) {
          assertEquals(
              alone.get(chunk).chunk(), readings.get(next).chunks().getFirst(), "chunk " + chunk);
          for (float[] vector : answers.get(next++).dense()) {
            assertArrayEquals(alone.get(chunk++).vector(), vector, 1e-5f);
          }
        }
        float[] whole = model.embed(List.of(text), "").getFirst().vector();
        assertArrayEquals(whole, answers.get(next++).vector(), 1e-5f);
      }
      assertEquals(answers.size(), next);
    }
  }

  @Test
  void aTextThatIsTooLongIsReadInWindowsThatOverlap() {
    try (TextEmbedder model = open(SHORT, FP32)) {
      Chunker chunker =
          Chunker.over(model, new ChunkOptions(Strategy.TOKEN, OptionalInt.of(5), 0), "");
      List<Chunk> chunks = chunker.chunks(TEXT);
      List<Window> windows = LateChunker.over(chunker).windows(TEXT);
      int overlapping = 0;
      List<Chunk> held = new ArrayList<>();
      for (int i = 0; i < windows.size(); i++) {
        Window window = windows.get(i);
        held.addAll(window.chunks());
        assertTrue(window.text().length() <= model.maxLength(), "tokens of window " + i);
        assertEquals(window.chunks().size(), window.ranges().size());
        if (i > 0) {
          // 12 tokens beside the special ones, a quarter of which may be read twice.
          int context = window.ranges().getFirst().first() - 1;
          assertTrue(context <= 3, "context of " + context + " tokens");
          overlapping += context > 0 ? 1 : 0;
        }
      }
      assertEquals(chunks, held);
      assertTrue(windows.size() < chunks.size(), windows + " hold " + chunks);
      assertTrue(overlapping > 1, windows.toString());
      assertEquals(chunks.size(), LateChunker.over(chunker).embed(TEXT).size());
    }
  }

  /** Chunks as long as the model's input leave no room for what stands around them. */
  @Test
  void chunksAsLongAsTheWindowAreReadWhole() {
    try (TextEmbedder model = open(SHORT, FP32)) {
      Chunker chunker = Chunker.over(model, ChunkOptions.sentences(), "");
      List<Window> windows = LateChunker.over(chunker).windows(TEXT);
      assertEquals(
          chunker.chunks(TEXT), windows.stream().flatMap(w -> w.chunks().stream()).toList());
      for (Window window : windows) {
        assertTrue(window.text().length() <= model.maxLength());
        window
            .ranges()
            .forEach(range -> assertTrue(range.end() - range.first() > 1, range.toString()));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"roberta", "xlm_roberta", "modernbert", "gemma3_embedding", "mpnet"})
  void otherTokenizersFindTheirTokens(String name) {
    EmbedderOptions options = FP32.withPooling(PoolingMode.MEAN);
    try (TextEmbedder model = open(Goldens.path("encoders/" + name), options)) {
      String text = "naïve 👍🏽 cafés. Ｆｕｌｌ width! Two \ud835\udd04 letters? " + TEXT;
      Chunker chunker = Chunker.over(model, ChunkOptions.sentences(), "");
      LateChunker late = LateChunker.over(chunker);
      for (Window window : late.windows(text)) {
        for (var range : window.ranges()) {
          assertTrue(range.first() >= 0 && range.first() < range.end());
          assertTrue(range.end() <= window.text().length());
        }
      }
      List<ChunkVector> vectors = late.embed(text);
      assertEquals(chunker.chunks(text), vectors.stream().map(ChunkVector::chunk).toList());
      assertEquals(model.dimensions(), vectors.getFirst().vector().length);
    }
  }

  @Test
  void aTextWithoutTokensHasNoVectors() {
    try (TextEmbedder model = open(BUNDLED, FP32)) {
      assertEquals(List.of(), late(model, 30, "").embed(" \n "));
    }
  }

  @Test
  void otherPoolingsAreRefusedByName() {
    for (PoolingMode mode : PoolingMode.values()) {
      try (TextEmbedder model = open(BUNDLED, FP32.withPooling(mode))) {
        if (mode == PoolingMode.MEAN) {
          late(model, 30, "");
        } else {
          String message =
              assertThrows(ModelException.class, () -> late(model, 30, "")).getMessage();
          assertTrue(message.contains("[" + mode.label() + "]"), message);
          assertTrue(message.contains("late chunking"), message);
        }
      }
    }
  }
}
