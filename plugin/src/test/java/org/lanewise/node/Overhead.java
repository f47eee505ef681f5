package org.lanewise.node;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.threadpool.ExecutorBuilder;
import org.elasticsearch.threadpool.TestThreadPool;
import org.elasticsearch.threadpool.ThreadPool;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.Embedding;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.MemoryBudget;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.plugin.LanewisePlugin;
import org.lanewise.plugin.LanewiseSettings;
import org.lanewise.plugin.encode.EncodeRequest;
import org.lanewise.plugin.encode.EncodeRequest.Side;
import org.lanewise.plugin.encode.EncodeRequest.Truncate;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.encode.SlowLog;
import org.lanewise.plugin.models.Encoded;
import org.lanewise.plugin.models.LibraryOpener;
import org.lanewise.plugin.models.ModelCluster;
import org.lanewise.plugin.models.ModelRegistry;

/**
 * What the plugin costs beside the encoder it holds. The same texts, as {@link Load} sends them, go
 * through the bare library, through the plugin's service in this JVM, and into a real node with and
 * without the pipeline; all take turns, and the medians of the rounds are printed.
 *
 * <p>Processor time stands beside time because the service and the node do some of their work on
 * threads of their own, which a machine with idle processors would hide. It is without that of the
 * JIT compilers.
 */
public final class Overhead {
  private static final Path MODELS = Path.of("..", "models");
  private static final String MODEL = "lanewise-mini-en";

  /** About three seconds of one processor: long beside the collector's pauses. */
  private static final int ROUND_TEXTS = 2400;

  private static final int BULK_TEXTS = 100;

  /** As many as {@link Load} has. */
  private static final int BULK_CLIENTS = 6;

  /** A vector does not depend on the texts beside it. */
  private static final float TOLERANCE = 1e-5f;

  private static final String LIBRARY = "library";
  private static final String REQUESTS = "service, requests of 100 texts";
  private static final String SINGLES = "service, a request for each text";
  private static final String PLAIN = "node, no vectors";
  private static final String READY = "node, vectors in the documents";
  private static final String PASSED = "node, those through a pipeline";
  private static final String PIPELINE = "node, vectors by the pipeline";

  private final IntFunction<String> texts = DemoTexts.mix();
  private final Map<String, List<Sample>> samples = new LinkedHashMap<>();

  /** What one text of a round took, in microseconds. */
  private record Sample(double elapsed, double processor) {}

  private interface Work {
    void run() throws InterruptedException;
  }

  private Overhead() {}

  /** Runs it; arguments are the rounds, and settings of the node such as lanewise.threads=1. */
  public static void main(String[] arguments) throws InterruptedException {
    LogConfigurator.configureESLogging();
    int rounds = Integer.parseInt(arguments[0]);
    NodeOptions options =
        NodeOptions.defaults().withSettings(List.of(arguments).subList(1, arguments.length));
    Settings.Builder builder = Settings.builder();
    options.settings().forEach(builder::put);
    Settings settings = builder.build();
    LanewiseSettings lanewise = LanewiseSettings.of(settings);
    ThreadPool pool =
        new TestThreadPool(
            "overhead",
            settings,
            new LanewisePlugin().getExecutorBuilders(settings).toArray(ExecutorBuilder<?>[]::new));
    try (NodeHome home = NodeHome.assemble("overhead");
        ElasticsearchNode node = ElasticsearchNode.start(home, options);
        TextEmbedder library = library(lanewise);
        EncodeService service = service(settings, lanewise, pool)) {
      System.out.println("machine    " + Machine.description());
      System.out.println(
          "settings   " + options.settings() + ", threads of each [" + lanewise.threads() + "]");
      long begin = System.nanoTime();
      Duration others = Machine.othersProcessorTime(node);
      new Overhead().run(rounds, library, service, node);
      System.out.printf(
          Locale.ROOT,
          "others     used %.2f processors%n",
          Machine.othersProcessorTime(node).minus(others).toNanos()
              / (double) (System.nanoTime() - begin));
    } finally {
      ThreadPool.terminate(pool, 10, TimeUnit.SECONDS);
    }
  }

