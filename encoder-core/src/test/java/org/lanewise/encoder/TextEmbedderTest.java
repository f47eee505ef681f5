package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.weights.Safetensors;
import org.lanewise.encoder.weights.Tensor;

/** Text in, vector out: against sentence-transformers, and against itself in other company. */
@Tag("backend")
final class TextEmbedderTest {
  private static final long SEED = Long.getLong("lanewise.seed", 20261120);
  private static final Path BUNDLED = Path.of("..", "models", "lanewise-mini-en");
  private static final EmbedderOptions FP32 =
      EmbedderOptions.defaults()
          .withBackend(System.getProperty("lanewise.backend", "auto"))
          .withPrecision(Precision.FP32)
          .withThreads(2);

  /** Families whose own arithmetic in fp32 is five times as far from fp64 as the others'. */
  private static final Set<String> NOISY = Set.of("modernbert", "nomic_bert", "gte");

  static List<String> modelsThatStateTheirPooling() {
    return Goldens.list("encoders", "").stream()
        .filter(name -> !name.equals("bert_plain_vocab_txt"))
        .toList();
  }

  @ParameterizedTest
  @MethodSource("modelsThatStateTheirPooling")
  void vectorsAreSentenceTransformers(String name) throws IOException {
    Path directory = Goldens.path("encoders/" + name);
    JsonNode golden =
        new ObjectMapper().readTree(Files.readString(directory.resolve("golden.json")));
    List<String> texts = new ArrayList<>();
    golden.get("encode_texts").forEach(text -> texts.add(text.asText()));
    int compared = 0;
    try (Arena arena = Arena.ofShared()) {
      Safetensors tensors = Safetensors.open(directory.resolve("golden.safetensors"), arena);
      for (JsonNode call : golden.get("encode")) {
        EmbedderOptions options = FP32;
        if (call.has("truncate_dim")) {
          options = options.withDimensions(call.get("truncate_dim").asInt(0));
        }
        if (call.path("normalize_embeddings").asBoolean()) {
          options = options.withNormalize(true);
        }
        String tensor = call.get("tensor").asText();
        try (TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(directory), options)) {
          List<Embedding> embeddings =
              tensor.equals("encode.default")
                  ? embedder.embed(texts)
                  : embedder.embed(texts, call.get("prompt").asText());
          double tolerance = NOISY.contains(embedder.directory().config().family()) ? 5e-4 : 1e-4;
          Tensor expected = tensors.tensors().get(tensor);
          assertEquals(expected.shape()[1], embedder.dimensions(), tensor);
          for (int i = 0; i < texts.size(); i++) {
            float[] vector = embeddings.get(i).vector();
            for (int j = 0; j < vector.length; j++) {
              float value = expected.get((long) i * vector.length + j);
              assertEquals(value, vector[j], tolerance * (1 + Math.abs(value)), tensor);
              compared++;
            }
          }
        }
      }
    }
    assertTrue(compared > 0, "nothing was compared");
  }

  static List<String> bertModels() {
    return modelsThatStateTheirPooling().stream().filter(name -> name.startsWith("bert_")).toList();
  }

  @ParameterizedTest
  @MethodSource("bertModels")
  void bf16WeightsKeepTheDirection(String name) {
    List<String> texts = List.of("a garden by the river", "naïve", "He made haste to the door!");
    List<Embedding> exact = embed(Goldens.path("encoders/" + name), FP32, texts);
    List<Embedding> rounded =
        embed(Goldens.path("encoders/" + name), FP32.withPrecision(Precision.BF16), texts);
    for (int i = 0; i < texts.size(); i++) {
      double cosine = cosine(exact.get(i).vector(), rounded.get(i).vector());
      assertTrue(cosine >= 0.9999, name + ": cosine " + cosine);
    }
  }

  /** A trained model; the goldens' are random and tiny, which says little about int8. */
  @Test
  void lowPrecisionKeepsTheDirectionOfTheBundledModel() {
    List<String> texts = List.of("how do I bake bread?", "naïve", "He made haste to the door!");
    List<Embedding> exact = embed(BUNDLED, FP32, texts);
    for (Precision precision : List.of(Precision.BF16, Precision.INT8)) {
      double least = precision == Precision.BF16 ? 0.9999 : 0.99;
      for (String backend : List.of("vector", "scalar")) {
        EmbedderOptions options = FP32.withPrecision(precision).withBackend(backend);
        List<Embedding> rounded = embed(BUNDLED, options, texts);
        for (int i = 0; i < texts.size(); i++) {
          double cosine = cosine(exact.get(i).vector(), rounded.get(i).vector());
          assertTrue(cosine >= least, backend + " " + precision + ": cosine " + cosine);
        }
      }
    }
  }

  private static List<Embedding> embed(
      Path directory, EmbedderOptions options, List<String> texts) {
    try (TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(directory), options)) {
      return embedder.embed(texts);
    }
  }

  private static double cosine(float[] a, float[] b) {
    double dot = 0;
    double squareA = 0;
    double squareB = 0;
    for (int i = 0; i < a.length; i++) {
      dot += (double) a[i] * b[i];
      squareA += (double) a[i] * a[i];
      squareB += (double) b[i] * b[i];
    }
    return dot / Math.sqrt(squareA * squareB);
  }

  @Test
  void theSameTextGivesTheSameVectorInAnyCompany() throws InterruptedException, ExecutionException {
    List<String> texts = texts(24);
    try (TextEmbedder one =
            TextEmbedder.open(
                ModelDirectory.open(BUNDLED), FP32.withThreads(1).withBatchTokens(1));
        TextEmbedder many =
            TextEmbedder.open(
                ModelDirectory.open(BUNDLED), FP32.withThreads(3).withBatchTokens(300))) {
      List<Embedding> alone = one.embed(texts);
      assertSame(alone, many.embed(texts));
      List<Integer> order = new ArrayList<>();
      for (int i = 0; i < texts.size(); i++) {
        order.add(i);
      }
      Collections.shuffle(order, new Random(SEED));
      List<Embedding> shuffled = many.embed(order.stream().map(texts::get).toList());
      assertSame(order.stream().map(alone::get).toList(), shuffled);
      try (ExecutorService callers = Executors.newFixedThreadPool(4)) {
        List<Future<List<Embedding>>> answers = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
          answers.add(callers.submit(() -> many.embed(texts)));
        }
        for (Future<List<Embedding>> answer : answers) {
          assertSame(alone, answer.get());
        }
      }
    }
  }

  @Test
  void aBatchHasAsManyTokensAsAskedForAndAsPay() {
    ModelDirectory model = ModelDirectory.open(Goldens.path("encoders/bert_gelu"));
    try (TextEmbedder few = TextEmbedder.open(model, FP32.withBatchTokens(100))) {
      assertEquals(100, few.batchTokens());
    }
    model = ModelDirectory.open(Goldens.path("encoders/bert_gelu"));
    try (TextEmbedder many = TextEmbedder.open(model, FP32.withBatchTokens(16_384))) {
      assertEquals(512, many.batchTokens());
    }
  }

  /** A JVM that only interprets stands for one that has just started; this one compiles. */
  @ParameterizedTest
  @EnumSource(Precision.class)
  void theFirstTextOfAJvmGivesTheSameBitsAsLaterOnes(Precision precision)
      throws IOException, InterruptedException {
    List<String> options = List.of("-Xint", "--enable-native-access=ALL-UNNAMED");
    OtherJvm interpreted = OtherJvm.run(options, Interpreted.class, precision.name());
    assertEquals(Interpreted.bits(precision, 300), interpreted.lines());
  }

  /** Prints the bits of some vectors. */
  static final class Interpreted {
    private Interpreted() {}

    public static void main(String[] args) {
      bits(Precision.valueOf(args[0]), 1).forEach(System.out::println);
    }

    /** Returns what the last time gives. */
    private static List<String> bits(Precision precision, int times) {
      EmbedderOptions options = FP32.withPrecision(precision).withThreads(1);
      List<Embedding> embeddings = List.of();
      try (TextEmbedder embedder =
          TextEmbedder.open(ModelDirectory.open(Goldens.path("encoders/bert_gelu")), options)) {
        for (int time = 0; time < times; time++) {
          embeddings = embedder.embed(texts(12));
        }
      }
      // A hash of the bits, as a list of all of them would make an endless message.
      return embeddings.stream()
          .map(embedding -> Integer.toHexString(Arrays.hashCode(embedding.vector())))
          .toList();
    }
  }

  private static void assertSame(List<Embedding> expected, List<Embedding> actual) {
    assertEquals(expected.size(), actual.size());
    for (int i = 0; i < expected.size(); i++) {
      assertArrayEquals(expected.get(i).vector(), actual.get(i).vector(), "text " + i);
      assertEquals(expected.get(i).tokens(), actual.get(i).tokens());
    }
  }

  /** Texts of 0 to 60 words. */
  private static List<String> texts(int count) {
    Random random = new Random(SEED);
    String[] words = {
      "water", "is", "the", "Moon", "sings", "of", "42", "unwritten", "letters", "."
    };
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      StringBuilder text = new StringBuilder();
      int length = random.nextInt(1 + random.nextInt(60));
      for (int word = 0; word < length; word++) {
        text.append(words[random.nextInt(words.length)]).append(' ');
      }
      texts.add(text.toString());
    }
    return texts;
  }

  @Test
  void aLongTextIsCutAndSaysSo() {
    try (TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(BUNDLED), FP32)) {
      Embedding cut = embedder.embed(List.of("word ".repeat(2000))).getFirst();
      assertTrue(cut.truncated());
      assertEquals(embedder.maxLength(), cut.tokens());
      Embedding whole = embedder.embed(List.of("word")).getFirst();
      assertFalse(whole.truncated());
      assertEquals(3, whole.tokens());
    }
  }

  @Test
  void noPoolingIsRefusedWithTheCureAndTokensNeedNone() {
    Path directory = Goldens.path("encoders/bert_plain_vocab_txt");
    try (TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(directory), FP32)) {
      String message =
          assertThrows(ModelException.class, () -> embedder.embed(List.of("garden"))).getMessage();
      assertTrue(message.contains("states no pooling") && message.contains("mean"), message);
      float[][][] tokens = embedder.forwardTokens(List.of(embedder.encode("garden", "")));
      assertEquals(35, tokens[0][0].length);
    }
    EmbedderOptions options = FP32.withPooling(PoolingMode.MEAN);
    assertEquals(35, embed(directory, options, List.of("garden")).getFirst().vector().length);
  }

  @Test
  void optionsThatDoNotFitAreRefused() {
    assertThrows(
        IllegalArgumentException.class,
        () -> embed(BUNDLED, FP32.withDimensions(257), List.of("x")));
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> embed(BUNDLED, FP32.withBackend("gpu"), List.of("x")))
            .getMessage();
    assertTrue(message.contains("[gpu]") && message.contains("vector"), message);
  }

  @Test
  void aClosedEmbedderSaysSo() {
    TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(BUNDLED), FP32);
    EncodedText text = embedder.encode("x", "");
    embedder.close();
    embedder.close();
    String message =
        assertThrows(IllegalStateException.class, () -> embedder.forward(List.of(text)))
            .getMessage();
    assertTrue(message.contains("is closed"), message);
  }
}
