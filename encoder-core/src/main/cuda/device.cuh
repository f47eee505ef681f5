// What the kernels need of the device: number formats, loads of eight numbers, the instructions that CUDA C++ has no
// words for, and the activations. A test compiles the same kernels for the host: it defines LANEWISE_HOST and brings
// host.h, where each instruction is written out as the PTX manual defines it.
#pragma once

#ifdef LANEWISE_HOST
#include "host.h"
#else
/** As much shared memory as the launch asks for. */
extern __shared__ __align__(128) unsigned char dynamic_shared[];
#endif

/** The upper half of a float. */
struct bf16 {
  unsigned short bits;
};

static const unsigned ALL_LANES = 0xffffffffu;
static const int WARP = 32;

#ifndef LANEWISE_HOST

__device__ __forceinline__ bf16 narrow(float x) {
  bf16 y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}

/** Two numbers in one register, the first in its lower half. */
__device__ __forceinline__ unsigned narrow2(float first, float second) {
  unsigned both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
  return both;
}

__device__ __forceinline__ float widen_fp16(unsigned short bits) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(bits));
  return y;
}

__device__ __forceinline__ float as_float(unsigned bits) { return __uint_as_float(bits); }

__device__ __forceinline__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

/** d += a * b: 16 x 16 times 16 x 8, bf16 with fp32 sums. */
__device__ __forceinline__ void multiply_tile(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/** Four 8 x 8 matrices of shared memory; lanes 8i to 8i + 7 point to the rows of matrix i. */
__device__ __forceinline__ void load_matrices(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

__device__ __forceinline__ void load_matrices_transposed(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

/** Begins to copy 16 bytes to shared memory: so many from global memory, and zeros after them. */
__device__ __forceinline__ void copy16(void* shared, const void* global, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(bytes)
               : "memory");
}

__device__ __forceinline__ void copies_end_group() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/** Waits until no more than the newest N groups of this thread's copies are under way. */
template <int N>
__device__ __forceinline__ void copies_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ __forceinline__ float reciprocal_fast(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ __forceinline__ float shuffle_xor(float x, int mask) { return __shfl_xor_sync(ALL_LANES, x, mask); }

__device__ __forceinline__ float shuffle(float x, int lane) { return __shfl_sync(ALL_LANES, x, lane); }

__device__ __forceinline__ void warp_barrier() { __syncwarp(); }

#endif

__device__ __forceinline__ float widen(bf16 x) { return as_float(static_cast<unsigned>(x.bits) << 16); }

__device__ __forceinline__ float load(const float* p) { return *p; }
__device__ __forceinline__ float load(const bf16* p) { return widen(*p); }
__device__ __forceinline__ void store(float* p, float x) { *p = x; }
__device__ __forceinline__ void store(bf16* p, float x) { *p = narrow(x); }

/** Number formats of a file's tensors, as the host names them. */
enum TableFormat { TABLE_FP32 = 0, TABLE_FP16 = 1, TABLE_BF16 = 2 };

__device__ __forceinline__ float load_table(const void* table, int format, long long index) {
  if (format == TABLE_FP32) {
    return static_cast<const float*>(table)[index];
  }
  unsigned short bits = static_cast<const unsigned short*>(table)[index];
  return format == TABLE_FP16 ? widen_fp16(bits) : widen(bf16{bits});
}

/** Eight numbers of a row at an address that 16 divides. */
struct Eight {
  float at[8];
};

__device__ __forceinline__ Eight load8(const bf16* p) {
  uint4 raw = *reinterpret_cast<const uint4*>(p);
  unsigned words[4] = {raw.x, raw.y, raw.z, raw.w};
  Eight eight;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    eight.at[2 * i] = as_float(words[i] << 16);
    eight.at[2 * i + 1] = as_float(words[i] & 0xffff0000u);
  }
  return eight;
}

__device__ __forceinline__ Eight load8(const float* p) {
  float4 low = *reinterpret_cast<const float4*>(p);
  float4 high = *reinterpret_cast<const float4*>(p + 4);
  return Eight{{low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}};
}

/** load_table of eight numbers from index on, which 8 divides. */
__device__ __forceinline__ Eight load_table8(const void* table, int format, long long index) {
  if (format == TABLE_FP32) {
    return load8(static_cast<const float*>(table) + index);
  }
  if (format == TABLE_BF16) {
    return load8(static_cast<const bf16*>(table) + index);
  }
  uint4 raw = *reinterpret_cast<const uint4*>(static_cast<const unsigned short*>(table) + index);
  unsigned words[4] = {raw.x, raw.y, raw.z, raw.w};
  Eight eight;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    eight.at[2 * i] = widen_fp16(static_cast<unsigned short>(words[i]));
    eight.at[2 * i + 1] = widen_fp16(static_cast<unsigned short>(words[i] >> 16));
  }
  return eight;
}

__device__ __forceinline__ void store8(bf16* p, const Eight& eight) {
  uint4 raw;
  raw.x = narrow2(eight.at[0], eight.at[1]);
  raw.y = narrow2(eight.at[2], eight.at[3]);
  raw.z = narrow2(eight.at[4], eight.at[5]);
  raw.w = narrow2(eight.at[6], eight.at[7]);
  *reinterpret_cast<uint4*>(p) = raw;
}

__device__ __forceinline__ void store8(float* p, const Eight& eight) {
  *reinterpret_cast<float4*>(p) = float4{eight.at[0], eight.at[1], eight.at[2], eight.at[3]};
  *reinterpret_cast<float4*>(p + 4) = float4{eight.at[4], eight.at[5], eight.at[6], eight.at[7]};
}

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int mask = WARP / 2; mask > 0; mask /= 2) {
    x += shuffle_xor(x, mask);
  }
  return x;
}

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int mask = WARP / 2; mask > 0; mask /= 2) {
    x = fmaxf(x, shuffle_xor(x, mask));
  }
  return x;
}

