package org.lanewise.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lanewise.benchmarks.retrieval.DenseModel;
import org.lanewise.benchmarks.retrieval.TestCollection;
import org.lanewise.benchmarks.retrieval.TinyCollection;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.Embedding;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.SparseEmbedder;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TextReranker;
import org.lanewise.encoder.TokenEmbedder;
import org.lanewise.encoder.TokenEmbedder.Role;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.head.TokenVectorHead;

class EvaluateRetrievalTest {
  private static final EmbedderOptions OPTIONS =
      EmbedderOptions.defaults().withThreads(1).withPrecision(Precision.FP32);

  @TempDir private Path scratch;
  private Path data;

  @BeforeEach
  void write() throws IOException {
    data = TinyCollection.write(scratch.resolve("tiny"));
  }

  @Test
  void searchesInEveryWayThatThereIsAModelFor() throws IOException {
    Path dense = TinyModel.write(scratch.resolve("dense"));
    Path sparse = golden("masked_lm_splade");
    Path late = golden("colbert_sentence_transformers");
    Path rerank = golden("cross_encoder_identity");
    Path out = scratch.resolve("results");
    Path runs = scratch.resolve("runs");
    int code =
        Main.run(
            "evaluate-retrieval",
            "--data=" + data + "," + TinyCollection.write(scratch.resolve("again")),
            "--dense=" + dense,
            "--sparse=" + sparse,
            "--late=" + late,
            "--rerank=" + rerank,
            "--rerank-depth=2",
            "--first-stage=rrf(bm25, dense)",
            "--weights=bm25=0.25",
            "--precision=fp32",
            "--threads=1",
            "--runs=" + runs,
            "--out=" + out);
    assertEquals(0, code);
    String page = Files.readString(out.resolve("retrieval.md"));
    List<String> searches =
        List.of(
            "bm25",
            "dense",
            "sparse",
            "late",
            "rrf(bm25, dense)",
            "sum(bm25, dense)",
            "rrf(bm25, sparse)",
            "sum(bm25, sparse)",
            "rrf(bm25, late)",
            "sum(bm25, late)",
            "rrf(bm25, dense, sparse, late)",
            "sum(bm25, dense, sparse, late)",
            "rerank(rrf(bm25, dense))");
    for (String collection : List.of("tiny", "again", "*mean*")) {
      List<String> rows =
          page.lines()
              .filter(line -> line.startsWith("| " + collection + " | ") && line.contains("."))
              .map(line -> line.split(" \\| ", -1)[1])
              .toList();
      assertEquals(searches, rows, page);
    }
    assertTrue(page.contains("\n| tiny | bm25 | 1.0000 | 1.0000 | 1.0000 |\n"), page);
    assertTrue(page.contains("\n| tiny | 8 | 41 | 3 | 6 |\n"), page);
    assertTrue(page.contains("\n| dense | dense, fp32, "), page);

    TestCollection collection = TestCollection.read(data, "test");
    List<String> queries = collection.queries();
    List<String> documents = collection.documents();
    assertScores(runs, "dense", collection, denseScores(dense, queries, documents));
    assertScores(runs, "sparse", collection, sparseScores(sparse, queries, documents));
    assertScores(runs, "late", collection, lateScores(late, queries, documents));
    Map<String, Double> all = rerankScores(rerank, collection);
    Map<String, Double> first = read(runs.resolve("tiny-rrf-bm25-dense.trec"), 2);
    Map<String, Double> reranked =
        read(runs.resolve("tiny-rerank-rrf-bm25-dense.trec"), Integer.MAX_VALUE);
    assertEquals(first.keySet(), reranked.keySet());
    reranked.forEach((pair, score) -> assertEquals(all.get(pair), score, 1e-5, pair));
  }

  @ParameterizedTest
  @CsvSource({"cosine", "dot", "euclidean", "manhattan"})
  void comparesAsTheModelSays(String similarity) throws IOException {
    Path model = TinyModel.write(scratch.resolve("model"));
    Files.writeString(
        model.resolve("config_sentence_transformers.json"),
        "{\"similarity_fn_name\": \""
            + similarity
            + "\", \"prompts\": {\"query\": \"ask: \", \"passage\": \"tell: \"}}");
    try (TextEmbedder embedder =
        TextEmbedder.open(ModelDirectory.open(model), OPTIONS.withNormalize(false))) {
      DenseModel dense = new DenseModel(embedder);
      float found =
          dense.similarity(
              dense.queries(List.of("one text")).getFirst(),
              dense.documents(List.of("another")).getFirst());
      float[] a = embedder.embed(List.of("one text"), "ask: ").getFirst().vector();
      float[] b = embedder.embed(List.of("another"), "tell: ").getFirst().vector();
      double expected =
          switch (similarity) {
            case "dot" -> dot(a, b);
            case "cosine" -> dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
            case "euclidean" -> -Math.sqrt(dot(a, a) + dot(b, b) - 2 * dot(a, b));
            default -> {
              double sum = 0;
              for (int i = 0; i < a.length; i++) {
                sum += Math.abs(a[i] - b[i]);
              }
              yield -sum;
            }
          };
      assertEquals(expected, found, 1e-4 * Math.max(1, Math.abs(expected)));
    }
  }

