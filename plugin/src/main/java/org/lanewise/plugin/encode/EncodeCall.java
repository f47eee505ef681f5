package org.lanewise.plugin.encode;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.elasticsearch.ElasticsearchException;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.logging.LogManager;
import org.elasticsearch.logging.Logger;
import org.lanewise.encoder.Embedding;

/**
 * One request on its way: answered exactly once, when each of its texts has got a vector or an
 * error. Each text is finished by one thread, once.
 */
final class EncodeCall {
  private static final Logger logger = LogManager.getLogger(EncodeCall.class);

  private final EncodeRequest request;
  private final String prompt;
  private final Executor replies;
  private final ActionListener<List<Embedding>> listener;
  private final Embedding[] embeddings;
  private final AtomicInteger unfinished;
  private final AtomicReference<Exception> failure = new AtomicReference<>();

  EncodeCall(
      EncodeRequest request,
      String prompt,
      Executor replies,
      ActionListener<List<Embedding>> listener) {
    this.request = request;
    this.prompt = prompt;
    this.replies = replies;
    this.listener = listener;
    this.embeddings = new Embedding[request.texts().size()];
    this.unfinished = new AtomicInteger(embeddings.length);
  }

  int size() {
    return embeddings.length;
  }

  String text(int index) {
    return request.texts().get(index);
  }

  String prompt() {
    return prompt;
  }

  boolean mayCut() {
    return request.truncate() == EncodeRequest.Truncate.FIRST;
  }

  void succeed(int index, Embedding embedding) {
    embeddings[index] = embedding;
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
        listener.onResponse(Arrays.asList(embeddings));
      }
    } catch (RuntimeException e) {
      logger.warn("the receiver of an answer failed", e);
    }
  }
}
