package org.lanewise.node;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntFunction;
import org.lanewise.node.Http.Response;
import org.lanewise.node.Machine.Memory;

/**
 * Bulks and searches without pause against a real node with the bundled model, and afterwards a
 * count: every document that the node acknowledged is there once, with a vector, and no other.
 *
 * <p>Documents get their ids from the node, so that one that is indexed twice is there twice;
 * {@code number} tells them apart. Texts are short and long; two of a hundred documents are ones
 * that the processor must refuse. No request is repeated. The clients run on the node's own
 * processors.
 */
public final class Load {
  private static final ObjectMapper JSON = new ObjectMapper();

  private static final int NEIGHBOURS = 10;
  private static final int BULK_TEXTS = 100;

  /** Six bulks of 100 texts keep the workers busy and the queue from being empty. */
  private static final int BULK_CLIENTS = 6;

  private static final int SEARCH_CLIENTS = 2;

  /** A client that searches waits so long after an answer, as people do. */
  private static final Duration THINKING = Duration.ofMillis(50);

  private static final int PAGE = 10_000;

  /** Shorter runs say nothing about growth: heap and caches fill up at first. */
  private static final Duration LONG = Duration.ofMinutes(4);

  private final IntFunction<String> texts = DemoTexts.mix();
  private final List<String> questions = DemoTexts.questions();

  private final AtomicInteger sent = new AtomicInteger();
  private final AtomicInteger searched = new AtomicInteger();
  private final ConcurrentLinkedQueue<Timed> bulks = new ConcurrentLinkedQueue<>();
  private final ConcurrentLinkedQueue<Timed> searches = new ConcurrentLinkedQueue<>();
  private final Map<String, Integer> refusals = new TreeMap<>();
  private final Map<String, Integer> failedSearches = new TreeMap<>();
  private final List<Sample> samples = new ArrayList<>();

  /** Documents by number, guarded by themselves. */
  private final BitSet acknowledged = new BitSet();

  private final BitSet refused = new BitSet();

  private volatile ElasticsearchNode node;

  /** From the first request of a run to its last answer. */
  private Duration ran = Duration.ZERO;

  /** A request: when it was answered and how long that took. */
  private record Timed(long answered, long nanos) {}

  /** The node at one moment. */
  private record Sample(long at, Memory memory, long heapUsed, long heapCommitted) {
    long nativeBytes() {
      return Math.max(0, memory.anonymous() - heapCommitted);
    }
  }

  /** Creates a load for a node in which nothing was created yet. */
  Load(ElasticsearchNode node) {
    this.node = node;
    node.http()
        .put(
            "/_ingest/pipeline/load",
            """
            {"processors": [{"lanewise_embed": {"field": "body"}}]}
            """)
        .orThrow();
    node.http()
        .put(
            "/load",
            """
            {
              "settings": {"number_of_shards": 1, "number_of_replicas": 0},
              "mappings": {"properties": {
                "number": {"type": "long"},
                "body": {"type": "text"},
                "body_vector": {"type": "dense_vector", "dims": 256, "similarity": "cosine"}
              }}
            }
            """)
        .orThrow();
  }

  /** Runs it; arguments are the seconds, and settings of the node such as lanewise.threads=1. */
  public static void main(String[] arguments) {
    Duration time = Duration.ofSeconds(Long.parseLong(arguments[0]));
    NodeOptions options =
        NodeOptions.defaults().withSettings(List.of(arguments).subList(1, arguments.length));
    try (NodeHome home = NodeHome.assemble("load");
        ElasticsearchNode node = ElasticsearchNode.start(home, options)) {
      System.out.println("machine    " + Machine.description());
      System.out.println("settings   " + options.settings());
      Load load = new Load(node);
      Duration others = Machine.othersProcessorTime(node);
      load.run(time);
      Duration othersUsed = Machine.othersProcessorTime(node).minus(others);
      System.out.print(load.figures());
      System.out.printf(
          Locale.ROOT,
          "others     used %.2f processors%n",
          othersUsed.toMillis() / (double) load.ran.toMillis());
      System.out.println("checked    " + load.check());
      if (time.compareTo(LONG) >= 0) {
        System.out.println("steady     " + load.requireSteady());
      }
    }
  }

