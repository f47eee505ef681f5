package org.lanewise.node;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * Measures how much bulks slow searches down, on a real node with the bundled model: one client
 * searches ten times a second, first alone, then while four clients send bulks without pause.
 *
 * <p>A search is timed from when it is sent to when its answer is read, or from when it was due
 * where the one before it came back too late. The clients run on the node's own processors, so
 * their work counts against the node.
 */
public final class SearchUnderBulk {
  private static final Duration PERIOD = Duration.ofMillis(100);
  private static final int NEIGHBOURS = 10;
  private static final int BULK_CLIENTS = 4;
  private static final int BULK_TEXTS = 100;

  /** Half of it under bulks, half without; the JVM compiles what both use. */
  private static final Duration WARM_UP = Duration.ofSeconds(40);

  private static final Duration IDLE = Duration.ofSeconds(30);
  private static final Duration LOADED = Duration.ofSeconds(60);

  private static final ObjectMapper JSON = new ObjectMapper();

  private final ElasticsearchNode node;
  private final Http http;
  private final List<String> texts = DemoTexts.texts();
  private final List<String> questions = DemoTexts.questions();
  private final AtomicLong sent = new AtomicLong();
  private final AtomicLong indexed = new AtomicLong();

  private SearchUnderBulk(ElasticsearchNode node) {
    this.node = node;
    http = node.http();
  }

  /** Runs it; arguments such as {@code lanewise.threads=1} are settings of the node. */
  public static void main(String[] arguments) {
    NodeOptions options = NodeOptions.defaults().withSettings(List.of(arguments));
    try (NodeHome home = NodeHome.assemble("search-under-bulk");
        ElasticsearchNode node = ElasticsearchNode.start(home, options)) {
      System.out.println("machine   " + Machine.description());
      System.out.println("settings  " + options.settings());
      new SearchUnderBulk(node).run();
    }
  }

  private void run() {
    createIndex();
    measureLoaded(WARM_UP.dividedBy(2));
    measure(WARM_UP.dividedBy(2));
    Duration others = Machine.othersProcessorTime(node);
    Latencies idle = measure(IDLE);
    System.out.println("idle      " + idle + " searches" + othersSince(others, IDLE));
    others = Machine.othersProcessorTime(node);
    long indexedBefore = indexed.get();
    Latencies loaded = measureLoaded(LOADED);
    System.out.println("loaded    " + loaded + " searches" + othersSince(others, LOADED));
    System.out.printf(
        Locale.ROOT,
        "ratio     p99 %.2f, while %.0f texts/s were indexed, %d in all%n",
        loaded.percentile(99) / idle.percentile(99),
        (indexed.get() - indexedBefore) / (double) LOADED.toSeconds(),
        indexed.get());
  }

  private void createIndex() {
    http.put(
            "/_ingest/pipeline/bulk",
            """
            {"processors": [{"lanewise_embed": {"field": "body"}}]}
            """)
        .orThrow();
    http.put(
            "/bulk",
            """
            {
              "settings": {"number_of_shards": 1, "number_of_replicas": 0},
              "mappings": {"properties": {
                "body": {"type": "text"},
                "body_vector": {"type": "dense_vector", "dims": 256, "similarity": "cosine"}
              }}
            }
            """)
        .orThrow();
    bulk();
    http.post("/bulk/_refresh", "").orThrow();
  }

  /** Searches while the bulk clients send one bulk after the other. */
  private Latencies measureLoaded(Duration time) {
    AtomicBoolean going = new AtomicBoolean(true);
    List<Thread> clients = new ArrayList<>();
    for (int i = 0; i < BULK_CLIENTS; i++) {
      clients.add(
          Thread.ofPlatform()
              .daemon()
              .start(
                  () -> {
                    while (going.get()) {
                      bulk();
                    }
                  }));
    }
    try {
      return measure(time);
    } finally {
      going.set(false);
      for (Thread client : clients) {
        join(client);
      }
    }
  }

  private Latencies measure(Duration time) {
    long[] nanos = new long[(int) time.dividedBy(PERIOD)];
    long due = System.nanoTime();
    for (int i = 0; i < nanos.length; i++) {
      long start = due;
      if (System.nanoTime() < due) {
        waitUntil(due);
        start = System.nanoTime();
      }
      search(questions.get(i % questions.size()));
      nanos[i] = System.nanoTime() - start;
      due += PERIOD.toNanos();
    }
    return new Latencies(nanos);
  }

  private void search(String question) {
    ObjectNode request = JSON.createObjectNode().put("size", NEIGHBOURS);
    request
        .putObject("knn")
        .put("field", "body_vector")
        .put("k", NEIGHBOURS)
        .put("num_candidates", 100)
        .putObject("query_vector_builder")
        .putObject("lanewise")
        .put("model_text", question);
    JsonNode answer = http.post("/bulk/_search", request.toString()).orThrow().json();
    int hits = answer.path("hits").path("hits").size();
    if (hits != NEIGHBOURS) {
      throw new NodeException("expected [" + NEIGHBOURS + "] hits but got [" + hits + "]");
    }
  }

  private void bulk() {
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < BULK_TEXTS; i++) {
      long number = sent.getAndIncrement();
      String text = texts.get((int) (number % texts.size())) + " " + number;
      lines.append("{\"index\":{}}\n");
      lines.append(JSON.createObjectNode().put("body", text)).append('\n');
    }
    JsonNode answer =
        http.postLines("/bulk/_bulk?pipeline=bulk", lines.toString()).orThrow().json();
    if (answer.path("errors").asBoolean()) {
      throw new NodeException("a document was not indexed: " + answer.findValue("error"));
    }
    indexed.addAndGet(BULK_TEXTS);
  }

  private static void waitUntil(long due) {
    for (long left = due - System.nanoTime(); left > 0; left = due - System.nanoTime()) {
      LockSupport.parkNanos(left);
    }
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private String othersSince(Duration before, Duration time) {
    return String.format(
        Locale.ROOT,
        "; others used %.2f processors",
        Machine.othersProcessorTime(node).minus(before).toMillis() / (double) time.toMillis());
  }
}
