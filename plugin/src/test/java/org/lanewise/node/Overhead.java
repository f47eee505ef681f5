package org.lanewise.node;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import java.util.function.Supplier;
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
import org.lanewise.node.Http.Response;
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
 * threads of their own, which a machine with idle processors would hide.
 */
public final class Overhead {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Path MODELS = Path.of("..", "models");
  private static final String MODEL = "lanewise-mini-en";

  /** About three seconds of one processor: long beside the collector's pauses. */
  private static final int ROUND_TEXTS = 2400;

  private static final int BULK_TEXTS = 100;

  /** As many as {@link Load} has. */
  private static final int BULK_CLIENTS = 6;

  /** A vector does not depend on the texts beside it. */
  private static final float TOLERANCE = 1e-5f;

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
    NodeOptions options = NodeOptions.defaults();
    for (String argument : List.of(arguments).subList(1, arguments.length)) {
      options = options.withSetting(argument);
    }
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
    // The first round is for the compilers and is not counted.
    for (int round = 0; round <= rounds; round++) {
      int first = round * ROUND_TEXTS;
      List<String> part = IntStream.range(first, first + ROUND_TEXTS).mapToObj(texts).toList();
      List<float[]> vectors =
          library.embed(part).stream().map(Embedding::vector).toList();
      Supplier<Duration> ours = Overhead::ownProcessorTime;
      Map<String, Work> works = new LinkedHashMap<>();
      Map<String, Supplier<Duration>> clocks = new LinkedHashMap<>();
      measure("library", ours, () -> library.embed(part));
      measure("service, requests of 100 texts", ours, () -> embed(service, part, vectors, BULK_TEXTS));
      measure("service, a request for each text", ours, () -> embed(service, part, vectors, 1));
      Supplier<Duration> theirs = node::processorTime;
      index(node, "without vectors", "", part, Optional.empty(), theirs);
      index(node, "vectors in the documents", "", part, Optional.of(vectors), theirs);
      index(node, "vectors by the pipeline", "?pipeline=overhead", part, Optional.empty(), theirs);
      if (round == 0) {
        samples.clear();
      }
    }
    print();
  }
}