  private static TextEmbedder library(LanewiseSettings lanewise) {
    return TextEmbedder.open(
        ModelDirectory.open(MODELS.resolve(MODEL)),
        EmbedderOptions.defaults()
            .withBackend(lanewise.backend())
            .withPrecision(lanewise.precision())
            .withThreads(lanewise.threads()));
  }

  private static EncodeService service(
      Settings settings, LanewiseSettings lanewise, ThreadPool pool) {
    return new EncodeService(
        new ModelRegistry(
            MODELS,
            MODELS,
            new LibraryOpener(lanewise, MemoryBudget.UNLIMITED),
            pool.generic(),
            ModelCluster.NONE),
        lanewise,
        pool,
        new SlowLog(
            settings,
            new ClusterSettings(settings, Set.copyOf(SlowLog.settings())),
            pool.getThreadContext()));
  }

  private void run(int rounds, TextEmbedder library, EncodeService service, ElasticsearchNode node)
      throws InterruptedException {
    node.http()
        .put(
            "/_ingest/pipeline/overhead",
            """
            {"processors": [{"lanewise_embed": {"field": "body"}}]}
            """)
        .orThrow();
    // Any pipeline makes the node read and write whole documents.
    node.http()
        .put(
            "/_ingest/pipeline/pass",
            """
            {"processors": [{"lanewise_embed": {"field": "other", "ignore_missing": true}}]}
            """)
        .orThrow();
    // The first round is for the compilers and is not counted.
    for (int round = 0; round <= rounds; round++) {
      int first = round * ROUND_TEXTS;
      List<String> part = IntStream.range(first, first + ROUND_TEXTS).mapToObj(texts).toList();
      List<float[]> vectors = library.embed(part).stream().map(Embedding::vector).toList();
      measure(LIBRARY, Overhead::ownProcessorTime, () -> library.embed(part));
      measure(
          REQUESTS, Overhead::ownProcessorTime, () -> embed(service, part, vectors, BULK_TEXTS));
      measure(SINGLES, Overhead::ownProcessorTime, () -> embed(service, part, vectors, 1));
      index(node, PLAIN, "", part, Optional.empty());
      index(node, READY, "", part, Optional.of(vectors));
      index(node, PASSED, "?pipeline=pass", part, Optional.of(vectors));
      index(node, PIPELINE, "?pipeline=overhead", part, Optional.empty());
      if (round == 0) {
        samples.clear();
      }
    }
    print();
  }

  private static Duration ownProcessorTime() {
    return Machine.processorTime(ProcessHandle.current().pid());
  }

  private void measure(String name, Supplier<Duration> processorTime, Work work)
      throws InterruptedException {
    Duration processor = processorTime.get();
    long start = System.nanoTime();
    work.run();
    long elapsed = System.nanoTime() - start;
    samples
        .computeIfAbsent(name, key -> new ArrayList<>())
        .add(
            new Sample(
                elapsed / 1e3 / ROUND_TEXTS,
                processorTime.get().minus(processor).toNanos() / 1e3 / ROUND_TEXTS));
  }

  /** Sends requests of so many texts, as many texts at once as clients with bulks bring. */
  private static void embed(
      EncodeService service, List<String> texts, List<float[]> expected, int size)
      throws InterruptedException {
    Semaphore places = new Semaphore(BULK_CLIENTS * BULK_TEXTS);
    ConcurrentLinkedQueue<Exception> failures = new ConcurrentLinkedQueue<>();
    for (int first = 0; first < texts.size(); first += size) {
      List<float[]> vectors = expected.subList(first, first + size);
      places.acquire(size);
      service.embed(
          new EncodeRequest(
              MODEL,
              EncodeRequest.all(texts.subList(first, first + size), Set.of(Output.DENSE)),
              Side.INGEST,
              Optional.empty(),
              Truncate.FIRST),
          ActionListener.runAfter(
              ActionListener.wrap(answers -> compare(vectors, answers), failures::add),
              () -> places.release(size)));
    }
    places.acquire(BULK_CLIENTS * BULK_TEXTS);
    if (!failures.isEmpty()) {
      throw new NodeException("the service failed", failures.element());
    }
  }

