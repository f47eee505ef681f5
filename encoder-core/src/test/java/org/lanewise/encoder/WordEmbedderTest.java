package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.model.RecurrentConfig;
import org.lanewise.encoder.model.SequenceInput;
import org.lanewise.encoder.model.SequenceModelConfig;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.encoder.model.SequenceModels;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.tokenizer.Tokens;
import org.lanewise.encoder.tokenizer.WordSegmenter;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Safetensors;
import org.lanewise.encoder.weights.Tensor;

/** Vectors of words: which tokens they come from, long texts, and who may read them. */
@Tag("backend")
final class WordEmbedderTest {
  private static final Path ENCODER = Goldens.path("encoders/bert_gelu");
  private static final EmbedderOptions FP32 =
      EmbedderOptions.defaults().withPrecision(Precision.FP32).withThreads(2);

  @TempDir private Path directory;

  @Test
  void layersArePyTorchs() throws IOException {
    List<String> texts =
        new ObjectMapper()
            .readTree(Files.readString(ENCODER.resolve("golden.json")))
            .get("items")
            .valueStream()
            .limit(3)
            .map(item -> item.asText())
            .toList();
    try (TextEmbedder embedder = open();
        Arena arena = Arena.ofConfined()) {
      Safetensors golden = Safetensors.open(ENCODER.resolve("golden.safetensors"), arena);
      List<EncodedText> encoded = texts.stream().map(text -> embedder.encode(text, "")).toList();
      for (int layer = 0; layer <= embedder.directory().config().layers(); layer++) {
        Tensor expected = golden.tensors().get("hidden_states." + layer);
        float[][][] found = embedder.forwardTokens(encoded, layer, layer % 2 == 0);
        for (int text = 0; text < found.length; text++) {
          for (int token = 0; token < found[text].length; token++) {
            float[] row =
                rowOf(expected, text * expected.shape()[1] + token, found[text][token].length);
            for (int i = 0; i < row.length; i++) {
              assertEquals(row[i], found[text][token][i], 1e-4 + 1e-4 * Math.abs(row[i]));
            }
          }
        }
      }
    }
  }

  @Test
  void aWordIsTheMeanOfTheTokensThatTouchIt() {
    String text = "  Thisby, don't ask\u00a0 \u0000\ue000!";
    int from = 2;
    int[] starts = {2, 8, 10, 12, 16, 21, 22, 23};
    int[] ends = {8, 9, 12, 15, 19, 22, 23, 24};
    SegmentedText words = new SegmentedText(text, starts, ends);
    try (TextEmbedder embedder = open()) {
      EncodedText encoded = embedder.encode(text.substring(from), "");
      Tokens tokens = encoded.tokens();
      float[][] states = embedder.forwardTokens(List.of(encoded))[0];
      int layers = embedder.directory().config().layers();
      float[][] found = new WordEmbedder(embedder).encode(List.of(words), layers);
      assertEquals(starts.length, found.length);
      int untouched = 0;
      for (int word = 0; word < starts.length; word++) {
        float[] sum = new float[found[word].length];
        int count = 0;
        for (int token = 0; token < tokens.length(); token++) {
          boolean touches =
              !tokens.special()[token]
                  && tokens.starts()[token] + from < ends[word]
                  && tokens.ends()[token] + from > starts[word];
          if (touches) {
            count++;
            for (int i = 0; i < sum.length; i++) {
              sum[i] += states[token][i];
            }
          }
        }
        untouched += count == 0 ? 1 : 0;
        for (int i = 0; i < sum.length; i++) {
          assertEquals(count == 0 ? 0 : sum[i] / count, found[word][i], 1e-5);
        }
      }
      assertEquals(2, untouched, "control and private characters are no tokens");
    }
  }

