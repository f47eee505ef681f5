package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lanewise.encoder.head.SentenceModule;
import org.lanewise.encoder.model.EncoderSizes;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Safetensors;
import org.lanewise.encoder.weights.SafetensorsWriter;
import org.lanewise.encoder.weights.Tensor;

/**
 * Directories that are good open, from a zip and mapped from disk, and say what their files say.
 */
final class ModelDirectoryTest {
  private static final Path BUNDLED = Path.of("..", "models", "lanewise-mini-en");

  private static final Set<DataType> F32 = Set.of(DataType.F32);

  /** What a golden directory is known to be; the number is layer 1's first output weight. */
  private record Facts(
      String name,
      EncoderSizes sizes,
      Set<DataType> types,
      String modules,
      int maxLength,
      long weightBytes,
      float firstOfLastDense) {}

  private static List<Facts> goldens() {
    return List.of(
        new Facts(
            "bert_auto_model_prefix",
            new EncoderSizes(340, 15, 2, 3, 37, 33, 2, "gelu"),
            F32,
            "[MEAN_SQRT_LENGTH]",
            18,
            41036L,
            -0.20655222f),
        new Facts(
            "bert_bf16",
            new EncoderSizes(325, 35, 2, 5, 51, 28, 2, "gelu"),
            Set.of(DataType.BF16),
            "[CLS]",
            14,
            62854L,
            -0.09472656f),
        new Facts(
            "bert_fp16",
            new EncoderSizes(339, 27, 2, 3, 37, 33, 2, "relu"),
            Set.of(DataType.F16),
            "[MEAN] Normalize",
            14,
            42592L,
            0.030288696f),
        new Facts(
            "bert_gelu",
            new EncoderSizes(295, 28, 3, 4, 37, 33, 2, "gelu"),
            F32,
            "[MEAN] Normalize",
            18,
            106396L,
            -0.12508097f),
        new Facts(
            "bert_gelu_new_oldlayout",
            new EncoderSizes(346, 36, 2, 4, 40, 33, 2, "gelu_new"),
            F32,
            "[CLS] Normalize",
            16,
            127904L,
            -0.20731321f),
        new Facts(
            "bert_multi_pooling_old",
            new EncoderSizes(299, 30, 2, 5, 37, 33, 2, "gelu"),
            F32,
            "[MAX, MEAN, LAST_TOKEN]",
            14,
            93056L,
            0.7600852f),
        new Facts(
            "bert_plain_vocab_txt",
            new EncoderSizes(307, 35, 2, 5, 40, 40, 2, "silu"),
            F32,
            "",
            18,
            118620L,
            -0.3285479f),
        new Facts(
            "bert_relu_gamma_beta",
            new EncoderSizes(338, 18, 2, 3, 51, 28, 2, "relu"),
            F32,
            "[MAX]",
            19,
            54768L,
            0.48969367f),
        new Facts(
            "bert_sharded_dense_truncate",
            new EncoderSizes(334, 24, 2, 4, 46, 40, 2, "gelu"),
            F32,
            "[MEAN] Dense[14, 24]tanh Normalize",
            16,
            78280L,
            -0.34813467f));
  }

  @Test
  void everyGoldenOfTheFamilyIsInTheTable() {
    assertEquals(
        Goldens.list("encoders", "bert_"), goldens().stream().map(Facts::name).sorted().toList());
  }

  @ParameterizedTest
  @MethodSource("goldens")
  void opensFromAZip(Facts facts) {
    check(facts, Goldens.path("encoders/" + facts.name));
  }

  @ParameterizedTest
  @MethodSource("goldens")
  void opensFromDiskWithTheSameBytesAndFingerprint(Facts facts, @TempDir Path directory)
      throws IOException {
    Path golden = Goldens.path("encoders/" + facts.name);
    copy(golden, directory);
    check(facts, directory);
    try (ModelDirectory zipped = ModelDirectory.open(golden);
        ModelDirectory mapped = ModelDirectory.open(directory)) {
      for (String name : zipped.config().weightShapes().keySet()) {
        MemorySegment a = zipped.weights().tensor(name).data();
        MemorySegment b = mapped.weights().tensor(name).data();
        assertEquals(-1, a.mismatch(b), name);
        assertTrue(b.isMapped(), name);
        assertTrue(b.isReadOnly(), name);
      }
      assertEquals(zipped.fingerprint(), mapped.fingerprint());
    }
  }

