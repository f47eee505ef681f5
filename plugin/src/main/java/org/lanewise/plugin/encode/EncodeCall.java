package org.lanewise.plugin.encode;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.IntFunction;
import org.elasticsearch.ElasticsearchException;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.logging.LogManager;
import org.elasticsearch.logging.Logger;
import org.elasticsearch.tasks.TaskCancelledException;

/**
 * One request on its way: answered exactly once, when each of its texts, and each part of those
 * that are read in parts, has got an answer or an error. Each part is finished by one thread, once.
 *
 * @param <T> a text as the model reads it
 * @param <R> the answer for a text
 */
final class EncodeCall<T, R> {
  private static final Logger logger = LogManager.getLogger(EncodeCall.class);

  private final int size;
  private final IntFunction<List<T>> reader;
  private final Function<List<R>, R> joiner;
  private final BooleanSupplier abandoned;
  private final Executor replies;
  private final ActionListener<List<R>> listener;

  /** Of each text, of each part. */
  private final List<List<R>> answers;

  /** Parts; a text that is not read yet counts as one. */
  private final AtomicInteger unfinished;

  private final AtomicReference<Exception> failure = new AtomicReference<>();

  /**
   * Creates a call of at least one text.
   *
   * @param reader the parts that the model reads of the text at a place, most often one; throws
   *     where it is refused
   * @param joiner the answer for a text from those for its parts
   * @param abandoned whether nobody waits any more, so that the texts left need not be computed
   */
  EncodeCall(
      int size,
      IntFunction<List<T>> reader,
      Function<List<R>, R> joiner,
      BooleanSupplier abandoned,
      Executor replies,
      ActionListener<List<R>> listener) {
    this.size = size;
    this.reader = reader;
    this.joiner = joiner;
    this.abandoned = abandoned;
    this.replies = replies;
    this.listener = listener;
    this.answers = new ArrayList<>(Collections.nCopies(size, List.of()));
    this.unfinished = new AtomicInteger(size);
  }

  int size() {
    return size;
  }

  /** Returns the parts of a text, each of which is to be finished; without any, the text is. */
  List<T> read(int index) {
    if (abandoned.getAsBoolean()) {
      throw new TaskCancelledException("nobody waits for the answer any more");
    }
    List<T> parts = reader.apply(index);
    if (parts.isEmpty()) {
      finish();
    } else {
      answers.set(index, new ArrayList<>(Collections.nCopies(parts.size(), null)));
      unfinished.addAndGet(parts.size() - 1);
    }
    return parts;
  }

  void succeed(int index, int part, R answer) {
    answers.get(index).set(part, answer);
    finish();
  }

  /** The first error of a call is its answer. */
  void fail(Throwable error) {
    failure.compareAndSet(
        null,
        error instanceof Exception e ? e : new ElasticsearchException("encoding failed", error));
    finish();
  }

  private void finish() {
    if (unfinished.decrementAndGet() == 0) {
      try {
        replies.execute(this::reply);
      } catch (RejectedExecutionException e) {
        // The pool is full or closed; the caller is owed an answer all the same.
        reply();
      }
    }
  }

  private void reply() {
    try {
      if (failure.get() != null) {
        listener.onFailure(failure.get());
      } else {
        listener.onResponse(answers.stream().map(joiner).toList());
      }
    } catch (RuntimeException e) {
      logger.warn("the receiver of an answer failed", e);
    }
  }
}
