package org.lanewise.plugin.encode;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.LongAdder;
import org.elasticsearch.common.util.concurrent.EsRejectedExecutionException;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.logging.LogManager;
import org.elasticsearch.logging.Logger;
import org.lanewise.encoder.Embedding;
import org.lanewise.encoder.EncodedText;
import org.lanewise.plugin.models.Encoder;
import org.lanewise.plugin.models.OpenModel;

/**
 * The texts of one lane that wait for one model. Workers take them in the order of their arrival,
 * as many as fit into a batch, whoever they belong to. After each batch a worker goes to the end of
 * its pool's queue, so that models share the threads evenly.
 */
final class BatchQueue {
  private static final Logger logger = LogManager.getLogger(BatchQueue.class);

  private final OpenModel model;
  private final Lane lane;
  private final int batchTokens;
  private final ThreadContext threadContext;

  private final Object lock = new Object();
  private final Deque<WaitingText> waiting = new ArrayDeque<>();
  private int workers;
  private boolean closed;

  private final LongAdder texts = new LongAdder();
  private final LongAdder tokens = new LongAdder();
  private final LongAdder truncated = new LongAdder();
  private final LongAdder batches = new LongAdder();
  private final LongAdder failures = new LongAdder();
  private final LongAdder nanos = new LongAdder();

  BatchQueue(OpenModel model, Lane lane, int batchTokens, ThreadContext threadContext) {
    this.model = model;
    this.lane = lane;
    this.batchTokens = batchTokens;
    this.threadContext = threadContext;
  }

  /** Queues the texts of a call, which hold places of the lane. */
  void add(EncodeCall call) {
    List<WaitingText> added = new ArrayList<>(call.size());
    for (int i = 0; i < call.size(); i++) {
      added.add(new WaitingText(call, i));
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
    List<WaitingText> left;
    synchronized (lock) {
      closed = true;
      left = new ArrayList<>(waiting);
      waiting.clear();
    }
    reject(left);
  }

  WorkStats stats() {
    return new WorkStats(
        texts.sum(),
        tokens.sum(),
        truncated.sum(),
        batches.sum(),
        failures.sum(),
        nanos.sum() / 1_000_000);
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
    List<WaitingText> batch = new ArrayList<>();
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
      logger.error("a worker of model [" + model.id() + "] failed", e);
    } finally {
      nanos.add(System.nanoTime() - start);
      synchronized (lock) {
        workers--;
      }
      startWorker();
    }
  }

  private void takeInto(List<WaitingText> batch) {
    int size = 0;
    while (size < batchTokens) {
      WaitingText text;
      synchronized (lock) {
        text = waiting.poll();
      }
      if (text == null) {
        return;
      }
      if (text.encoded == null && !encode(text)) {
        lane.leave(1);
        continue;
      }
      int length = text.encoded.length();
      if (!batch.isEmpty() && size + length > batchTokens && putBack(text)) {
        return;
      }
      lane.leave(1);
      batch.add(text);
      size += length;
    }
  }

  /** Returns false where the queue was closed meanwhile, so that nobody would come for the text. */
  private boolean putBack(WaitingText text) {
    synchronized (lock) {
      if (!closed) {
        waiting.addFirst(text);
      }
      return !closed;
    }
  }

  /** Returns whether the text has its tokens now; otherwise it has its error. */
  private boolean encode(WaitingText text) {
    Encoder encoder = model.encoder();
    EncodeCall call = text.call;
    try {
      EncodedText encoded = encoder.encode(call.text(text.index), call.prompt());
      if (encoded.tokens().truncated() && !call.mayCut()) {
        throw new IllegalArgumentException(
            "Input too large. The tokenized input length ["
                + encoder.countTokens(call.text(text.index), call.prompt())
                + "] exceeds the maximum sequence length ["
                + encoder.maxLength()
                + "]");
      }
      text.encoded = encoded;
      return true;
    } catch (Throwable e) {
      fail(text, e);
      if (e instanceof VirtualMachineError fatal) {
        lane.leave(1);
        throw fatal;
      }
      return false;
    }
  }

  /** A batch that fails is tried text by text, so that a bad text hurts only its own call. */
  private void forward(List<WaitingText> batch) {
    if (batch.isEmpty()) {
      return;
    }
    float[][] vectors;
    try {
      vectors = model.encoder().forward(batch.stream().map(text -> text.encoded).toList());
      if (vectors.length != batch.size()) {
        throw new IllegalStateException(
            "model ["
                + model.id()
                + "] returned ["
                + vectors.length
                + "] vectors for ["
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
    batches.increment();
    for (int i = 0; i < vectors.length; i++) {
      succeed(batch.get(i), vectors[i]);
    }
  }

  private void succeed(WaitingText text, float[] vector) {
    int length = text.encoded.length();
    boolean cut = text.encoded.tokens().truncated();
    if (!isDirection(vector)) {
      fail(
          text,
          new IllegalStateException(
              "model ["
                  + model.id()
                  + "] made no usable vector of a text of ["
                  + length
                  + "] tokens: its numbers must be finite and not all zero"));
      return;
    }
    texts.increment();
    tokens.add(length);
    if (cut) {
      truncated.increment();
    }
    text.finished = true;
    text.call.succeed(text.index, new Embedding(vector, length, cut));
  }

  private static boolean isDirection(float[] vector) {
    float largest = 0;
    for (float value : vector) {
      if (!Float.isFinite(value)) {
        return false;
      }
      largest = Math.max(largest, Math.abs(value));
    }
    return largest > 0;
  }

  private void fail(WaitingText text, Throwable error) {
    failures.increment();
    text.finished = true;
    text.call.fail(error);
  }

  private void failAll(List<WaitingText> batch, Throwable error) {
    for (WaitingText text : batch) {
      if (!text.finished) {
        fail(text, error);
      }
    }
  }

  private void reject(List<WaitingText> refused) {
    lane.leave(refused.size());
    failAll(refused, new EsRejectedExecutionException("the node is closing", true));
  }

  /** A text with its place in its call; after it is taken from the queue only one thread has it. */
  private static final class WaitingText {
    private final EncodeCall call;
    private final int index;
    private EncodedText encoded;
    private boolean finished;

    WaitingText(EncodeCall call, int index) {
      this.call = call;
      this.index = index;
    }
  }
}
