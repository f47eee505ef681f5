package org.lanewise.demo;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.lanewise.node.ElasticsearchNode;
import org.lanewise.node.NodeException;
import org.lanewise.node.NodeHome;
import org.lanewise.node.NodeOptions;

/**
 * Indexes a few hundred texts in a real node, with vectors and with tags, shows what aggregations
 * over the tag fields count, and asks a dozen questions, put as people type them: the subject is
 * named, the rest is in other words than the answer. Then asks, one line each, the 24 that were
 * written first and share not one content word with their answer, which shows the small model's
 * limit. Stays up for trying out; with {@code -Ddemo.exit} it ends by itself and fails if it found
 * too little of the dozen; the 24 do not count there.
 */
public final class Demo {
  private static final int SHOWN = 3;
  private static final int EVERYTHING = 10_000;

  /** As many neighbours as {@link DemoIndex#byMeaning} looks at. */
  private static final int NEAREST = 100;

  private static final int GOAL_FIRST = 9;

  /** What a tag field is about, and its name. */
  private static final Map<String, String> TAG_FIELDS =
      new TreeMap<>(
          Map.of(
              "places", "names.keywords.LOC",
              "people", "names.keywords.PER",
              "languages", "language.predicted_value"));

  private static final int MOST_FREQUENT = 8;

  /** The build reads the sentence of a failure from here and ends with it. */
  private static final Path FAILURE = Path.of("target", "demo-failure.txt");

  /** The exit status that says so. */
  private static final int FAILED = 3;

  private final Terminal terminal = new Terminal();

  private Demo() {}

  /** Runs the demo on {@code -Ddemo.port}, 9200 unless told. */
  public static void main(String[] arguments) throws IOException {
    Files.deleteIfExists(FAILURE);
    try {
      new Demo().run(Integer.getInteger("demo.port", 9200), Boolean.getBoolean("demo.exit"));
    } catch (NodeException e) {
      System.err.println(e.getMessage());
      Files.createDirectories(FAILURE.getParent());
      Files.writeString(FAILURE, e.getMessage(), StandardCharsets.UTF_8);
      System.exit(FAILED);
    }
  }

  private void run(int port, boolean exit) {
    terminal.heading("Lanewise demo");
    terminal.line(
        "Starting Elasticsearch on 127.0.0.1:"
            + port
            + ", the plugin installed (about ten seconds) ...");
    Instant start = Instant.now();
    try (NodeHome home = NodeHome.assemble("demo");
        ElasticsearchNode node =
            ElasticsearchNode.start(home, NodeOptions.defaults().withHttpPort(port))) {
      terminal.line("Up after " + since(start) + ", log in " + home.log());
      DemoIndex index = new DemoIndex(node.http());
      index.create();
      fill(index);
      terminal.heading("What the tag fields say of the texts, as aggregations count it");
      boolean tagged = tellTags(index);
      terminal.heading("A dozen questions, as people type them");
      Score dozen = askInFull(index, "questions.jsonl");
      terminal.heading(dozen.summary());
      terminal.heading(
          "The small model's limit: 24 questions that share not one content word with their"
              + " answer");
      Score limit = askBriefly(index, "questions-no-word-in-common.jsonl");
      terminal.line(limit.summary());
      if (exit) {
        dozen.orThrow();
        if (!tagged) {
          throw new NodeException(
              "The demo found no place, no person or no language in its texts.");
        }
        return;
      }
      tell(node.address().toString());
      node.waitUntilStopped();
    }
  }

  private void fill(DemoIndex index) {
    List<JsonNode> documents =
        Stream.of("documents.jsonl", "knowledge.jsonl")
            .flatMap(each -> DemoIndex.read(each).stream())
            .toList();
    Instant start = Instant.now();
    index.index(
        documents,
        done -> terminal.progress("Texts through the pipeline:", done, documents.size()));
    terminal.line("Indexed with their vectors and tags in " + since(start));
  }

  /** Returns whether each of the fields has values. */
  private boolean tellTags(DemoIndex index) {
    boolean all = true;
    for (Map.Entry<String, String> each : TAG_FIELDS.entrySet()) {
      Map<String, Integer> counts = index.counts(each.getValue(), MOST_FREQUENT);
      all &= !counts.isEmpty();
      terminal.line(
          String.format(
              Locale.ROOT,
              "  %-10s %s",
              each.getKey(),
              counts.entrySet().stream()
                  .map(count -> count.getKey() + " (" + count.getValue() + ")")
                  .collect(Collectors.joining(", "))));
    }
    return all;
  }

