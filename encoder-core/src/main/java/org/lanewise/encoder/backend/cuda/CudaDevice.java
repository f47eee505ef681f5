package org.lanewise.encoder.backend.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.lanewise.encoder.backend.DeviceException;
import org.lanewise.encoder.backend.NoDeviceException;

/**
 * One device: its context, its kernels and its memory. Everything is given back when no backend
 * uses it any more.
 *
 * <p>Thread-safe. Kernels are compiled by the driver when the first of their file is launched; the
 * driver keeps what it compiled in a cache of its own.
 */
@SuppressWarnings("restricted") // Device addresses become segments here.
final class CudaDevice {
  /** The first architecture with bf16 tensor cores and cp.async: Ampere. */
  private static final int OLDEST_MAJOR = 8;

  private static final int MULTIPROCESSORS = 16;
  private static final int MAJOR = 75;
  private static final int MINOR = 76;
  private static final int SHARED_MEMORY = 97;

  private static final int SUCCESS = 0;
  private static final int OUT_OF_MEMORY = 2;

  private static final int MAX_DYNAMIC_SHARED = 8;

  /** CU_JIT_ERROR_LOG_BUFFER and CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES. */
  private static final int ERROR_LOG = 5;

  private static final int ERROR_LOG_BYTES = 6;
  private static final int LOG_BYTES = 8192;

  private final CudaDriver driver;
  private final String name;
  private final MemorySegment context;
  private final int major;
  private final int minor;
  private final int multiprocessors;
  private final int sharedMemory;
  private final Map<String, MemorySegment> modules = new ConcurrentHashMap<>();
  private final Map<String, Kernel> kernels = new ConcurrentHashMap<>();
  private final DeviceMemory memory;

  /**
   * A kernel that can be launched.
   *
   * @param function the driver's handle
   */
  record Kernel(String name, MemorySegment function) {}

  /** A call of the driver that answers with its status. */
  @FunctionalInterface
  interface Call {
    int status() throws Throwable;
  }