  /** Sends bulks and searches for that time; returns when all are answered. */
  void run(Duration time) {
    long begin = System.nanoTime();
    Clients clients = start();
    try (clients) {
      long end = begin + time.toNanos();
      long pause = Math.clamp(time.dividedBy(200).toNanos(), 200_000_000L, 5_000_000_000L);
      while (System.nanoTime() < end) {
        samples.add(sample());
        LockSupport.parkNanos(Math.min(pause, end - System.nanoTime()));
      }
    }
    ran = Duration.ofNanos(System.nanoTime() - begin);
    if (!clients.failures.isEmpty()) {
      throw clients.failures.element();
    }
  }

  /** Returns clients that send until they are closed. */
  Clients start() {
    return new Clients();
  }

  /** What sends bulks and searches. */
  final class Clients implements AutoCloseable {
    private final AtomicBoolean going = new AtomicBoolean(true);
    private final List<Thread> threads = new ArrayList<>();
    private final ConcurrentLinkedQueue<NodeException> failures = new ConcurrentLinkedQueue<>();

    private Clients() {
      for (int i = 0; i < BULK_CLIENTS; i++) {
        threads.add(Thread.ofPlatform().daemon().start(() -> repeat(Load.this::bulk)));
      }
      for (int i = 0; i < SEARCH_CLIENTS; i++) {
        threads.add(Thread.ofPlatform().daemon().start(() -> repeat(Load.this::searchAndThink)));
      }
    }

    /** A client without an answer ends; what it had sent is neither acknowledged nor refused. */
    private void repeat(Runnable request) {
      try {
        while (going.get()) {
          request.run();
        }
      } catch (NodeException e) {
        failures.add(e);
      }
    }

    /** Stops sending and waits for the answers. */
    @Override
    public void close() {
      going.set(false);
      for (Thread thread : threads) {
        try {
          thread.join();
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
        }
      }
    }
  }

  private void bulk() {
    int first = sent.getAndAdd(BULK_TEXTS);
    StringBuilder lines = new StringBuilder();
    for (int number = first; number < first + BULK_TEXTS; number++) {
      lines.append("{\"create\":{}}\n").append(document(number)).append('\n');
    }
    long start = System.nanoTime();
    Response answer = node.http().postLines("/load/_bulk?pipeline=load", lines.toString());
    long end = System.nanoTime();
    bulks.add(new Timed(end, end - start));
    if (answer.status() / 100 != 2) {
      synchronized (acknowledged) {
        refused.set(first, first + BULK_TEXTS);
        refusals.merge("[" + answer.status() + "] whole bulk", BULK_TEXTS, Integer::sum);
      }
      return;
    }
    JsonNode items = answer.json().path("items");
    if (items.size() != BULK_TEXTS) {
      throw new NodeException(
          "expected [" + BULK_TEXTS + "] items but the node answered [" + items.size() + "]");
    }
    synchronized (acknowledged) {
      for (int i = 0; i < BULK_TEXTS; i++) {
        JsonNode item = items.get(i).path("create");
        if (item.path("status").asInt() == 201) {
          acknowledged.set(first + i);
        } else {
          refused.set(first + i);
          refusals.merge(
              "[" + item.path("status") + "] " + item.at("/error/type").asText(), 1, Integer::sum);
        }
      }
    }
  }

  private ObjectNode document(int number) {
    ObjectNode document = JSON.createObjectNode().put("number", number);
    return switch (number % 100) {
      case 7 -> document.put("body", number);
      case 57 -> document;
      default -> document.put("body", texts.apply(number));
    };
  }

