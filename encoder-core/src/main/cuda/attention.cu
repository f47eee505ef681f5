// Attention over packed sequences: context = softmax(scale * query * key^T + bias) * value, within each sequence.
//
// attention_plain_* is the reference: a warp for each query and head, any head size, any bias; the softmax is
// computed as keys come by, 32 at a time, so that memory does not depend on the length. attention_* do the same on
// tensor cores (Dao, "FlashAttention-2", 2023): four warps share 64 queries of one head, 16 each, and every tile of
// keys and values is copied to shared memory while the one before it is worked on. What varies is the head size,
// rounded up; smaller heads are filled with zeros while they are read. Disentangled biases are left to the reference.
#include "device.cuh"

static const float LOG2_E = 1.4426950408889634f;

/** What attention_* are asked, beside the matrices: the same for all blocks. */
struct Pattern {
  int heads;
  int keyValueHeads;
  int headSize;
  float scale;
  int behind;
  int ahead;
  /** (heads, biasStride), null for none: added at column reach + query - key. */
  const float* bias;
  int biasStride;
  int reach;
};

/** What attention_plain_* also know: products with keys and queries of the distance, null for none. */
struct Distances {
  const float* keys;
  int keysStride;
  const float* queries;
  int queriesStride;
  const int* rows;
};

static const int PLAIN_WARPS = 4;

template <class T>
__device__ __forceinline__ void attention_plain(const T* queryKeyValue, int stride, const int* sequenceOf,
                                                const int* sequenceStarts, int tokens, const Pattern& pattern,
                                                const Distances& distances, T* context, int contextStride) {
  int size = pattern.headSize;
  int lane = threadIdx.x % WARP;
  int warp = threadIdx.x / WARP;
  float* query = reinterpret_cast<float*>(dynamic_shared) + warp * 2 * size;
  float* sums = query + size;
  int token = blockIdx.x * PLAIN_WARPS + warp;
  int head = blockIdx.y;
  if (token >= tokens) {
    return;
  }
  int sequence = sequenceOf[token];
  int start = sequenceStarts[sequence];
  int length = sequenceStarts[sequence + 1] - start;
  int at = token - start;
  int keyValueHead = head / (pattern.heads / pattern.keyValueHeads);
  int keyColumn = (pattern.heads + keyValueHead) * size;
  int valueColumn = keyColumn + pattern.keyValueHeads * size;
  const T* queryRow = queryKeyValue + static_cast<long long>(token) * stride + head * size;
  for (int i = lane; i < size; i += WARP) {
    query[i] = load(queryRow + i);
    sums[i] = 0.0f;
  }
  warp_barrier();
  int first = max(0, at - pattern.behind);
  int end = min(length, at + pattern.ahead + 1);
  float largest = -INFINITY;
  float total = 0.0f;
  for (int base = first; base < end; base += WARP) {
    int key = base + lane;
    float score = -INFINITY;
    if (key < end) {
      const T* keyRow = queryKeyValue + static_cast<long long>(start + key) * stride + keyColumn;
      float dot = 0.0f;
      for (int i = 0; i < size; i++) {
        dot += query[i] * load(keyRow + i);
      }
      if (distances.keys != nullptr || distances.queries != nullptr) {
        int row = distances.rows[pattern.reach + at - key];
        for (int i = 0; i < size && distances.keys != nullptr; i++) {
          dot += query[i] * distances.keys[static_cast<long long>(row) * distances.keysStride + head * size + i];
        }
        for (int i = 0; i < size && distances.queries != nullptr; i++) {
          dot += load(keyRow + i) *
                 distances.queries[static_cast<long long>(row) * distances.queriesStride + head * size + i];
        }
      }
      score = dot * pattern.scale;
      if (pattern.bias != nullptr) {
        score += pattern.bias[static_cast<long long>(head) * pattern.biasStride + pattern.reach + at - key];
      }
    }
    float before = largest;
    largest = fmaxf(largest, warp_max(score));
    float shrink = expf(before - largest);
    float weight = expf(score - largest);
    total = total * shrink + warp_sum(weight);
    for (int i = lane; i < size; i += WARP) {
      sums[i] *= shrink;
    }
    int count = min(WARP, end - base);
    for (int other = 0; other < count; other++) {
      float share = shuffle(weight, other);
      const T* valueRow = queryKeyValue + static_cast<long long>(start + base + other) * stride + valueColumn;
      for (int i = lane; i < size; i += WARP) {
        sums[i] += share * load(valueRow + i);
      }
    }
  }
  for (int i = lane; i < size; i += WARP) {
    store(context + static_cast<long long>(token) * contextStride + head * size + i, sums[i] / total);
  }
}

