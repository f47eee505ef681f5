package org.lanewise.demo;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.lanewise.node.ElasticsearchNode;
import org.lanewise.node.NodeException;
import org.lanewise.node.NodeHome;
import org.lanewise.node.NodeOptions;

/**
 * Indexes a few hundred texts in a real node and asks two dozen questions in other words: a dozen
 * about knowledge, such as the bundled model was trained on, and a dozen of everyday talk, where it
 * is weaker. Stays up for trying out; with {@code -Ddemo.exit} it ends by itself and fails if it
 * found too little of the knowledge dozen. The everyday dozen is shown for comparison only.
 */
public final class Demo {
  private static final int SHOWN = 3;
  private static final int EVERYTHING = 10_000;
  private static final int GOAL_FIRST = 9;

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
      terminal.heading(
          "A dozen questions about knowledge, such as the bundled model was trained on");
      Score knowledge = ask(index, "knowledge", "questions-knowledge.jsonl");
      terminal.heading("A dozen everyday questions: the bundled model is weaker in everyday talk");
      Score everyday = ask(index, "everyday", "questions.jsonl");
      terminal.heading(knowledge.summary());
      terminal.line(everyday.summary());
      if (exit) {
        knowledge.orThrow();
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
    terminal.line("Indexed with their vectors in " + since(start));
  }

  private Score ask(DemoIndex index, String dozen, String resource) {
    List<Question> questions =
        DemoIndex.read(resource).stream()
            .map(each -> new Question(each.path("question").asText(), each.path("answer").asText()))
            .toList();
    int first = 0;
    int shown = 0;
    int keywordFirst = 0;
    for (Question question : questions) {
      terminal.heading(question.text());
      List<DemoIndex.Hit> hits = index.byMeaning(question.text(), SHOWN);
      for (DemoIndex.Hit hit : hits) {
        boolean right = hit.id().equals(question.answer());
        String line =
            String.format(
                Locale.ROOT, "  %s %.3f  %s", right ? "=>" : "  ", hit.score(), hit.body());
        terminal.line(right ? terminal.good(line) : line);
      }
      int rank = rank(hits, question);
      int keywordRank = rank(index.byKeyword(question.text(), EVERYTHING), question);
      terminal.line(
          terminal.faint(
              "     keyword match: " + (keywordRank == 0 ? "not found" : "rank " + keywordRank)));
      first += rank == 1 ? 1 : 0;
      shown += rank > 0 ? 1 : 0;
      keywordFirst += keywordRank == 1 ? 1 : 0;
    }
    return new Score(dozen, questions.size(), first, shown, keywordFirst);
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

              curl -s '%1$s/_lanewise/stats?pretty'

            Ctrl-C stops it.\
            """,
            address,
            DemoIndex.MODEL));
  }

  private static String since(Instant start) {
    return Terminal.seconds(Duration.between(start, Instant.now()));
  }

  /** How often, in one dozen, the answer came first or was shown at all. */
  private record Score(String dozen, int questions, int first, int shown, int keywordFirst) {
    String summary() {
      return String.format(
          Locale.ROOT,
          "%s: semantic %d of %d first, %d of %d in the first three; keyword %d of %d first",
          dozen,
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
