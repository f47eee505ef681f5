package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lanewise.encoder.EncoderOutputs.Answer;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.EncoderOutputs.Part;
import org.lanewise.encoder.EncoderOutputs.Reading;
import org.lanewise.encoder.TokenEmbedder.Role;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.head.ClassScores;
import org.lanewise.encoder.head.EncoderHeads;
import org.lanewise.encoder.head.HeadKind;
import org.lanewise.encoder.head.SparseVector;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Safetensors;
import org.lanewise.encoder.weights.SafetensorsWriter;
import org.lanewise.encoder.weights.Tensor;

/** Outputs of one pass against the doors that make one output each. */
final class EncoderOutputsTest {
  private static final List<String> TEXTS =
      List.of("the cat sat on the mat.", "a dog!", "is it the cat, or is it a dog?");

  private static TextEmbedder open(String name) throws IOException {
    return TextEmbedder.open(
        ModelDirectory.open(Goldens.path("heads/" + name)),
        EmbedderOptions.defaults()
            .withPrecision(Precision.FP32)
            .withPooling(PoolingMode.MEAN)
            .withThreads(1));
  }

  @Test
  void aDenseAndASparseVectorComeFromOnePass() throws IOException {
    try (TextEmbedder embedder = open("masked_lm_splade")) {
      EncoderOutputs outputs = EncoderOutputs.over(embedder);
      assertEquals(EnumSet.of(Output.DENSE, Output.SPARSE), outputs.available());
      List<Reading> texts =
          List.of(
              read(outputs, 0, Set.of(Output.DENSE, Output.SPARSE)),
              read(outputs, 1, Set.of(Output.SPARSE)),
              read(outputs, 2, Set.of(Output.SPARSE, Output.DENSE)));
      texts.forEach(text -> assertEquals(1, text.parts().size()));
      List<Answer> answers = outputs.forward(texts);
      SparseEmbedder sparse = SparseEmbedder.over(embedder);
      List<Embedding> dense = embedder.embed(TEXTS, "");
      for (int i = 0; i < answers.size(); i++) {
        SparseVector expected = sparse.embed(List.of(TEXTS.get(i))).getFirst();
        SparseVector actual = answers.get(i).sparse().orElseThrow();
        assertArrayEquals(expected.ids(), actual.ids());
        assertArrayEquals(expected.weights(), actual.weights(), 1e-5f);
        assertEquals(sparse.tokens(expected).keySet(), outputs.tokens(actual).keySet());
        if (i == 1) {
          assertTrue(answers.get(i).dense().isEmpty());
        } else {
          assertArrayEquals(dense.get(i).vector(), answers.get(i).vector(), 1e-6f);
        }
        assertEquals(dense.get(i).tokens(), answers.get(i).tokens());
        assertTrue(answers.get(i).multiVector().isEmpty());
      }
    }
  }

  @Test
  void whatReadsOtherTokensIsReadBesides() throws IOException {
    for (String name : List.of("colbert_stanford", "colbert_sentence_transformers")) {
      try (TextEmbedder embedder = open(name)) {
        EncoderOutputs outputs = EncoderOutputs.over(embedder);
        assertTrue(outputs.available().contains(Output.MULTI_VECTOR));
        for (Role role : Role.values()) {
          List<Reading> texts = new ArrayList<>();
          for (String text : TEXTS) {
            texts.add(outputs.read(text, "", role, EnumSet.of(Output.DENSE, Output.MULTI_VECTOR)));
          }
          int parts = role == Role.PLAIN ? 1 : 2;
          texts.forEach(text -> assertEquals(parts, text.parts().size()));
          List<Answer> answers = outputs.forward(texts);
          List<TokenEmbedder.TokenVectors> expected =
              TokenEmbedder.over(embedder).embed(TEXTS, role);
          List<Embedding> dense = embedder.embed(TEXTS, "");
          for (int i = 0; i < answers.size(); i++) {
            float[][] vectors = answers.get(i).multiVector().orElseThrow();
            assertEquals(expected.get(i).vectors().length, vectors.length);
            for (int token = 0; token < vectors.length; token++) {
              assertArrayEquals(expected.get(i).vectors()[token], vectors[token], 1e-6f);
            }
            assertArrayEquals(dense.get(i).vector(), answers.get(i).vector(), 1e-6f);
          }
        }
      }
    }
  }

