package org.lanewise.encoder.backend.cuda;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.lanewise.encoder.backend.Precision;

/**
 * A driver whose device is this process: memory is ordinary memory, and kernels are the CUDA files
 * themselves, compiled for the host (src/test/cuda/host.h says how).
 *
 * <p>What is launched or copied happens when its stream is waited for, as late as a device may do
 * it, so that memory which is used again too early shows. The functions have the names that C gives
 * them; those of them that a backend calls are found by {@link Declarations#of}.
 */
@SuppressWarnings({"restricted", "unused"}) // A driver's functions, called by their names.
public final class HostDevice {
  private static final int SUCCESS = 0;
  private static final int INVALID_VALUE = 1;
  private static final int OUT_OF_MEMORY = 2;
  private static final int NO_DEVICE = 100;
  private static final int NOT_FOUND = 500;
  private static final int LAUNCH_FAILED = 719;

  private static final int MOST_ARGUMENTS = 32;

  private final MethodHandle kernels;
  private final Map<Long, Block> blocks = new HashMap<>();
  private final Map<Long, Arena> pageLocked = new HashMap<>();
  private final Map<Long, Deque<Runnable>> streams = new HashMap<>();
  private final Map<Long, String> functions = new HashMap<>();
  private final Arena arena = Arena.ofAuto();
  private final List<String> launches = new ArrayList<>();
  private long handles = 1;
  private long limit = Long.MAX_VALUE;
  private long taken;
  private boolean lost;
  private String skipped;
  private UnaryOperator<Float> altered;

  private record Block(Arena arena, long bytes) {}

  private HostDevice(MethodHandle kernels) {
    this.kernels = kernels;
  }

  /** What was compiled, or why nothing could be. */
  private static final class Library {
    static final Object COMPILED = compile();

    private static Object compile() {
      Object library = HostDevice.compile("host.cpp", "cuda-host.so");
      if (!(library instanceof Path path)) {
        return library;
      }
      MemorySegment launch =
          SymbolLookup.libraryLookup(path, Arena.global()).find("lanewise_launch").orElseThrow();
      return Linker.nativeLinker()
          .downcallHandle(
              launch,
              FunctionDescriptor.of(
                  ValueLayout.JAVA_INT,
                  ValueLayout.ADDRESS,
                  ValueLayout.JAVA_INT,
                  ValueLayout.JAVA_INT,
                  ValueLayout.JAVA_INT,
                  ValueLayout.JAVA_INT,
                  ValueLayout.ADDRESS));
    }
  }

  /** Returns the path of the library that g++ made of a source, or in words why it did not. */
  static Object compile(String source, String library) {
    String architecture = System.getProperty("os.arch");
    if (!System.getProperty("os.name").equals("Linux") || !architecture.equals("amd64")) {
      return "the fibers of host.cpp switch stacks on Linux on x86-64 only";
    }
    try {
      Path path = Path.of("target", library).toAbsolutePath();
      Files.createDirectories(path.getParent());
      Optional<String> problem = run("src/test/cuda/library.sh", source, path.toString());
      if (problem.isPresent()) {
        return problem.get();
      }
      return path;
    } catch (IOException e) {
      return "library.sh could not be run: " + e.getMessage();
    }
  }

  /** Runs a command and returns what it said, where it failed. */
  static Optional<String> run(String... command) throws IOException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    try {
      int status = process.waitFor();
      return status == 0
          ? Optional.empty()
          : Optional.of(String.join(" ", command) + ": " + status + "\n" + output);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  /** Returns why there can be no such device; empty where there can. */
  public static Optional<String> problem() {
    return Library.COMPILED instanceof String reason ? Optional.of(reason) : Optional.empty();
  }

  /** Returns a new device, where there is no {@link #problem}. */
  public static HostDevice create() {
    return new HostDevice((MethodHandle) Library.COMPILED);
  }

  /** Returns a backend on it. */
  public CudaBackend backend(Precision precision) {
    return CudaBackend.open(driver(), 0, precision, Long.MAX_VALUE, Optional.empty());
  }

  /** Returns a backend on it that multiplies by cuBLASLt whatever it can. */
  public CudaBackend blasBackend() {
    return CudaBackend.open(
        driver(), 0, Precision.BF16, Long.MAX_VALUE, Optional.of(always(this::blas)));
  }

  /** Returns choices of the library for all products. */
  static ProductChoices always(Supplier<CudaBlas> library) {
    ProductChoices.Figure figure =
        new ProductChoices.Figure(1, Map.of(ProductChoices.Way.LIBRARY, 1.0));
    return new ProductChoices(library, (shape, stopwatch) -> List.of(figure));
  }

  /** Returns the functions of its driver. */
  CudaDriver driver() {
    MethodHandles.Lookup lookup = MethodHandles.lookup();
    return Declarations.of(
        CudaDriver.class,
        signature -> {
          try {
            return lookup.bind(
                this,
                Declarations.functionName(signature),
                Declarations.descriptor(signature).toMethodType());
          } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
          }
        });
  }