#define ATTENTION_PLAIN(NAME, T)                                                                                   \
  extern "C" __global__ void __launch_bounds__(PLAIN_WARPS* WARP)                                                  \
      NAME(const T* queryKeyValue, int stride, const int* sequenceOf, const int* sequenceStarts, int tokens,       \
           int heads, int keyValueHeads, int headSize, float scale, int behind, int ahead, const float* bias,      \
           int biasStride, int reach, const float* distanceKeys, int keysStride, const float* distanceQueries,     \
           int queriesStride, const int* distanceRows, T* context, int contextStride) {                            \
    Pattern pattern{heads, keyValueHeads, headSize, scale, behind, ahead, bias, biasStride, reach};                \
    Distances distances{distanceKeys, keysStride, distanceQueries, queriesStride, distanceRows};                   \
    attention_plain<T>(queryKeyValue, stride, sequenceOf, sequenceStarts, tokens, pattern, distances, context,     \
                       contextStride);                                                                             \
  }

ATTENTION_PLAIN(attention_plain_fp32, float)
ATTENTION_PLAIN(attention_plain_bf16, bf16)

static const int QUERIES = 64;
static const int QUERY_WARPS = QUERIES / 16;

/** The place of a chunk of eight numbers in a tile of rows of SIZE numbers: see product.cu. */
template <int SIZE>
__device__ __forceinline__ int place(int row, int chunk) {
  int turn = SIZE == 32 ? row / 2 % 4 : row % 8;
  return row * SIZE + ((chunk ^ turn) * 8);
}

/** Begins to copy rows of one head; rows from count on are zeros, and so are columns from size on. */
template <int SIZE, int ROWS>
__device__ __forceinline__ void copy_head(bf16* tile, const bf16* source, int stride, int count, int size) {
  constexpr int CHUNKS = SIZE / 8;
#pragma unroll
  for (int i = threadIdx.x; i < ROWS * CHUNKS; i += QUERY_WARPS * WARP) {
    int row = i / CHUNKS;
    int chunk = i % CHUNKS;
    int bytes = row < count && chunk * 8 < size ? 16 : 0;
    const bf16* from = bytes > 0 ? source + static_cast<long long>(row) * stride + chunk * 8 : source;
    copy16(tile + place<SIZE>(row, chunk), from, bytes);
  }
}

/**
 * 64 queries of a sequence and head. queryKeyValue at an address and stride that 8 numbers divide, headSize a multiple
 * of 8; tiles holds the first token, the length and the first query of each block's part of a sequence.
 */