  private static void compare(List<float[]> expected, List<Encoded> answers) {
    for (int i = 0; i < expected.size(); i++) {
      float[] vector = answers.get(i).dense().orElseThrow();
      for (int j = 0; j < vector.length; j++) {
        if (!(Math.abs(vector[j] - expected.get(i)[j]) <= TOLERANCE)) {
          throw new NodeException(
              "number ["
                  + j
                  + "] is ["
                  + vector[j]
                  + "], of the library ["
                  + expected.get(i)[j]
                  + "]");
        }
      }
    }
  }

  /** Indexes the texts into an index of their own, which is refreshed at the end and deleted. */
  private void index(
      ElasticsearchNode node,
      String name,
      String parameters,
      List<String> texts,
      Optional<List<float[]>> vectors)
      throws InterruptedException {
    node.http()
        .put(
            "/overhead",
            """
            {
              "settings": {
                "number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": -1
              },
              "mappings": {"properties": {
                "body": {"type": "text"},
                "body_vector": {"type": "dense_vector", "dims": 256, "similarity": "cosine"}
              }}
            }
            """)
        .orThrow();
    Queue<String> bulks = new ConcurrentLinkedQueue<>();
    for (int first = 0; first < texts.size(); first += BULK_TEXTS) {
      StringBuilder lines = new StringBuilder();
      for (int i = first; i < first + BULK_TEXTS; i++) {
        ObjectNode document = Requests.body(texts.get(i));
        if (vectors.isPresent()) {
          ArrayNode numbers = document.putArray("body_vector");
          for (float number : vectors.get().get(i)) {
            numbers.add(number);
          }
        }
        lines.append("{\"index\":{}}\n").append(document).append('\n');
      }
      bulks.add(lines.toString());
    }
    measure(
        name,
        () -> Machine.processorTime(node.pid()),
        () -> {
          try (ExecutorService clients = Executors.newFixedThreadPool(BULK_CLIENTS)) {
            List<Callable<Void>> sending =
                Collections.nCopies(BULK_CLIENTS, () -> send(node.http(), parameters, bulks));
            for (Future<Void> sent : clients.invokeAll(sending)) {
              sent.get();
            }
          } catch (ExecutionException e) {
            throw new NodeException("a client failed", e.getCause());
          }
          node.http().post("/overhead/_refresh", "").orThrow();
        });
    String field = name.equals(PLAIN) ? "body" : "body_vector";
    int found =
        node.http()
            .post("/overhead/_count", "{\"query\": {\"exists\": {\"field\": \"" + field + "\"}}}")
            .orThrow()
            .json()
            .path("count")
            .asInt();
    if (found != texts.size()) {
      throw new NodeException(
          "[" + found + "] documents have [" + field + "], expected [" + texts.size() + "]");
    }
    node.http().delete("/overhead").orThrow();
  }

  private static Void send(Http http, String parameters, Queue<String> bulks) {
    for (String bulk = bulks.poll(); bulk != null; bulk = bulks.poll()) {
      http.postLines("/overhead/_bulk" + parameters, bulk).orThrow();
    }
    return null;
  }

  private void print() {
    samples.forEach(
        (name, all) ->
            System.out.printf(
                Locale.ROOT,
                "%-34s %6.0f texts/s, %5.0f us of processor time a text%n",
                name,
                1e6 / median(name, Sample::elapsed),
                median(name, Sample::processor)));
    for (String name : List.of(REQUESTS, SINGLES)) {
      System.out.printf(
          Locale.ROOT,
          "%-34s %+.1f %% of time, %+.1f %% of processor time%n",
          name,
          100 * (median(name, Sample::elapsed) / median(LIBRARY, Sample::elapsed) - 1),
          100 * (median(name, Sample::processor) / median(LIBRARY, Sample::processor) - 1));
    }
    double embedding = median(PIPELINE, Sample::processor) - median(PASSED, Sample::processor);
    System.out.printf(
        Locale.ROOT,
        "%-34s %+.1f %% of processor time, less that of documents that bring their vectors%n",
        PIPELINE,
        100 * (embedding / median(LIBRARY, Sample::processor) - 1));
  }

  private double median(String name, ToDoubleFunction<Sample> figure) {
    double[] sorted = samples.get(name).stream().mapToDouble(figure).sorted().toArray();
    return sorted[sorted.length / 2];
  }
}
