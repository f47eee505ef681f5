package org.lanewise.plugin.search;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import org.elasticsearch.ElasticsearchException;
import org.elasticsearch.ElasticsearchStatusException;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.support.PlainActionFuture;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.rest.RestStatus;

/**
 * How long a search thread waits for a model, where the server asks for the result at once. What it
 * waits for is computed and handed over by other pools, so that waiting threads cannot lock each
 * other out.
 *
 * @param modelId the model
 * @param timeout the longest time
 */
record ModelWait(String modelId, TimeValue timeout) {
  static final TimeValue USUAL = TimeValue.timeValueSeconds(10);

  private static final TimeValue CANCELLATION_INTERVAL = TimeValue.timeValueMillis(100);

  /** Asks a model. */
  @FunctionalInterface
  interface Ask<T> {
    /**
     * Starts it.
     *
     * @param abandoned whether the waiting is over
     */
    void start(BooleanSupplier abandoned, ActionListener<T> listener);
  }

  /**
   * Returns what the model answers, or throws its error.
   *
   * @param texts how many texts it reads
   * @param cancellation throws where nobody wants the answer any more
   */
  <T> T await(int texts, Runnable cancellation, Ask<T> ask) {
    PlainActionFuture<T> answer = new PlainActionFuture<>();
    ask.start(answer::isCancelled, answer);
    try {
      return await(answer, texts, cancellation);
    } finally {
      answer.cancel(false);
    }
  }

  private <T> T await(PlainActionFuture<T> answer, int texts, Runnable cancellation) {
    long start = System.nanoTime();
    while (true) {
      cancellation.run();
      long left = timeout.nanos() - (System.nanoTime() - start);
      try {
        return answer.get(Math.clamp(left, 0, CANCELLATION_INTERVAL.nanos()), TimeUnit.NANOSECONDS);
      } catch (TimeoutException e) {
        if (left <= 0) {
          throw new ElasticsearchStatusException(
              "timeout [{}] waiting for model [{}] to read [{}] texts; raise [timeout] or let it"
                  + " read fewer",
              RestStatus.REQUEST_TIMEOUT,
              timeout,
              modelId,
              texts);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException("interrupted while model [" + modelId + "] worked", e);
      } catch (ExecutionException e) {
        throw e.getCause() instanceof RuntimeException cause
            ? cause
            : new ElasticsearchException("model [" + modelId + "] failed", e.getCause());
      }
    }
  }
}
