package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.model.RecurrentConfig;
import org.lanewise.encoder.model.SequenceInput;
import org.lanewise.encoder.model.SequenceModelConfig;
import org.lanewise.encoder.model.SequenceModelConfig.Head;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.encoder.model.SequenceModels;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/** Taggers with random weights, and one whose answers are known. */
@Tag("backend")
final class TextTaggerTest {
  private static final List<String> LABELS = List.of("O", "B-PER", "I-PER", "B-LOC", "I-LOC");
  private static final List<String> TAGS = List.of("NOUN", "VERB", "PUNCT");

  @TempDir private Path directory;

  @ParameterizedTest
  @EnumSource(RecurrentCell.class)
  void labelsDependNeitherOnBackendNorOnCompanyNorOnThreads(RecurrentCell cell) throws IOException {
    List<String> texts = texts(60);
    for (Head head : List.of(Head.TAG_SOFTMAX, Head.TAG_CRF)) {
      write(SequenceModels.ofWords(cell, head, LABELS, 5));
      List<List<TextTagger.Entity>> expected = tag("scalar", 1, 4096, texts);
      assertTrue(expected.stream().anyMatch(each -> !each.isEmpty()));
      for (int threads : new int[] {1, 3}) {
        for (int batchTokens : new int[] {1, 50, 4096}) {
          assertSame(expected, tag("auto", threads, batchTokens, texts));
        }
      }
      try (TextTagger tagger = open(EmbedderOptions.defaults())) {
        for (int i = 0; i < texts.size(); i++) {
          assertSame(expected.subList(i, i + 1), tagger.tag(List.of(texts.get(i))));
        }
      }
    }
  }

  @Test
  void spansLieInTheTextAndFollowTheScheme() throws IOException {
    write(SequenceModels.ofWords(RecurrentCell.LSTM, Head.TAG_CRF, LABELS, 6));
    List<String> texts = texts(40);
    try (TextTagger tagger = open(EmbedderOptions.defaults())) {
      assertTrue(tagger.spans());
      assertEquals(LABELS, tagger.labels());
      List<List<TextTagger.Entity>> answers = tagger.tag(texts);
      for (int i = 0; i < texts.size(); i++) {
        int last = 0;
        for (TextTagger.Entity entity : answers.get(i)) {
          assertTrue(entity.start() >= last && entity.end() > entity.start());
          assertEquals(texts.get(i).substring(entity.start(), entity.end()), entity.text());
          assertTrue(List.of("PER", "LOC").contains(entity.label()), entity.label());
          assertTrue(entity.probability() > 0 && entity.probability() <= 1);
          last = entity.end();
        }
      }
    }
  }

  @Test
  void otherLabelsTagEveryWord() throws IOException {
    write(SequenceModels.ofWords(RecurrentCell.GRU, Head.TAG_SOFTMAX, TAGS, 7));
    String text = "  Ada lived\n in London. \ud83d\ude00 Yes!";
    try (TextTagger tagger = open(EmbedderOptions.defaults())) {
      List<TextTagger.Entity> words = tagger.tag(List.of(text)).getFirst();
      assertEquals(
          List.of("Ada", "lived", "in", "London", ".", "\ud83d\ude00", "Yes", "!"),
          words.stream().map(TextTagger.Entity::text).toList());
      assertTrue(TAGS.containsAll(words.stream().map(TextTagger.Entity::label).toList()));
    }
  }

  @Test
  void textsWithoutWordsHaveNoEntities() throws IOException {
    write(SequenceModels.ofWords(RecurrentCell.LSTM, Head.TAG_SOFTMAX, TAGS, 8));
    try (TextTagger tagger = open(EmbedderOptions.defaults())) {
      assertEquals(List.of(), tagger.tag(List.of()));
      assertEquals(List.of(List.of(), List.of()), tagger.tag(List.of("", " \n\t\u2003\u00a0")));
      assertEquals(List.of(), tagger.labels(List.of()));
    }
  }