  private void searchAndThink() {
    int number = searched.getAndIncrement();
    String question = questions.get(number % questions.size());
    ObjectNode request = JSON.createObjectNode().put("size", NEIGHBOURS).put("_source", false);
    request
        .putObject("knn")
        .put("field", "body_vector")
        .put("k", NEIGHBOURS)
        .put("num_candidates", 100)
        .putObject("query_vector_builder")
        .putObject("lanewise")
        // Every other question is new to the cache.
        .put("model_text", number % 2 == 0 ? question : question + " " + number);
    long start = System.nanoTime();
    Response answer = node.http().post("/load/_search", request.toString());
    long end = System.nanoTime();
    searches.add(new Timed(end, end - start));
    if (answer.status() != 200 || answer.json().at("/_shards/failed").asInt() != 0) {
      synchronized (failedSearches) {
        failedSearches.merge("[" + answer.status() + "]", 1, Integer::sum);
      }
    }
    LockSupport.parkNanos(THINKING.toNanos());
  }

  private Sample sample() {
    JsonNode memory =
        node.http()
            .get("/_nodes/stats/jvm?filter_path=nodes.*.jvm.mem")
            .orThrow()
            .json()
            .path("nodes")
            .elements()
            .next()
            .at("/jvm/mem");
    return new Sample(
        System.nanoTime(),
        Machine.memory(node.pid()),
        memory.path("heap_used_in_bytes").asLong(),
        memory.path("heap_committed_in_bytes").asLong());
  }

  /** Returns how many documents the node said to have indexed. */
  int acknowledged() {
    synchronized (acknowledged) {
      return acknowledged.cardinality();
    }
  }

  /** Returns how many documents the node said not to have indexed. */
  int refused() {
    synchronized (acknowledged) {
      return refused.cardinality();
    }
  }

  /** Returns searches that were not answered with hits, by status. */
  Map<String, Integer> failedSearches() {
    return Map.copyOf(failedSearches);
  }

  /** Goes on with a node that was started over the same data. */
  void continueWith(ElasticsearchNode restarted) {
    node = restarted;
  }

  /**
   * Returns what was found, in words; a document that was acknowledged and is not there with a
   * vector, one that is there twice, and one that was refused and is there, are errors.
   */
  String check() {
    Http http = node.http();
    http.post("/load/_refresh", "").orThrow();
    BitSet all = numbers(http, "{\"match_all\": {}}");
    BitSet withVector = numbers(http, "{\"exists\": {\"field\": \"body_vector\"}}");
    BitSet bad;
    synchronized (acknowledged) {
      bad = (BitSet) acknowledged.clone();
      bad.andNot(withVector);
      require(bad, "acknowledged documents are not there with a vector");
      bad = (BitSet) all.clone();
      bad.andNot(withVector);
      require(bad, "documents are there without a vector");
      bad = (BitSet) all.clone();
      bad.and(refused);
      require(bad, "documents were refused but are there");
    }
    int unanswered = sent.get() - acknowledged() - refused();
    return acknowledged()
        + " documents acknowledged, each there once with a vector; "
        + refused()
        + " refused, none there; "
        + unanswered
        + " unanswered";
  }

  private static void require(BitSet none, String problem) {
    if (!none.isEmpty()) {
      throw new NodeException(
          "["
              + none.cardinality()
              + "] "
              + problem
              + ", for instance ["
              + none.nextSetBit(0)
              + "]");
    }
  }

  /** Returns the numbers of the documents that match, each of which must be there once. */
  private static BitSet numbers(Http http, String query) {
    BitSet found = new BitSet();
    long last = -1;
    while (true) {
      JsonNode hits =
          http.post(
                  "/load/_search",
                  "{\"size\": "
                      + PAGE
                      + ", \"_source\": false, \"track_total_hits\": false, \"sort\": [{\"number\":"
                      + " \"asc\"}], \"search_after\": ["
                      + last
                      + "], \"query\": "
                      + query
                      + "}")
              .orThrow()
              .json()
              .at("/hits/hits");
      for (JsonNode hit : hits) {
        last = hit.path("sort").path(0).asLong();
        if (found.get((int) last)) {
          throw new NodeException("document [" + last + "] is there twice");
        }
        found.set((int) last);
      }
      if (hits.size() < PAGE) {
        return requireCount(http, query, found);
      }
    }
  }

