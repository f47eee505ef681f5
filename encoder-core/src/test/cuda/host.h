// The device of the kernels, on the host: every thread of a block is a fiber, blocks run one after the other, and each
// instruction does what the PTX manual says (sections "mma.m16n8k16", "ldmatrix" and "cp.async"), one lane at a time.
//
// wgmma is there, too (section "Asynchronous Warpgroup Level Matrix Multiply-Accumulate"): a thread computes its own sums,
// out of shared memory as the descriptions say, some when they are asked for and some when they are waited for.
//
// It is made to find mistakes. Fibers take turns in an order that changes, so that a missing barrier shows; shared
// memory begins as NaNs; what cp.async copies arrives only when it is waited for, and is NaN until then; and all of it
// is ordinary memory, so that the address sanitizer sees reads and writes that go astray.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <algorithm>

#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)

using std::max;
using std::min;

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct Coordinates {
  unsigned x, y, z;
};

struct bf16;

extern Coordinates threadIdx, blockIdx, blockDim, gridDim;
extern unsigned char* dynamic_shared;

/** Waits for all threads of the block that have not ended. */
void __syncthreads();

/** Hands up to 64 bytes to all lanes of the warp and returns theirs, 64 bytes apart. */
const unsigned char* exchange(const void* mine, int bytes);

/** Copies by cp.async: noted, ended as a group, and done when all but the newest groups are waited for. */
void copy16(void* shared, const void* global, int bytes);
void copies_end_group();
void copies_wait_for_all_but(int groups);

template <int N>
inline void copies_wait() {
  copies_wait_for_all_but(N);
}

/** Where the block's shared memory begins: no more aligned than the device promises. */
const unsigned SHARED_START = 0x480;

inline unsigned shared_address(const void* pointer) {
  return SHARED_START + static_cast<unsigned>(static_cast<const unsigned char*>(pointer) - dynamic_shared);
}

/** Products of a warpgroup: noted, ended as a group, and done at the latest when they are waited for. */
void multiply_group(float (*d)[4], int columnTiles, unsigned long long a, unsigned long long b);
void group_begins();
void products_end_group();
void products_wait_for_all_but(int groups);
void shared_for_products();

template <int N>
inline void multiply_group(float (&d)[N][4], unsigned long long a, unsigned long long b) {
  multiply_group(d, N, a, b);
}

template <int N>
inline void products_wait() {
  products_wait_for_all_but(N);
}

template <int N>
inline void sums_are_there(float (&)[N][4]) {}

inline int lane_of_thread() { return threadIdx.x % 32; }

inline float as_float(unsigned bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

inline unsigned as_bits(float x) {
  unsigned bits;
  memcpy(&bits, &x, 4);
  return bits;
}

/** The nearest bf16 number, ties to even. */
inline unsigned short narrow_bits(float x) {
  unsigned bits = as_bits(x);
  if (x != x) {
    return 0x7fff;
  }
  return static_cast<unsigned short>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

inline bf16 narrow(float x);

inline unsigned narrow2(float first, float second) {
  return narrow_bits(first) | static_cast<unsigned>(narrow_bits(second)) << 16;
}

inline float widen_fp16(unsigned short bits) {
  int exponent = bits >> 10 & 31;
  float fraction = bits & 1023;
  float magnitude = exponent == 0    ? ldexpf(fraction, -24)
                    : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                     : ldexpf(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

inline float shuffle_xor(float x, int mask) {
  const unsigned char* all = exchange(&x, 4);
  float other;
  memcpy(&other, all + (lane_of_thread() ^ mask) * 64, 4);
  return other;
}

inline float shuffle(float x, int lane) {
  const unsigned char* all = exchange(&x, 4);
  float other;
  memcpy(&other, all + lane * 64, 4);
  return other;
}

inline void warp_barrier() { exchange("", 1); }

inline float exp2_fast(float x) { return exp2f(x); }

inline float reciprocal_fast(float x) { return 1.0f / x; }

inline float __saturatef(float x) { return x > 0.0f ? min(x, 1.0f) : 0.0f; }

/** Number k of the pairs that a register holds. */
inline float half_of(unsigned word, int k) { return as_float(k % 2 == 0 ? word << 16 : word & 0xffff0000u); }

inline void multiply_tile(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  unsigned mine[6] = {a[0], a[1], a[2], a[3], b0, b1};
  const unsigned char* all = exchange(mine, sizeof(mine));
  int lane = lane_of_thread();
  for (int i = 0; i < 4; i++) {
    int row = lane / 4 + i / 2 * 8;
    int column = lane % 4 * 2 + i % 2;
    float sum = d[i];
    for (int k = 0; k < 16; k++) {
      unsigned left[6];
      unsigned right[6];
      memcpy(left, all + (row % 8 * 4 + k % 8 / 2) * 64, sizeof(left));
      memcpy(right, all + (column * 4 + k % 8 / 2) * 64, sizeof(right));
      sum += half_of(left[row / 8 + k / 8 * 2], k) * half_of(right[4 + k / 8], k);
    }
    d[i] = sum;
  }
}

inline void load_matrices(unsigned (&r)[4], const void* row, bool transposed) {
  const unsigned char* all = exchange(&row, sizeof(row));
  int lane = lane_of_thread();
  for (int i = 0; i < 4; i++) {
    unsigned short pair[2];
    for (int k = 0; k < 2; k++) {
      int matrixRow = transposed ? lane % 4 * 2 + k : lane / 4;
      int matrixColumn = transposed ? lane / 4 : lane % 4 * 2 + k;
      const uint4* start;
      memcpy(&start, all + (8 * i + matrixRow) * 64, sizeof(start));
      const uint4 aligned = *start;
      memcpy(&pair[k], reinterpret_cast<const unsigned char*>(&aligned) + 2 * matrixColumn, 2);
    }
    r[i] = pair[0] | static_cast<unsigned>(pair[1]) << 16;
  }
}

inline void load_matrices(unsigned (&r)[4], const void* row) { load_matrices(r, row, false); }

inline void load_matrices_transposed(unsigned (&r)[4], const void* row) { load_matrices(r, row, true); }
