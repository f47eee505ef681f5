package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.TokenEmbedder.Role;
import org.lanewise.encoder.TokenEmbedder.TokenVectors;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.head.AnswerSpans;
import org.lanewise.encoder.head.ClassScores;
import org.lanewise.encoder.head.HeadKind;
import org.lanewise.encoder.head.PredictionHead;
import org.lanewise.encoder.head.SparseVector;
import org.lanewise.encoder.head.TokenVectorHead;
import org.lanewise.encoder.head.TrainedHead;

/** Every head against transformers and sentence-transformers, from text, on both backends. */
final class EncoderHeadsTest {
  private static final List<String> BACKENDS = List.of("scalar", "vector");
  private static final double TOLERANCE = 1e-4;
  private static final double WIDER = 5e-4;

  /** A golden directory, open. */
  private record Opened(String name, TextEmbedder embedder, JsonNode golden, GoldenTensors tensors)
      implements AutoCloseable {
    static Opened open(String name, String backend) throws IOException {
      String path = "heads/" + name;
      return new Opened(
          name,
          TextEmbedder.open(ModelDirectory.open(Goldens.path(path)), options(backend)),
          new ObjectMapper().readTree(Files.readAllBytes(Goldens.path(path + "/golden.json"))),
          GoldenTensors.open(path + "/golden.safetensors"));
    }

    /** Batches so small that there are several. */
    static EmbedderOptions options(String backend) {
      return EmbedderOptions.defaults()
          .withBackend(backend)
          .withPrecision(Precision.FP32)
          .withThreads(2)
          .withBatchTokens(24);
    }

    List<String> firsts(String key) {
      return golden
          .get(key)
          .valueStream()
          .map(item -> item.isArray() ? item.get(0).textValue() : item.textValue())
          .toList();
    }

    List<Optional<String>> seconds(String key) {
      return golden
          .get(key)
          .valueStream()
          .map(
              item ->
                  item.isArray() ? Optional.of(item.get(1).textValue()) : Optional.<String>empty())
          .toList();
    }

    /** The tokens of the items, which must be those of the reference. */
    List<EncodedText> encoded(String key) {
      List<EncodedText> texts = embedder.encodeAll(firsts(key), seconds(key), "");
      for (int i = 0; i < texts.size(); i++) {
        int[] ids = texts.get(i).tokens().ids();
        assertArrayEquals(expectedIds("input_ids", "attention_mask", i), ids, name + " " + i);
      }
      return texts;
    }

    int[] expectedIds(String idsName, String maskName, int row) {
      double[] ids = tensors.numbers(idsName);
      double[] mask = tensors.numbers(maskName);
      int width = tensors.size(idsName, 1);
      int[] kept = new int[width];
      int count = 0;
      for (int i = row * width; i < (row + 1) * width; i++) {
        if (mask[i] == 1) {
          kept[count++] = (int) ids[i];
        }
      }
      return Arrays.copyOf(kept, count);
    }

    /** The logits of each item: one row, or one for each token. */
    List<float[][]> logits(HeadKind kind, String key) {
      PreparedHead<TextEmbedder, PredictionHead> prepared =
          embedder.prepare(
              (backend, arena) ->
                  new PredictionHead(backend, arena, embedder.directory().heads().require(kind)));
      return embedder.answer(
          encoded(key),
          prepared::on,
          (head, backend, call, hidden, batch) -> {
            Matrix logits = head.forward(backend, call, hidden, batch);
            boolean pooled = logits.rows() == batch.sequences();
            List<float[][]> answers = new ArrayList<>();
            for (int i = 0; i < batch.sequences(); i++) {
              int first = pooled ? i : batch.sequenceStarts()[i];
              float[][] rows = new float[pooled ? 1 : batch.length(i)][];
              for (int row = 0; row < rows.length; row++) {
                rows[row] = backend.read(logits, first + row, head.outputs());
              }
              answers.add(rows);
            }
            return answers;
          });
    }

    /** Compares rows with the first rows of each item of a padded tensor. */
    void compare(String tensor, List<float[][]> actual, double tolerance) {
      double[] expected = tensors.numbers(tensor);
      int perItem = expected.length / actual.size();
      for (int item = 0; item < actual.size(); item++) {
        int at = item * perItem;
        for (float[] row : actual.get(item)) {
          for (float number : row) {
            near(expected[at], number, tolerance, name + " " + tensor + " " + item);
            at++;
          }
        }
      }
    }

    @Override
    public void close() {
      embedder.close();
    }
  }

