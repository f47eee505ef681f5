package org.lanewise.encoder.backend.cuda;

import java.lang.invoke.MethodHandle;
import java.util.List;
import org.lanewise.encoder.backend.NoDeviceException;

/**
 * The functions of the CUDA driver's library that are used, each with its declaration in {@code
 * cuda.h}. All return a status, 0 for success.
 *
 * <p>Device addresses are numbers; handles, which point to what the driver keeps, are segments.
 */
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

  /** What the driver's library is called, on Linux and on Windows. */
  private static final List<String> NAMES = List.of("libcuda.so.1", "libcuda.so", "nvcuda.dll");

  /**
   * Loads the driver's library, for the rest of the process.
   *
   * @throws NoDeviceException if it is not there or lacks a function, with the reason
   */
  static CudaDriver load() {
    try {
      return Declarations.load(CudaDriver.class, "the CUDA driver", NAMES);
    } catch (IllegalArgumentException e) {
      throw new NoDeviceException(e.getMessage());
    }
  }
}
