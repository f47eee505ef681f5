package org.lanewise.plugin;

import java.io.Closeable;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.action.support.PlainActionFuture;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.threadpool.ExecutorBuilder;
import org.elasticsearch.threadpool.TestThreadPool;
import org.elasticsearch.threadpool.ThreadPool;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.plugin.encode.EncodeRequest;
import org.lanewise.plugin.encode.EncodeRequest.Side;
import org.lanewise.plugin.encode.EncodeRequest.Truncate;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.encode.ModelStats;
import org.lanewise.plugin.encode.SlowLog;
import org.lanewise.plugin.encode.TagSelection;
import org.lanewise.plugin.models.Encoded;
import org.lanewise.plugin.models.ModelCluster;
import org.lanewise.plugin.models.ModelRegistry;
import org.lanewise.plugin.models.Tags;

/** An encode service with the plugin's own pools over the models of one directory, no node. */
public final class TestService implements Closeable {
  public final ThreadPool threadPool;
  public final EncodeService service;
  public final ModelRegistry registry;
  public final TestOpener opener = new TestOpener();

  public TestService(Path models, Settings settings) {
    LanewiseSettings lanewise = LanewiseSettings.of(settings);
    threadPool =
        new TestThreadPool(
            "lanewise-test",
            settings,
            new TestPlugin().getExecutorBuilders(settings).toArray(ExecutorBuilder<?>[]::new));
    registry =
        new ModelRegistry(
            models, models.resolve("bundled"), opener, threadPool.generic(), ModelCluster.NONE);
    service =
        new EncodeService(
            registry,
            lanewise,
            threadPool,
            new SlowLog(
                settings,
                new ClusterSettings(settings, Set.copyOf(SlowLog.settings())),
                threadPool.getThreadContext()));
  }

  public static EncodeRequest request(String model, Side side, List<String> texts) {
    return new EncodeRequest(
        model,
        EncodeRequest.all(texts, Set.of(Output.DENSE)),
        side,
        Optional.empty(),
        Truncate.FIRST);
  }

  /** Starts a request; the future holds the answer. */
  public PlainActionFuture<List<Encoded>> start(String model, Side side, String... texts) {
    PlainActionFuture<List<Encoded>> future = new PlainActionFuture<>();
    service.embed(request(model, side, List.of(texts)), future);
    return future;
  }

  public List<Encoded> embed(String model, Side side, String... texts) {
    return start(model, side, texts).actionGet(10, TimeUnit.SECONDS);
  }

  /** Starts a request to a tagger or classifier; the future holds the answer. */
  public PlainActionFuture<List<Tags>> startTagging(
      String model, TagSelection selection, String... texts) {
    PlainActionFuture<List<Tags>> future = new PlainActionFuture<>();
    service.tag(model, List.of(texts), selection, future);
    return future;
  }

  public ModelStats stats(String model) {
    return service.stats().models().get(model);
  }

  @Override
  public void close() {
    service.close();
    ThreadPool.terminate(threadPool, 10, TimeUnit.SECONDS);
  }
}