  @Test
  void whatTheModelHasNotGotIsRefused() throws IOException {
    try (TextEmbedder embedder = open("masked_lm_splade")) {
      EncoderOutputs outputs = EncoderOutputs.over(embedder);
      ModelException e =
          assertThrows(ModelException.class, () -> read(outputs, 0, Set.of(Output.MULTI_VECTOR)));
      assertTrue(e.getMessage().contains("it is no ColBERT model"), e.getMessage());
      ModelException tags =
          assertThrows(ModelException.class, () -> read(outputs, 0, Set.of(Output.TAGS)));
      assertTrue(
          tags.getMessage().contains("it has no [token_classification] head for [tags]"),
          tags.getMessage());
      assertEquals(List.of(), outputs.classes());
    }
    try (TextEmbedder embedder =
        TextEmbedder.open(
            ModelDirectory.open(Goldens.path("heads/masked_lm_splade")),
            EmbedderOptions.defaults())) {
      EncoderOutputs outputs = EncoderOutputs.over(embedder);
      assertEquals(EnumSet.of(Output.SPARSE), outputs.available());
      ModelException e =
          assertThrows(ModelException.class, () -> read(outputs, 0, Set.of(Output.DENSE)));
      assertTrue(e.getMessage().contains("it states no pooling"), e.getMessage());
    }
  }

  /** A golden directory with its head, and modules behind its Transformer that make vectors. */
  private static Path withPooling(String name, Path directory) throws IOException {
    try (Stream<Path> files = Files.list(Goldens.path("heads/" + name))) {
      for (Path file : files.toList()) {
        Files.copy(file, directory.resolve(file.getFileName().toString()));
      }
    }
    Files.writeString(
        directory.resolve("modules.json"),
        """
        [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
        """);
    Files.createDirectory(directory.resolve("1_Pooling"));
    Files.writeString(
        directory.resolve("1_Pooling").resolve("config.json"),
        "{\"word_embedding_dimension\": "
            + (name.equals("token_classification") ? 24 : 14)
            + ", \"pooling_mode_mean_tokens\": true}");
    return directory;
  }

  /** The model on a backend that adds up the tokens which enter the encoder. */
  private static TextEmbedder counting(Path directory, int batchTokens, List<Integer> passes) {
    Backend backend = Backends.create("scalar", Optional.of(Precision.FP32), new Workers(1));
    Backend counting =
        (Backend)
            Proxy.newProxyInstance(
                Backend.class.getClassLoader(),
                new Class<?>[] {Backend.class},
                (_, method, arguments) -> {
                  if (method.getName().equals("embed")) {
                    passes.add(((PackedBatch) arguments[0]).tokens());
                  }
                  try {
                    return method.invoke(backend, arguments);
                  } catch (InvocationTargetException e) {
                    throw e.getCause();
                  }
                });
    return TextEmbedder.open(
        ModelDirectory.open(directory),
        EmbedderOptions.defaults()
            .withBackend("scalar")
            .withPrecision(Precision.FP32)
            .withThreads(1)
            .withBatchTokens(batchTokens),
        counting);
  }

  private static final List<String> LONG =
      List.of(
          "I am dead.", "Colonel Chabert is dead and alive in Paris. ".repeat(9), "  \t ", "Paris");

