package org.lanewise.encoder.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.OptionalLong;
import org.lanewise.encoder.backend.DeviceException;
import org.lanewise.encoder.backend.Matrix;

/**
 * What one thread has under way on a device: copies and launches that happen in their order, while
 * the thread goes on. Several lanes overlap.
 *
 * <p>What is copied in passes through page-locked memory of the lane, so that the copy can go on
 * alone; that memory is used from its beginning again after the lane was waited for. Belongs to one
 * thread; released when nothing refers to it.
 */
@SuppressWarnings("restricted") // Page-locked memory is the driver's.
final class Lane {
  private static final long STAGING_BYTES = 8L << 20;
  private static final int MOST_ARGUMENTS = 32;

  /** CU_STREAM_NON_BLOCKING: no waiting for the stream that everything uses by default. */
  private static final int NON_BLOCKING = 1;

  private final CudaDevice device;
  private final Arena arena = Arena.ofAuto();
  private final MemorySegment stream;
  private final MemorySegment staging;
  private final MemorySegment answers;
  private final MemorySegment values = arena.allocate(MOST_ARGUMENTS * 8L, 8);
  private final MemorySegment pointers = arena.allocate(ValueLayout.ADDRESS, MOST_ARGUMENTS);
  private long staged;
  private final Room scratch = new Room();
  private final Room batchIntegers = new Room();
  private final Room integers = new Room();
  private final Room workspace = new Room();
  private boolean workspaceRefused;
  private final BatchOnDevice batch = new BatchOnDevice(this);

