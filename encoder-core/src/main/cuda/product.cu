// Products of rows with prepared weights: output = activation(left * right^T + bias).
//
// product_fp32_plain is the reference: tiles of 64 x 64, 4 x 4 numbers for each thread. product_bf16_* run on tensor
// cores: left and right go through a ring of stages in shared memory, 64 of the depth at a time, and every warp keeps
// its part of the tile in registers. What varies is the tile: a large one reads each number less often, a small one
// gives every multiprocessor something to do when there are few rows. Shared memory is laid out in chunks of 16 bytes
// whose place in a row is exclusive-or-ed with the row, so that the eight rows that ldmatrix reads at once lie in
// different banks. Weights are padded with zeros to whole tiles; the left side is not, and is cut off while it is read.
#include "product.cuh"

/**
 * One tile of ROWS x COLUMNS of the output, each warp WARP_ROWS x WARP_COLUMNS of it.
 *
 * left (rows, depth) at an address and stride that 8 numbers divide; right (columns in whole tiles, depth in whole
 * DEPTHs); bias as many numbers as right has rows. The sums go through shared memory, so that the activation is one
 * small loop and whole rows are written.
 */
template <int ROWS, int COLUMNS, int WARP_ROWS, int WARP_COLUMNS, int STAGES, class Out>
__device__ __forceinline__ void product_tile(const bf16* left, int leftStride, const bf16* right, int rightStride,
                                             const float* bias, int activation, Out* output, int outputStride,
                                             int rows, int depth, int columns) {
  constexpr int THREADS = ROWS / WARP_ROWS * (COLUMNS / WARP_COLUMNS) * WARP;
  constexpr int ROW_TILES = WARP_ROWS / 16;
  constexpr int COLUMN_TILES = WARP_COLUMNS / 8;
  Ring<ROWS, COLUMNS, STAGES, THREADS> ring(dynamic_shared, left, leftStride, right, rightStride, rows, depth);
  int lane = threadIdx.x % WARP;
  int warp = threadIdx.x / WARP;
  int warpRow = warp / (COLUMNS / WARP_COLUMNS) * WARP_ROWS;
  int warpColumn = warp % (COLUMNS / WARP_COLUMNS) * WARP_COLUMNS;

  float sums[ROW_TILES][COLUMN_TILES][4] = {};
#pragma unroll
  for (int step = 0; step < STAGES - 1; step++) {
    ring.copy(step);
  }
  for (int step = 0; step < ring.steps; step++) {
    copies_wait<STAGES - 2>();
    __syncthreads();
    ring.copy(step + STAGES - 1);
    const bf16* leftTile = ring.left(step);
    const bf16* rightTile = ring.right(step);
#pragma unroll
    for (int k = 0; k < DEPTH / 16; k++) {
      unsigned a[ROW_TILES][4];
      unsigned b[COLUMN_TILES / 2][4];
#pragma unroll
      for (int i = 0; i < ROW_TILES; i++) {
        load_matrices(a[i], leftTile + place(warpRow + i * 16 + lane % 16, k * 2 + lane / 16));
      }
#pragma unroll
      for (int j = 0; j < COLUMN_TILES / 2; j++) {
        int row = warpColumn + j * 16 + lane % 8 + lane / 16 * 8;
        load_matrices(b[j], rightTile + place(row, k * 2 + lane / 8 % 2));
      }
#pragma unroll
      for (int i = 0; i < ROW_TILES; i++) {
#pragma unroll
        for (int j = 0; j < COLUMN_TILES; j++) {
          multiply_tile(sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
        }
      }
    }
  }
  constexpr int PITCH = COLUMNS + STAGED_PADDING;
  float* staged = reinterpret_cast<float*>(dynamic_shared);
  copies_wait<0>();
  __syncthreads();
#pragma unroll
  for (int i = 0; i < ROW_TILES; i++) {
#pragma unroll
    for (int j = 0; j < COLUMN_TILES; j++) {
      float* at = staged + (warpRow + i * 16 + lane / 4) * PITCH + warpColumn + j * 8 + lane % 4 * 2;
      *reinterpret_cast<float2*>(at) = float2{sums[i][j][0], sums[i][j][1]};
      *reinterpret_cast<float2*>(at + 8 * PITCH) = float2{sums[i][j][2], sums[i][j][3]};
    }
  }
  __syncthreads();
  write_tile<ROWS, COLUMNS, THREADS>(staged, bias, activation, output, outputStride, rows, columns);
}

// The numbers of a name: rows and columns of the tile, rows and columns of a warp, stages.
#define PRODUCT(NAME, OUT, ROWS, COLUMNS, WARP_ROWS, WARP_COLUMNS, STAGES)                                          \
  extern "C" __global__ void __launch_bounds__(ROWS / WARP_ROWS * (COLUMNS / WARP_COLUMNS) * WARP)                  \
      NAME(const bf16* left, int leftStride, const bf16* right, int rightStride, const float* bias, int activation, \
           OUT* output, int outputStride, int rows, int depth, int columns) {                                       \
    product_tile<ROWS, COLUMNS, WARP_ROWS, WARP_COLUMNS, STAGES, OUT>(left, leftStride, right, rightStride, bias,   \
                                                                      activation, output, outputStride, rows,       \
                                                                      depth, columns);                              \
  }

PRODUCT(product_bf16_small_to_bf16, bf16, 64, 64, 32, 32, 3)
PRODUCT(product_bf16_small_to_fp32, float, 64, 64, 32, 32, 3)
PRODUCT(product_bf16_middle_to_bf16, bf16, 128, 128, 64, 32, 3)
PRODUCT(product_bf16_middle_to_fp32, float, 128, 128, 64, 32, 3)
PRODUCT(product_bf16_large_to_bf16, bf16, 128, 256, 64, 64, 3)
PRODUCT(product_bf16_large_to_fp32, float, 128, 256, 64, 64, 3)

static const int PLAIN_TILE = 64;
static const int PLAIN_DEPTH = 16;

/** 256 threads; right (columns in whole tiles, depth in whole PLAIN_DEPTHs), fp32 throughout. */
extern "C" __global__ void __launch_bounds__(256)
    product_fp32_plain(const float* left, int leftStride, const float* right, int rightStride, const float* bias,
                       int activation, float* output, int outputStride, int rows, int depth, int columns) {
  float* lefts = reinterpret_cast<float*>(dynamic_shared);
  float* rights = lefts + PLAIN_DEPTH * PLAIN_TILE;
  int firstRow = blockIdx.x * PLAIN_TILE;
  int firstColumn = blockIdx.y * PLAIN_TILE;
  int threadRow = threadIdx.x / 16 * 4;
  int threadColumn = threadIdx.x % 16 * 4;
  float sums[4][4] = {};
  for (int start = 0; start < depth; start += PLAIN_DEPTH) {
    for (int i = threadIdx.x; i < PLAIN_TILE * PLAIN_DEPTH; i += 256) {
      int row = i / PLAIN_DEPTH;
      int k = i % PLAIN_DEPTH;
      bool inside = firstRow + row < rows && start + k < depth;
      lefts[k * PLAIN_TILE + row] =
          inside ? left[static_cast<long long>(firstRow + row) * leftStride + start + k] : 0.0f;
      rights[k * PLAIN_TILE + row] = right[static_cast<long long>(firstColumn + row) * rightStride + start + k];
    }
    __syncthreads();
    for (int k = 0; k < PLAIN_DEPTH; k++) {
      for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) {
          sums[i][j] += lefts[k * PLAIN_TILE + threadRow + i] * rights[k * PLAIN_TILE + threadColumn + j];
        }
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < 4; i++) {
    for (int j = 0; j < 4; j++) {
      int row = firstRow + threadRow + i;
      int column = firstColumn + threadColumn + j;
      if (row < rows && column < columns) {
        output[static_cast<long long>(row) * outputStride + column] =
            activate<float>(activation, sums[i][j] + bias[column]);
      }
    }
  }
}
