package org.lanewise.benchmarks.retrieval;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Documents, queries, and which documents answer which query.
 *
 * <p>Documents lie in descending order of the bytes of their ids. That is the order in which
 * trec_eval puts documents of equal scores, so here ties go to the document that comes first.
 *
 * @param name what to call it
 * @param documentIds id of each document
 * @param documents text of each document, a title in front
 * @param queryIds id of each query that has judgements
 * @param queries text of each of these
 * @param judgements of each of these: grades by the ids of documents, relevant above 0
 */
public record TestCollection(
    String name,
    List<String> documentIds,
    List<String> documents,
    List<String> queryIds,
    List<String> queries,
    List<Map<String, Integer>> judgements) {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final Comparator<String> BY_BYTES =
      Comparator.comparing(id -> id.getBytes(StandardCharsets.UTF_8), Arrays::compareUnsigned);

  /** Copies the lists. */
  public TestCollection {
    documentIds = List.copyOf(documentIds);
    documents = List.copyOf(documents);
    queryIds = List.copyOf(queryIds);
    queries = List.copyOf(queries);
    judgements = judgements.stream().map(Map::copyOf).toList();
  }

  /**
   * Returns the collection of a BEIR directory: {@code corpus.jsonl}, {@code queries.jsonl} and
   * {@code qrels/SPLIT.tsv}.
   *
   * @throws IllegalArgumentException if a file is missing or malformed, naming file and line
   */
  public static TestCollection read(Path directory, String split) throws IOException {
    Map<String, String> corpus = texts(directory.resolve("corpus.jsonl"));
    Map<String, String> asked = texts(directory.resolve("queries.jsonl"));
    Path file = directory.resolve("qrels").resolve(split + ".tsv");
    Map<String, Map<String, Integer>> judged = judgements(file);
    for (String id : judged.keySet()) {
      if (!asked.containsKey(id)) {
        throw new IllegalArgumentException(
            "[" + file + "] judges query [" + id + "], which queries.jsonl does not have");
      }
    }
    Map<String, String> sorted = new TreeMap<>(BY_BYTES.reversed());
    sorted.putAll(corpus);
    return new TestCollection(
        directory.toAbsolutePath().normalize().getFileName().toString(),
        List.copyOf(sorted.keySet()),
        List.copyOf(sorted.values()),
        List.copyOf(judged.keySet()),
        judged.keySet().stream().map(asked::get).toList(),
        List.copyOf(judged.values()));
  }

  private interface LineReader {
    void read(String line) throws IOException;
  }

  /** Hands every line to the reader, and says in whose which line an error is. */
  private static void lines(Path file, LineReader reader) throws IOException {
    if (!Files.isRegularFile(file)) {
      throw new IllegalArgumentException(
          "["
              + file
              + "] is missing; expected a directory in BEIR's format with corpus.jsonl,"
              + " queries.jsonl and qrels/test.tsv");
    }
    int number = 0;
    try (BufferedReader lines = Files.newBufferedReader(file)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        number++;
        if (!line.isBlank()) {
          reader.read(line);
        }
      }
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException(
          "[" + file + "] is not UTF-8 after line " + number + "; convert it", e);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(
          "[" + file + "] line " + number + " is not JSON: " + e.getOriginalMessage(), e);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "[" + file + "] line " + number + ": " + e.getMessage(), e);
    }
    if (number == 0) {
      throw new IllegalArgumentException("[" + file + "] is empty");
    }
  }

  private static Map<String, String> texts(Path file) throws IOException {
    Map<String, String> texts = new LinkedHashMap<>();
    lines(
        file,
        line -> {
          JsonNode json = MAPPER.readTree(line);
          String title = json.path("title").asText("");
          String id = text(json, "_id");
          if (texts.putIfAbsent(id, (title + " " + text(json, "text")).strip()) != null) {
            throw new IllegalArgumentException("[_id] " + id + " is there twice");
          }
        });
    return texts;
  }

  private static String text(JsonNode json, String field) {
    JsonNode value = json.path(field);
    if (!value.isTextual()) {
      throw new IllegalArgumentException(
          "[" + field + "] is " + (value.isMissingNode() ? "missing" : value) + ", expected text");
    }
    return value.textValue();
  }

  private static Map<String, Map<String, Integer>> judgements(Path file) throws IOException {
    Map<String, Map<String, Integer>> judgements = new LinkedHashMap<>();
    lines(
        file,
        line -> {
          String[] fields = line.strip().split("\t", -1);
          if (fields.length != 3) {
            throw new IllegalArgumentException(
                "there are "
                    + fields.length
                    + " fields, expected query-id, corpus-id and score with tabs between them");
          }
          if (judgements.isEmpty() && fields[2].equals("score")) {
            return;
          }
          int grade;
          try {
            grade = Integer.parseInt(fields[2]);
          } catch (NumberFormatException e) {
            throw new IllegalArgumentException(
                "[score] is [" + fields[2] + "], expected a whole number", e);
          }
          Map<String, Integer> of = judgements.computeIfAbsent(fields[0], id -> new HashMap<>());
          if (of.putIfAbsent(fields[1], grade) != null) {
            throw new IllegalArgumentException(
                "query [" + fields[0] + "] judges document [" + fields[1] + "] twice");
          }
        });
    if (judgements.isEmpty()) {
      throw new IllegalArgumentException("[" + file + "] has no judgements");
    }
    return judgements;
  }
}