  /** The tagger of this test says what each word is by its row: no word sees another. */
  @Test
  void windowsOfLongTextsCutNoSpan() throws IOException {
    write(knownAnswers());
    Random random = new Random(9);
    List<String> words = new ArrayList<>();
    List<String> expected = new ArrayList<>();
    for (int span = 0; words.size() < 3000; span++) {
      // Some spans are longer than a window.
      int length = span % 10 == 9 ? 700 : random.nextInt(60);
      for (int i = 0; i < length; i++) {
        words.add(i == 0 ? "begin" : "inside");
        expected.add(i == 0 ? "B-PER" : "I-PER");
      }
      int outside = 1 + random.nextInt(40);
      for (int i = 0; i < outside; i++) {
        words.add("outside");
        expected.add("O");
      }
    }
    try (TextTagger tagger = open(EmbedderOptions.defaults())) {
      assertEquals(expected, tagger.labels(List.of(segmented(words))).getFirst());
      assertEquals(
          expected.stream().filter("B-PER"::equals).count(),
          tagger.tag(List.of(String.join(" ", words))).getFirst().size());
    }
  }

  @Test
  void refusesWhatIsNoTagger() throws IOException {
    write(SequenceModels.ofCharacters(Head.CLASS_MEAN, TAGS, 1));
    assertRefused("it holds a [lanewise_classifier], expected a [lanewise_tagger]");
    write(SequenceModels.ofCharacters(Head.TAG_SOFTMAX, TAGS, 1));
    assertRefused("[unit] is character, expected word");
    write(SequenceModels.ofWords(RecurrentCell.LSTM, Head.TAG_CRF, List.of("O", "I-PER"), 1));
    assertRefused("label [I-PER] needs [B-PER]");
    Files.delete(directory.resolve("config.json"));
    assertRefused("config.json is missing");
  }

