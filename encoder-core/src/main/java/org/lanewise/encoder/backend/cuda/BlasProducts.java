package org.lanewise.encoder.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.cuda.CudaBlas.Constant;

/**
 * Products by cuBLASLt on one device: output = input * weight^T + bias, with bf16 input and weight
 * and fp32 sums.
 *
 * <p>The library thinks in columns: rows of ours that lie {@code stride} apart are its columns. Its
 * output is (columns, rows) of ours, the product of the weight as (inputSize, columns) transposed
 * and the input as (inputSize, rows). It wants the bias in the output's format and adds it to the
 * fp32 sums. What a product is described by lives as long as the call. Thread-safe.
 */
@SuppressWarnings("restricted") // The library's handles get what releases them here.
final class BlasProducts {
  /** cublasLtMatmulHeuristicResult_t: an algorithm, the workspace that it needs, its status. */
  private static final long RESULT_BYTES = 96;

  private static final int ALGORITHM_LONGS = 8;
  private static final long RESULT_STATUS = 72;

  /** Versions whose declarations are those of {@link CudaBlas}. */
  private static final long OLDEST = 12_00_00;

  private static final long AFTER_NEWEST = 14_00_00;

  /** What rows and strides of ours are multiples of. */
  private static final int ALIGNMENT = 16;

  private static final int HOPPER = 90;
  private static final long HOPPER_WORKSPACE = 32L << 20;
  private static final long WORKSPACE = 4L << 20;

  private static final int MOST_ALGORITHMS = 4096;
  private static final long[] NO_ALGORITHM = {};

  private final CudaBlas library;
  private final MemorySegment handle;
  private final String name;
  private final long workspaceBytes;
  private final Map<Problem, long[]> algorithms = new ConcurrentHashMap<>();

  /** All that the choice of an algorithm may depend on. */
  private record Problem(
      int rows,
      int inputSize,
      int outputSize,
      int inputStride,
      int outputStride,
      Precision format) {}

  /** A function that creates something and puts its handle there. */
  @FunctionalInterface
  private interface Creation {
    int into(MemorySegment answer) throws Throwable;
  }

  /** A function that sets an attribute to so many bytes. */
  @FunctionalInterface
  private interface Setting {
    int to(int attribute, MemorySegment value, long bytes) throws Throwable;
  }

  /**
   * Opens the library on a device that the calling thread has entered.
   *
   * @throws CudaProducts.Failure if it cannot
   */
  BlasProducts(CudaBlas library, CudaDevice device) {
    this.library = library;
    long version = version(library);
    name =
        String.format(
            Locale.ROOT, "cuBLASLt %d.%d.%d", version / 10_000, version / 100 % 100, version % 100);
    if (version < OLDEST || version >= AFTER_NEWEST) {
      throw new CudaProducts.Failure("the library is " + name + ", expected version 12 or 13");
    }
    CudaDriver driver = device.driver();
    MemorySegment context = device.context();
    // The cleanup refers to the context, which therefore outlives the handle, and not to this.
    handle =
        created(
            Arena.ofAuto(),
            "cublasLtCreate",
            answer -> (int) library.create().invokeExact(answer),
            each -> {
              CudaDevice.quietly(() -> (int) driver.setContext().invokeExact(context));
              CudaDevice.quietly(() -> (int) library.destroy().invokeExact(each));
            });
    workspaceBytes = device.computeCapability() >= HOPPER ? HOPPER_WORKSPACE : WORKSPACE;
  }