  @Test
  void tagsComeFromThePassThatMakesTheVector(@TempDir Path directory) throws IOException {
    Path path = withPooling("token_classification", directory);
    assertEquals(Optional.empty(), ModelDirectory.trainedHead(path));
    List<Integer> passes = new ArrayList<>();
    try (TextEmbedder embedder = counting(path, 40, passes);
        TextTagger tagger =
            TextTagger.open(
                Goldens.path("heads/token_classification"),
                EmbedderOptions.defaults().withPrecision(Precision.FP32).withThreads(1),
                _ -> null)) {
      EncoderOutputs outputs = EncoderOutputs.over(embedder);
      assertEquals(EnumSet.of(Output.DENSE, Output.TAGS), outputs.available());
      assertEquals(List.of("MISC", "LOC"), outputs.classes());
      Set<Output> both = EnumSet.of(Output.DENSE, Output.TAGS);
      List<Reading> texts =
          LONG.stream().map(text -> outputs.read(text, "", Role.DOCUMENT, both)).toList();
      Set<Output> alone = Set.of(Output.TAGS);
      List<Reading> tagged =
          LONG.stream().map(text -> outputs.read(text, "", Role.DOCUMENT, alone)).toList();

      // A text that fits is read once; of a long one the first window makes the vector, too.
      assertEquals(List.of(both), texts.get(0).parts().stream().map(Part::outputs).toList());
      assertTrue(texts.get(1).parts().size() > 3, "windows");
      assertEquals(both, texts.get(1).parts().getFirst().outputs());
      assertEquals(tagged.get(1).parts().size(), texts.get(1).parts().size());
      assertTrue(texts.get(1).truncated());
      // Tags are of the whole text.
      assertFalse(tagged.get(1).truncated());

      List<Answer> answers = outputs.forward(texts);
      int tokens = texts.stream().mapToInt(Reading::tokens).sum();
      assertEquals(tokens, passes.stream().mapToInt(each -> each).sum());
      passes.forEach(each -> assertTrue(each <= 40, "no batch holds more than it shall"));

      List<List<TextTagger.Entity>> entities = tagger.tag(LONG);
      assertTrue(
          entities.get(1).stream().anyMatch(each -> each.end() > LONG.get(1).length() / 2),
          "nothing is found in the second half");
      List<Embedding> dense = embedder.embed(LONG, "");
      List<Answer> found = outputs.forward(tagged);
      for (int i = 0; i < LONG.size(); i++) {
        assertEntities(entities.get(i), answers.get(i).entities().orElseThrow());
        assertEntities(entities.get(i), found.get(i).entities().orElseThrow());
        assertArrayEquals(dense.get(i).vector(), answers.get(i).vector(), 1e-6f);
        assertTrue(found.get(i).dense().isEmpty());
        assertTrue(answers.get(i).classes().isEmpty());
      }
    }
  }

  private static void assertEntities(
      List<TextTagger.Entity> expected, List<TextTagger.Entity> actual) {
    assertEquals(expected.size(), actual.size());
    for (int i = 0; i < expected.size(); i++) {
      TextTagger.Entity each = expected.get(i);
      assertEquals(each.probability(), actual.get(i).probability(), 1e-5);
      assertEquals(
          each,
          new TextTagger.Entity(
              actual.get(i).text(),
              actual.get(i).label(),
              each.probability(),
              actual.get(i).start(),
              actual.get(i).end()));
    }
  }

  @Test
  void aPromptIsForTheVectorAlone(@TempDir Path directory) throws IOException {
    Path path = withPooling("token_classification", directory);
    List<Integer> passes = new ArrayList<>();
    try (TextEmbedder embedder = counting(path, 512, passes)) {
      EncoderOutputs outputs = EncoderOutputs.over(embedder);
      Set<Output> both = EnumSet.of(Output.DENSE, Output.TAGS);
      String text = LONG.getFirst();
      Reading plain = outputs.read(text, "", Role.DOCUMENT, both);
      // A blank changes no token, only where they stand.
      for (String prompt : List.of("am: ", " ")) {
        Reading prompted = outputs.read(text, prompt, Role.DOCUMENT, both);
        assertEquals(2, prompted.parts().size(), prompt);
        List<Answer> answers = outputs.forward(List.of(plain, prompted));
        assertEquals(answers.get(0).entities(), answers.get(1).entities());
        assertFalse(answers.get(0).entities().orElseThrow().isEmpty());
        assertArrayEquals(
            embedder.embed(List.of(text), prompt).getFirst().vector(),
            answers.get(1).vector(),
            1e-6f);
      }
    }
  }