  private static void check(Facts facts, Path path) {
    try (ModelDirectory model = ModelDirectory.open(path)) {
      assertEquals(path, model.path());
      assertEquals(facts.sizes, model.config().sizes());
      assertEquals(facts.types, model.weightTypes());
      assertEquals(facts.modules, described(model.sentenceModules()));
      assertEquals(facts.maxLength, model.maxLength());
      assertEquals(facts.weightBytes, model.weightBytes());
      assertFalse(model.lowerCase());
      model
          .config()
          .weightShapes()
          .forEach(
              (name, shape) -> {
                Tensor tensor = model.weights().tensor(name);
                assertEquals(shape, Stream.of(boxed(tensor.shape())).toList(), name);
                assertEquals(
                    tensor.elements() * tensor.type().bytes(), tensor.data().byteSize(), name);
              });
      assertTrue(model.weights().has("pooler.dense.weight"));
      assertEquals(
          facts.firstOfLastDense,
          first(model.weights().in("encoder.layer.1").tensor("output.dense.weight")));
      assertEquals(64, model.fingerprint().length());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "distilbert.", "0.auto_model."})
  void weightsOfAFamilyMayHaveItsPrefix(String prefix, @TempDir Path directory) throws IOException {
    copy(Goldens.path("encoders/distilbert"), directory);
    try (Arena arena = Arena.ofShared()) {
      Map<String, Tensor> renamed = new HashMap<>();
      Safetensors.open(Goldens.path("encoders/distilbert/model.safetensors"), arena)
          .tensors()
          .forEach((name, tensor) -> renamed.put(prefix + name, tensor));
      Path file = directory.resolve("model.safetensors");
      Files.delete(file);
      SafetensorsWriter.write(file, renamed, DataType.F32);
    }
    try (ModelDirectory model = ModelDirectory.open(directory)) {
      assertEquals(new EncoderSizes(342, 21, 3, 3, 29, 36, 0, "gelu"), model.config().sizes());
      assertTrue(model.weights().has("transformer.layer.0.attention.q_lin.weight"));
    }
  }

  @Test
  void promptsAndTruncationOfTheShardedGolden() {
    try (ModelDirectory model =
        ModelDirectory.open(Goldens.path("encoders/bert_sharded_dense_truncate"))) {
      assertEquals(
          new Prompts(Map.of("document", "passage: ", "query", "query: "), Optional.of("query")),
          model.prompts());
      assertEquals("query: ", model.prompts().byDefault());
      assertEquals(OptionalInt.of(8), model.truncateDimensions());
      assertEquals(Optional.of("cosine"), model.similarity());
    }
  }

  @Test
  void aDirectoryWithoutSentenceTransformersFilesHasNoPromptsAndNoModules() {
    try (ModelDirectory model =
        ModelDirectory.open(Goldens.path("encoders/bert_plain_vocab_txt"))) {
      assertEquals(List.of(), model.sentenceModules());
      assertEquals(new Prompts(Map.of(), Optional.empty()), model.prompts());
      assertEquals("", model.prompts().byDefault());
      assertEquals(OptionalInt.empty(), model.truncateDimensions());
      assertEquals(Optional.empty(), model.similarity());
    }
  }

  @Test
  void theBundledModelOpensWithoutAPooler() {
    try (ModelDirectory model = ModelDirectory.open(BUNDLED)) {
      assertEquals(
          new EncoderSizes(16384, 256, 4, 8, 1024, 512, 2, "gelu"), model.config().sizes());
      assertFalse(model.weights().has("pooler.dense.weight"));
      assertEquals(Set.of(DataType.BF16), model.weightTypes());
      assertEquals("[MEAN] Normalize", described(model.sentenceModules()));
      assertEquals(512, model.maxLength());
    }
  }