  private static long version(CudaBlas library) {
    try {
      return (long) library.version().invokeExact();
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** Returns what the library is called, with its version. */
  String name() {
    return name;
  }

  /** Returns the bytes that a lane lends the library. */
  long workspaceBytes() {
    return workspaceBytes;
  }

  /**
   * Launches a product on a lane.
   *
   * @param input bf16, like the weight; all addresses and strides are multiples of 16 bytes
   * @param bias in the output's format
   * @param workspace the address of {@link #workspaceBytes} of the lane's
   * @throws CudaProducts.Failure if the library cannot; then nothing was launched
   */
  void multiply(
      Lane lane,
      Matrix input,
      long weight,
      int weightStride,
      long bias,
      Matrix output,
      long workspace) {
    try (Arena call = Arena.ofConfined()) {
      int sums = Constant.CUBLAS_COMPUTE_32F.number();
      int scale = Constant.CUDA_R_32F.number();
      MemorySegment operation =
          created(
              call,
              "cublasLtMatmulDescCreate",
              answer -> (int) library.createOperation().invokeExact(answer, sums, scale),
              destroyer(library.destroyOperation()));
      Setting setting =
          (attribute, value, bytes) ->
              (int) library.setOperation().invokeExact(operation, attribute, value, bytes);
      set(
          setting,
          Constant.CUBLASLT_MATMUL_DESC_TRANSA,
          integer(call, Constant.CUBLAS_OP_T.number()));
      set(
          setting,
          Constant.CUBLASLT_MATMUL_DESC_EPILOGUE,
          integer(call, Constant.CUBLASLT_EPILOGUE_BIAS.number()));
      set(setting, Constant.CUBLASLT_MATMUL_DESC_BIAS_POINTER, longs(call, bias));
      int inputSize = input.columns();
      int rows = output.rows();
      int columns = output.columns();
      MemorySegment left = layout(call, Precision.BF16, inputSize, columns, weightStride);
      MemorySegment right = layout(call, Precision.BF16, inputSize, rows, input.stride());
      MemorySegment product = layout(call, output.format(), columns, rows, output.stride());
      Problem problem =
          new Problem(rows, inputSize, columns, input.stride(), output.stride(), output.format());
      long[] known = algorithms.get(problem);
      if (known == null) {
        known = algorithm(call, operation, left, right, product);
        if (algorithms.size() >= MOST_ALGORITHMS) {
          algorithms.clear();
        }
        algorithms.put(problem, known);
      }
      if (known.length == 0) {
        throw new CudaProducts.Failure(
            "cublasLtMatmulAlgoGetHeuristic found no algorithm for " + problem);
      }
      MemorySegment algorithm = longs(call, known);
      MemorySegment one = call.allocateFrom(ValueLayout.JAVA_FLOAT, 1);
      MemorySegment zero = call.allocateFrom(ValueLayout.JAVA_FLOAT, 0);
      MemorySegment leftAt = MemorySegment.ofAddress(weight);
      MemorySegment rightAt = MemorySegment.ofAddress(input.data().address());
      MemorySegment productAt = MemorySegment.ofAddress(output.data().address());
      MemorySegment room = MemorySegment.ofAddress(workspace);
      check(
          "cublasLtMatmul",
          () ->
              (int)
                  library
                      .multiply()
                      .invokeExact(
                          handle,
                          operation,
                          one,
                          leftAt,
                          left,
                          rightAt,
                          right,
                          zero,
                          productAt,
                          product,
                          productAt,
                          product,
                          algorithm,
                          room,
                          workspaceBytes,
                          lane.stream()));
    }
  }

  /** Returns the library's best algorithm; empty where it has none. */
  private long[] algorithm(
      Arena call,
      MemorySegment operation,
      MemorySegment left,
      MemorySegment right,
      MemorySegment product) {
    MemorySegment preference =
        created(
            call,
            "cublasLtMatmulPreferenceCreate",
            answer -> (int) library.createPreference().invokeExact(answer),
            destroyer(library.destroyPreference()));
    Setting setting =
        (attribute, value, bytes) ->
            (int) library.setPreference().invokeExact(preference, attribute, value, bytes);
    set(setting, Constant.CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, longs(call, workspaceBytes));
    // Beside sums in one sequence, only parts that are kept in fp32 and added in a step of their
    // own: the same bits each time, and nothing is rounded in between.
    set(
        setting,
        Constant.CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
        integer(call, Constant.CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE.number()));
    for (Constant each :
        new Constant[] {
          Constant.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
          Constant.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          Constant.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
          Constant.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES
        }) {
      set(setting, each, integer(call, ALIGNMENT));
    }
    MemorySegment result = call.allocate(RESULT_BYTES, Long.BYTES);
    MemorySegment count = call.allocate(ValueLayout.JAVA_INT);
    check(
        "cublasLtMatmulAlgoGetHeuristic",
        () ->
            (int)
                library
                    .algorithms()
                    .invokeExact(
                        handle,
                        operation,
                        left,
                        right,
                        product,
                        product,
                        preference,
                        1,
                        result,
                        count));
    if (count.get(ValueLayout.JAVA_INT, 0) < 1
        || result.get(ValueLayout.JAVA_INT, RESULT_STATUS) != 0) {
      return NO_ALGORITHM;
    }
    return result.asSlice(0, ALGORITHM_LONGS * Long.BYTES).toArray(ValueLayout.JAVA_LONG);
  }

  /** Describes numbers of which {@code rows} follow each other, {@code columns} times. */
  private MemorySegment layout(Arena call, Precision format, long rows, long columns, long stride) {
    int type = (format == Precision.BF16 ? Constant.CUDA_R_16BF : Constant.CUDA_R_32F).number();
    return created(
        call,
        "cublasLtMatrixLayoutCreate",
        answer -> (int) library.createLayout().invokeExact(answer, type, rows, columns, stride),
        destroyer(library.destroyLayout()));
  }

  private static MemorySegment integer(Arena call, int number) {
    return call.allocateFrom(ValueLayout.JAVA_INT, number);
  }

  private static MemorySegment longs(Arena call, long... numbers) {
    return call.allocateFrom(ValueLayout.JAVA_LONG, numbers);
  }

  private static Consumer<MemorySegment> destroyer(MethodHandle destroy) {
    return each -> CudaDevice.quietly(() -> (int) destroy.invokeExact(each));
  }

  /** Returns what was created, which is destroyed with the arena. */
  private MemorySegment created(
      Arena arena, String function, Creation creation, Consumer<MemorySegment> destroyer) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment answer = call.allocate(ValueLayout.ADDRESS);
      check(function, () -> creation.into(answer));
      return answer.get(ValueLayout.ADDRESS, 0).reinterpret(arena, destroyer);
    }
  }

  private void set(Setting setting, Constant attribute, MemorySegment value) {
    check(attribute.name(), () -> setting.to(attribute.number(), value, value.byteSize()));
  }

  private void check(String what, CudaDevice.Call call) {
    int status;
    try {
      status = call.status();
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(what + " could not be called", e);
    }
    if (status != 0) {
      throw new CudaProducts.Failure(what + " failed: " + statusName(status));
    }
  }

  private String statusName(int status) {
    try {
      MemorySegment name = (MemorySegment) library.statusName().invokeExact(status);
      return name.reinterpret(Long.MAX_VALUE).getString(0);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