  private static void near(double expected, double actual, double tolerance, String what) {
    assertTrue(
        Math.abs(expected - actual) <= tolerance + tolerance * Math.abs(expected),
        what + ": " + actual + " instead of " + expected);
  }

  private static Stream<Arguments> onBothBackends(String... names) {
    return Arrays.stream(names)
        .flatMap(name -> BACKENDS.stream().map(backend -> Arguments.of(name, backend)));
  }

  static Stream<Arguments> crossEncoders() {
    return onBothBackends(
        "cross_encoder_sigmoid",
        "cross_encoder_identity",
        "cross_encoder_identity_old",
        "xlm_roberta_reranker");
  }

  @ParameterizedTest
  @MethodSource("crossEncoders")
  void pairsHaveTheScoresOfTheCrossEncoder(String name, String backend) throws IOException {
    try (Opened opened = Opened.open(name, backend)) {
      List<float[][]> logits = opened.logits(HeadKind.SEQUENCE_CLASSIFICATION, "pairs");
      opened.compare("logits", logits, TOLERANCE);
      opened.compare("predict.identity", logits, TOLERANCE);
      List<String> texts = opened.seconds("pairs").stream().map(Optional::orElseThrow).toList();
      float[] scores = TextReranker.over(opened.embedder).score(opened.firsts("pairs"), texts);
      List<float[][]> rows = new ArrayList<>();
      for (float score : scores) {
        rows.add(new float[][] {{score}});
      }
      opened.compare("predict.default", rows, TOLERANCE);
    }
  }