  /** Creates a lane; the calling thread has entered the device. */
  Lane(CudaDevice device) {
    this.device = device;
    CudaDriver driver = device.driver();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment answer = call.allocate(ValueLayout.ADDRESS);
      device.check(
          "cuStreamCreate", () -> (int) driver.createStream().invokeExact(answer, NON_BLOCKING));
      // The cleanups may not refer to the lane, or it would never become unreachable.
      stream =
          answer
              .get(ValueLayout.ADDRESS, 0)
              .reinterpret(
                  arena,
                  each ->
                      CudaDevice.quietly(
                          () -> {
                            device.enter();
                            return (int) driver.destroyStream().invokeExact(each);
                          }));
    }
    staging = pageLocked(device, arena);
    answers = pageLocked(device, arena);
    for (int i = 0; i < MOST_ARGUMENTS; i++) {
      pointers.setAtIndex(ValueLayout.ADDRESS, i, values.asSlice(i * 8L));
    }
  }

  private static MemorySegment pageLocked(CudaDevice device, Arena arena) {
    CudaDriver driver = device.driver();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment answer = call.allocate(ValueLayout.ADDRESS);
      device.check(
          "cuMemHostAlloc",
          "(asked for " + STAGING_BYTES + " bytes)",
          () -> (int) driver.allocateHost().invokeExact(answer, STAGING_BYTES, 0));
      return answer
          .get(ValueLayout.ADDRESS, 0)
          .reinterpret(
              STAGING_BYTES,
              arena,
              each ->
                  CudaDevice.quietly(
                      () -> {
                        device.enter();
                        return (int) driver.freeHost().invokeExact(each);
                      }));
    }
  }

  MemorySegment stream() {
    return stream;
  }

  CudaDevice device() {
    return device;
  }

  /** Returns what the kernels read of a batch: see {@link BatchOnDevice}. */
  BatchOnDevice batch() {
    return batch;
  }

  /** Waits until everything is done. */
  void synchronize() {
    device.check(
        "cuStreamSynchronize", () -> (int) device.driver().synchronize().invokeExact(stream));
    staged = 0;
  }

  /** Memory that grows with what is asked of it; its numbers are forgotten. */
  private final class Room {
    private MemorySegment memory = MemorySegment.NULL;

    long address(long bytes) {
      if (memory.byteSize() < bytes) {
        memory = MemorySegment.NULL;
        memory = device.memory().allocate(Lane.this, Arena.ofAuto(), bytes);
      }
      return memory.address();
    }

    long filled(int[] numbers) {
      long address = address((long) numbers.length * Integer.BYTES);
      copyIn(address, MemorySegment.ofArray(numbers));
      return address;
    }
  }

  /** Returns the address of that much memory for what two kernels hand over. */
  long scratch(long bytes) {
    return scratch.address(bytes);
  }

  /**
   * Returns the address of that much memory for what a library computes; empty once there was no
   * room for it.
   */
  OptionalLong workspace(long bytes) {
    if (workspaceRefused) {
      return OptionalLong.empty();
    }
    try {
      return OptionalLong.of(workspace.address(bytes));
    } catch (DeviceException e) {
      if (e.kind() == DeviceException.Kind.LOST) {
        throw e;
      }
      workspaceRefused = true;
      return OptionalLong.empty();
    }
  }

  /** Returns the address of integers on the device; the next call writes over them. */
  long integers(int[] numbers) {
    return integers.filled(numbers);
  }

  /** Like {@link #integers}, in memory of its own. */
  long batchIntegers(int[] numbers) {
    return batchIntegers.filled(numbers);
  }

  /** Copies to the device. */
  void copyIn(long address, MemorySegment source) {
    long bytes = source.byteSize();
    for (long done = 0; done < bytes; ) {
      if (staged == STAGING_BYTES) {
        synchronize();
      }
      long count = Math.min(bytes - done, STAGING_BYTES - staged);
      MemorySegment part = staging.asSlice(staged, count).copyFrom(source.asSlice(done, count));
      long target = address + done;
      device.check(
          "cuMemcpyHtoDAsync_v2",
          () -> (int) device.driver().copyIn().invokeExact(target, part, count, stream));
      // Slices stay aligned for whatever comes next.
      staged = Math.min(STAGING_BYTES, Math.ceilDiv(staged + count, 64) * 64);
      done += count;
    }
  }

  /** Returns the most bytes that {@link #copyOut} takes. */
  static long mostOut() {
    return STAGING_BYTES;
  }

  /** Returns a copy, valid until the lane is used again, after everything is done. */
  MemorySegment copyOut(long address, long bytes) {
    MemorySegment target = answers.asSlice(0, bytes);
    device.check(
        "cuMemcpyDtoHAsync_v2",
        () -> (int) device.driver().copyOut().invokeExact(target, address, bytes, stream));
    synchronize();
    return target;
  }

  /** Returns a launch whose arguments are added in the kernel's order. */
  Launch kernel(String file, String name) {
    return new Launch(file, name);
  }

  /** A kernel and its arguments. */
  final class Launch {
    private final String file;
    private final String name;
    private int count;

    private Launch(String file, String name) {
      this.file = file;
      this.name = name;
    }

    Launch integer(int value) {
      values.set(ValueLayout.JAVA_INT, 8L * count++, value);
      return this;
    }

    Launch real(float value) {
      values.set(ValueLayout.JAVA_FLOAT, 8L * count++, value);
      return this;
    }

    /** Adds an address; 0 for none. */
    Launch pointer(long address) {
      values.set(ValueLayout.JAVA_LONG, 8L * count++, address);
      return this;
    }

    Launch pointer(MemorySegment segment) {
      return pointer(segment.address());
    }

    /** Adds an address and a stride. */
    Launch matrix(Matrix matrix) {
      return pointer(matrix.data()).integer(matrix.stride());
    }

    /** Launches a block of {@code threads} for each of the grid; none for an empty grid. */
    void run(long gridX, int gridY, int threads, int sharedBytes) {
      if (gridX == 0 || gridY == 0) {
        return;
      }
      if (sharedBytes > device.sharedMemory()) {
        throw new IllegalArgumentException(
            "kernel ["
                + name
                + "] needs ["
                + sharedBytes
                + "] bytes of shared memory for these sizes, the device has ["
                + device.sharedMemory()
                + "]: use backend [vector] or [scalar]");
      }
      int blocks = Math.toIntExact(gridX);
      MemorySegment function = device.kernel(file, name).function();
      device.check(
          "cuLaunchKernel",
          name,
          () ->
              (int)
                  device
                      .driver()
                      .launch()
                      .invokeExact(
                          function,
                          blocks,
                          gridY,
                          1,
                          threads,
                          1,
                          1,
                          sharedBytes,
                          stream,
                          pointers,
                          MemorySegment.NULL));
    }
  }
}