  @Test
  void longTextsAreReadInWindowsBetweenWords() {
    try (TextEmbedder embedder = open()) {
      String piece = "the ask garden ";
      int most = embedder.maxLength() - 2;
      SegmentedText all = WordSegmenter.words(piece.repeat(40));
      WordEmbedder words = new WordEmbedder(embedder);
      float[][] found = words.encode(List.of(all), 2);
      int first = 0;
      while (first < all.words()) {
        int end = first;
        int tokens = 0;
        while (end < all.words()) {
          int more = embedder.encode(all.word(end), "").length() - 2;
          if (tokens + more > most) {
            break;
          }
          tokens += more;
          end++;
        }
        assertTrue(end > first);
        float[][] alone = words.encode(List.of(all.part(first, end)), 2);
        for (int i = 0; i < alone.length; i++) {
          assertArrayEquals(alone[i], found[first + i], 1e-5f);
        }
        first = end;
      }
      // One word that is longer than the encoder reads.
      SegmentedText giant = new SegmentedText("!".repeat(100), new int[] {0}, new int[] {100});
      float[] vector = words.encode(List.of(giant), 2)[0];
      assertNotEquals(0, vector[0]);
    }
  }

  @Test
  void taggersReadTheEncoderThatTheyWereTrainedOn() throws IOException {
    try (TextEmbedder embedder = open()) {
      String fingerprint = embedder.directory().weightsFingerprint();
      assertEquals(64, fingerprint.length());
      write(28, 2, fingerprint);
      try (TextTagger tagger =
          TextTagger.open(directory, EmbedderOptions.defaults(), id -> embedder)) {
        List<String> texts = List.of("I want to ask him. Whence doth this", "garden", "");
        List<List<TextTagger.Entity>> together = tagger.tag(texts);
        for (int i = 0; i < texts.size(); i++) {
          List<TextTagger.Entity> alone = tagger.tag(List.of(texts.get(i))).getFirst();
          assertEquals(together.get(i).size(), alone.size());
          for (int word = 0; word < alone.size(); word++) {
            assertEquals(together.get(i).get(word).label(), alone.get(word).label());
            assertEquals(
                together.get(i).get(word).probability(), alone.get(word).probability(), 1e-5);
          }
        }
      }
      assertRefused(embedder, 28, 2, "0".repeat(64), "[" + "0".repeat(64) + "]");
      assertRefused(embedder, 28, 2, "0".repeat(64), "[" + fingerprint + "]");
      assertRefused(embedder, 28, 4, fingerprint, "layer 4 of encoder [small], which has 3 layers");
      assertRefused(embedder, 27, 2, fingerprint, "27 numbers");
      write(28, 2, fingerprint);
      assertThrows(
          ModelException.class, () -> TextTagger.open(directory, FP32, TextTaggerTest::noEncoder));
    }
  }

  @Test
  void theFingerprintIsThatOfTheWeights() {
    try (ModelDirectory one = ModelDirectory.open(ENCODER);
        ModelDirectory again = ModelDirectory.open(ENCODER);
        ModelDirectory other =
            ModelDirectory.open(Goldens.path("encoders/bert_sharded_dense_truncate"))) {
      assertEquals(one.weightsFingerprint(), again.weightsFingerprint());
      assertNotEquals(one.weightsFingerprint(), other.weightsFingerprint());
    }
  }

  private void assertRefused(
      TextEmbedder embedder, int size, int layer, String fingerprint, String expected)
      throws IOException {
    write(size, layer, fingerprint);
    ModelException refused =
        assertThrows(ModelException.class, () -> TextTagger.open(directory, FP32, id -> embedder));
    assertTrue(refused.getMessage().contains(expected), refused.getMessage());
  }

  private void write(int size, int layer, String fingerprint) throws IOException {
    SequenceModelConfig config =
        new SequenceModelConfig(
            SequenceModelConfig.Unit.WORD,
            List.of(
                new SequenceInput.WordVectors(4, true),
                new SequenceInput.EncoderVectors(size, "small", layer, fingerprint)),
            new RecurrentConfig(RecurrentCell.GRU, size + 4, 5, 1, true),
            SequenceModelConfig.Head.TAG_SOFTMAX,
            List.of("A", "B", "C"));
    SequenceModels.Model model =
        SequenceModels.random(config, List.of(List.of("ask", "to"), List.of()), 4);
    SequenceModelDirectory.write(
        directory, model.config(), model.vocabularies(), model.weights(), DataType.F32);
  }

  private static float[] rowOf(Tensor tensor, long row, int columns) {
    float[] numbers = new float[columns];
    for (int i = 0; i < columns; i++) {
      numbers[i] = tensor.get(row * columns + i);
    }
    return numbers;
  }

  private static TextEmbedder open() {
    return TextEmbedder.open(ModelDirectory.open(ENCODER), FP32);
  }
}
