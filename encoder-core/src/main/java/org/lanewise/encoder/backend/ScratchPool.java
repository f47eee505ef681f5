package org.lanewise.encoder.backend;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.ConcurrentLinkedDeque;

/**
 * Native scratch memory for the tasks of operations: borrowed, carved up, given back.
 *
 * <p>A pool holds at most as many pieces as tasks ever ran at once, each as large as the largest
 * task it served. Thread-safe.
 */
final class ScratchPool {
  private static final long ALIGNMENT = 64;

  private final ConcurrentLinkedDeque<Scratch> idle = new ConcurrentLinkedDeque<>();

  /** Returns scratch memory for one task; closing it gives it back. */
  Scratch borrow() {
    Scratch scratch = idle.pollFirst();
    return scratch == null ? new Scratch() : scratch;
  }

  /** The scratch memory of one task. */
  final class Scratch implements AutoCloseable {
    private MemorySegment memory = Arena.ofAuto().allocate(1 << 16, ALIGNMENT);
    private long used;

    /** Returns memory for {@code count} floats with anything in it. */
    MemorySegment floats(long count) {
      long bytes = Math.ceilDiv(Math.max(count, 1) * Float.BYTES, ALIGNMENT) * ALIGNMENT;
      if (used + bytes > memory.byteSize()) {
        // What was carved so far stays valid: automatic arenas live as long as their segments.
        memory = Arena.ofAuto().allocate(Math.max(2 * memory.byteSize(), used + bytes), ALIGNMENT);
        used = 0;
      }
      MemorySegment segment = memory.asSlice(used, bytes);
      used += bytes;
      return segment;
    }

    /** Returns memory for {@code count} floats, all zero. */
    MemorySegment zeros(long count) {
      return floats(count).fill((byte) 0);
    }

    @Override
    public void close() {
      used = 0;
      idle.addFirst(this);
    }
  }
}