  private CudaDevice(CudaDriver driver, int ordinal, long memoryLimit) {
    this.driver = driver;
    DeviceMemory.Idle idle = new DeviceMemory.Idle();
    Map<String, MemorySegment> loaded = modules;
    try (Arena call = Arena.ofConfined()) {
      MemorySegment answer = call.allocate(ValueLayout.JAVA_LONG);
      check("cuDeviceGet", () -> (int) driver.device().invokeExact(answer, ordinal));
      int device = answer.get(ValueLayout.JAVA_INT, 0);
      MemorySegment text = call.allocate(256);
      check("cuDeviceGetName", () -> (int) driver.deviceName().invokeExact(text, 256, device));
      name = text.getString(0);
      major = attribute(MAJOR, device, answer);
      minor = attribute(MINOR, device, answer);
      if (major < OLDEST_MAJOR) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "device [%d], %s, has compute capability [%d.%d], expected at least %d.0",
                ordinal,
                name,
                major,
                minor,
                OLDEST_MAJOR));
      }
      multiprocessors = attribute(MULTIPROCESSORS, device, answer);
      sharedMemory = attribute(SHARED_MEMORY, device, answer);
      check(
          "cuDevicePrimaryCtxRetain",
          () -> (int) driver.retainContext().invokeExact(answer, device));
      context =
          MemorySegment.ofAddress(answer.get(ValueLayout.JAVA_LONG, 0))
              .reinterpret(Arena.ofAuto(), each -> release(driver, device, each, idle, loaded));
    }
    memory = new DeviceMemory(this, memoryLimit, idle);
  }

  /** Gives everything back; others in this process may go on using the context. */
  private static void release(
      CudaDriver driver,
      int device,
      MemorySegment context,
      DeviceMemory.Idle idle,
      Map<String, MemorySegment> modules) {
    quietly(() -> (int) driver.setContext().invokeExact(context));
    idle.free(driver);
    for (MemorySegment module : modules.values()) {
      quietly(() -> (int) driver.unloadModule().invokeExact(module));
    }
    quietly(() -> (int) driver.releaseContext().invokeExact(device));
  }

  /** Runs a call whose failure changes nothing: what it would release is gone already. */
  @SuppressWarnings("EmptyCatch") // Thrown on a cleaner's thread, where nobody could be told.
  static void quietly(Call call) {
    try {
      call.status();
    } catch (Throwable e) {
      return;
    }
  }

  /**
   * Returns a device.
   *
   * @param memoryLimit most bytes that are taken of its memory
   * @throws IllegalArgumentException if it cannot be used, with the reason
   */
  static CudaDevice open(CudaDriver driver, int ordinal, long memoryLimit) {
    try (Arena call = Arena.ofConfined()) {
      int status = (int) driver.initialize().invokeExact(0);
      if (status != SUCCESS) {
        throw new NoDeviceException("cuInit failed: " + errorName(driver, status));
      }
      MemorySegment count = call.allocate(ValueLayout.JAVA_INT);
      status = (int) driver.deviceCount().invokeExact(count);
      if (status != SUCCESS) {
        throw new NoDeviceException("cuDeviceGetCount failed: " + errorName(driver, status));
      }
      int devices = count.get(ValueLayout.JAVA_INT, 0);
      if (devices == 0) {
        throw new NoDeviceException("there is no device");
      }
      if (ordinal < 0 || ordinal >= devices) {
        throw new IllegalArgumentException(
            "there is no device [" + ordinal + "]; devices: " + devices);
      }
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
    try {
      return new CudaDevice(driver, ordinal, memoryLimit);
    } catch (DeviceException e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }

  private int attribute(int attribute, int device, MemorySegment answer) {
    check(
        "cuDeviceGetAttribute",
        () -> (int) driver.deviceAttribute().invokeExact(answer, attribute, device));
    return answer.get(ValueLayout.JAVA_INT, 0);
  }

  private static String errorName(CudaDriver driver, int status) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment answer = call.allocate(ValueLayout.ADDRESS);
      if ((int) driver.errorName().invokeExact(status, answer) == SUCCESS) {
        return answer.get(ValueLayout.ADDRESS, 0).reinterpret(Long.MAX_VALUE).getString(0);
      }
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
    return "error " + status;
  }

  /** Runs a call of the driver and throws what its status means. */
  void check(String function, Call call) {
    check(function, "", call);
  }

  /**
   * Runs a call of the driver.
   *
   * @param asked what the message adds, empty for nothing
   * @throws DeviceException with the function's name and the status
   */
  void check(String function, String asked, Call call) {
    int status;
    try {
      status = call.status();
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(function + " could not be called", e);
    }
    if (status != SUCCESS) {
      throw new DeviceException(
          status == OUT_OF_MEMORY ? DeviceException.Kind.OUT_OF_MEMORY : DeviceException.Kind.LOST,
          function
              + " failed: "
              + errorName(driver, status)
              + (asked.isEmpty() ? "" : " " + asked));
    }
  }

  CudaDriver driver() {
    return driver;
  }

  /** Returns what the vendor calls it. */
  String name() {
    return name;
  }

  /** Returns the compute capability: sm_90 and the like. */
  String architecture() {
    return "sm_" + major + minor;
  }

  /** Returns the compute capability as a number, 90 and the like. */
  int computeCapability() {
    return 10 * major + minor;
  }

  /** Returns whether it runs what was compiled for warpgroups: Hopper alone does. */
  boolean hasWarpgroups() {
    return computeCapability() == 90;
  }

  /** Returns what is released with the device, and not before. */
  MemorySegment context() {
    return context;
  }

  int multiprocessors() {
    return multiprocessors;
  }

  /** Returns the most shared memory that a block may ask for. */
  int sharedMemory() {
    return sharedMemory;
  }

  DeviceMemory memory() {
    return memory;
  }

  /** Makes the calling thread's driver calls go to this device. */
  void enter() {
    check("cuCtxSetCurrent", () -> (int) driver.setContext().invokeExact(context));
  }

  /**
   * Returns a kernel; the calling thread has entered the device.
   *
   * @param file what its file is called, without the ending
   */
  Kernel kernel(String file, String kernel) {
    Kernel known = kernels.get(kernel);
    return known != null ? known : kernels.computeIfAbsent(kernel, each -> find(file, each));
  }

  private Kernel find(String file, String kernel) {
    MemorySegment module = modules.computeIfAbsent(file, this::compile);
    try (Arena call = Arena.ofConfined()) {
      MemorySegment answer = call.allocate(ValueLayout.ADDRESS);
      MemorySegment text = call.allocateFrom(kernel);
      check(
          "cuModuleGetFunction",
          "asked for [" + kernel + "]",
          () -> (int) driver.function().invokeExact(answer, module, text));
      MemorySegment function = answer.get(ValueLayout.ADDRESS, 0);
      // No kernel has shared memory beside what its launch asks for, so each may ask for all.
      check(
          "cuFuncSetAttribute",
          "asked for " + sharedMemory + " bytes of shared memory",
          () ->
              (int)
                  driver
                      .setFunctionAttribute()
                      .invokeExact(function, MAX_DYNAMIC_SHARED, sharedMemory));
      return new Kernel(kernel, function);
    }
  }

  /** Compiles the kernels of a file where that has not happened yet. */
  void load(String file) {
    modules.computeIfAbsent(file, this::compile);
  }

  private MemorySegment compile(String file) {
    byte[] ptx = resource(file + ".ptx");
    try (Arena call = Arena.ofConfined()) {
      MemorySegment answer = call.allocate(ValueLayout.ADDRESS);
      MemorySegment image = call.allocate(ptx.length + 1L);
      MemorySegment.copy(ptx, 0, image, ValueLayout.JAVA_BYTE, 0, ptx.length);
      MemorySegment log = call.allocate(LOG_BYTES);
      MemorySegment options = call.allocateFrom(ValueLayout.JAVA_INT, ERROR_LOG, ERROR_LOG_BYTES);
      MemorySegment values = call.allocate(ValueLayout.ADDRESS, 2);
      values.setAtIndex(ValueLayout.ADDRESS, 0, log);
      values.setAtIndex(ValueLayout.ADDRESS, 1, MemorySegment.ofAddress(LOG_BYTES));
      try {
        check(
            "cuModuleLoadDataEx",
            () -> (int) driver.loadModule().invokeExact(answer, image, 2, options, values));
      } catch (DeviceException e) {
        String why = log.getString(0, StandardCharsets.US_ASCII).strip();
        throw new DeviceException(
            e.kind(), e.getMessage() + " for [" + file + "] on " + architecture() + ": " + why);
      }
      return answer.get(ValueLayout.ADDRESS, 0);
    }
  }

  private static byte[] resource(String name) {
    try (InputStream in = CudaDevice.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException("the resource [" + name + "] is missing");
      }
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
