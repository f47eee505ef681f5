package org.lanewise.plugin.action;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiConsumer;
import java.util.function.BooleanSupplier;
import org.elasticsearch.ElasticsearchStatusException;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.support.ListenerTimeouts;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.tasks.CancellableTask;
import org.elasticsearch.tasks.Task;
import org.elasticsearch.tasks.TaskCancelledException;
import org.elasticsearch.threadpool.ThreadPool;

/**
 * How long whoever sent a request waits for it. When the time is over the answer is a 408, when the
 * task is cancelled that; either way texts that no model has read yet never are.
 *
 * @param timeout the longest time; -1 for any
 */
public record Deadline(TimeValue timeout) {
  /** What a request waits that does not say how long. */
  public static final Deadline USUAL = new Deadline(TimeValue.timeValueSeconds(30));

  /**
   * Asks a model, and answers the listener exactly once.
   *
   * @param texts how many texts it reads
   * @param ask takes whether nobody waits any more, and whom to answer
   */
  <T> void ask(
      Task task,
      ThreadPool threadPool,
      String modelId,
      int texts,
      ActionListener<T> listener,
      BiConsumer<BooleanSupplier, ActionListener<T>> ask) {
    AtomicBoolean over = new AtomicBoolean();
    ActionListener<T> waiting =
        timeout.millis() < 0
            ? ActionListener.notifyOnce(listener)
            : ListenerTimeouts.wrapWithTimeout(
                threadPool,
                timeout,
                threadPool.generic(),
                listener,
                _ -> {
                  over.set(true);
                  listener.onFailure(
                      new ElasticsearchStatusException(
                          "timeout [{}] waiting for model [{}] to read [{}] texts; raise [timeout]"
                              + " or let it read fewer",
                          RestStatus.REQUEST_TIMEOUT,
                          timeout,
                          modelId,
                          texts));
                });
    if (task instanceof CancellableTask cancellable) {
      cancellable.addListener(
          () -> {
            over.set(true);
            waiting.onFailure(
                new TaskCancelledException("cancelled: " + cancellable.getReasonCancelled()));
          });
    }
    ask.accept(over::get, waiting);
  }
}
