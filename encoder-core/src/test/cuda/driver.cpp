// The driver's library over the device of host.cpp, under the names and types of cuda.h: what a backend loads by name
// where a test puts it in the way. Everything happens at once, one call at a time.
#include "host.cpp"

#include <mutex>
#include <set>

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = unsigned long long;

static std::mutex turn;
static std::map<CUdeviceptr, size_t> blocks;
static std::map<void*, std::string> functionNames;
static std::set<void*> streams;
static thread_local void* currentContext;

static const CUresult INVALID_VALUE = 1;
static const CUresult OUT_OF_MEMORY = 2;
static const CUresult INVALID_CONTEXT = 201;
static const CUresult INVALID_HANDLE = 400;
static const CUresult NOT_FOUND = 500;
static char theContext;
static int theModules;

/** Whether bytes lie within one block. */
static bool inside(CUdeviceptr address, size_t bytes) {
  auto after = blocks.upper_bound(address);
  if (after == blocks.begin()) {
    return false;
  }
  --after;
  return address + bytes <= after->first + after->second;
}

#define GUARD(stream)                                    \
  std::lock_guard<std::mutex> mine(turn);                \
  if (currentContext != &theContext) {                   \
    return INVALID_CONTEXT;                              \
  }                                                      \
  if (streams.count(stream) == 0 && stream != nullptr) { \
    return INVALID_HANDLE;                               \
  }

extern "C" {

CUresult cuInit(unsigned int flags) { return flags == 0 ? 0 : INVALID_VALUE; }

CUresult cuGetErrorName(CUresult error, const char** name) {
  *name = error == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_OF_THE_TEST";
  return 0;
}

CUresult cuDeviceGetCount(int* count) {
  *count = 1;
  return 0;
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  *device = 7;
  return ordinal == 0 ? 0 : INVALID_VALUE;
}

CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  snprintf(name, length, "%s", "host");
  return device == 7 ? 0 : INVALID_VALUE;
}

CUresult cuDeviceGetAttribute(int* value, int attribute, CUdevice device) {
  *value = attribute == 16 ? 132 : attribute == 75 ? 8 : attribute == 97 ? 227 << 10 : 0;
  return device == 7 ? 0 : INVALID_VALUE;
}

CUresult cuDevicePrimaryCtxRetain(void** context, CUdevice device) {
  *context = &theContext;
  return device == 7 ? 0 : INVALID_VALUE;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) { return device == 7 ? 0 : INVALID_VALUE; }

CUresult cuCtxSetCurrent(void* context) {
  currentContext = context;
  return 0;
}

CUresult cuModuleLoadDataEx(void** module, const void* image, unsigned int count, int* options, void** values) {
  GUARD(nullptr)
  bool ptx = strncmp(static_cast<const char*>(image), ".version 7.0", 12) == 0;
  bool log = count == 2 && options[0] == 5 && options[1] == 6 && reinterpret_cast<size_t>(values[1]) == 8192;
  *module = reinterpret_cast<char*>(&theContext) + ++theModules;
  return ptx && log ? 0 : INVALID_VALUE;
}

CUresult cuModuleUnload(void*) {
  GUARD(nullptr)
  return 0;
}

CUresult cuModuleGetFunction(void** function, void*, const char* name) {
  GUARD(nullptr)
  if (KERNELS.count(name) == 0) {
    return NOT_FOUND;
  }
  *function = const_cast<std::pair<const std::string, Launch>*>(&*KERNELS.find(name));
  functionNames[*function] = name;
  return 0;
}

CUresult cuFuncSetAttribute(void* function, int attribute, int value) {
  GUARD(nullptr)
  return functionNames.count(function) == 1 && attribute == 8 && value == 227 << 10 ? 0 : INVALID_VALUE;
}

CUresult cuLaunchKernel(void* function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned threads,
                        unsigned threadsY, unsigned threadsZ, unsigned sharedBytes, void* stream, void** arguments,
                        void** extra) {
  GUARD(stream)
  bool sane = gridZ == 1 && threadsY == 1 && threadsZ == 1 && extra == nullptr && threads <= 1024 &&
              sharedBytes <= 227u << 10 && gridX > 0 && gridY > 0 && gridY <= 65535;
  if (!sane || functionNames.count(function) == 0) {
    return INVALID_VALUE;
  }
  return lanewise_launch(functionNames[function].c_str(), gridX, gridY, threads, sharedBytes, arguments);
}

CUresult cuMemAlloc_v2(CUdeviceptr* address, size_t bytes) {
  GUARD(nullptr)
  void* memory = nullptr;
  if (bytes == 0 || posix_memalign(&memory, 256, bytes) != 0) {
    return bytes == 0 ? INVALID_VALUE : OUT_OF_MEMORY;
  }
  memset(memory, 0xff, bytes);
  *address = reinterpret_cast<CUdeviceptr>(memory);
  blocks[*address] = bytes;
  return 0;
}

CUresult cuMemFree_v2(CUdeviceptr address) {
  GUARD(nullptr)
  if (blocks.erase(address) == 0) {
    return INVALID_VALUE;
  }
  free(reinterpret_cast<void*>(address));
  return 0;
}

CUresult cuMemHostAlloc(void** pointer, size_t bytes, unsigned int flags) {
  GUARD(nullptr)
  *pointer = malloc(bytes);
  return flags == 0 ? 0 : INVALID_VALUE;
}

CUresult cuMemFreeHost(void* pointer) {
  GUARD(nullptr)
  free(pointer);
  return 0;
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr target, const void* source, size_t bytes, void* stream) {
  GUARD(stream)
  if (!inside(target, bytes)) {
    return INVALID_VALUE;
  }
  memcpy(reinterpret_cast<void*>(target), source, bytes);
  return 0;
}

CUresult cuMemcpyDtoHAsync_v2(void* target, CUdeviceptr source, size_t bytes, void* stream) {
  GUARD(stream)
  if (!inside(source, bytes)) {
    return INVALID_VALUE;
  }
  memcpy(target, reinterpret_cast<void*>(source), bytes);
  return 0;
}

CUresult cuMemsetD8Async(CUdeviceptr target, unsigned char value, size_t bytes, void* stream) {
  GUARD(stream)
  if (!inside(target, bytes)) {
    return INVALID_VALUE;
  }
  memset(reinterpret_cast<void*>(target), value, bytes);
  return 0;
}

CUresult cuStreamCreate(void** stream, unsigned int flags) {
  GUARD(nullptr)
  *stream = malloc(1);
  streams.insert(*stream);
  return flags == 1 ? 0 : INVALID_VALUE;
}

CUresult cuStreamDestroy_v2(void* stream) {
  GUARD(stream)
  streams.erase(stream);
  free(stream);
  return 0;
}

CUresult cuStreamSynchronize(void* stream) {
  GUARD(stream)
  return 0;
}

}  // extern "C"
