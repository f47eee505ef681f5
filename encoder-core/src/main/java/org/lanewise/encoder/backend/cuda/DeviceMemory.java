package org.lanewise.encoder.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import org.lanewise.encoder.backend.DeviceException;

/**
 * The memory of a device, given out as segments of arenas.
 *
 * <p>The driver waits for the whole device when memory is freed, so blocks that an arena gives back
 * are kept for the next that asks for their size, up to the limit. A block is given back when what
 * its lane has under way is done, because a kernel may still use it. Thread-safe.
 */
@SuppressWarnings("restricted") // Device addresses become segments here.
final class DeviceMemory {
  /** The alignment of the driver's own blocks. */
  private static final long SMALLEST = 256;

  private static final long FINE = 1 << 20;

  private final CudaDevice device;
  private final long limit;
  private final Idle idle;
  private final Set<Long> given = new HashSet<>();
  private long taken;

  /** Blocks that nobody uses, by size. It refers to no device, which may go while it stays. */
  static final class Idle {
    private final Map<Long, Deque<Long>> blocks = new HashMap<>();

    private synchronized OptionalLong pop(long size) {
      Deque<Long> same = blocks.get(size);
      return same == null || same.isEmpty() ? OptionalLong.empty() : OptionalLong.of(same.pop());
    }

    private synchronized void push(long size, long address) {
      blocks.computeIfAbsent(size, key -> new ArrayDeque<>()).push(address);
    }

    /** Gives all blocks back to the driver and returns how many bytes they were. */
    synchronized long free(CudaDriver driver) {
      long freed = 0;
      for (Map.Entry<Long, Deque<Long>> same : blocks.entrySet()) {
        for (long address : same.getValue()) {
          CudaDevice.quietly(() -> (int) driver.free().invokeExact(address));
          freed += same.getKey();
        }
      }
      blocks.clear();
      return freed;
    }
  }

  DeviceMemory(CudaDevice device, long limit, Idle idle) {
    this.device = device;
    this.limit = limit;
    this.idle = idle;
  }

  /**
   * Returns zeroed memory that lives as long as the arena.
   *
   * @param lane whose work the memory belongs to
   * @throws DeviceException if there is not so much
   */
  MemorySegment allocate(Lane lane, Arena arena, long bytes) {
    long size = blockSize(bytes);
    long address = take(size);
    // What is kept until then may not refer to the lane, whose own memory comes from here too.
    MemorySegment stream = lane.stream();
    MemorySegment block =
        MemorySegment.ofAddress(address)
            .reinterpret(size, arena, ignored -> giveBack(stream, address, size));
    device.check(
        "cuMemsetD8Async",
        () -> (int) device.driver().fill().invokeExact(address, (byte) 0, size, stream));
    return block;
  }

  /** Blocks come in few sizes, an eighth apart, so that they can be used again. */
  static long blockSize(long bytes) {
    if (bytes <= SMALLEST) {
      return SMALLEST;
    }
    long power = Long.highestOneBit(bytes - 1);
    long step = bytes <= FINE ? 2 * power : power / 8;
    return Math.ceilDiv(bytes, step) * step;
  }

  /** Returns whether a block begins at the address. */
  synchronized boolean owns(long address) {
    return given.contains(address);
  }

  /** Returns the bytes that were asked of the driver. */
  synchronized long taken() {
    return taken;
  }

  private synchronized long take(long size) {
    OptionalLong same = idle.pop(size);
    long address = same.isPresent() ? same.getAsLong() : fresh(size);
    given.add(address);
    return address;
  }

  private long fresh(long size) {
    if (taken + size > limit) {
      taken -= idle.free(device.driver());
    }
    if (taken + size > limit) {
      throw new DeviceException(
          DeviceException.Kind.OUT_OF_MEMORY,
          "device memory is limited to ["
              + limit
              + "] bytes: asked for "
              + size
              + " beside "
              + taken);
    }
    long address;
    try {
      address = ask(size);
    } catch (DeviceException e) {
      long freed = e.kind() == DeviceException.Kind.LOST ? 0 : idle.free(device.driver());
      if (freed == 0) {
        throw e;
      }
      taken -= freed;
      address = ask(size);
    }
    taken += size;
    return address;
  }

  private long ask(long size) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment answer = call.allocate(ValueLayout.JAVA_LONG);
      device.check(
          "cuMemAlloc_v2",
          "(asked for " + size + " bytes)",
          () -> (int) device.driver().allocate().invokeExact(answer, size));
      return answer.get(ValueLayout.JAVA_LONG, 0);
    }
  }

  private void giveBack(MemorySegment stream, long address, long size) {
    // On a lost device nothing is under way any more.
    CudaDevice.quietly(
        () -> {
          device.enter();
          return (int) device.driver().synchronize().invokeExact(stream);
        });
    synchronized (this) {
      given.remove(address);
    }
    idle.push(size, address);
  }
}
