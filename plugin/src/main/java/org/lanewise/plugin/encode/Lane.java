package org.lanewise.plugin.encode;

import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import org.elasticsearch.common.util.concurrent.EsRejectedExecutionException;

/** One of the two ways through the node: its threads, and the places of those who wait for them. */
final class Lane {
  private final String name;
  private final int capacity;
  private final int threads;
  private final Executor workers;
  private final Executor replies;
  private final AtomicInteger waiting = new AtomicInteger();
  private final LongAdder rejected = new LongAdder();

  /**
   * Creates an empty lane.
   *
   * @param capacity most texts that may wait
   * @param threads most batches of one model that are computed at once
   * @param workers where batches are computed
   * @param replies where answers are given, so that slow listeners do not hold up a worker
   */
  Lane(String name, int capacity, int threads, Executor workers, Executor replies) {
    this.name = name;
    this.capacity = capacity;
    this.threads = threads;
    this.workers = workers;
    this.replies = replies;
  }

  int threads() {
    return threads;
  }

  Executor workers() {
    return workers;
  }

  Executor replies() {
    return replies;
  }

  /** Takes places for that many texts, all or none; none are left: a 429. */
  void enter(int texts) {
    if (texts > capacity) {
      throw new IllegalArgumentException(
          "["
              + texts
              + "] texts at once can never be queued, as [lanewise.queue_capacity] is ["
              + capacity
              + "]; send fewer, or raise the setting");
    }
    int before = waiting.getAndUpdate(n -> n + texts <= capacity ? n + texts : n);
    if (before + texts > capacity) {
      rejected.add(texts);
      throw new EsRejectedExecutionException(
          "rejected ["
              + texts
              + "] texts: ["
              + before
              + "] are waiting in the ["
              + name
              + "] lane already and [lanewise.queue_capacity] is ["
              + capacity
              + "]; try again later");
    }
  }

  /** Gives places back. */
  void leave(int texts) {
    waiting.addAndGet(-texts);
  }

  LaneStats stats() {
    return new LaneStats(waiting.get(), rejected.sum());
  }
}
