package org.lanewise.plugin.encode;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.RejectedExecutionException;
import org.elasticsearch.common.util.concurrent.EsRejectedExecutionException;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.logging.LogManager;
import org.elasticsearch.logging.Logger;
import org.lanewise.plugin.models.Model;

/**
 * The texts of one lane that wait for one model. Workers take them in the order of their arrival,
 * as many as fit into a batch, whoever they belong to. After each batch a worker goes to the end of
 * its pool's queue, so that models share the threads evenly.
 *
 * @param <T> a text as the model reads it
 * @param <R> the answer for a text
 */
final class BatchQueue<T, R> {
  private static final Logger logger = LogManager.getLogger(BatchQueue.class);

  private final String modelId;
  private final Model<T, R> model;
  private final Lane lane;
  private final int batchTokens;
  private final ThreadContext threadContext;

  private final Object lock = new Object();
  private final Deque<WaitingText<T, R>> waiting = new ArrayDeque<>();
  private int workers;
  private boolean closed;

  private final WorkCounters counters;

  BatchQueue(
      String modelId,
      Model<T, R> model,
      Lane lane,
      int batchTokens,
      ThreadContext threadContext,
      WorkCounters counters) {
    this.modelId = modelId;
    this.model = model;
    this.lane = lane;
    this.batchTokens = batchTokens;
    this.threadContext = threadContext;
    this.counters = counters;
  }

  /** Queues the texts of a call, which hold places of the lane. */
  void add(EncodeCall<T, R> call) {
    List<WaitingText<T, R>> added = new ArrayList<>(call.size());
    for (int i = 0; i < call.size(); i++) {
      added.add(new WaitingText<>(call, i, 0));
    }
    boolean open;
    synchronized (lock) {
      open = !closed;
      if (open) {
        waiting.addAll(added);
      }
    }
    if (open) {
      startWorker();
    } else {
      reject(added);
    }
  }

  /** Refuses everything that waits and whatever comes; batches being computed are finished. */
  void close() {
    List<WaitingText<T, R>> left;
    synchronized (lock) {
      closed = true;
      left = new ArrayList<>(waiting);
      waiting.clear();
    }
    reject(left);
  }

  /** Returns whether nothing waits and nothing is computed. */
  boolean isIdle() {
    synchronized (lock) {
      return waiting.isEmpty() && workers == 0;
    }
  }

  WorkCounters counters() {
    return counters;
  }

  WorkStats stats() {
    return counters.stats();
  }

  private void startWorker() {
    synchronized (lock) {
      if (waiting.isEmpty() || workers == lane.threads()) {
        return;
      }
      workers++;
    }
    // A worker serves many callers: it must not run as the one that happened to start it.
    try (ThreadContext.StoredContext _ = threadContext.stashContext()) {
      lane.workers().execute(this::work);
    } catch (RejectedExecutionException e) {
      synchronized (lock) {
        workers--;
      }
      close();
    }
  }

  private void work() {
    List<WaitingText<T, R>> batch = new ArrayList<>();
    long start = System.nanoTime();
    try {
      takeInto(batch);
      startWorker();
      forward(batch);
    } catch (Throwable e) {
      failAll(batch, e);
      if (e instanceof VirtualMachineError fatal) {
        throw fatal;
      }
      logger.error("a worker of model [" + modelId + "] failed", e);
    } finally {
      counters.nanos.add(System.nanoTime() - start);
      synchronized (lock) {
        workers--;
      }
      startWorker();
    }
  }

  private void takeInto(List<WaitingText<T, R>> batch) {
    int size = 0;
    while (size < batchTokens) {
      WaitingText<T, R> text;
      synchronized (lock) {
        text = waiting.poll();
      }
      if (text == null) {
        return;
      }
      if (text.read == null && !read(text)) {
        continue;
      }
      int length = model.tokens(text.read);
      if (!batch.isEmpty() && size + length > batchTokens && putBack(List.of(text))) {
        return;
      }
      batch.add(text);
      size += length;
    }
  }

