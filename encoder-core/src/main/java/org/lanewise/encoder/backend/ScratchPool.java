package org.lanewise.encoder.backend;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedDeque;

/**
 * Native scratch memory for the tasks of operations and for calls: borrowed, used, given back.
 *
 * <p>It belongs to no thread, unlike an arena for one call: see {@link NativeMemory}. A pool holds
 * at most as many pieces as tasks ever ran at once, each as large as the largest task it served.
 * Thread-safe.
 */
final class ScratchPool {
  private static final long ALIGNMENT = 64;

  private final ConcurrentLinkedDeque<Scratch> idle = new ConcurrentLinkedDeque<>();

  /** Returns scratch memory for one task; closing it gives it back. */
  Scratch borrow() {
    Scratch scratch = idle.pollFirst();
    return scratch == null ? new Scratch() : scratch;
  }

  /**
   * The scratch memory of one task: the n-th piece that a task asks for is the memory that the n-th
   * piece of earlier tasks was, so that nothing is allocated once all have been seen.
   */
  final class Scratch implements Arena {
    private final List<MemorySegment> pieces = new ArrayList<>();
    private int used;

    /** Returns memory for at least {@code count} floats with anything in it. */
    MemorySegment floats(long count) {
      long bytes = Math.ceilDiv(Math.max(count, 1) * Float.BYTES, ALIGNMENT) * ALIGNMENT;
      if (used == pieces.size()) {
        pieces.add(Arena.ofAuto().allocate(bytes, ALIGNMENT));
      } else if (pieces.get(used).byteSize() < bytes) {
        long doubled = 2 * pieces.get(used).byteSize();
        pieces.set(used, Arena.ofAuto().allocate(Math.max(doubled, bytes), ALIGNMENT));
      }
      return pieces.get(used++);
    }

    /** Returns memory for {@code count} floats, all zero. */
    MemorySegment zeros(long count) {
      MemorySegment memory = floats(count);
      memory.asSlice(0, count * Float.BYTES).fill((byte) 0);
      return memory;
    }

    /** Returns zeroed memory. */
    @Override
    public MemorySegment allocate(long bytes, long alignment) {
      assert alignment <= ALIGNMENT;
      return floats(Math.ceilDiv(bytes, Float.BYTES)).asSlice(0, bytes).fill((byte) 0);
    }

    /** Returns the scope of memory that nobody closes: what was borrowed stays readable. */
    @Override
    public MemorySegment.Scope scope() {
      return Arena.global().scope();
    }

    /** Returns how many pieces the task has asked for. */
    int mark() {
      return used;
    }

    /** Gives back the pieces that were asked for after {@link #mark} answered {@code mark}. */
    void reuse(int mark) {
      used = mark;
    }

    @Override
    public void close() {
      reuse(0);
      idle.addFirst(this);
    }
  }
}