template <int SIZE, int KEYS>
__device__ __forceinline__ void attention_tile(const bf16* queryKeyValue, int stride, const int* tiles,
                                               const Pattern& pattern, bf16* context, int contextStride) {
  constexpr int DEPTHS = SIZE / 16;
  constexpr int KEY_TILES = KEYS / 8;
  constexpr int SIZE_TILES = SIZE / 8;
  bf16* queries = reinterpret_cast<bf16*>(dynamic_shared);
  bf16* keys = queries + QUERIES * SIZE;
  bf16* values = keys + 2 * KEYS * SIZE;
  int start = tiles[blockIdx.x * 3];
  int length = tiles[blockIdx.x * 3 + 1];
  int firstQuery = tiles[blockIdx.x * 3 + 2];
  int head = blockIdx.y;
  int size = pattern.headSize;
  int keyValueHead = head / (pattern.heads / pattern.keyValueHeads);
  const bf16* rows = queryKeyValue + static_cast<long long>(start) * stride;
  const bf16* keyRows = rows + (pattern.heads + keyValueHead) * size;
  const bf16* valueRows = keyRows + pattern.keyValueHeads * size;
  int lane = threadIdx.x % WARP;
  int warp = threadIdx.x / WARP;

  int queryCount = min(QUERIES, length - firstQuery);
  int first = max(0, firstQuery - pattern.behind) / KEYS * KEYS;
  int end = min(length, firstQuery + queryCount + pattern.ahead);
  copy_head<SIZE, QUERIES>(queries, rows + static_cast<long long>(firstQuery) * stride + head * size, stride,
                           queryCount, size);
  copy_head<SIZE, KEYS>(keys, keyRows + static_cast<long long>(first) * stride, stride, end - first, size);
  copy_head<SIZE, KEYS>(values, valueRows + static_cast<long long>(first) * stride, stride, end - first, size);
  copies_end_group();

  // A thread has two rows of its warp's tile: lane / 4, and 8 further down.
  float sums[SIZE_TILES][4] = {};
  float largest[2] = {-INFINITY, -INFINITY};
  float total[2] = {0.0f, 0.0f};
  float scale = pattern.scale * LOG2_E;
  long long biasRow = static_cast<long long>(head) * pattern.biasStride;
  // Scores without a bias are scaled when their weights are computed.
  float factor = pattern.bias == nullptr ? scale : 1.0f;
  int query = firstQuery + warp * 16 + lane / 4;
  int buffer = 0;
  for (int base = first; base < end; base += KEYS, buffer ^= 1) {
    copies_wait<0>();
    __syncthreads();
    int next = base + KEYS;
    if (next < end) {
      bf16* nextKeys = keys + (buffer ^ 1) * KEYS * SIZE;
      bf16* nextValues = values + (buffer ^ 1) * KEYS * SIZE;
      copy_head<SIZE, KEYS>(nextKeys, keyRows + static_cast<long long>(next) * stride, stride, end - next, size);
      copy_head<SIZE, KEYS>(nextValues, valueRows + static_cast<long long>(next) * stride, stride, end - next, size);
      copies_end_group();
    }
    // Short texts leave warps without a query: these copy for the others alone.
    if (firstQuery + warp * 16 >= length) {
      continue;
    }
    const bf16* keyTile = keys + buffer * KEYS * SIZE;
    const bf16* valueTile = values + buffer * KEYS * SIZE;
    float scores[KEY_TILES][4] = {};
#pragma unroll
    for (int k = 0; k < DEPTHS; k++) {
      unsigned a[4];
      load_matrices(a, queries + place<SIZE>(warp * 16 + lane % 16, k * 2 + lane / 16));
#pragma unroll
      for (int j = 0; j < KEY_TILES / 2; j++) {
        unsigned b[4];
        load_matrices(b, keyTile + place<SIZE>(j * 16 + lane % 8 + lane / 16 * 8, k * 2 + lane / 8 % 2));
        multiply_tile(scores[2 * j], a, b[0], b[1]);
        multiply_tile(scores[2 * j + 1], a, b[2], b[3]);
      }
    }
    if (next > end || base < firstQuery + QUERIES - 1 - pattern.behind || next - 1 > firstQuery + pattern.ahead) {
      int column = base + lane % 4 * 2;
      int from[2] = {query - pattern.behind - column, query + 8 - pattern.behind - column};
      int to[2] = {min(end, query + pattern.ahead + 1) - column, min(end, query + 8 + pattern.ahead + 1) - column};
#pragma unroll
      for (int j = 0; j < KEY_TILES; j++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          int key = j * 8 + i % 2;
          scores[j][i] = key >= from[i / 2] && key < to[i / 2] ? scores[j][i] : -INFINITY;
        }
      }
    }
    if (pattern.bias != nullptr) {
#pragma unroll
      for (int j = 0; j < KEY_TILES; j++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          int row = query + i / 2 * 8;
          int key = base + j * 8 + lane % 4 * 2 + i % 2;
          if (row < length && scores[j][i] != -INFINITY) {
            scores[j][i] = scores[j][i] * scale + pattern.bias[biasRow + pattern.reach + row - key] * LOG2_E;
          }
        }
      }
    }
    float highest[2] = {-INFINITY, -INFINITY};