  @Test
  void onlyTheTextOfAPairIsCut() throws IOException {
    try (Opened opened = Opened.open("cross_encoder_sigmoid", "scalar")) {
      TextReranker reranker = TextReranker.over(opened.embedder);
      String word = "Chabert ";
      int most = opened.embedder.maxLength();
      int perWord = reranker.encode(word, word).length() - reranker.encode("", word).length();
      String query = word.repeat((most - 4) / perWord);
      int[] whole = reranker.encode(query, "").tokens().ids();
      EncodedText cut = reranker.encode(query, word.repeat(most));
      assertEquals(most, cut.length());
      assertTrue(cut.tokens().truncated());
      int kept = whole.length - 1;
      assertArrayEquals(Arrays.copyOf(whole, kept), Arrays.copyOf(cut.tokens().ids(), kept));
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class, () -> reranker.encode(word.repeat(most), word));
      assertTrue(refused.getMessage().startsWith("the query has ["), refused.getMessage());
      assertTrue(refused.getMessage().contains("reads [20] at once"), refused.getMessage());
      float[] alone = reranker.score(List.of(cut));
      float[] together = reranker.score(List.of(reranker.encode("a", "b"), cut));
      assertEquals(alone[0], together[1], 1e-6f);
    }
  }

  @Test
  void answersInManyTextsAreThoseInEach() throws IOException {
    try (Opened opened = Opened.open("question_answering", "vector")) {
      AnswerFinder finder = AnswerFinder.over(opened.embedder);
      String question = "Like streams";
      List<String> texts =
          List.of("\"What next?\" said Godeschal. ".repeat(8), " ", "Sleary, with hospitable");
      List<Optional<AnswerFinder.Answer>> answers =
          finder.answers(texts.stream().map(text -> finder.read(question, text, 5)).toList());
      for (int i = 0; i < texts.size(); i++) {
        Optional<AnswerFinder.Answer> alone = finder.answer(question, texts.get(i), 5);
        assertEquals(
            alone.map(AnswerFinder.Answer::start), answers.get(i).map(AnswerFinder.Answer::start));
        assertEquals(
            alone.map(AnswerFinder.Answer::end), answers.get(i).map(AnswerFinder.Answer::end));
      }
      assertTrue(answers.get(0).isPresent() && answers.get(1).isEmpty());
      assertTrue(finder.read(question, texts.get(0), 5).windows().size() > 1);
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class, () -> finder.read(texts.get(0), texts.get(2), 5));
      assertTrue(refused.getMessage().startsWith("the question has ["), refused.getMessage());
      refused =
          assertThrows(
              IllegalArgumentException.class, () -> finder.read(question, texts.get(2), 0));
      assertTrue(refused.getMessage().contains("expected at least [1]"), refused.getMessage());
    }
  }

  static Stream<Arguments> trainedHeads() {
    return Stream.of(
        Arguments.of("colbert_sentence_transformers", null),
        Arguments.of("colbert_stanford", null),
        Arguments.of("masked_lm_splade", null),
        Arguments.of("pretraining_nsp", null),
        Arguments.of(
            "cross_encoder_identity", new TrainedHead(HeadKind.SEQUENCE_CLASSIFICATION, 1)),
        Arguments.of("xlm_roberta_reranker", new TrainedHead(HeadKind.SEQUENCE_CLASSIFICATION, 1)),
        Arguments.of(
            "distilbert_sequence_classification",
            new TrainedHead(HeadKind.SEQUENCE_CLASSIFICATION, 2)),
        Arguments.of(
            "sequence_classification_5", new TrainedHead(HeadKind.SEQUENCE_CLASSIFICATION, 5)),
        Arguments.of("token_classification", new TrainedHead(HeadKind.TOKEN_CLASSIFICATION, 5)),
        Arguments.of("question_answering", new TrainedHead(HeadKind.QUESTION_ANSWERING, 2)));
  }

  @ParameterizedTest
  @MethodSource("trainedHeads")
  void configurationSaysWhatAModelWasTrainedFor(String name, TrainedHead expected) {
    assertEquals(
        Optional.ofNullable(expected), ModelDirectory.trainedHead(Goldens.path("heads/" + name)));
  }

  @Test
  void labelsThatAreNotNamedAreTwo(@TempDir Path directory) throws IOException {
    Path config = directory.resolve("config.json");
    assertEquals(Optional.empty(), ModelDirectory.trainedHead(directory));
    String start = "{\"model_type\": \"bert\", \"architectures\": [\"BertFor";
    Files.writeString(config, start + "SequenceClassification\"]}");
    assertEquals(2, ModelDirectory.trainedHead(directory).orElseThrow().outputs());
    Files.writeString(config, start + "SequenceClassification\"], \"num_labels\": 1}");
    assertEquals(1, ModelDirectory.trainedHead(directory).orElseThrow().outputs());
    Files.writeString(directory.resolve("modules.json"), "[{}, {}]");
    assertEquals(Optional.empty(), ModelDirectory.trainedHead(directory));
    Files.writeString(directory.resolve("modules.json"), "{");
    assertEquals(Optional.empty(), ModelDirectory.trainedHead(directory));
    Files.delete(directory.resolve("modules.json"));
    Files.writeString(config, start.replace("bert", "gpt2") + "SequenceClassification\"]}");
    assertEquals(Optional.empty(), ModelDirectory.trainedHead(directory));
  }

  static Stream<Arguments> classifiers() {
    return onBothBackends(
        "sequence_classification_5",
        "roberta_sequence_classification",
        "distilbert_sequence_classification",
        "modernbert_sequence_classification");
  }

  @ParameterizedTest
  @MethodSource("classifiers")
  void textsHaveTheProbabilitiesOfTheClassifier(String name, String backend) throws IOException {
    double tolerance = name.startsWith("modernbert") ? WIDER : TOLERANCE;
    try (Opened opened = Opened.open(name, backend);
        TextClassifier classifier =
            TextClassifier.open(
                Goldens.path("heads/" + name),
                Opened.options(backend),
                id -> {
                  throw new AssertionError(id);
                })) {
      opened.compare("logits", opened.logits(HeadKind.SEQUENCE_CLASSIFICATION, "items"), tolerance);
      List<ClassScores> scores =
          classifier.classify(opened.firsts("items"), opened.seconds("items"));
      double[] expected = opened.tensors.numbers("probabilities");
      List<String> labels =
          opened.golden.get("labels").valueStream().map(JsonNode::asText).toList();
      for (int i = 0; i < scores.size(); i++) {
        double[] probabilities = scores.get(i).probabilities();
        for (int label = 0; label < probabilities.length; label++) {
          double wanted = expected[i * probabilities.length + label];
          near(wanted, probabilities[label], tolerance, name + " " + i);
        }
        assertEquals(labels.get(i), scores.get(i).top(1).getFirst().name());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"scalar", "vector"})
  void maskedLanguageModelsGiveLogitsAndSparseVectors(String backend) throws IOException {
    try (Opened opened = Opened.open("masked_lm_splade", backend)) {
      opened.compare("logits", opened.logits(HeadKind.MASKED_LM, "items"), WIDER);
      SparseEmbedder embedder = SparseEmbedder.over(opened.embedder);
      List<float[][]> dense = new ArrayList<>();
      for (SparseVector vector : embedder.embed(opened.firsts("encode_texts"))) {
        float[] row = new float[opened.embedder.directory().config().vocabularySize()];
        for (int i = 0; i < vector.size(); i++) {
          row[vector.ids()[i]] = vector.weights()[i];
        }
        dense.add(new float[][] {row});
        assertEquals(vector.size(), embedder.tokens(vector).size());
      }
      opened.compare("splade.encode", dense, WIDER);
    }
  }

  /** As sentence-transformers saves it, and as the Hub has it: the encoder beside modules.json. */
  @ParameterizedTest
  @ValueSource(strings = {"document_0_Transformer", ""})
  void questionsOfAnInferenceFreeModelAreWeighedByATable(String home, @TempDir Path directory)
      throws IOException {
    Path golden = Goldens.path("heads/sparse_router");
    copy(golden, directory);
    if (home.isEmpty()) {
      copy(golden.resolve("document_0_Transformer"), directory);
      Path routes = directory.resolve("router_config.json");
      Files.writeString(
          routes, Files.readString(routes).replace("\"document_0_Transformer\"", "\"\""));
    }
    JsonNode expected =
        new ObjectMapper().readTree(Files.readAllBytes(golden.resolve("golden.json")));
    try (TextEmbedder embedder =
        TextEmbedder.open(ModelDirectory.open(directory), Opened.options("vector"))) {
      SparseEmbedder sparse = SparseEmbedder.over(embedder);
      for (int i = 0; i < expected.get("texts").size(); i++) {
        String text = expected.get("texts").get(i).textValue();
        compare(expected.get("query").get(i), sparse.embedQuery(text, ""), text);
        compare(expected.get("document").get(i), sparse.embed(List.of(text)).getFirst(), text);
        EncoderOutputs outputs = EncoderOutputs.over(embedder);
        compare(
            expected.get("query").get(i),
            outputs
                .forward(List.of(outputs.read(text, "", Role.QUERY, Set.of(Output.SPARSE))))
                .getFirst()
                .sparse()
                .orElseThrow(),
            text);
      }
    }
  }

  private static void compare(JsonNode expected, SparseVector actual, String what) {
    assertEquals(expected.size(), actual.size(), what);
    for (int i = 0; i < actual.size(); i++) {
      assertEquals(expected.get(i).get(0).intValue(), actual.ids()[i], what);
      near(expected.get(i).get(1).doubleValue(), actual.weights()[i], TOLERANCE, what);
    }
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Path target = to.resolve(from.relativize(file).toString());
        if (Files.isDirectory(file)) {
          Files.createDirectories(target);
        } else {
          Files.copy(file, target, StandardCopyOption.REPLACE_EXISTING);
        }
      }
    }
  }

  @Test
  void otherRoutesAreRefused(@TempDir Path directory) throws IOException {
    copy(Goldens.path("heads/sparse_router"), directory);
    Path routes = directory.resolve("router_config.json");
    String good = Files.readString(routes);
    for (String bad :
        List.of(
            good.replace("\"query\"", "\"question\""),
            good.replaceFirst("\"query\": \\[([^]]*)]", "\"query\": {\"0\":$1}"),
            good.replaceFirst("\"document\": \\[([^],]*),[^]]*]", "\"document\": {\"0\":$1}"),
            good.replace("\"default_route\": \"document\"", "\"default_route\": \"query\""),
            good.replace("\"route_mappings\": {}", "\"route_mappings\": {\"a\": \"b\"}"),
            good.replace("sparse_static_embedding.SparseStaticEmbedding", "x.Pooling"))) {
      assertNotEquals(good, bad);
      Files.writeString(routes, bad);
      ModelException e = assertThrows(ModelException.class, () -> ModelDirectory.open(directory));
      assertTrue(e.getMessage().contains("router_config.json"), e.getMessage());
    }
    Files.writeString(routes, good);
    Path tokenizer = directory.resolve("query_0_SparseStaticEmbedding/tokenizer.json");
    Files.writeString(
        tokenizer, Files.readString(tokenizer).replace("per_word\": 100", "per_word\": 99"));
    ModelException e = assertThrows(ModelException.class, () -> ModelDirectory.open(directory));
    assertTrue(e.getMessage().contains("both make the same tokens"), e.getMessage());
  }

  @ParameterizedTest
  @ValueSource(strings = {"scalar", "vector"})
  void bothHeadsOfPretrainingAreThere(String backend) throws IOException {
    try (Opened opened = Opened.open("pretraining_nsp", backend)) {
      opened.compare("prediction_logits", opened.logits(HeadKind.MASKED_LM, "items"), WIDER);
      opened.compare(
          "seq_relationship_logits", opened.logits(HeadKind.NEXT_SENTENCE, "items"), TOLERANCE);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"scalar", "vector"})
  void tokensHaveTheLabelsOfTheTagger(String backend) throws IOException {
    try (Opened opened = Opened.open("token_classification", backend)) {
      List<float[][]> logits = opened.logits(HeadKind.TOKEN_CLASSIFICATION, "items");
      opened.compare("logits", logits, TOLERANCE);
      JsonNode labels = opened.golden.get("labels");
      for (int i = 0; i < logits.size(); i++) {
        for (int token = 0; token < logits.get(i).length; token++) {
          float[] row = logits.get(i)[token];
          int best = 0;
          for (int label = 1; label < row.length; label++) {
            best = row[label] > row[best] ? label : best;
          }
          String found = opened.embedder.directory().heads().labels().get(best);
          assertEquals(labels.get(i).get(token).asText(), found);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"scalar", "vector"})
  void answersAreTheBestSpans(String backend) throws IOException {
    try (Opened opened = Opened.open("question_answering", backend)) {
      List<float[][]> logits = opened.logits(HeadKind.QUESTION_ANSWERING, "items");
      double[] starts = opened.tensors.numbers("start_logits");
      double[] ends = opened.tensors.numbers("end_logits");
      int width = opened.tensors.size("start_logits", 1);
      JsonNode best = opened.golden.get("best_span_any_token_max_length_8");
      for (int i = 0; i < logits.size(); i++) {
        float[][] rows = logits.get(i);
        float[] start = new float[rows.length];
        float[] end = new float[rows.length];
        for (int token = 0; token < rows.length; token++) {
          start[token] = rows[token][0];
          end[token] = rows[token][1];
          near(starts[i * width + token], start[token], TOLERANCE, "start " + i);
          near(ends[i * width + token], end[token], TOLERANCE, "end " + i);
        }
        AnswerSpans.AnswerSpan span = AnswerSpans.best(start, end, 0, rows.length, 8);
        assertEquals(best.get(i).get("start").asInt(), span.first());
        assertEquals(best.get(i).get("end").asInt(), span.last());
        near(best.get(i).get("score").asDouble(), span.score(), TOLERANCE, "score " + i);
      }
      AnswerFinder finder = AnswerFinder.over(opened.embedder);
      String text = "\"What next?\" said Godeschal. ".repeat(8);
      AnswerFinder.Answer answer = finder.answer("Like streams", text, 5).orElseThrow();
      assertEquals(text.substring(answer.start(), answer.end()), answer.text());
      assertTrue(answer.start() < answer.end());
      assertTrue(finder.answer("Like streams", " ", 5).isEmpty());
    }
  }

  /** Three tokens are the special ones of a pair; two are not even those. */
  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4})
  void aModelWithoutRoomForATextIsNotAsked(int maxLength, @TempDir Path directory)
      throws IOException {
    copy(Goldens.path("heads/question_answering"), directory);
    Path config = directory.resolve("tokenizer_config.json");
    String good = Files.readString(config);
    String small =
        good.replaceFirst("model_max_length\": \\d+", "model_max_length\": " + maxLength);
    assertNotEquals(good, small);
    Files.writeString(config, small);
    try (TextEmbedder embedder =
        TextEmbedder.open(ModelDirectory.open(directory), EmbedderOptions.defaults())) {
      AnswerFinder finder = AnswerFinder.over(embedder);
      String text = "water ".repeat(40);
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> finder.answer("who", text, 5));
      assertTrue(e.getMessage().contains("leaves no room for a text"), e.getMessage());
    }
  }

  static Stream<Arguments> lateInteraction() {
    return onBothBackends("colbert_sentence_transformers", "colbert_stanford");
  }

  @ParameterizedTest
  @MethodSource("lateInteraction")
  void tokensHaveTheVectorsOfColbert(String name, String backend) throws IOException {
    try (Opened opened = Opened.open(name, backend)) {
      TokenEmbedder embedder = TokenEmbedder.over(opened.embedder);
      List<String> documents = opened.firsts("documents");
      List<TokenVectors> queries = embedder.embed(opened.firsts("queries"), Role.QUERY);
      List<TokenVectors> texts = embedder.embed(documents, Role.DOCUMENT);
      compare(opened, "query.", queries);
      compare(opened, "document.", texts);
      double[] scores = opened.tensors.numbers("maxsim");
      for (int i = 0; i < queries.size(); i++) {
        for (int j = 0; j < texts.size(); j++) {
          float score = TokenVectorHead.maxSim(queries.get(i).vectors(), texts.get(j).vectors());
          near(scores[i * texts.size() + j], score, TOLERANCE, name + " maxsim");
        }
      }
      List<float[][]> plain =
          embedder.embed(documents, Role.PLAIN).stream().map(TokenVectors::vectors).toList();
      for (int i = 0; i < plain.size(); i++) {
        int[] ids = opened.expectedIds("plain.input_ids", "plain.attention_mask", i);
        assertEquals(ids.length, plain.get(i).length, name + " plain " + i);
      }
      opened.compare("plain.token_vectors", plain, TOLERANCE);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"scalar", "vector"})
  void tokensThatFillUpQueriesMayBeUnread(String backend, @TempDir Path directory)
      throws IOException {
    Path golden = Goldens.path("heads/colbert_stanford");
    for (String file : Goldens.list("heads/colbert_stanford", "")) {
      Files.copy(golden.resolve(file), directory.resolve(file));
    }
    Path metadata = directory.resolve("artifact.metadata");
    String settings = Files.readString(metadata);
    String unread =
        settings.replace("\"attend_to_mask_tokens\": true", "\"attend_to_mask_tokens\": false");
    Files.writeString(metadata, unread);
    GoldenTensors expected = GoldenTensors.open("heads/colbert_stanford/unread.safetensors");
    try (TextEmbedder embedder =
            TextEmbedder.open(ModelDirectory.open(directory), Opened.options(backend));
        Opened opened = Opened.open("colbert_stanford", backend)) {
      List<TokenVectors> queries =
          TokenEmbedder.over(embedder).embed(opened.firsts("queries"), Role.QUERY);
      Opened unattended = new Opened("unread", embedder, opened.golden, expected);
      compare(unattended, "query.", queries);
    }
  }

  private static void compare(Opened opened, String tensor, List<TokenVectors> texts) {
    for (int i = 0; i < texts.size(); i++) {
      float[][] vectors = texts.get(i).vectors();
      assertEquals(opened.tensors.size(tensor + i, 0), vectors.length, tensor + i);
      opened.compare(tensor + i, List.<float[][]>of(vectors), TOLERANCE);
    }
  }

  @Test
  void aHeadThatIsNotThereIsRefusedByName() throws IOException {
    try (Opened opened = Opened.open("token_classification", "scalar")) {
      ModelException refused =
          assertThrows(ModelException.class, () -> SparseEmbedder.over(opened.embedder));
      assertTrue(refused.getMessage().contains("[masked_lm]"), refused.getMessage());
      assertTrue(refused.getMessage().contains("[token_classification]"), refused.getMessage());
      refused = assertThrows(ModelException.class, () -> TextReranker.over(opened.embedder));
      assertTrue(refused.getMessage().contains("ForSequenceClassification"), refused.getMessage());
      refused = assertThrows(ModelException.class, () -> TokenEmbedder.over(opened.embedder));
      assertTrue(refused.getMessage().contains("MultiVectorMask"), refused.getMessage());
    }
    try (Opened opened = Opened.open("sequence_classification_5", "scalar")) {
      ModelException refused =
          assertThrows(ModelException.class, () -> TextReranker.over(opened.embedder));
      assertTrue(refused.getMessage().contains("5 classes"), refused.getMessage());
    }
  }

  @Test
  void aLengthWithoutRoomForAWordIsRefused(@TempDir Path directory) throws IOException {
    ModelDirectoryTest.copy(Goldens.path("heads/token_classification"), directory);
    Files.writeString(
        directory.resolve("tokenizer_config.json"),
        "{\"tokenizer_class\": \"BertTokenizer\", \"model_max_length\": 2.5}");
    try (TextTagger tagger =
        TextTagger.open(
            directory,
            EmbedderOptions.defaults().withBackend("scalar"),
            id -> fail("no encoder is read"))) {
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class, () -> tagger.tag(List.of("a text of some words")));
      assertTrue(refused.getMessage().contains("reads [2] tokens at once"), refused.getMessage());
    }
  }

  @Test
  void longTextsAreTaggedToTheirEnd() throws IOException {
    try (Opened opened = Opened.open("token_classification", "scalar");
        TextTagger tagger =
            TextTagger.open(
                Goldens.path("heads/token_classification"),
                Opened.options("scalar"),
                id -> {
                  throw new AssertionError(id);
                })) {
      String text = opened.firsts("items").get(1).repeat(6);
      List<TextTagger.Entity> entities = tagger.tag(List.of("", text)).get(1);
      assertTrue(entities.getLast().start() > text.length() / 2, entities.toString());
      for (TextTagger.Entity entity : entities) {
        assertEquals(text.substring(entity.start(), entity.end()), entity.text());
        assertTrue(entity.probability() > 0 && entity.probability() <= 1);
      }
    }
  }
}
