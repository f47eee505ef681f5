package org.lanewise.encoder.backend;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;

/**
 * A fixed set of threads that share the iterations of one loop at a time.
 *
 * <p>The calling thread works too. While the workers are busy, any other loop (from another thread,
 * or nested in an iteration) simply runs on its own caller, so callers never wait for one another.
 * Idle workers spin for a moment, because the loops of a forward pass follow each other within
 * microseconds, and then park. Thread-safe.
 */
public final class Workers implements AutoCloseable {
  /** About 50 microseconds: longer than the gap between two operations of one forward pass. */
  private static final long SPIN_NANOS = 50_000;

  private final List<Worker> workers = new ArrayList<>();
  private final AtomicInteger busy = new AtomicInteger();
  private volatile Loop current;
  private volatile boolean closed;

  /**
   * Creates workers for a parallelism of {@code threads}, the caller's included: 1 starts no
   * thread.
   */
  public Workers(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException("threads is " + threads + ", expected at least 1");
    }
    for (int i = 1; i < threads; i++) {
      Worker worker = new Worker("lanewise-worker-" + i);
      workers.add(worker);
      worker.start();
    }
  }

  /** Returns the threads that may work on one loop, the caller's included. */
  public int threads() {
    return workers.size() + 1;
  }

  /**
   * Runs {@code body} for 0 to {@code count - 1}, in any order and on any of the threads, and
   * returns when all are done. The first exception of an iteration is thrown again.
   */
  public void forEach(int count, IntConsumer body) {
    if (count <= 1 || workers.isEmpty() || closed || !busy.compareAndSet(0, 1)) {
      for (int i = 0; i < count; i++) {
        body.accept(i);
      }
      return;
    }
    Loop loop = new Loop(count, body);
    try {
      current = loop;
      for (Worker worker : workers) {
        if (worker.parked) {
          LockSupport.unpark(worker);
        }
      }
      loop.work();
      current = null;
      while (loop.working.get() != 0) {
        Thread.onSpinWait();
      }
    } finally {
      current = null;
      busy.set(0);
    }
    loop.rethrow();
  }

  /** Stops the threads; a loop that is running ends first. */
  @Override
  public void close() {
    closed = true;
    for (Worker worker : workers) {
      LockSupport.unpark(worker);
    }
  }

  /** One call of {@link #forEach}. */
  private static final class Loop {
    private final int count;
    private final IntConsumer body;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicInteger working = new AtomicInteger();
    private volatile Throwable failure;

    Loop(int count, IntConsumer body) {
      this.count = count;
      this.body = body;
    }

    void work() {
      working.incrementAndGet();
      try {
        for (int i = next.getAndIncrement(); i < count; i = next.getAndIncrement()) {
          body.accept(i);
        }
      } catch (RuntimeException | Error e) {
        failure = e;
        next.set(count);
      } finally {
        working.decrementAndGet();
      }
    }

    void rethrow() {
      switch (failure) {
        case null -> {}
        case Error error -> throw error;
        case RuntimeException exception -> throw exception;
        default -> throw new IllegalStateException(failure);
      }
    }
  }

  private final class Worker extends Thread {
    private volatile boolean parked;

    Worker(String name) {
      super(name);
      setDaemon(true);
    }

    @Override
    public void run() {
      Loop last = null;
      long idleSince = System.nanoTime();
      while (!closed) {
        Loop loop = current;
        if (loop != null && loop != last) {
          loop.work();
          last = loop;
          idleSince = System.nanoTime();
        } else if (System.nanoTime() - idleSince < SPIN_NANOS) {
          Thread.onSpinWait();
        } else {
          last = null;
          parked = true;
          if (current == null && !closed) {
            LockSupport.park(Workers.this);
          }
          parked = false;
          idleSince = System.nanoTime();
        }
      }
    }
  }
}
