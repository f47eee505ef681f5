package org.lanewise.plugin.encode;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.support.ContextPreservingActionListener;
import org.elasticsearch.common.util.concurrent.EsRejectedExecutionException;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.lanewise.plugin.LanewiseSettings;
import org.lanewise.plugin.models.Model;
import org.lanewise.plugin.models.ModelRegistry;
import org.lanewise.plugin.models.OpenModel;

/**
 * The queues of one kind of work: two for each model that does it.
 *
 * @param <M> the models that do it
 * @param <T> a text as such a model reads it
 * @param <R> the answer for a text
 */
final class WorkQueues<M extends Model<T, R>, T, R> {
  private final Class<M> type;
  private final String expected;
  private final ModelRegistry registry;
  private final Lane bulk;
  private final Lane search;
  private final LanewiseSettings settings;
  private final ThreadContext threadContext;
  private final Map<String, Queues<T, R>> queues = new ConcurrentHashMap<>();

  /** Of models that were unloaded or replaced; work that came before ends here. */
  private final Set<Queues<T, R>> replaced = ConcurrentHashMap.newKeySet();

  private volatile boolean closed;

  /**
   * Creates no queue yet.
   *
   * @param expected what the models are, in words
   */
  WorkQueues(
      Class<M> type,
      String expected,
      ModelRegistry registry,
      Lane bulk,
      Lane search,
      LanewiseSettings settings,
      ThreadContext threadContext) {
    this.type = type;
    this.expected = expected;
    this.registry = registry;
    this.bulk = bulk;
    this.search = search;
    this.settings = settings;
    this.threadContext = threadContext;
  }

  /**
   * Queues texts, and answers once with one answer for each or with the first error.
   *
   * @param reader makes of the open model what makes of a text the parts that the model reads
   * @param abandoned whether nobody waits any more, so that the texts left need not be computed
   * @param <S> a text as the caller has it
   */
  <S> void submit(
      String modelId,
      List<S> texts,
      Lane lane,
      Function<M, Function<S, List<T>>> reader,
      BooleanSupplier abandoned,
      ActionListener<List<R>> listener) {
    ActionListener<List<R>> answer =
        ContextPreservingActionListener.wrapPreservingContext(listener, threadContext);
    if (texts.isEmpty()) {
      answer.onResponse(List.of());
      return;
    }
    try {
      lane.enter(texts.size());
    } catch (IllegalArgumentException | EsRejectedExecutionException e) {
      answer.onFailure(e);
      return;
    }
    registry.open(
        modelId,
        new ActionListener<>() {
          @Override
          public void onResponse(OpenModel open) {
            if (!open.tryIncRef()) {
              // It was unloaded or replaced in between, so another one is there now.
              registry.open(modelId, this);
              return;
            }
            EncodeCall<T, R> call;
            M model;
            try {
              model = cast(open);
              Function<S, List<T>> read = reader.apply(model);
              call =
                  new EncodeCall<>(
                      texts.size(),
                      i -> read.apply(texts.get(i)),
                      model::join,
                      abandoned,
                      lane.replies(),
                      ActionListener.runBefore(answer, open::decRef));
            } catch (RuntimeException e) {
              open.decRef();
              onFailure(e);
              return;
            }
            queue(open.id(), model, lane).add(call);
          }

          @Override
          public void onFailure(Exception e) {
            lane.leave(texts.size());
            answer.onFailure(e);
          }
        });
  }

  private M cast(OpenModel open) {
    if (!type.isInstance(open.model())) {
      throw new IllegalArgumentException(
          open.model().kind().misnamed(open.id(), expected)
              + ": use ["
              + open.model().kind().feature()
              + "]");
    }
    return type.cast(open.model());
  }

  private BatchQueue<T, R> queue(String id, M model, Lane lane) {
    Queues<T, R> both =
        queues.compute(
            id,
            (key, known) -> {
              if (known != null && known.model.equals(model)) {
                return known;
              }
              Queues<T, R> fresh =
                  new Queues<>(
                      model,
                      new BatchQueue<>(
                          id,
                          model,
                          bulk,
                          settings.batchTokens(model.bulkTokens()),
                          threadContext,
                          counters(known, true)),
                      new BatchQueue<>(
                          id,
                          model,
                          search,
                          settings.batchTokens(),
                          threadContext,
                          counters(known, false)));
              if (known != null) {
                replaced.removeIf(Queues::isIdle);
                replaced.add(known);
              }
              return fresh;
            });
    if (closed) {
      both.close();
    }
    return lane == bulk ? both.bulk : both.search;
  }

  /** A model that was opened anew goes on counting where the one before it stopped. */
  private static <T, R> WorkCounters counters(Queues<T, R> known, boolean bulk) {
    if (known == null) {
      return new WorkCounters();
    }
    return bulk ? known.bulk.counters() : known.search.counters();
  }

  /** Adds what each model did so far. */
  void stats(Map<String, ModelStats> models) {
    queues.forEach((id, both) -> models.put(id, both.stats()));
  }

  /** Rejects what waits and lets running batches finish. */
  void close() {
    closed = true;
    queues.values().forEach(Queues::close);
    replaced.forEach(Queues::close);
  }

  private record Queues<T, R>(Model<T, R> model, BatchQueue<T, R> bulk, BatchQueue<T, R> search) {
    ModelStats stats() {
      return new ModelStats(
          model.backend(),
          model.precision().label(),
          model.kernels(),
          model.device(),
          bulk.stats(),
          search.stats());
    }

    boolean isIdle() {
      return bulk.isIdle() && search.isIdle();
    }

    void close() {
      bulk.close();
      search.close();
    }
  }
}