  @Test
  void everyGoldenHasItsOwnFingerprint() {
    List<String> fingerprints =
        goldens().stream()
            .map(
                facts -> {
                  try (ModelDirectory model =
                      ModelDirectory.open(Goldens.path("encoders/" + facts.name))) {
                    return model.fingerprint();
                  }
                })
            .toList();
    assertEquals(fingerprints.size(), Set.copyOf(fingerprints).size());
  }

  @Test
  void aChangedWeightChangesTheFingerprint(@TempDir Path directory) throws IOException {
    copy(Goldens.path("encoders/bert_gelu"), directory);
    String before;
    try (ModelDirectory model = ModelDirectory.open(directory)) {
      before = model.fingerprint();
    }
    Path file = directory.resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 1] ^= 1;
    Files.write(file, bytes);
    try (ModelDirectory model = ModelDirectory.open(directory)) {
      assertNotEquals(before, model.fingerprint());
    }
  }

  @Test
  void weightsReadAfterCloseThrow(@TempDir Path directory) throws IOException {
    copy(Goldens.path("encoders/bert_gelu"), directory);
    ModelDirectory model = ModelDirectory.open(directory);
    Tensor tensor = model.weights().tensor("embeddings.word_embeddings.weight");
    model.close();
    model.close();
    assertThrows(IllegalStateException.class, () -> first(tensor));
  }

  @Test
  void closingWhileAnotherThreadReadsEndsItWithAnException(@TempDir Path directory)
      throws IOException, InterruptedException {
    copy(Goldens.path("encoders/bert_gelu"), directory);
    ModelDirectory model = ModelDirectory.open(directory);
    Tensor tensor = model.weights().tensor("embeddings.word_embeddings.weight");
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    CountDownLatch reading = new CountDownLatch(1);
    Thread reader =
        Thread.ofPlatform()
            .uncaughtExceptionHandler((thread, e) -> thrown.set(e))
            .start(
                () -> {
                  while (Float.isFinite(first(tensor))) {
                    reading.countDown();
                  }
                });
    reading.await();
    model.close();
    reader.join();
    assertInstanceOf(IllegalStateException.class, thrown.get());
  }

  @Test
  void aTokenizerAloneIsEnoughForOpenTokenizer(@TempDir Path directory) throws IOException {
    Path golden = Goldens.path("encoders/bert_gelu");
    Files.write(
        directory.resolve("tokenizer.json"), Files.readAllBytes(golden.resolve("tokenizer.json")));
    assertTrue(ModelDirectory.openTokenizer(directory).vocabularySize() > 0);
  }

  private static String described(List<SentenceModule> modules) {
    return String.join(" ", modules.stream().map(ModelDirectoryTest::described).toList());
  }

  private static String described(SentenceModule module) {
    return switch (module) {
      case SentenceModule.Pooling pooling -> {
        assertTrue(pooling.includePrompt());
        yield pooling.modes().toString();
      }
      case SentenceModule.Dense dense -> {
        assertInstanceOf(Tensor.class, dense.bias());
        yield "Dense" + List.of(boxed(dense.weight().shape())) + dense.activation();
      }
      case SentenceModule.Normalize() -> "Normalize";
    };
  }

  private static Long[] boxed(long[] shape) {
    Long[] boxed = new Long[shape.length];
    for (int i = 0; i < shape.length; i++) {
      boxed[i] = shape[i];
    }
    return boxed;
  }

  private static float first(Tensor tensor) {
    MemorySegment data = tensor.data();
    return switch (tensor.type()) {
      case F32 -> data.get(ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
      case F16 -> Float.float16ToFloat(half(data));
      case BF16 -> Float.intBitsToFloat(half(data) << 16);
      case I64, I32, U8 -> throw new AssertionError(tensor.type());
    };
  }

  private static short half(MemorySegment data) {
    return data.get(ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
  }

  /** Copies a directory, of a zip or not, with its folders. */
  static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Path target = to.resolve(from.relativize(file).toString());
        if (Files.isDirectory(file)) {
          Files.createDirectories(target);
        } else {
          Files.write(target, Files.readAllBytes(file));
        }
      }
    }
  }
}
