// What products on tensor cores share, whichever instruction multiplies: how tiles lie in shared memory, how they get
// there, and what happens to the sums.
#pragma once

#include "device.cuh"

static const int DEPTH = 64;
static const int CHUNKS = DEPTH / 8;

/** The place of a chunk of eight numbers in a tile of rows of DEPTH. */
__device__ __forceinline__ int place(int row, int chunk) { return row * DEPTH + ((chunk ^ (row & 7)) * 8); }

template <int ROWS, int THREADS>
__device__ __forceinline__ void copy_rows(bf16* tile, const bf16* source, int stride, int rows, int depth) {
#pragma unroll
  for (int i = threadIdx.x; i < ROWS * CHUNKS; i += THREADS) {
    int row = i / CHUNKS;
    int chunk = i % CHUNKS;
    int bytes = row < rows ? min(max(2 * (depth - chunk * 8), 0), 16) : 0;
    const bf16* from = bytes > 0 ? source + static_cast<long long>(row) * stride + chunk * 8 : source;
    copy16(tile + place(row, chunk), from, bytes);
  }
}

/**
 * A block's stages in shared memory: tiles of the left side, then tiles of the right side.
 *
 * left (rows, depth) at an address and stride that 8 numbers divide, cut off while it is read; right (columns in whole
 * tiles, depth in whole DEPTHs).
 */
template <int ROWS, int COLUMNS, int STAGES, int THREADS>
struct Ring {
  bf16* lefts;
  bf16* rights;
  const bf16* leftRows;
  int leftStride;
  const bf16* rightRows;
  int rightStride;
  int rows;
  int depth;
  int steps;

  __device__ __forceinline__ Ring(void* shared, const bf16* left, int leftStride, const bf16* right, int rightStride,
                                  int rows, int depth)
      : lefts(static_cast<bf16*>(shared)),
        rights(lefts + STAGES * ROWS * DEPTH),
        leftRows(left + static_cast<long long>(blockIdx.x * ROWS) * leftStride),
        leftStride(leftStride),
        rightRows(right + static_cast<long long>(blockIdx.y * COLUMNS) * rightStride),
        rightStride(rightStride),
        rows(rows - static_cast<int>(blockIdx.x * ROWS)),
        depth(depth),
        steps((depth + DEPTH - 1) / DEPTH) {}

  /** Begins to copy a step's tiles to its stage, a group of copies; an empty one after the last step. */
  __device__ __forceinline__ void copy(int step) {
    if (step < steps) {
      copy_rows<ROWS, THREADS>(left(step), leftRows + step * DEPTH, leftStride, rows, depth - step * DEPTH);
      copy_rows<COLUMNS, THREADS>(right(step), rightRows + step * DEPTH, rightStride, COLUMNS, DEPTH);
    }
    copies_end_group();
  }

  __device__ __forceinline__ bf16* left(int step) { return lefts + step % STAGES * ROWS * DEPTH; }

  __device__ __forceinline__ bf16* right(int step) { return rights + step % STAGES * COLUMNS * DEPTH; }
};

/** Stores the first count of eight numbers, 16 bytes at a time where the place allows it. */
template <class T>
__device__ __forceinline__ void store_some(T* p, const Eight& eight, int count, bool aligned) {
  if (aligned && count >= 8) {
    store8(p, eight);
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; i++) {
    if (i < count) {
      store(p + i, eight.at[i]);
    }
  }
}

/** Numbers by which rows of staged sums are longer than the tile, so that they begin in different banks. */
static const int STAGED_PADDING = 8;

/** Adds the bias to the block's staged sums, activates them and writes those that lie within the output. */
template <int ROWS, int COLUMNS, int THREADS, class Out>
__device__ __forceinline__ void write_tile(const float* staged, const float* bias, int activation, Out* output,
                                           int outputStride, int rows, int columns) {
  constexpr int PITCH = COLUMNS + STAGED_PADDING;
  int firstRow = blockIdx.x * ROWS;
  int firstColumn = blockIdx.y * COLUMNS;
  bool aligned = (reinterpret_cast<unsigned long long>(output) | outputStride * sizeof(Out)) % 16 == 0;
#pragma unroll 1
  for (int i = threadIdx.x; i < ROWS * COLUMNS / 8; i += THREADS) {
    int row = firstRow + i / (COLUMNS / 8);
    int column = firstColumn + i % (COLUMNS / 8) * 8;
    if (row < rows && column < columns) {
      Eight eight = load8(staged + (row - firstRow) * PITCH + column - firstColumn);
      Eight added = load8(bias + column);
#pragma unroll
      for (int k = 0; k < 8; k++) {
        eight.at[k] += added.at[k];
      }
      activate8<Out>(activation, eight);
      store_some(output + static_cast<long long>(row) * outputStride + column, eight, columns - column, aligned);
    }
  }
}
