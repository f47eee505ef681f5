package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.Supplier;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.DeviceException;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.backend.cuda.HostDevice;
import org.lanewise.encoder.head.ClassScores;
import org.lanewise.encoder.head.SparseVector;
import org.lanewise.encoder.model.SequenceModelConfig;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.encoder.model.SequenceModels;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.tokenizer.WordSegmenter;
import org.lanewise.encoder.weights.DataType;

/** Every head gives its answers whatever a device does. */
final class DeviceFailoverTest {
  private static final Path BUNDLED = Path.of("..", "models", "lanewise-mini-en");
  private static final EmbedderOptions OPTIONS =
      EmbedderOptions.defaults()
          .withBackend("scalar")
          .withPrecision(Precision.FP32)
          .withThreads(2)
          .withBatchTokens(1024);

  /** Of different lengths, some of several sentences. */
  private static final List<String> TEXTS = texts();

  private static List<String> texts() {
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < 9; i++) {
      texts.add("Colonel Chabert is dead and alive in Paris. ".repeat(1 + i % 4).strip());
    }
    return texts;
  }

  /** What reads texts through a head. */
  private interface Reader {
    /** Returns numbers for each text, or for each part of one. */
    List<float[]> read(List<String> texts);
  }

  /** A head over an encoder, and a model that has it. */
  private static final List<Head> HEADS =
      List.of(
          new Head(
              "vectors",
              BUNDLED,
              encoder -> texts -> encoder.embed(texts).stream().map(Embedding::vector).toList()),
          new Head(
              "late_chunks",
              BUNDLED,
              encoder -> {
                ChunkOptions options =
                    new ChunkOptions(ChunkOptions.Strategy.SENTENCE, OptionalInt.empty(), 0);
                LateChunker chunker = LateChunker.over(Chunker.over(encoder, options, ""));
                return texts ->
                    texts.stream()
                        .flatMap(text -> chunker.embed(text).stream())
                        .map(LateChunker.ChunkVector::vector)
                        .toList();
              }),
          new Head(
              "tokens",
              BUNDLED,
              encoder ->
                  texts ->
                      flat(
                          encoder.forwardTokens(
                              texts.stream().map(text -> encoder.encode(text, "")).toList()))),
          new Head(
              "words",
              BUNDLED,
              encoder ->
                  texts ->
                      List.of(
                          new WordEmbedder(encoder)
                              .encode(texts.stream().map(WordSegmenter::words).toList(), 2))),
          new Head(
              "sparse",
              Goldens.path("heads/masked_lm_splade"),
              encoder -> {
                SparseEmbedder sparse = SparseEmbedder.over(encoder);
                return texts -> sparse.embed(texts).stream().map(SparseVector::weights).toList();
              }),
          new Head(
              "token_vectors",
              Goldens.path("heads/colbert_stanford"),
              encoder -> {
                TokenEmbedder tokens = TokenEmbedder.over(encoder);
                return texts ->
                    flat(
                        tokens.embed(texts, TokenEmbedder.Role.DOCUMENT).stream()
                            .map(TokenEmbedder.TokenVectors::vectors)
                            .toArray(float[][][]::new));
              }),
          new Head(
              "scores",
              Goldens.path("heads/cross_encoder_sigmoid"),
              encoder -> {
                TextReranker reranker = TextReranker.over(encoder);
                return texts -> {
                  float[] scores =
                      reranker.score(Collections.nCopies(texts.size(), "who is dead"), texts);
                  return List.of(scores);
                };
              }),
          new Head(
              "answers",
              Goldens.path("heads/question_answering"),
              encoder -> {
                AnswerFinder finder = AnswerFinder.over(encoder);
                return texts ->
                    finder
                        .answers(texts.stream().map(text -> finder.read("who", text, 15)).toList())
                        .stream()
                        .map(Optional::orElseThrow)
                        .map(answer -> new float[] {answer.score(), answer.start(), answer.end()})
                        .toList();
              }),
          new Head(
              "classes",
              Goldens.path("heads/sequence_classification_5"),
              encoder -> {
                EncoderClassifier classifier = EncoderClassifier.over(encoder);
                return texts ->
                    numbers(
                        classifier.classify(
                            texts, Collections.nCopies(texts.size(), Optional.empty())));
              }),
          new Head(
              "labels",
              Goldens.path("heads/token_classification"),
              encoder -> {
                EncoderLabeller labeller = EncoderLabeller.over(encoder);
                return texts ->
                    numbers(labeller.label(texts.stream().map(WordSegmenter::words).toList()));
              }),
          new Head(
              "outputs",
              Goldens.path("heads/masked_lm_splade"),
              encoder -> {
                EncoderOutputs outputs = EncoderOutputs.over(encoder);
                Set<EncoderOutputs.Output> sparse = Set.of(EncoderOutputs.Output.SPARSE);
                return texts ->
                    outputs
                        .forward(
                            texts.stream()
                                .map(
                                    text ->
                                        outputs.read(text, "", TokenEmbedder.Role.DOCUMENT, sparse))
                                .toList())
                        .stream()
                        .map(answer -> answer.sparse().orElseThrow().weights())
                        .toList();
              }),
          new Head(
              "tags",
              Goldens.path("heads/token_classification"),
              encoder -> {
                EncoderOutputs outputs = EncoderOutputs.over(encoder);
                Set<EncoderOutputs.Output> tags = Set.of(EncoderOutputs.Output.TAGS);
                return texts ->
                    outputs
                        .forward(
                            texts.stream()
                                .map(
                                    text ->
                                        outputs.read(text, "", TokenEmbedder.Role.DOCUMENT, tags))
                                .toList())
                        .stream()
                        .flatMap(answer -> answer.entities().orElseThrow().stream())
                        .map(
                            entity ->
                                new float[] {
                                  (float) entity.probability(), entity.start(), entity.end()
                                })
                        .toList();
              }));

  static List<Head> heads() {
    return HEADS;
  }

  /** Heads that are prepared beside the encoder. */
  static List<Head> besideTheEncoder() {
    return HEADS.stream()
        .filter(
            head ->
                List.of("sparse", "token_vectors", "scores", "answers", "classes", "labels")
                    .contains(head.name))
        .toList();
  }

  /** A head over an encoder, and a model that has it. */
  private record Head(String name, Path path, Function<TextEmbedder, Reader> over) {
    @Override
    public String toString() {
      return name;
    }

    List<float[]> onProcessor(List<String> texts) {
      try (TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(path), OPTIONS)) {
        return over.apply(embedder).read(texts);
      }
    }

    TextEmbedder open(Backend backend) {
      return TextEmbedder.open(ModelDirectory.open(path), OPTIONS, backend);
    }
  }

  private static List<float[]> flat(float[][][] numbers) {
    List<float[]> rows = new ArrayList<>();
    for (float[][] each : numbers) {
      rows.addAll(List.of(each));
    }
    return rows;
  }

  private static List<float[]> numbers(List<ClassScores> scores) {
    return scores.stream()
        .map(
            each -> {
              float[] row = new float[each.probabilities().length];
              for (int i = 0; i < row.length; i++) {
                row[i] = (float) each.probabilities()[i];
              }
              return row;
            })
        .toList();
  }

  private static List<float[]> numbers(WordLabeller.WordLabels[] labels) {
    List<float[]> rows = new ArrayList<>();
    for (WordLabeller.WordLabels each : labels) {
      for (int word = 0; word < each.indexes().length; word++) {
        rows.add(new float[] {each.indexes()[word], (float) each.scores()[word]});
      }
    }
    return rows;
  }

  private static void assertSame(List<float[]> expected, List<float[]> actual) {
    assertEquals(expected.size(), actual.size());
    assertFalse(expected.isEmpty());
    for (int i = 0; i < expected.size(); i++) {
      assertArrayEquals(expected.get(i), actual.get(i), 1e-3f, "row " + i);
    }
  }

  private HostDevice host;

  @BeforeEach
  void open() {
    assumeTrue(HostDevice.problem().isEmpty(), () -> HostDevice.problem().orElse(""));
    host = HostDevice.create();
  }

  @ParameterizedTest
  @MethodSource("heads")
  void theProcessorGoesOnWhereADeviceWasLost(Head head) {
    List<float[]> expected = head.onProcessor(TEXTS);
    try (TextEmbedder embedder = head.open(host.backend(Precision.FP32))) {
      Reader reader = head.over.apply(embedder);
      assertSame(expected, reader.read(TEXTS));
      assertEquals(
          Optional.of(new DeviceReport(0, 0, Optional.empty(), Optional.empty())),
          embedder.deviceReport());
      host.lose();
      assertSame(expected, reader.read(TEXTS));
      assertSame(expected, reader.read(TEXTS));
      DeviceReport report = embedder.deviceReport().orElseThrow();
      assertTrue(report.processorBatches() >= 2, report.toString());
      assertTrue(report.lost().orElseThrow().contains("CUDA_ERROR_LAUNCH_FAILED"));
    }
  }

  @ParameterizedTest
  @MethodSource("heads")
  void batchesThatDoNotFitAreHalvedAndTheRestGoesToTheProcessor(Head head) {
    List<float[]> expected = head.onProcessor(TEXTS);
    try (TextEmbedder embedder = head.open(host.backend(Precision.FP32))) {
      Reader reader = head.over.apply(embedder);
      host.limitMemory(host.taken());
      assertSame(expected, reader.read(TEXTS));
      DeviceReport report = embedder.deviceReport().orElseThrow();
      // Late chunks are read one text at a time.
      assertTrue(report.halvedBatches() > 0 || head.name.equals("late_chunks"), report.toString());
      assertTrue(report.processorBatches() > 0, report.toString());
      assertEquals(Optional.empty(), report.lost());
      // It is asked again, once there is room.
      host.limitMemory(Long.MAX_VALUE);
      assertSame(expected, reader.read(TEXTS));
      assertEquals(report, embedder.deviceReport().orElseThrow());
    }
  }

  /** What all texts need is not looked for again with half of them. */
  @ParameterizedTest
  @MethodSource("besideTheEncoder")
  void headsThatDoNotFitAreComputedOnTheProcessor(Head head) {
    List<float[]> expected = head.onProcessor(TEXTS);
    try (TextEmbedder embedder = head.open(host.backend(Precision.FP32))) {
      host.limitMemory(host.taken());
      Reader reader = head.over.apply(embedder);
      assertSame(expected, reader.read(TEXTS));
      DeviceReport report = embedder.deviceReport().orElseThrow();
      assertEquals(0, report.halvedBatches());
      assertTrue(report.processorBatches() > 0, report.toString());
      host.limitMemory(Long.MAX_VALUE);
      assertSame(expected, reader.read(TEXTS));
      assertEquals(report, embedder.deviceReport().orElseThrow());
    }
  }

  /** What suits a device would take hundreds of megabytes on the processor. */
  @Test
  void theStandInReadsBatchesOfItsOwnSize() {
    AtomicLong largest = new AtomicLong();
    MemoryBudget budget =
        new MemoryBudget() {
          @Override
          public void reserve(long bytes) {
            largest.accumulateAndGet(bytes, Math::max);
          }

          @Override
          public void release(long bytes) {}
        };
    EmbedderOptions options = OPTIONS.withBatchTokens(16_384).withMemory(budget);
    try (TextEmbedder embedder =
        TextEmbedder.open(ModelDirectory.open(BUNDLED), options, host.backend(Precision.FP32))) {
      host.lose();
      List<EncodedText> many = new ArrayList<>();
      for (int i = 0; i < 30; i++) {
        TEXTS.forEach(text -> many.add(embedder.encode(text, "")));
      }
      assertTrue(many.stream().mapToInt(EncodedText::length).sum() > 5000);
      float[][] vectors = embedder.forward(many);
      List<float[]> expected = HEADS.getFirst().onProcessor(TEXTS);
      for (int i = 0; i < vectors.length; i++) {
        assertArrayEquals(expected.get(i % TEXTS.size()), vectors[i], 1e-4f);
      }
      assertTrue(largest.get() < 8 << 20, "" + largest);
    }
  }

  @Test
  void taggersAndClassifiersGoOn(@TempDir Path directory) throws IOException {
    List<SegmentedText> texts = TEXTS.stream().map(WordSegmenter::words).toList();
    SequenceModels.Model tagger =
        SequenceModels.ofWords(
            RecurrentCell.LSTM,
            SequenceModelConfig.Head.TAG_CRF,
            List.of("O", "B-PER", "I-PER"),
            5);
    Function<Backend, WordLabeller> open =
        backend -> RecurrentLabeller.open(directory, OPTIONS, TextTaggerTest::noEncoder, backend);
    write(directory, tagger);
    List<float[]> expected;
    try (WordLabeller processor = open.apply(SequenceRunner.backend("scalar", OPTIONS))) {
      expected = numbers(processor.label(texts));
      assertEquals(Optional.empty(), processor.deviceReport());
    }
    try (WordLabeller device = open.apply(host.backend(Precision.FP32))) {
      assertGoesOn(expected, () -> numbers(device.label(texts)), device::deviceReport);
    }
    host = HostDevice.create();
    SequenceModels.Model classifier =
        SequenceModels.ofCharacters(
            SequenceModelConfig.Head.CLASS_ADDITIVE_ATTENTION, List.of("a", "b", "c"), 6);
    write(directory, classifier);
    Function<Backend, ClassReader> reader =
        backend -> RecurrentClassifier.open(directory, OPTIONS, TextTaggerTest::noEncoder, backend);
    List<Optional<String>> pairs = Collections.nCopies(TEXTS.size(), Optional.empty());
    List<float[]> classes;
    try (ClassReader processor = reader.apply(SequenceRunner.backend("scalar", OPTIONS))) {
      classes = numbers(processor.classify(TEXTS, pairs));
    }
    try (ClassReader device = reader.apply(host.backend(Precision.FP32))) {
      assertGoesOn(classes, () -> numbers(device.classify(TEXTS, pairs)), device::deviceReport);
    }
  }

  private static void write(Path directory, SequenceModels.Model model) throws IOException {
    SequenceModelDirectory.write(
        directory, model.config(), model.vocabularies(), model.weights(), DataType.F32);
  }

  private void assertGoesOn(
      List<float[]> expected,
      Supplier<List<float[]>> read,
      Supplier<Optional<DeviceReport>> report) {
    host.limitMemory(host.taken());
    assertSame(expected, read.get());
    DeviceReport full = report.get().orElseThrow();
    assertTrue(full.halvedBatches() > 0 && full.processorBatches() > 0, full.toString());
    host.limitMemory(Long.MAX_VALUE);
    assertSame(expected, read.get());
    assertEquals(Optional.of(full), report.get());
    host.lose();
    assertSame(expected, read.get());
    assertTrue(report.get().orElseThrow().lost().isPresent());
  }

  @Test
  void aClosedModelOpensNoStandIn() {
    List<String> opened = new ArrayList<>();
    List<String> closed = new ArrayList<>();
    Supplier<String> opener =
        () -> {
          opened.add("processor");
          return "processor";
        };
    BiFunction<String, List<String>, List<String>> body =
        (model, texts) -> {
          if (model.equals("device")) {
            throw new DeviceException(DeviceException.Kind.LOST, "gone");
          }
          return texts;
        };
    DeviceFailover<String> used = new DeviceFailover<>(opener, closed::add);
    assertEquals(TEXTS, used.compute("device", TEXTS, body));
    used.close();
    assertEquals(List.of("processor"), closed);
    DeviceFailover<String> unused = new DeviceFailover<>(opener, closed::add);
    unused.close();
    assertThrows(IllegalStateException.class, () -> unused.compute("device", TEXTS, body));
    assertEquals(List.of("processor"), opened);
  }
}