  /**
   * Returns cuBLASLt on it (src/test/cuda/blas.cpp), whose products happen as late as kernels do
   * and touch no memory but the device's.
   */
  CudaBlas blas() {
    SymbolLookup library = blasLibrary();
    MethodHandles.Lookup lookup = MethodHandles.lookup();
    Linker linker = Linker.nativeLinker();
    return Declarations.of(
        CudaBlas.class,
        signature -> {
          String name = Declarations.functionName(signature);
          FunctionDescriptor descriptor = Declarations.descriptor(signature);
          if (!name.equals("cublasLtMatmul")) {
            return linker.downcallHandle(library.find(name).orElseThrow(), descriptor);
          }
          try {
            return lookup.bind(this, name, descriptor.toMethodType());
          } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
          }
        });
  }

  /** Returns what g++ made of blas.cpp. */
  static SymbolLookup blasLibrary() {
    return SymbolLookup.libraryLookup((Path) BlasLibrary.COMPILED, Arena.global());
  }

  private static final class BlasLibrary {
    static final Object COMPILED = compile("blas.cpp", "cublas-host.so");
  }

  /** Lets so many products by cuBLASLt fail, of all devices; -1 for all from now on. */
  static void failProducts(int count) {
    call("lanewise_fail", FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT), count);
  }

  private static Object call(String function, FunctionDescriptor type, Object... arguments) {
    try {
      return Linker.nativeLinker()
          .downcallHandle(blasLibrary().find(function).orElseThrow(), type)
          .invokeWithArguments(arguments);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private synchronized int cublasLtMatmul(
      MemorySegment handle,
      MemorySegment operation,
      MemorySegment alpha,
      MemorySegment a,
      MemorySegment aLayout,
      MemorySegment b,
      MemorySegment bLayout,
      MemorySegment beta,
      MemorySegment c,
      MemorySegment cLayout,
      MemorySegment d,
      MemorySegment dLayout,
      MemorySegment algorithm,
      MemorySegment workspace,
      long workspaceBytes,
      MemorySegment stream) {
    ValueLayout pointer = ValueLayout.ADDRESS;
    try (Arena own = Arena.ofConfined()) {
      MemorySegment answer = own.allocate(ValueLayout.ADDRESS);
      List<Object> arguments =
          new ArrayList<>(
              List.of(handle, operation, alpha, a, aLayout, b, bLayout, beta, c, cLayout));
      arguments.addAll(List.of(d, dLayout, algorithm, workspace, workspaceBytes, answer));
      MemoryLayout[] types =
          arguments.stream()
              .map(each -> each instanceof Long ? ValueLayout.JAVA_LONG : pointer)
              .toArray(MemoryLayout[]::new);
      int status =
          (int)
              call(
                  "lanewise_begin",
                  FunctionDescriptor.of(ValueLayout.JAVA_INT, types),
                  arguments.toArray());
      if (status != SUCCESS) {
        return status;
      }
      launches.add("cublasLtMatmul");
      MemorySegment product = answer.get(ValueLayout.ADDRESS, 0);
      if (skipped != null && "cublasLtMatmul".startsWith(skipped)) {
        return SUCCESS;
      }
      return later(stream, () -> finish(product));
    }
  }

  private void finish(MemorySegment product) {
    try (Arena own = Arena.ofConfined()) {
      MemorySegment bytes = own.allocate(ValueLayout.JAVA_LONG);
      for (int operand = 0; operand < 5; operand++) {
        FunctionDescriptor type =
            FunctionDescriptor.of(
                ValueLayout.JAVA_LONG,
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_INT,
                ValueLayout.ADDRESS);
        long address = (long) call("lanewise_operand", type, product, operand, bytes);
        device(address, bytes.get(ValueLayout.JAVA_LONG, 0));
      }
    }
    call("lanewise_finish", FunctionDescriptor.ofVoid(ValueLayout.ADDRESS), product);
  }

  /** Refuses memory beyond so many bytes. */
  public synchronized void limitMemory(long bytes) {
    limit = bytes;
  }

  /** Fails at whatever is waited for from now on, as a device that fell off the bus. */
  public synchronized void lose() {
    lost = true;
  }

  /** Runs no more kernels whose name begins like this, as a broken one that writes nothing. */
  public synchronized void skip(String kernel) {
    skipped = kernel;
  }

  /** Changes the first number of whatever is copied from the device. */
  public synchronized void alter(UnaryOperator<Float> change) {
    altered = change;
  }

  /** Returns the bytes that are allocated. */
  public synchronized long taken() {
    return taken;
  }

  /** Returns the kernels that were launched, in order, and forgets them. */
  public synchronized List<String> launches() {
    List<String> all = List.copyOf(launches);
    launches.clear();
    return all;
  }

  private int cuInit(int flags) {
    return SUCCESS;
  }

  private int cuGetErrorName(int error, MemorySegment answer) {
    String name =
        switch (error) {
          case OUT_OF_MEMORY -> "CUDA_ERROR_OUT_OF_MEMORY";
          case LAUNCH_FAILED -> "CUDA_ERROR_LAUNCH_FAILED";
          case NOT_FOUND -> "CUDA_ERROR_NOT_FOUND";
          default -> "CUDA_ERROR_" + error;
        };
    address(answer).set(ValueLayout.ADDRESS, 0, arena.allocateFrom(name));
    return SUCCESS;
  }

  private static MemorySegment address(MemorySegment answer) {
    return answer.reinterpret(ValueLayout.ADDRESS.byteSize());
  }

  private static void integer(MemorySegment answer, int value) {
    answer.reinterpret(Integer.BYTES).set(ValueLayout.JAVA_INT, 0, value);
  }

  private int cuDeviceGetCount(MemorySegment answer) {
    integer(answer, 1);
    return SUCCESS;
  }

  private int cuDeviceGet(MemorySegment answer, int ordinal) {
    integer(answer, ordinal);
    return ordinal == 0 ? SUCCESS : NO_DEVICE;
  }

  private int cuDeviceGetName(MemorySegment answer, int length, int device) {
    answer.reinterpret(length).setString(0, "host");
    return SUCCESS;
  }

  private int cuDeviceGetAttribute(MemorySegment answer, int attribute, int device) {
    switch (attribute) {
      case 16 -> integer(answer, 132);
      case 75 -> integer(answer, 9);
      case 76 -> integer(answer, 0);
      case 97 -> integer(answer, 227 << 10);
      default -> {
        return INVALID_VALUE;
      }
    }
    return SUCCESS;
  }

  private synchronized int cuDevicePrimaryCtxRetain(MemorySegment answer, int device) {
    return handle(answer);
  }

  private int handle(MemorySegment answer) {
    address(answer).set(ValueLayout.ADDRESS, 0, MemorySegment.ofAddress(handles++));
    return SUCCESS;
  }

  private int cuDevicePrimaryCtxRelease_v2(int device) {
    return SUCCESS;
  }

  private int cuCtxSetCurrent(MemorySegment context) {
    return SUCCESS;
  }

  private synchronized int cuModuleLoadDataEx(
      MemorySegment answer,
      MemorySegment image,
      int count,
      MemorySegment options,
      MemorySegment values) {
    return handle(answer);
  }

  private int cuModuleUnload(MemorySegment module) {
    return SUCCESS;
  }

  private synchronized int cuModuleGetFunction(
      MemorySegment answer, MemorySegment module, MemorySegment name) {
    functions.put(handles, name.reinterpret(256).getString(0));
    return handle(answer);
  }

  private int cuFuncSetAttribute(MemorySegment function, int attribute, int value) {
    return SUCCESS;
  }

  private synchronized int cuLaunchKernel(
      MemorySegment function,
      int gridX,
      int gridY,
      int gridZ,
      int threads,
      int threadsY,
      int threadsZ,
      int sharedBytes,
      MemorySegment stream,
      MemorySegment pointers,
      MemorySegment extra) {
    String name = functions.get(function.address());
    launches.add(name);
    Arena own = Arena.ofAuto();
    MemorySegment values = own.allocate(8L * MOST_ARGUMENTS, 8);
    MemorySegment arguments = own.allocate(ValueLayout.ADDRESS, MOST_ARGUMENTS);
    MemorySegment given = pointers.reinterpret(8L * MOST_ARGUMENTS);
    for (int i = 0; i < MOST_ARGUMENTS; i++) {
      MemorySegment value = given.getAtIndex(ValueLayout.ADDRESS, i).reinterpret(8);
      values.asSlice(8L * i, 8).copyFrom(value);
      arguments.setAtIndex(ValueLayout.ADDRESS, i, values.asSlice(8L * i, 8));
    }
    if (gridZ != 1 || threadsY != 1 || threadsZ != 1) {
      return INVALID_VALUE;
    }
    if (skipped != null && name.startsWith(skipped)) {
      return SUCCESS;
    }
    return later(
        stream,
        () -> {
          try {
            MemorySegment text = own.allocateFrom(name);
            int status =
                (int) kernels.invokeExact(text, gridX, gridY, threads, sharedBytes, arguments);
            if (status != 0) {
              throw new IllegalStateException("host.cpp lists no kernel [" + name + "]");
            }
          } catch (RuntimeException | Error e) {
            throw e;
          } catch (Throwable e) {
            throw new IllegalStateException(e);
          }
        });
  }

  private int later(MemorySegment stream, Runnable work) {
    streams.get(stream.address()).add(work);
    return lost ? LAUNCH_FAILED : SUCCESS;
  }

  private synchronized int cuMemAlloc_v2(MemorySegment answer, long bytes) {
    if (bytes == 0) {
      return INVALID_VALUE;
    }
    if (taken + bytes > limit) {
      return OUT_OF_MEMORY;
    }
    Arena own = Arena.ofShared();
    MemorySegment memory = own.allocate(bytes, 256).fill((byte) 0xFF);
    taken += bytes;
    blocks.put(memory.address(), new Block(own, bytes));
    answer.reinterpret(8).set(ValueLayout.JAVA_LONG, 0, memory.address());
    return SUCCESS;
  }

  /** As the driver does it: after everything that is under way. */
  private synchronized int cuMemFree_v2(long address) {
    streams.keySet().forEach(this::finish);
    Block block = blocks.remove(address);
    if (block == null) {
      return INVALID_VALUE;
    }
    taken -= block.bytes();
    block.arena().close();
    return SUCCESS;
  }

  private synchronized int cuMemHostAlloc(MemorySegment answer, long bytes, int flags) {
    Arena own = Arena.ofShared();
    MemorySegment memory = own.allocate(bytes, 4096);
    pageLocked.put(memory.address(), own);
    address(answer).set(ValueLayout.ADDRESS, 0, memory);
    return SUCCESS;
  }

  private synchronized int cuMemFreeHost(MemorySegment pointer) {
    streams.keySet().forEach(this::finish);
    Arena own = pageLocked.remove(pointer.address());
    if (own == null) {
      return INVALID_VALUE;
    }
    own.close();
    return SUCCESS;
  }

  private synchronized int cuMemcpyHtoDAsync_v2(
      long target, MemorySegment source, long bytes, MemorySegment stream) {
    MemorySegment from = source.reinterpret(bytes);
    return later(stream, () -> device(target, bytes).copyFrom(from));
  }

  private synchronized int cuMemcpyDtoHAsync_v2(
      MemorySegment target, long source, long bytes, MemorySegment stream) {
    MemorySegment to = target.reinterpret(bytes);
    return later(
        stream,
        () -> {
          to.copyFrom(device(source, bytes));
          if (altered != null) {
            float first = to.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0);
            to.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 0, altered.apply(first));
          }
        });
  }

  private synchronized int cuMemsetD8Async(
      long target, byte value, long bytes, MemorySegment stream) {
    return later(stream, () -> device(target, bytes).fill(value));
  }

  /** Returns memory that must lie within one block. */
  private MemorySegment device(long address, long bytes) {
    for (Map.Entry<Long, Block> each : blocks.entrySet()) {
      long end = each.getKey() + each.getValue().bytes();
      if (address >= each.getKey() && address + bytes <= end) {
        return MemorySegment.ofAddress(address).reinterpret(bytes);
      }
    }
    throw new IllegalStateException(bytes + " bytes at " + address + " are in no block");
  }

  private synchronized int cuStreamCreate(MemorySegment answer, int flags) {
    streams.put(handles, new ArrayDeque<>());
    return handle(answer);
  }

  private synchronized int cuStreamDestroy_v2(MemorySegment stream) {
    finish(stream.address());
    streams.remove(stream.address());
    return SUCCESS;
  }

  private synchronized int cuStreamSynchronize(MemorySegment stream) {
    finish(stream.address());
    return lost ? LAUNCH_FAILED : SUCCESS;
  }

  private void finish(long stream) {
    Deque<Runnable> work = streams.get(stream);
    while (work != null && !work.isEmpty()) {
      work.pop().run();
    }
  }
}