  /**
   * Returns false where the queue was closed meanwhile, so that nobody would come for the texts.
   */
  private boolean putBack(List<WaitingText<T, R>> texts) {
    synchronized (lock) {
      if (!closed) {
        texts.reversed().forEach(waiting::addFirst);
      }
      return !closed;
    }
  }

  /**
   * Returns whether the model can have the text now; otherwise it is finished. Of a text that is
   * read in parts this is the first one, and the others wait before all other texts. They hold no
   * places: a document of any length takes one, and only as many wait as there are workers.
   */
  private boolean read(WaitingText<T, R> text) {
    lane.leave(1);
    List<T> parts;
    try {
      parts = text.call.read(text.index);
    } catch (Throwable e) {
      fail(text, e);
      if (e instanceof VirtualMachineError fatal) {
        throw fatal;
      }
      return false;
    }
    if (parts.isEmpty()) {
      text.finished = true;
      return false;
    }
    text.read = parts.getFirst();
    List<WaitingText<T, R>> others = new ArrayList<>(parts.size() - 1);
    for (int i = 1; i < parts.size(); i++) {
      others.add(new WaitingText<>(text.call, text.index, i));
      others.getLast().read = parts.get(i);
    }
    if (!others.isEmpty()) {
      if (putBack(others)) {
        startWorker();
      } else {
        reject(others);
      }
    }
    return true;
  }

  /** A batch that fails is tried text by text, so that a bad text hurts only its own call. */
  private void forward(List<WaitingText<T, R>> batch) {
    if (batch.isEmpty()) {
      return;
    }
    List<R> answers;
    try {
      answers = model.forward(batch.stream().map(text -> text.read).toList());
      if (answers.size() != batch.size()) {
        throw new IllegalStateException(
            "model ["
                + modelId
                + "] returned ["
                + answers.size()
                + "] answers for ["
                + batch.size()
                + "] texts");
      }
    } catch (Throwable e) {
      if (e instanceof VirtualMachineError) {
        throw e;
      }
      if (batch.size() == 1) {
        fail(batch.getFirst(), e);
      } else {
        logger.debug("a batch of [" + batch.size() + "] texts failed, trying one by one", e);
        batch.forEach(text -> forward(List.of(text)));
      }
      return;
    }
    counters.batches.increment();
    for (int i = 0; i < answers.size(); i++) {
      succeed(batch.get(i), answers.get(i));
    }
  }

  private void succeed(WaitingText<T, R> text, R answer) {
    Optional<String> flaw = model.flaw(text.read, answer);
    if (flaw.isPresent()) {
      fail(text, new IllegalStateException("model [" + modelId + "] made " + flaw.get()));
      return;
    }
    counters.texts.increment();
    counters.tokens.add(model.tokens(text.read));
    if (model.truncated(text.read)) {
      counters.truncated.increment();
    }
    text.finished = true;
    text.call.succeed(text.index, text.part, answer);
  }

  private void fail(WaitingText<T, R> text, Throwable error) {
    counters.failures.increment();
    text.finished = true;
    text.call.fail(error);
  }

  private void failAll(List<WaitingText<T, R>> batch, Throwable error) {
    for (WaitingText<T, R> text : batch) {
      if (!text.finished) {
        fail(text, error);
      }
    }
  }

  private void reject(List<WaitingText<T, R>> refused) {
    lane.leave((int) refused.stream().filter(text -> text.read == null).count());
    failAll(refused, new EsRejectedExecutionException("the node is closing", true));
  }

  /**
   * A text, or a part of one that was read in parts, with its place in its call; after it is taken
   * from the queue only one thread has it.
   */
  private static final class WaitingText<T, R> {
    private final EncodeCall<T, R> call;
    private final int index;
    private final int part;
    private T read;
    private boolean finished;

    WaitingText(EncodeCall<T, R> call, int index, int part) {
      this.call = call;
      this.index = index;
      this.part = part;
    }
  }
}