  @Test
  void classesComeFromThePassThatMakesTheVector(@TempDir Path directory) throws IOException {
    Path path = withPooling("sequence_classification_5", directory);
    List<Integer> passes = new ArrayList<>();
    try (TextEmbedder embedder = counting(path, 512, passes);
        TextClassifier classifier =
            TextClassifier.open(
                Goldens.path("heads/sequence_classification_5"),
                EmbedderOptions.defaults().withPrecision(Precision.FP32).withThreads(1),
                _ -> null)) {
      EncoderOutputs outputs = EncoderOutputs.over(embedder);
      Set<Output> both = EnumSet.of(Output.DENSE, Output.TAGS);
      assertEquals(both, outputs.available());
      assertEquals(classifier.labels(), outputs.classes());
      List<Reading> texts =
          LONG.stream().map(text -> outputs.read(text, "", Role.DOCUMENT, both)).toList();
      List<Answer> answers = outputs.forward(texts);
      assertEquals(List.of(texts.stream().mapToInt(Reading::tokens).sum()), passes);
      assertTrue(texts.get(1).truncated());
      List<ClassScores> classes = classifier.classify(LONG);
      List<Embedding> dense = embedder.embed(LONG, "");
      for (int i = 0; i < LONG.size(); i++) {
        ClassScores actual = answers.get(i).classes().orElseThrow();
        assertEquals(classes.get(i).classes(), actual.classes());
        assertArrayEquals(classes.get(i).probabilities(), actual.probabilities(), 1e-5);
        assertArrayEquals(dense.get(i).vector(), answers.get(i).vector(), 1e-6f);
        assertTrue(answers.get(i).entities().isEmpty());
      }
    }
  }

  @Test
  void chunksHaveNoTags(@TempDir Path directory) throws IOException {
    Path path = withPooling("token_classification", directory);
    try (TextEmbedder embedder = counting(path, 512, new ArrayList<>())) {
      EncoderOutputs outputs = EncoderOutputs.over(embedder);
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () ->
                  outputs.readChunks(
                      LONG.get(1),
                      "",
                      EnumSet.of(Output.DENSE, Output.TAGS),
                      new ChunkOptions(ChunkOptions.Strategy.SENTENCE, OptionalInt.empty(), 0),
                      false));
      assertTrue(e.getMessage().contains("but [dense, tags] was asked for"), e.getMessage());
    }
  }

  @Test
  void oneListOfLabelsIsOfOneHead(@TempDir Path directory) throws IOException {
    Path path = withPooling("token_classification", directory);
    Path config = path.resolve("config.json");
    Files.writeString(
        config,
        Files.readString(config)
            .replace(
                "\"BertForTokenClassification\"",
                "\"BertForTokenClassification\", \"BertForSequenceClassification\""));
    Path weights = path.resolve("model.safetensors");
    try (Arena arena = Arena.ofConfined()) {
      Map<String, Tensor> tensors = new HashMap<>(Safetensors.open(weights, arena).tensors());
      for (String name : List.of("weight", "bias")) {
        Tensor any = tensors.get("bert.encoder.layer.0.attention.output.dense." + name);
        tensors.put("bert.pooler.dense." + name, any);
      }
      Path more = path.resolve("more.safetensors");
      SafetensorsWriter.write(more, tensors, DataType.F32);
      Files.move(more, weights, StandardCopyOption.REPLACE_EXISTING);
    }
    try (TextEmbedder embedder = counting(path, 512, new ArrayList<>())) {
      EncoderHeads heads = embedder.directory().heads();
      assertEquals(5, heads.labels().size());
      assertEquals(Set.of(HeadKind.SEQUENCE_CLASSIFICATION), heads.plans().keySet());
      assertTrue(
          heads
              .problems()
              .get(HeadKind.TOKEN_CLASSIFICATION)
              .contains("[id2label] names those of one"));
    }
  }

  private static Reading read(EncoderOutputs outputs, int text, Set<Output> wanted) {
    return outputs.read(TEXTS.get(text), "", Role.DOCUMENT, wanted);
  }
}