  /** Twins on both sides of a page's end would not be seen. */
  private static BitSet requireCount(Http http, String query, BitSet found) {
    long count =
        http.post("/load/_count", "{\"query\": " + query + "}")
            .orThrow()
            .json()
            .path("count")
            .asLong();
    if (count != found.cardinality()) {
      throw new NodeException(
          "[" + count + "] documents match but they have [" + found.cardinality() + "] numbers");
    }
    return found;
  }

  /** Returns the figures of the one run, in lines. */
  String figures() {
    double seconds = ran.toMillis() / 1000.0;
    StringBuilder out = new StringBuilder();
    out.append(
        String.format(
            Locale.ROOT,
            "documents  %.0f indexed per second; %d sent, %d indexed, refused %s%n",
            acknowledged() / seconds,
            sent.get(),
            acknowledged(),
            refusals));
    out.append(String.format(Locale.ROOT, "bulks      %s%n", latencies(bulks, 0, Long.MAX_VALUE)));
    out.append(
        String.format(
            Locale.ROOT,
            "searches   %s, %.1f per second, failed %s%n",
            latencies(searches, 0, Long.MAX_VALUE),
            searches.size() / seconds,
            failedSearches));
    JsonNode stats =
        node.http().get("/_lanewise/stats").orThrow().json().path("nodes").elements().next();
    out.append(
        String.format(
            Locale.ROOT,
            "node       rejected %d, failures %d, truncated %d, tokens per second %.0f%n",
            stats.path("rejected").asLong(),
            stats.path("failures").asLong(),
            stats.path("truncated").asLong(),
            stats.at("/models/lanewise-mini-en/tokens").asLong() / seconds));
    for (int quarter = 1; quarter <= 4; quarter++) {
      List<Sample> part = quarter(quarter);
      out.append(
          String.format(
              Locale.ROOT,
              "quarter %d  heap %d MiB at least, %d at most, native %d MiB, mapped files %d MiB,"
                  + " searches %s%n",
              quarter,
              mebibytes(part.stream().mapToLong(Sample::heapUsed).min().orElse(0)),
              mebibytes(part.stream().mapToLong(Sample::heapUsed).max().orElse(0)),
              mebibytes(nativeMedian(part)),
              mebibytes(part.getLast().memory().files()),
              latencies(searches, part.getFirst().at(), part.getLast().at())));
    }
    return out.toString();
  }

  private List<Sample> quarter(int number) {
    return samples.subList(
        samples.size() * (number - 1) / 4,
        Math.max(samples.size() * (number - 1) / 4 + 1, samples.size() * number / 4));
  }

  private static long nativeMedian(List<Sample> part) {
    long[] sorted = part.stream().mapToLong(Sample::nativeBytes).sorted().toArray();
    return sorted[sorted.length / 2];
  }

  private static long mebibytes(long bytes) {
    return bytes >> 20;
  }

  private static Latencies latencies(Iterable<Timed> requests, long from, long to) {
    List<Long> nanos = new ArrayList<>();
    for (Timed each : requests) {
      if (each.answered >= from && each.answered <= to) {
        nanos.add(each.nanos);
      }
    }
    return new Latencies(nanos.stream().mapToLong(Long::longValue).toArray());
  }

  /**
   * Returns that memory did not grow, in words: what is left of the heap after collections, and
   * native memory beside it, from the second quarter to the last one.
   */
  String requireSteady() {
    long heapBefore = quarter(2).stream().mapToLong(Sample::heapUsed).min().orElseThrow();
    long heapAfter = quarter(4).stream().mapToLong(Sample::heapUsed).min().orElseThrow();
    long nativeBefore = nativeMedian(quarter(2));
    long nativeAfter = nativeMedian(quarter(4));
    String found =
        String.format(
            Locale.ROOT,
            "heap %d MiB, then %d; native %d MiB, then %d",
            mebibytes(heapBefore),
            mebibytes(heapAfter),
            mebibytes(nativeBefore),
            mebibytes(nativeAfter));
    // A tenth and some: what a larger index needs, and how the collector happened to run.
    if (heapAfter > 1.1 * heapBefore + (64 << 20)
        || nativeAfter > 1.1 * nativeBefore + (32 << 20)) {
      throw new NodeException("memory grew between the second and the last quarter: " + found);
    }
    return found;
  }
}