/** As CudaBackend numbers them. */
enum Activation { IDENTITY = 0, GELU = 1, GELU_TANH = 2, RELU = 3, SILU = 4, TANH = 5, SIGMOID = 6 };

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

/** By the device's own exponential and reciprocal, within 1e-6 of sigmoid: for results that are rounded to bf16. */
__device__ __forceinline__ float sigmoid_fast(float x) {
  return reciprocal_fast(1.0f + exp2_fast(-1.4426950408889634f * x));
}

/**
 * x times the normal distribution's share below it, which is an odd polynomial and a half here (least largest error of
 * the product, from -4.3 to 4.3; 0 and 1 beyond): within 4e-5 of the exact GELU, which is less than a bf16 number of
 * 0.02 is rounded by, in 13 instructions where erff takes 27.
 */
__device__ __forceinline__ float gelu_fast(float x) {
  float inside = fminf(fmaxf(x, -4.3f), 4.3f);
  float square = inside * inside;
  float sum = 4.1974525e-11f;
  sum = fmaf(sum, square, -4.2490051e-9f);
  sum = fmaf(sum, square, 1.9022431e-7f);
  sum = fmaf(sum, square, -5.0061758e-6f);
  sum = fmaf(sum, square, 8.7117747e-5f);
  sum = fmaf(sum, square, -1.071387e-3f);
  sum = fmaf(sum, square, 9.6951509e-3f);
  sum = fmaf(sum, square, -6.6155598e-2f);
  sum = fmaf(sum, square, 0.39880207f);
  return x * __saturatef(fmaf(sum, inside, 0.5f));
}

/** What is computed for a result of a format: the functions themselves in fp32, the fast ones in bf16. */
template <class T>
__device__ __forceinline__ float activate(int activation, float x) {
  constexpr bool FAST = sizeof(T) == sizeof(bf16);
  switch (activation) {
    case GELU:
      return FAST ? gelu_fast(x) : 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
    case GELU_TANH: {
      float inner = 0.79788456080286536f * (x + 0.044715f * x * x * x);
      return FAST ? x * sigmoid_fast(2.0f * inner) : 0.5f * x * (1.0f + tanhf(inner));
    }
    case RELU:
      return fmaxf(x, 0.0f);
    case SILU:
      return x * (FAST ? sigmoid_fast(x) : sigmoid(x));
    case TANH:
      return tanhf(x);
    case SIGMOID:
      return FAST ? sigmoid_fast(x) : sigmoid(x);
    default:
      return x;
  }
}

template <class T, int ACTIVATION>
__device__ __forceinline__ void activate_each(Eight& eight) {
#pragma unroll
  for (int i = 0; i < 8; i++) {
    eight.at[i] = activate<T>(ACTIVATION, eight.at[i]);
  }
}

/** One branch for all eight: the compiler jumps through a table for each number where it is left to it. */
template <class T>
__device__ __forceinline__ void activate8(int activation, Eight& eight) {
  switch (activation) {
    case GELU:
      return activate_each<T, GELU>(eight);
    case GELU_TANH:
      return activate_each<T, GELU_TANH>(eight);
    case RELU:
      return activate_each<T, RELU>(eight);
    case SILU:
      return activate_each<T, SILU>(eight);
    case TANH:
      return activate_each<T, TANH>(eight);
    case SIGMOID:
      return activate_each<T, SIGMOID>(eight);
    default:
      return;
  }
}
