package org.lanewise.encoder;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/** The native memory of one open model, each piece of it within a budget. Thread-safe. */
final class ModelMemory implements AutoCloseable {
  private final MemoryBudget budget;
  private final List<Arena> arenas = new ArrayList<>();
  private boolean closed;

  ModelMemory(MemoryBudget budget) {
    this.budget = budget;
  }

  /**
   * Returns what is made in memory that lives until {@link #close()}; of what fails on the way
   * nothing is left.
   */
  <T> T allocate(Function<Arena, T> make) {
    Arena arena = new Counted(budget);
    boolean kept = false;
    try {
      T made = make.apply(arena);
      kept = keep(arena);
      if (!kept) {
        throw new IllegalStateException("the model is closed");
      }
      return made;
    } finally {
      if (!kept) {
        arena.close();
      }
    }
  }

  private synchronized boolean keep(Arena arena) {
    if (!closed) {
      arenas.add(arena);
    }
    return !closed;
  }

  /** Frees everything. */
  @Override
  public synchronized void close() {
    closed = true;
    arenas.forEach(Arena::close);
    arenas.clear();
  }

  /** Memory for all threads that asks the budget first. */
  private static final class Counted implements Arena {
    private final MemoryBudget budget;
    private final Arena memory = Arena.ofShared();
    private long reserved;

    Counted(MemoryBudget budget) {
      this.budget = budget;
    }

    @Override
    public synchronized MemorySegment allocate(long bytes, long alignment) {
      budget.reserve(bytes);
      reserved += bytes;
      return memory.allocate(bytes, alignment);
    }

    @Override
    public MemorySegment.Scope scope() {
      return memory.scope();
    }

    @Override
    public synchronized void close() {
      memory.close();
      budget.release(reserved);
      reserved = 0;
    }
  }
}