  @Test
  void refusesWhatCannotBe() throws IOException {
    Path model = TinyModel.write(scratch.resolve("model"));
    assertRefused("--data=" + scratch.resolve("nowhere"));
    assertRefused("--data=" + data, "--dense=" + scratch.resolve("nowhere"));
    assertRefused("--data=" + data, "--dense=" + model, "--rerank=" + model);
    assertRefused("--data=" + data, "--first-stage=sparse");
    assertRefused("--data=" + data, "--weights=late=1");
    assertRefused("--data=" + data, "--weights=bm25=-1");
    assertRefused("--data=" + data, "--depth=0");
    assertRefused("--data=" + data, "--analyzer=german");
    Files.writeString(
        model.resolve("config_sentence_transformers.json"),
        "{\"similarity_fn_name\": \"jaccard\"}");
    assertRefused("--data=" + data, "--dense=" + model);
  }

  private static void assertRefused(String... options) {
    List<String> arguments = new ArrayList<>(List.of("evaluate-retrieval"));
    arguments.addAll(List.of(options));
    assertEquals(2, Main.run(arguments.toArray(String[]::new)), arguments.toString());
  }

  /** Every document was found for every query, and its score is the one expected. */
  private static void assertScores(
      Path runs, String search, TestCollection collection, double[][] expected) throws IOException {
    Map<String, Double> found = read(runs.resolve("tiny-" + search + ".trec"), Integer.MAX_VALUE);
    assertEquals(expected.length * expected[0].length, found.size(), search);
    for (int query = 0; query < expected.length; query++) {
      for (int document = 0; document < expected[query].length; document++) {
        String pair =
            collection.queryIds().get(query) + " " + collection.documentIds().get(document);
        assertEquals(expected[query][document], found.get(pair), 1e-4, search + " " + pair);
      }
    }
  }

  private static double[][] denseScores(Path model, List<String> queries, List<String> documents) {
    try (TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(model), OPTIONS)) {
      List<Embedding> asked = embedder.embed(queries);
      List<Embedding> read = embedder.embed(documents);
      double[][] scores = new double[queries.size()][documents.size()];
      for (int i = 0; i < scores.length; i++) {
        for (int j = 0; j < documents.size(); j++) {
          float[] a = asked.get(i).vector();
          float[] b = read.get(j).vector();
          scores[i][j] = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
        }
      }
      return scores;
    }
  }

  private static double[][] sparseScores(Path model, List<String> queries, List<String> documents) {
    try (TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(model), OPTIONS)) {
      SparseEmbedder sparse = SparseEmbedder.over(embedder);
      double[][] scores = new double[queries.size()][documents.size()];
      for (int i = 0; i < scores.length; i++) {
        Map<Integer, Float> weights = new HashMap<>();
        var asked = sparse.embed(List.of(queries.get(i))).getFirst();
        for (int k = 0; k < asked.size(); k++) {
          weights.put(asked.ids()[k], asked.weights()[k]);
        }
        for (int j = 0; j < documents.size(); j++) {
          var read = sparse.embed(List.of(documents.get(j))).getFirst();
          for (int k = 0; k < read.size(); k++) {
            scores[i][j] += weights.getOrDefault(read.ids()[k], 0f) * read.weights()[k];
          }
        }
      }
      return scores;
    }
  }

  private static double[][] lateScores(Path model, List<String> queries, List<String> documents) {
    try (TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(model), OPTIONS)) {
      TokenEmbedder tokens = TokenEmbedder.over(embedder);
      double[][] scores = new double[queries.size()][documents.size()];
      for (int i = 0; i < scores.length; i++) {
        for (int j = 0; j < documents.size(); j++) {
          scores[i][j] =
              TokenVectorHead.maxSim(
                  tokens.embed(List.of(queries.get(i)), Role.QUERY).getFirst().vectors(),
                  tokens.embed(List.of(documents.get(j)), Role.DOCUMENT).getFirst().vectors());
        }
      }
      return scores;
    }
  }

  private static Map<String, Double> rerankScores(Path model, TestCollection collection) {
    try (TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(model), OPTIONS)) {
      TextReranker reranker = TextReranker.over(embedder);
      Map<String, Double> scores = new HashMap<>();
      for (int i = 0; i < collection.queries().size(); i++) {
        for (int j = 0; j < collection.documents().size(); j++) {
          float score =
              reranker
                  .score(
                      List.of(collection.queries().get(i)), List.of(collection.documents().get(j)))[
                  0];
          scores.put(
              collection.queryIds().get(i) + " " + collection.documentIds().get(j), (double) score);
        }
      }
      return scores;
    }
  }

  /** Returns the scores of a run's first hits by query and document. */
  private static Map<String, Double> read(Path file, int first) throws IOException {
    Map<String, Double> scores = new HashMap<>();
    for (String line : Files.readAllLines(file)) {
      String[] fields = line.split(" ", -1);
      assertEquals(6, fields.length, line);
      if (Integer.parseInt(fields[3]) <= first) {
        scores.put(fields[0] + " " + fields[2], Double.valueOf(fields[4]));
      }
    }
    return scores;
  }

  private static double dot(float[] a, float[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (double) a[i] * b[i];
    }
    return sum;
  }

  /** Unpacks a golden model to where an option can name it. */
  private Path golden(String name) throws IOException {
    Path to = scratch.resolve(name);
    try (FileSystem archive =
        FileSystems.newFileSystem(
            Path.of(EvaluateRetrievalTest.class.getResource("/goldens-heads.zip").toURI()))) {
      Path root = archive.getPath("heads", name);
      try (Stream<Path> files = Files.walk(root)) {
        for (Path file : files.toList()) {
          Path target = to.resolve(root.relativize(file).toString());
          if (Files.isDirectory(file)) {
            Files.createDirectories(target);
          } else {
            Files.copy(file, target);
          }
        }
      }
    } catch (URISyntaxException e) {
      throw new IOException(e);
    }
    return to;
  }
}