#pragma unroll
    for (int j = 0; j < KEY_TILES; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        highest[i / 2] = fmaxf(highest[i / 2], scores[j][i]);
      }
    }
    float shrink[2];
    float base2[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float top = highest[half] * factor;
      top = fmaxf(top, shuffle_xor(top, 1));
      top = fmaxf(top, shuffle_xor(top, 2));
      top = fmaxf(top, largest[half]);
      // A row that has read no key yet: everything is still zero, and stays it.
      base2[half] = top == -INFINITY ? 0.0f : top;
      shrink[half] = exp2_fast(largest[half] - base2[half]);
      largest[half] = top;
      total[half] *= shrink[half];
    }
#pragma unroll
    for (int j = 0; j < KEY_TILES; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        float weight = exp2_fast(fmaf(scores[j][i], factor, -base2[i / 2]));
        scores[j][i] = weight;
        total[i / 2] += weight;
      }
    }
#pragma unroll
    for (int j = 0; j < SIZE_TILES; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        sums[j][i] *= shrink[i / 2];
      }
    }
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++) {
      unsigned a[4] = {narrow2(scores[2 * k][0], scores[2 * k][1]), narrow2(scores[2 * k][2], scores[2 * k][3]),
                       narrow2(scores[2 * k + 1][0], scores[2 * k + 1][1]),
                       narrow2(scores[2 * k + 1][2], scores[2 * k + 1][3])};
#pragma unroll
      for (int j = 0; j < SIZE_TILES / 2; j++) {
        unsigned b[4];
        load_matrices_transposed(b, valueTile + place<SIZE>(k * 16 + lane % 16, j * 2 + lane / 16));
        multiply_tile(sums[2 * j], a, b[0], b[1]);
        multiply_tile(sums[2 * j + 1], a, b[2], b[3]);
      }
    }
  }
#pragma unroll
  for (int half = 0; half < 2; half++) {
    float sum = total[half];
    sum += shuffle_xor(sum, 1);
    sum += shuffle_xor(sum, 2);
    int row = query + half * 8;
    if (row < length) {
      bf16* contextRow = context + static_cast<long long>(start + row) * contextStride + head * size;
#pragma unroll
      for (int j = 0; j < SIZE_TILES; j++) {
        if (j * 8 < size) {
          *reinterpret_cast<unsigned*>(contextRow + j * 8 + lane % 4 * 2) =
              narrow2(sums[j][half * 2] / sum, sums[j][half * 2 + 1] / sum);
        }
      }
    }
  }
}

#define ATTENTION(NAME, SIZE, KEYS)                                                                                \
  extern "C" __global__ void __launch_bounds__(QUERY_WARPS* WARP)                                                  \
      NAME(const bf16* queryKeyValue, int stride, const int* tiles, int heads, int keyValueHeads, int headSize,    \
           float scale, int behind, int ahead, const float* bias, int biasStride, int reach, bf16* context,        \
           int contextStride) {                                                                                    \
    Pattern pattern{heads, keyValueHeads, headSize, scale, behind, ahead, bias, biasStride, reach};                \
    attention_tile<SIZE, KEYS>(queryKeyValue, stride, tiles, pattern, context, contextStride);                     \
  }

ATTENTION(attention_32, 32, 64)
ATTENTION(attention_64, 64, 64)
ATTENTION(attention_128, 128, 64)
ATTENTION(attention_256, 256, 32)