  @Test
  void networksThatExceedAllBoundsSaySo() throws IOException {
    SequenceModels.Model model =
        SequenceModels.ofWords(RecurrentCell.RNN_RELU, Head.TAG_SOFTMAX, TAGS, 8);
    Map<String, Tensor> weights = new HashMap<>(model.weights());
    for (String name : List.of("recurrent.weight_hh_l0", "recurrent.bias_hh_l0")) {
      long[] shape = weights.get(name).shape();
      float[] values = new float[(int) weights.get(name).elements()];
      Arrays.fill(values, 1e30f);
      weights.put(name, tensor(name, shape, values));
    }
    write(new SequenceModels.Model(model.config(), model.vocabularies(), weights));
    try (TextTagger tagger = open(EmbedderOptions.defaults())) {
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class, () -> tagger.tag(List.of("Ada lived in London")));
      assertTrue(refused.getMessage().contains("not finite"), refused.getMessage());
    }
  }

  @Test
  void closedTaggersSaySo() throws IOException {
    write(SequenceModels.ofWords(RecurrentCell.LSTM, Head.TAG_SOFTMAX, TAGS, 8));
    TextTagger tagger = open(EmbedderOptions.defaults());
    tagger.warmUp();
    tagger.close();
    tagger.close();
    assertThrows(IllegalStateException.class, () -> tagger.tag(List.of("text")));
  }

  private void assertRefused(String expected) {
    ModelException refused =
        assertThrows(ModelException.class, () -> open(EmbedderOptions.defaults()));
    assertTrue(refused.getMessage().contains(expected), refused.getMessage());
  }

  /**
   * A network whose state of a word is nearly the sign of its vector: recurrent weights are 0, and
   * the vector of each word says its label.
   */
  private static SequenceModels.Model knownAnswers() {
    List<String> labels = List.of("O", "B-PER", "I-PER");
    SequenceModelConfig config =
        new SequenceModelConfig(
            SequenceModelConfig.Unit.WORD,
            List.of(new SequenceInput.WordVectors(3, true)),
            new RecurrentConfig(RecurrentCell.RNN_TANH, 3, 3, 1, false),
            Head.TAG_SOFTMAX,
            labels);
    SequenceModels.Model model =
        SequenceModels.random(config, List.of(List.of("outside", "begin", "inside")), 1);
    float[] identity = {9, 0, 0, 0, 9, 0, 0, 0, 9};
    Map<String, float[]> numbers = new HashMap<>();
    numbers.put("inputs.0.weight", new float[] {0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9});
    numbers.put("recurrent.weight_ih_l0", identity);
    numbers.put("recurrent.weight_hh_l0", new float[9]);
    numbers.put("recurrent.bias_ih_l0", new float[3]);
    numbers.put("recurrent.bias_hh_l0", new float[3]);
    numbers.put("head.W", identity);
    numbers.put("head.b", new float[3]);
    Map<String, Tensor> weights = new HashMap<>();
    numbers.forEach(
        (name, values) ->
            weights.put(name, tensor(name, model.weights().get(name).shape(), values)));
    return new SequenceModels.Model(config, model.vocabularies(), weights);
  }

  private static Tensor tensor(String name, long[] shape, float[] values) {
    MemorySegment data = MemorySegment.ofArray(new byte[values.length * Float.BYTES]);
    for (int i = 0; i < values.length; i++) {
      data.set(
          ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN),
          (long) i * Float.BYTES,
          values[i]);
    }
    return new Tensor(name, DataType.F32, shape, data);
  }

  private void write(SequenceModels.Model model) throws IOException {
    SequenceModelDirectory.write(
        directory, model.config(), model.vocabularies(), model.weights(), DataType.F32);
  }

  static TextEmbedder noEncoder(String id) {
    throw new ModelException("no encoder [" + id + "]");
  }

  private TextTagger open(EmbedderOptions options) {
    return TextTagger.open(directory, options, TextTaggerTest::noEncoder);
  }

  private List<List<TextTagger.Entity>> tag(
      String backend, int threads, int batchTokens, List<String> texts) {
    EmbedderOptions options =
        EmbedderOptions.defaults().withThreads(threads).withBatchTokens(batchTokens);
    // "auto" is what the system property of this run says.
    options = backend.equals("auto") ? options : options.withBackend(backend);
    try (TextTagger tagger = open(options)) {
      return tagger.tag(texts);
    }
  }

  private static void assertSame(
      List<List<TextTagger.Entity>> expected, List<List<TextTagger.Entity>> found) {
    assertEquals(expected.size(), found.size());
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(expected.get(i).size(), found.get(i).size());
      for (int j = 0; j < expected.get(i).size(); j++) {
        TextTagger.Entity one = expected.get(i).get(j);
        TextTagger.Entity other = found.get(i).get(j);
        assertEquals(one.probability(), other.probability(), 1e-4);
        assertEquals(
            one,
            new TextTagger.Entity(
                other.text(), other.label(), one.probability(), other.start(), other.end()));
      }
    }
  }

  private static SegmentedText segmented(List<String> words) {
    int[] starts = new int[words.size()];
    int[] ends = new int[words.size()];
    int at = 0;
    for (int i = 0; i < starts.length; i++) {
      starts[i] = at;
      ends[i] = at + words.get(i).length();
      at = ends[i] + 1;
    }
    return new SegmentedText(String.join(" ", words), starts, ends);
  }

  /** Texts of known and unknown words, from none to some hundred. */
  private static List<String> texts(int count) {
    Random random = new Random(3);
    List<String> words =
        List.of(
            "The", "Ada", "Lovelace", "lived", "in", ".", "it's", "\u00e9t\u00e9", "x".repeat(90));
    return IntStream.range(0, count)
        .mapToObj(
            i ->
                IntStream.range(0, i % 13 == 12 ? 400 : random.nextInt(30))
                    .mapToObj(word -> words.get(random.nextInt(words.size())))
                    .collect(Collectors.joining(" ")))
        .toList();
  }
}
