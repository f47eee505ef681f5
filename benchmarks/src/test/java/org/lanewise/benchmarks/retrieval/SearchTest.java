package org.lanewise.benchmarks.retrieval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** First stages: what scores documents, and which are kept. */
class SearchTest {
  @TempDir private Path scratch;

  /** The distance of numbers. */
  private static final class Distance implements BiEncoder<Integer> {
    @Override
    public List<Integer> queries(List<String> texts) {
      return texts.stream().map(Integer::valueOf).toList();
    }

    @Override
    public List<Integer> documents(List<String> texts) {
      return queries(texts);
    }

    @Override
    public float similarity(Integer query, Integer document) {
      return -Math.abs(query - document);
    }
  }

  @Test
  void keepsTheBestOfAllDocuments() {
    long seed = Long.getLong("lanewise.seed", System.nanoTime());
    Random random = new Random(seed);
    // More than are read at a time, and many ties.
    List<String> documents =
        random.ints(2 * BiEncoder.DOCUMENTS + 5, 0, 100).mapToObj(Integer::toString).toList();
    List<String> queries = List.of("3", "50", "200");
    TestCollection collection = collection(documents, queries);
    List<List<Hit>> found = new Distance().search(collection, 40);
    for (int query = 0; query < queries.size(); query++) {
      int asked = Integer.parseInt(queries.get(query));
      List<Hit> expected =
          IntStream.range(0, documents.size())
              .mapToObj(i -> new Hit(i, -Math.abs(asked - Integer.parseInt(documents.get(i)))))
              .sorted(Hit.BEST_FIRST)
              .limit(40)
              .toList();
      assertEquals(expected, found.get(query), "rerun with -Dlanewise.seed=" + seed);
    }
    assertEquals(
        2 * BiEncoder.DOCUMENTS + 5, new Distance().search(collection, 9999).get(0).size());
  }

  @Test
  void scoresByBm25() throws IOException {
    TestCollection collection =
        collection(List.of("cat dog", "bird", "cat bird", "cat dog"), List.of("cats", "fish", ""));
    List<List<Hit>> found = LexicalSearch.search(collection, LexicalSearch.Analysis.ENGLISH, 10);
    // log(1 + (N - n + 0.5) / (n + 0.5)) / (1 + k1 (1 - b + b length / mean length))
    double score = Math.log(1 + 1.5 / 3.5) / (1 + 1.2 * (0.25 + 0.75 * 2 / 1.75));
    assertEquals(
        List.of(0, 2, 3), found.getFirst().stream().map(Hit::document).toList(), "ties in order");
    assertEquals(score, found.getFirst().getFirst().score(), 1e-6);
    assertEquals(List.of(), found.get(1));
    assertEquals(List.of(), found.get(2));
  }

  @Test
  void theStandardAnalyzerDoesNotStem() throws IOException {
    TestCollection collection = collection(List.of("cat", "cats", "the"), List.of("cats the"));
    assertEquals(List.of(1, 2), documents(collection, LexicalSearch.Analysis.named("standard")));
    assertEquals(List.of(0, 1), documents(collection, LexicalSearch.Analysis.named("english")));
    assertThrows(IllegalArgumentException.class, () -> LexicalSearch.Analysis.named("whitespace"));
  }

  @Test
  void findsWhatWasAskedFor() throws IOException {
    TestCollection collection =
        TestCollection.read(TinyCollection.write(scratch.resolve("tiny")), "test");
    Run run = new Run("bm25", LexicalSearch.search(collection, LexicalSearch.Analysis.ENGLISH, 10));
    Quality quality = Quality.of(run, collection);
    assertEquals(new Quality(1, 1, 1), quality);
  }

  private static List<Integer> documents(TestCollection collection, LexicalSearch.Analysis analysis)
      throws IOException {
    return LexicalSearch.search(collection, analysis, 10).getFirst().stream()
        .map(Hit::document)
        .toList();
  }

  private static TestCollection collection(List<String> documents, List<String> queries) {
    List<Map<String, Integer>> judgements = Collections.nCopies(queries.size(), Map.of());
    return new TestCollection("c", documents, documents, queries, queries, judgements);
  }
}