  private Score askInFull(DemoIndex index, String resource) {
    List<Ranks> all = new ArrayList<>();
    for (Question question : questions(resource)) {
      terminal.heading(question.text());
      List<DemoIndex.Hit> hits = index.byMeaning(question.text(), SHOWN);
      for (DemoIndex.Hit hit : hits) {
        boolean right = hit.id().equals(question.answer());
        String line =
            String.format(
                Locale.ROOT, "  %s %.3f  %s", right ? "=>" : "  ", hit.score(), hit.body());
        terminal.line(right ? terminal.good(line) : line);
      }
      Ranks ranks = ranks(index, question, hits);
      terminal.line(terminal.faint("     keyword match: " + told(ranks.keyword())));
      all.add(ranks);
    }
    return Score.of(all);
  }

  private Score askBriefly(DemoIndex index, String resource) {
    List<Ranks> all = new ArrayList<>();
    for (Question question : questions(resource)) {
      Ranks ranks = ranks(index, question, index.byMeaning(question.text(), NEAREST));
      terminal.line(
          String.format(
              Locale.ROOT,
              "  %-54s meaning: %-10s keyword: %s",
              question.text(),
              told(ranks.meaning()),
              told(ranks.keyword())));
      all.add(ranks);
    }
    return Score.of(all);
  }

  private static List<Question> questions(String resource) {
    return DemoIndex.read(resource).stream()
        .map(each -> new Question(each.path("question").asText(), each.path("answer").asText()))
        .toList();
  }

  private static Ranks ranks(DemoIndex index, Question question, List<DemoIndex.Hit> nearest) {
    return new Ranks(
        rank(nearest, question), rank(index.byKeyword(question.text(), EVERYTHING), question));
  }

  private static String told(int rank) {
    return rank == 0 ? "not found" : "rank " + rank;
  }

  /** Returns the rank of the answer, from 1, or 0 where it was not found. */
  private static int rank(List<DemoIndex.Hit> hits, Question question) {
    for (int i = 0; i < hits.size(); i++) {
      if (hits.get(i).id().equals(question.answer())) {
        return i + 1;
      }
    }
    return 0;
  }

  private void tell(String address) {
    terminal.line(
        String.format(
            Locale.ROOT,
            """

            The node stays up; try it from another terminal:

              curl -s '%1$s/demo/_search?pretty&filter_path=hits.hits._score,hits.hits._source.body' \\
                -H 'Content-Type: application/json' -d '
                {"size": 3, "knn": {"field": "body_vector", "k": 3, "num_candidates": 100,
                  "query_vector_builder": {"lanewise":
                    {"model_id": "%2$s", "model_text": "Which animals can hear well?"}}}}'

              curl -s '%1$s/_lanewise/embed/%2$s?pretty' \\
                -H 'Content-Type: application/json' -d '{"input": ["A text of your own."]}'

              curl -s '%1$s/demo/_search?pretty&filter_path=aggregations' \\
                -H 'Content-Type: application/json' -d '
                {"size": 0, "aggs": {"places": {"terms": {"field": "names.keywords.LOC"}}}}'

              curl -s '%1$s/_lanewise/tag/ner-en?pretty' \\
                -H 'Content-Type: application/json' -d '{"input": ["Mary Shelley lived in London."]}'

              curl -s '%1$s/_lanewise/stats?pretty'

            Ctrl-C stops it.\
            """,
            address,
            DemoIndex.MODEL));
  }

  private static String since(Instant start) {
    return Terminal.seconds(Duration.between(start, Instant.now()));
  }

  /** Where one question's answer came, from 1, or 0 where it was not found. */
  private record Ranks(int meaning, int keyword) {}

  /** How often the answer came first, or among those shown. */
  private record Score(int questions, int first, int shown, int keywordFirst) {
    static Score of(List<Ranks> all) {
      int first = 0;
      int shown = 0;
      int keywordFirst = 0;
      for (Ranks ranks : all) {
        first += ranks.meaning() == 1 ? 1 : 0;
        shown += ranks.meaning() >= 1 && ranks.meaning() <= SHOWN ? 1 : 0;
        keywordFirst += ranks.keyword() == 1 ? 1 : 0;
      }
      return new Score(all.size(), first, shown, keywordFirst);
    }

    String summary() {
      return String.format(
          Locale.ROOT,
          "semantic: %d of %d first, %d of %d in the first three; keyword: %d of %d first",
          first,
          questions,
          shown,
          questions,
          keywordFirst,
          questions);
    }

    void orThrow() {
      if (first < GOAL_FIRST || shown < questions || keywordFirst * 2 >= questions) {
        throw new NodeException(
            "The demo found less than it should (at least "
                + GOAL_FIRST
                + " first, all in the first three, keyword fewer than half): "
                + summary()
                + ".");
      }
    }
  }
}
