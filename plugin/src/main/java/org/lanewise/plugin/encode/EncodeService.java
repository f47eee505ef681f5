package org.lanewise.plugin.encode;

import java.io.Closeable;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.support.ContextPreservingActionListener;
import org.elasticsearch.common.util.concurrent.EsRejectedExecutionException;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.threadpool.ThreadPool;
import org.lanewise.encoder.Embedding;
import org.lanewise.plugin.LanewiseSettings;
import org.lanewise.plugin.models.ModelRegistry;
import org.lanewise.plugin.models.OpenModel;

/** Makes vectors of texts for the whole node, in batches, on the plugin's own threads. */
public final class EncodeService implements Closeable {
  /** Computes the batches of the bulk lane. */
  public static final String BULK_POOL = "lanewise_bulk";

  /** Computes the batches of the search lane. */
  public static final String SEARCH_POOL = "lanewise_search";

  /** Answers the callers of the bulk lane: the rest of their pipelines runs here. */
  public static final String REPLY_POOL = "lanewise_reply";

  private final ModelRegistry registry;
  private final LanewiseSettings settings;
  private final ThreadContext threadContext;
  private final Lane bulk;
  private final Lane search;
  private final Map<String, Queues> queues = new ConcurrentHashMap<>();
  private volatile boolean closed;

  /** Creates a service that owns the registry and closes it with itself. */
  public EncodeService(ModelRegistry registry, LanewiseSettings settings, ThreadPool threadPool) {
    this.registry = registry;
    this.settings = settings;
    this.threadContext = threadPool.getThreadContext();
    this.bulk =
        new Lane(
            "bulk",
            settings.queueCapacity(),
            settings.threads(),
            threadPool.executor(BULK_POOL),
            threadPool.executor(REPLY_POOL));
    this.search =
        new Lane(
            "search",
            settings.queueCapacity(),
            threadPool.info(SEARCH_POOL).getMax(),
            threadPool.executor(SEARCH_POOL),
            threadPool.executor(ThreadPool.Names.SEARCH_COORDINATION));
  }

  /**
   * Hands over one embedding for each text, in order. Never blocks; the listener is called exactly
   * once, in the caller's thread context, with the embeddings or with the first error of any text:
   * 404 for an unknown model, 429 where the queue is full, 400 for a text that is refused.
   */
  public void embed(EncodeRequest request, ActionListener<List<Embedding>> listener) {
    ActionListener<List<Embedding>> answer =
        ContextPreservingActionListener.wrapPreservingContext(listener, threadContext);
    Lane lane = request.isQuery() ? search : bulk;
    int texts = request.texts().size();
    if (texts == 0) {
      answer.onResponse(List.of());
      return;
    }
    try {
      lane.enter(texts);
    } catch (IllegalArgumentException | EsRejectedExecutionException e) {
      answer.onFailure(e);
      return;
    }
    registry.open(
        request.modelId(),
        new ActionListener<>() {
          @Override
          public void onResponse(OpenModel model) {
            EncodeCall call;
            try {
              String prompt = request.prompt(model.encoder().prompts());
              call = new EncodeCall(request, prompt, lane.replies(), answer);
            } catch (RuntimeException e) {
              onFailure(e);
              return;
            }
            queue(model, lane).add(call);
          }

          @Override
          public void onFailure(Exception e) {
            lane.leave(texts);
            answer.onFailure(e);
          }
        });
  }

  /** Returns what was done so far. */
  public ServiceStats stats() {
    Map<String, ModelStats> models = new TreeMap<>();
    queues.forEach(
        (id, both) ->
            models.put(
                id,
                new ModelStats(
                    both.model.encoder().backend(),
                    both.model.encoder().precision().label(),
                    both.bulk.stats(),
                    both.search.stats())));
    return new ServiceStats(
        settings.threads(),
        settings.batchTokens(),
        settings.queueCapacity(),
        bulk.stats(),
        search.stats(),
        models);
  }

  private BatchQueue queue(OpenModel model, Lane lane) {
    Queues both =
        queues.computeIfAbsent(
            model.id(),
            id ->
                new Queues(
                    model,
                    new BatchQueue(model, bulk, settings.batchTokens(), threadContext),
                    new BatchQueue(model, search, settings.batchTokens(), threadContext)));
    if (closed) {
      both.close();
    }
    return lane == bulk ? both.bulk : both.search;
  }

  /** Rejects what waits, lets running batches finish and closes the models. */
  @Override
  public void close() {
    closed = true;
    queues.values().forEach(Queues::close);
    registry.close();
  }

  private record Queues(OpenModel model, BatchQueue bulk, BatchQueue search) {
    void close() {
      bulk.close();
      search.close();
    }
  }
}
