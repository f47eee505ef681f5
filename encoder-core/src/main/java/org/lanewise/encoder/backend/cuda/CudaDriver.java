package org.lanewise.encoder.backend.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.lanewise.encoder.backend.NoDeviceException;

/**
 * The functions of the CUDA driver's library that are used, each with its declaration in {@code
 * cuda.h}. All return a status, 0 for success.
 *
 * <p>Device addresses are numbers; handles, which point to what the driver keeps, are segments.
 */
@SuppressWarnings("restricted") // Calling the driver is what this package is for.
record CudaDriver(
    @Signature("CUresult cuInit(unsigned int Flags)") MethodHandle initialize,
    @Signature("CUresult cuGetErrorName(CUresult error, const char **pStr)") MethodHandle errorName,
    @Signature("CUresult cuDeviceGetCount(int *count)") MethodHandle deviceCount,
    @Signature("CUresult cuDeviceGet(CUdevice *device, int ordinal)") MethodHandle device,
    @Signature("CUresult cuDeviceGetName(char *name, int len, CUdevice dev)")
        MethodHandle deviceName,
    @Signature("CUresult cuDeviceGetAttribute(int *pi, CUdevice_attribute attrib, CUdevice dev)")
        MethodHandle deviceAttribute,
    @Signature("CUresult cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev)")
        MethodHandle retainContext,
    @Signature("CUresult cuDevicePrimaryCtxRelease_v2(CUdevice dev)") MethodHandle releaseContext,
    @Signature("CUresult cuCtxSetCurrent(CUcontext ctx)") MethodHandle setContext,
    @Signature(
            "CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int"
                + " numOptions, CUjit_option *options, void **optionValues)")
        MethodHandle loadModule,
    @Signature("CUresult cuModuleUnload(CUmodule hmod)") MethodHandle unloadModule,
    @Signature("CUresult cuModuleGetFunction(CUfunction *hfunc, CUmodule hmod, const char *name)")
        MethodHandle function,
    @Signature(
            "CUresult cuFuncSetAttribute(CUfunction hfunc, CUfunction_attribute attrib, int value)")
        MethodHandle setFunctionAttribute,
    @Signature(
            "CUresult cuLaunchKernel(CUfunction f, unsigned int gridDimX, unsigned int gridDimY,"
                + " unsigned int gridDimZ, unsigned int blockDimX, unsigned int blockDimY, unsigned"
                + " int blockDimZ, unsigned int sharedMemBytes, CUstream hStream, void"
                + " **kernelParams, void **extra)")
        MethodHandle launch,
    @Signature("CUresult cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize)") MethodHandle allocate,
    @Signature("CUresult cuMemFree_v2(CUdeviceptr dptr)") MethodHandle free,
    @Signature("CUresult cuMemHostAlloc(void **pp, size_t bytesize, unsigned int Flags)")
        MethodHandle allocateHost,
    @Signature("CUresult cuMemFreeHost(void *p)") MethodHandle freeHost,
    @Signature(
            "CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dstDevice, const void *srcHost, size_t"
                + " ByteCount, CUstream hStream)")
        MethodHandle copyIn,
    @Signature(
            "CUresult cuMemcpyDtoHAsync_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount,"
                + " CUstream hStream)")
        MethodHandle copyOut,
    @Signature(
            "CUresult cuMemsetD8Async(CUdeviceptr dstDevice, unsigned char uc, size_t N, CUstream"
                + " hStream)")
        MethodHandle fill,
    @Signature("CUresult cuStreamCreate(CUstream *phStream, unsigned int Flags)")
        MethodHandle createStream,
    @Signature("CUresult cuStreamDestroy_v2(CUstream hStream)") MethodHandle destroyStream,
    @Signature("CUresult cuStreamSynchronize(CUstream hStream)") MethodHandle synchronize) {

  private static final Pattern DECLARATION = Pattern.compile("(\\w+) (\\w+)\\((.*)\\)");

  /** What the driver's library is called, on Linux and on Windows. */
  private static final List<String> NAMES = List.of("libcuda.so.1", "libcuda.so", "nvcuda.dll");

  /**
   * Loads the driver's library, for the rest of the process.
   *
   * @throws NoDeviceException if it is not there or lacks a function, with the reason
   */
  static CudaDriver load() {
    if (!CudaDriver.class.getModule().isNativeAccessEnabled()) {
      throw new NoDeviceException(
          "this JVM denies native calls; add --enable-native-access=ALL-UNNAMED to the JVM"
              + " options");
    }
    List<String> causes = new ArrayList<>();
    for (String name : NAMES) {
      try {
        return bind(SymbolLookup.libraryLookup(name, Arena.global()));
      } catch (IllegalArgumentException e) {
        causes.add(e.getMessage());
      }
    }
    throw new NoDeviceException("the CUDA driver is missing: " + causes.getFirst());
  }

  /** Returns the functions that a library has. */
  static CudaDriver bind(SymbolLookup library) {
    Linker linker = Linker.nativeLinker();
    return of(
        signature -> {
          String name = functionName(signature);
          MemorySegment address =
              library
                  .find(name)
                  .orElseThrow(
                      () ->
                          new IllegalArgumentException(
                              "the CUDA driver's library has no [" + name + "]: it is too old"));
          return linker.downcallHandle(address, descriptor(signature));
        });
  }

  /** Returns a driver of functions that are found by their declarations. */
  static CudaDriver of(Function<String, MethodHandle> functions) {
    RecordComponent[] components = CudaDriver.class.getRecordComponents();
    Class<?>[] types =
        Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new);
    Object[] handles = signatures().stream().map(functions).toArray();
    try {
      return CudaDriver.class.getDeclaredConstructor(types).newInstance(handles);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Returns all declarations. */
  static List<String> signatures() {
    return Arrays.stream(CudaDriver.class.getRecordComponents())
        .map(component -> component.getAnnotation(Signature.class).value())
        .toList();
  }

  /** Returns the name of the function that is declared. */
  static String functionName(String signature) {
    return parts(signature).group(2);
  }

  private static Matcher parts(String signature) {
    Matcher parts = DECLARATION.matcher(signature);
    if (!parts.matches()) {
      throw new IllegalStateException("[" + signature + "] is no declaration");
    }
    return parts;
  }

  /** Returns how a declared function is called. */
  static FunctionDescriptor descriptor(String signature) {
    Matcher parts = parts(signature);
    MemoryLayout[] arguments =
        Arrays.stream(parts.group(3).split(", "))
            .map(argument -> layout(argument.substring(0, argument.lastIndexOf(' ') + 1), argument))
            .toArray(MemoryLayout[]::new);
    return FunctionDescriptor.of(layout(parts.group(1), signature), arguments);
  }

  private static MemoryLayout layout(String type, String declaration) {
    if (declaration.contains("*") && !type.equals("CUresult")) {
      return ValueLayout.ADDRESS;
    }
    return switch (type.strip()) {
      case "int",
          "unsigned int",
          "CUresult",
          "CUdevice",
          "CUdevice_attribute",
          "CUfunction_attribute" ->
          ValueLayout.JAVA_INT;
      case "unsigned char" -> ValueLayout.JAVA_BYTE;
      case "size_t", "CUdeviceptr" -> ValueLayout.JAVA_LONG;
      case "CUcontext", "CUmodule", "CUfunction", "CUstream" -> ValueLayout.ADDRESS;
      default ->
          throw new IllegalStateException(
              String.format(Locale.ROOT, "[%s] in [%s] has no layout", type, declaration));
    };
  }
}
