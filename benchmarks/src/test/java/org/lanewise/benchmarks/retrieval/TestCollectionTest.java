package org.lanewise.benchmarks.retrieval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TestCollectionTest {
  @TempDir private Path scratch;
  private Path directory;

  @BeforeEach
  void write() throws IOException {
    directory = TinyCollection.write(scratch.resolve("tiny"));
  }

  @Test
  void readsWhatIsJudged() throws IOException {
    TestCollection collection = TestCollection.read(directory, "test");
    assertEquals("tiny", collection.name());
    // As trec_eval breaks ties.
    assertEquals(List.of("d", "c", "b", "a", "2", "11", "10", "1"), collection.documentIds());
    assertEquals("Empty", collection.documents().get(0));
    assertEquals("A glacier is a river of ice.", collection.documents().get(3));
    assertEquals("Tides The moon pulls the sea towards itself.", collection.documents().get(6));
    assertEquals(List.of("q1", "q2", "q3"), collection.queryIds());
    assertEquals("dancing bees", collection.queries().get(2));
    assertEquals(Map.of("b", 1, "c", 0), collection.judgements().get(2));
  }

  @Test
  void idsAreOrderedByTheirBytes() throws IOException {
    // U+FF5E is below U+1F600 in UTF-8 and above its first surrogate.
    Files.writeString(
        directory.resolve("corpus.jsonl"),
        """
        {"_id": "\uff5e", "text": "a"}
        {"_id": "\ud83d\ude00", "text": "b"}
        """);
    assertEquals(List.of("b", "a"), TestCollection.read(directory, "test").documents());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          corpus.jsonl  | {"_id": 1, "text": "a"}                        | line 1: [_id] is 1, expected text
          corpus.jsonl  | {"_id": "1", "title": "a"}                     | line 1: [text] is missing
          corpus.jsonl  | {"_id": "1", "text": "a"}\\n{"_id": "1", "text": "a"} | line 2: [_id] 1 is there twice
          corpus.jsonl  | {"_id": "1", "text":                           | line 1 is not JSON
          corpus.jsonl  | \\xff                                          | is not UTF-8 after line 0
          corpus.jsonl  | ''                                             | is empty
          queries.jsonl | {"_id": "q1", "text": "a"}                     | judges query [q2]
          qrels/test.tsv | q1\\t2                                        | line 1: there are 2 fields
          qrels/test.tsv | query-id\\tcorpus-id\\tscore                  | has no judgements
          qrels/test.tsv | q1\\t2\\t1.5                                  | line 1: [score] is [1.5]
          qrels/test.tsv | q1\\t2\\t1\\nq1\\t2\\t0                       | line 2: query [q1] judges document [2] twice
          """)
  void refusesWhatIsMalformed(String file, String content, String message) throws IOException {
    String text = content.replace("\\n", "\n").replace("\\t", "\t").replace("\\xff", "\u00ff");
    Files.writeString(directory.resolve(file), text, StandardCharsets.ISO_8859_1);
    assertRefused(message);
  }

  @Test
  void refusesWhatIsMissing() throws IOException {
    Files.delete(directory.resolve("queries.jsonl"));
    assertRefused("queries.jsonl] is missing; expected a directory in BEIR's format");
  }

  private void assertRefused(String message) {
    String found =
        assertThrows(IllegalArgumentException.class, () -> TestCollection.read(directory, "test"))
            .getMessage();
    assertTrue(found.contains(message), found);
    assertTrue(found.contains(directory.toString()), found);
  }
}
