// What happens to rows one by one: lookups, norms, sums, gates, rotations, pooling. All of it is bound by memory.
//
// *_fp32 and *_bf16 say what the states are kept in; sums and norms are fp32 in both. A warp owns a row. The plain
// norms read their row three times (mean, variance, result), which is exact and takes any size; norm_wide_* keep a
// row of up to 256 numbers for each of their parts in registers. All *_wide_* read and write 16 bytes at a time, and
// leave sizes and addresses that do not allow it to the plain ones.
#include "device.cuh"

static const int ROW_WARPS = 4;

__device__ __forceinline__ int warp_row() { return blockIdx.x * ROW_WARPS + threadIdx.x / WARP; }

/** What a norm is asked. weight and bias are fp32; null stands for no norm at all. */
struct Norm {
  const float* weight;
  const float* bias;
  int centered;
  float epsilon;
};

/** out[i] = norm(source(i)), by one warp; out may be what the source reads. */
template <class T, class Source>
__device__ __forceinline__ void normalize_row(const Source& source, int size, const Norm& norm, T* out) {
  int lane = threadIdx.x % WARP;
  float mean = 0.0f;
  if (norm.centered) {
    float sum = 0.0f;
    for (int i = lane; i < size; i += WARP) {
      sum += source(i);
    }
    mean = warp_sum(sum) / size;
  }
  float squares = 0.0f;
  for (int i = lane; i < size; i += WARP) {
    float difference = source(i) - mean;
    squares += difference * difference;
  }
  float scale = 1.0f / sqrtf(warp_sum(squares) / size + norm.epsilon);
  for (int i = lane; i < size; i += WARP) {
    store(out + i, (source(i) - mean) * scale * norm.weight[i] + norm.bias[i]);
  }
}

/** The tables of an embedding; null for those that are not there. */
struct Tables {
  const void* words;
  int wordsFormat;
  float scale;
  const void* positions;
  int positionFormat;
  const void* types;
  int typeFormat;
};

/** Where a token's rows begin in the tables. */
struct TableRows {
  long long word;
  long long position;
  long long type;
};

__device__ __forceinline__ float lookup(const Tables& tables, const TableRows& rows, int i) {
  float x = load_table(tables.words, tables.wordsFormat, rows.word + i) * tables.scale;
  if (tables.types != nullptr) {
    x += load_table(tables.types, tables.typeFormat, rows.type + i);
  }
  if (tables.positions != nullptr) {
    x += load_table(tables.positions, tables.positionFormat, rows.position + i);
  }
  return x;
}

__device__ __forceinline__ Eight lookup8(const Tables& tables, const TableRows& rows, int i) {
  Eight sum = load_table8(tables.words, tables.wordsFormat, rows.word + i);
  Eight type = {};
  Eight position = {};
  if (tables.types != nullptr) {
    type = load_table8(tables.types, tables.typeFormat, rows.type + i);
  }
  if (tables.positions != nullptr) {
    position = load_table8(tables.positions, tables.positionFormat, rows.position + i);
  }
#pragma unroll
  for (int k = 0; k < 8; k++) {
    sum.at[k] = sum.at[k] * tables.scale + type.at[k] + position.at[k];
  }
  return sum;
}

#define EMBED_ARGUMENTS(T)                                                                                            \
  const int *ids, const int *typeIds, const int *positions, const void *words, int wordsFormat, float scale,          \
      const void *positionTable, int positionFormat, const void *typeTable, int typeFormat, const float *weight,      \
      const float *bias, int centered, float epsilon, T *hidden, int stride, int tokens, int size

#define EMBED_TOKEN()                                                                                                 \
  int token = warp_row();                                                                                             \
  if (token >= tokens) {                                                                                              \
    return;                                                                                                           \
  }                                                                                                                   \
  Tables tables{words, wordsFormat, scale, positionTable, positionFormat, typeTable, typeFormat};                     \
  TableRows rows{static_cast<long long>(ids[token]) * size, static_cast<long long>(positions[token]) * size,          \
                 static_cast<long long>(typeIds[token]) * size};                                                      \
  Norm norm{weight, bias, centered, epsilon};

template <class T>
__device__ __forceinline__ void embed(EMBED_ARGUMENTS(T)) {
  EMBED_TOKEN()
  T* out = hidden + static_cast<long long>(token) * stride;
  if (norm.weight != nullptr) {
    normalize_row([&](int i) { return lookup(tables, rows, i); }, size, norm, out);
    return;
  }
  for (int i = threadIdx.x % WARP; i < size; i += WARP) {
    store(out + i, lookup(tables, rows, i));
  }
}

#define EMBED_PASSED                                                                                                  \
  ids, typeIds, positions, words, wordsFormat, scale, positionTable, positionFormat, typeTable, typeFormat, weight,   \
      bias, centered, epsilon, hidden, stride, tokens, size

extern "C" __global__ void __launch_bounds__(ROW_WARPS* WARP) embed_fp32(EMBED_ARGUMENTS(float)) {
  embed<float>(EMBED_PASSED);
}

extern "C" __global__ void __launch_bounds__(ROW_WARPS* WARP) embed_bf16(EMBED_ARGUMENTS(bf16)) {
  embed<bf16>(EMBED_PASSED);
}

/** Groups of size columns, each normalised by itself; residual is null where nothing is added first. */
template <class T>
__device__ __forceinline__ void norm_plain(const T* input, int inputStride, const T* residual, int residualStride,
                                           const Norm& norm, T* output, int outputStride, int rows, int groups,
                                           int size) {
  int at = warp_row();
  if (at >= rows * groups) {
    return;
  }
  long long row = at / groups;
  int column = at % groups * size;
  const T* in = input + row * inputStride + column;
  T* out = output + row * outputStride + column;
  if (residual == nullptr) {
    normalize_row([=](int i) { return load(in + i); }, size, norm, out);
    return;
  }
  const T* added = residual + row * residualStride + column;
  normalize_row([=](int i) { return load(in + i) + load(added + i); }, size, norm, out);
}

#define NORM_ARGUMENTS(T)                                                                                   \
  const T *input, int inputStride, const T *residual, int residualStride, const float *weight,              \
      const float *bias, int centered, float epsilon, T *output, int outputStride, int rows, int groups, int size

#define NORM_PLAIN(NAME, T)                                                                                         \
  extern "C" __global__ void __launch_bounds__(ROW_WARPS* WARP) NAME(NORM_ARGUMENTS(T)) {                           \
    norm_plain<T>(input, inputStride, residual, residualStride, Norm{weight, bias, centered, epsilon}, output,      \
                  outputStride, rows, groups, size);                                                                \
  }

NORM_PLAIN(norm_fp32, float)
NORM_PLAIN(norm_bf16, bf16)

/**
 * out = norm(source), by one warp: source gives eight numbers from i on. Addresses and size are multiples of 8
 * numbers, and size is at most 256 * PARTS.
 */
template <class T, int PARTS, class Source>
__device__ __forceinline__ void normalize_wide(const Source& source, int size, const Norm& norm, T* out) {
  int lane = threadIdx.x % WARP;
  Eight parts[PARTS];
  float sum = 0.0f;
#pragma unroll
  for (int part = 0; part < PARTS; part++) {
    int i = (part * WARP + lane) * 8;
    if (i < size) {
      parts[part] = source(i);
#pragma unroll
      for (int k = 0; k < 8; k++) {
        sum += parts[part].at[k];
      }
    }
  }
  float mean = norm.centered ? warp_sum(sum) / size : 0.0f;
  float squares = 0.0f;
#pragma unroll
  for (int part = 0; part < PARTS; part++) {
    if ((part * WARP + lane) * 8 < size) {
#pragma unroll
      for (int k = 0; k < 8; k++) {
        float difference = parts[part].at[k] - mean;
        squares += difference * difference;
      }
    }
  }
  float scale = 1.0f / sqrtf(warp_sum(squares) / size + norm.epsilon);
#pragma unroll
  for (int part = 0; part < PARTS; part++) {
    int i = (part * WARP + lane) * 8;
    if (i < size) {
      Eight weight = load8(norm.weight + i);
      Eight bias = load8(norm.bias + i);
#pragma unroll
      for (int k = 0; k < 8; k++) {
        parts[part].at[k] = (parts[part].at[k] - mean) * scale * weight.at[k] + bias.at[k];
      }
      store8(out + i, parts[part]);
    }
  }
}

template <class T, int PARTS>
__device__ __forceinline__ void norm_wide(const T* input, int inputStride, const T* residual, int residualStride,
                                          const Norm& norm, T* output, int outputStride, int rows, int groups,
                                          int size) {
  int at = warp_row();
  if (at >= rows * groups) {
    return;
  }
  long long row = at / groups;
  int column = at % groups * size;
  const T* in = input + row * inputStride + column;
  const T* added = residual == nullptr ? nullptr : residual + row * residualStride + column;
  auto source = [=](int i) {
    Eight sum = load8(in + i);
    if (added != nullptr) {
      Eight more = load8(added + i);
#pragma unroll
      for (int k = 0; k < 8; k++) {
        sum.at[k] += more.at[k];
      }
    }
    return sum;
  };
  normalize_wide<T, PARTS>(source, size, norm, output + row * outputStride + column);
}

/** As embed with a norm, under the conditions of normalize_wide. */
template <class T, int PARTS>
__device__ __forceinline__ void embed_wide(EMBED_ARGUMENTS(T)) {
  EMBED_TOKEN()
  normalize_wide<T, PARTS>([&](int i) { return lookup8(tables, rows, i); }, size, norm,
                           hidden + static_cast<long long>(token) * stride);
}

#define NORM_WIDE(NAME, T, PARTS)                                                                                  \
  extern "C" __global__ void __launch_bounds__(ROW_WARPS* WARP) NAME(NORM_ARGUMENTS(T)) {                          \
    norm_wide<T, PARTS>(input, inputStride, residual, residualStride, Norm{weight, bias, centered, epsilon},       \
                        output, outputStride, rows, groups, size);                                                 \
  }

NORM_WIDE(norm_wide_256_bf16, bf16, 1)
NORM_WIDE(norm_wide_512_bf16, bf16, 2)
NORM_WIDE(norm_wide_1024_bf16, bf16, 4)

#define EMBED_WIDE(NAME, T, PARTS)                                                             \
  extern "C" __global__ void __launch_bounds__(ROW_WARPS* WARP) NAME(EMBED_ARGUMENTS(T)) { \
    embed_wide<T, PARTS>(EMBED_PASSED);                                                        \
  }

EMBED_WIDE(embed_wide_256_bf16, bf16, 1)
EMBED_WIDE(embed_wide_512_bf16, bf16, 2)
EMBED_WIDE(embed_wide_1024_bf16, bf16, 4)

/** A block of the grid's first dimension for each row; the second goes along it. */
__device__ __forceinline__ bool element(int columns, int width, int* row, int* column) {
  *row = blockIdx.x;
  *column = (blockIdx.y * blockDim.x + threadIdx.x) * width;
  return *column < columns;
}

template <class T>
__device__ __forceinline__ void add(const T* input, int inputStride, T* output, int outputStride, int columns) {
  int row;
  int column;
  if (element(columns, 1, &row, &column)) {
    T* out = output + static_cast<long long>(row) * outputStride + column;
    store(out, load(out) + load(input + static_cast<long long>(row) * inputStride + column));
  }
}

extern "C" __global__ void add_fp32(const float* input, int inputStride, float* output, int outputStride,
                                    int columns) {
  add<float>(input, inputStride, output, outputStride, columns);
}

extern "C" __global__ void add_bf16(const bf16* input, int inputStride, bf16* output, int outputStride,
                                    int columns) {
  add<bf16>(input, inputStride, output, outputStride, columns);
}

extern "C" __global__ void add_wide_bf16(const bf16* input, int inputStride, bf16* output, int outputStride,
                                         int columns) {
  int row;
  int column;
  if (element(columns, 8, &row, &column)) {
    bf16* out = output + static_cast<long long>(row) * outputStride + column;
    Eight sum = load8(out);
    Eight added = load8(input + static_cast<long long>(row) * inputStride + column);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      sum.at[i] += added.at[i];
    }
    store8(out, sum);
  }
}

/** output = activation(first half) * second half. */
template <class T>
__device__ __forceinline__ void gate(const T* input, int inputStride, int activation, T* output, int outputStride,
                                     int half) {
  int row;
  int column;
  if (element(half, 1, &row, &column)) {
    const T* in = input + static_cast<long long>(row) * inputStride + column;
    store(output + static_cast<long long>(row) * outputStride + column,
          activate<T>(activation, load(in)) * load(in + half));
  }
}

extern "C" __global__ void gate_fp32(const float* input, int inputStride, int activation, float* output,
                                     int outputStride, int half) {
  gate<float>(input, inputStride, activation, output, outputStride, half);
}

extern "C" __global__ void gate_bf16(const bf16* input, int inputStride, int activation, bf16* output,
                                     int outputStride, int half) {
  gate<bf16>(input, inputStride, activation, output, outputStride, half);
}

extern "C" __global__ void gate_wide_bf16(const bf16* input, int inputStride, int activation, bf16* output,
                                          int outputStride, int half) {
  int row;
  int column;
  if (element(half, 8, &row, &column)) {
    const bf16* in = input + static_cast<long long>(row) * inputStride + column;
    Eight gated = load8(in);
    Eight factor = load8(in + half);
    activate8<bf16>(activation, gated);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      gated.at[i] *= factor.at[i];
    }
    store8(output + static_cast<long long>(row) * outputStride + column, gated);
  }
}

/** matrix = activation(matrix), for products that end with the bias. */
template <class T>
__device__ __forceinline__ void activate_row(T* matrix, int stride, int activation, int columns) {
  int row;
  int column;
  if (element(columns, 1, &row, &column)) {
    T* at = matrix + static_cast<long long>(row) * stride + column;
    store(at, activate<T>(activation, load(at)));
  }
}

extern "C" __global__ void activate_fp32(float* matrix, int stride, int activation, int columns) {
  activate_row<float>(matrix, stride, activation, columns);
}

extern "C" __global__ void activate_bf16(bf16* matrix, int stride, int activation, int columns) {
  activate_row<bf16>(matrix, stride, activation, columns);
}

extern "C" __global__ void activate_wide_bf16(bf16* matrix, int stride, int activation, int columns) {
  int row;
  int column;
  if (element(columns, 8, &row, &column)) {
    bf16* at = matrix + static_cast<long long>(row) * stride + column;
    Eight eight = load8(at);
    activate8<bf16>(activation, eight);
    store8(at, eight);
  }
}

/** Turns number i of a head together with number i + pairs, by the angles of the token's position. */
template <class T>
__device__ __forceinline__ void rotate(T* matrix, int stride, const int* positions, int heads, int headSize,
                                       const float* cosines, const float* sines, int angleStride,
                                       int pairs) {
  int row;
  int column;
  if (element(heads * pairs, 1, &row, &column)) {
    int i = column % pairs;
    T* first = matrix + static_cast<long long>(row) * stride + column / pairs * headSize + i;
    float x = load(first);
    float y = load(first + pairs);
    long long angle = static_cast<long long>(positions[row]) * angleStride + i;
    store(first, x * cosines[angle] - y * sines[angle]);
    store(first + pairs, y * cosines[angle] + x * sines[angle]);
  }
}

extern "C" __global__ void rotate_fp32(float* matrix, int stride, const int* positions, int heads, int headSize,
                                       const float* cosines, const float* sines, int angleStride,
                                       int pairs) {
  rotate<float>(matrix, stride, positions, heads, headSize, cosines, sines, angleStride, pairs);
}

extern "C" __global__ void rotate_bf16(bf16* matrix, int stride, const int* positions, int heads, int headSize,
                                       const float* cosines, const float* sines, int angleStride,
                                       int pairs) {
  rotate<bf16>(matrix, stride, positions, heads, headSize, cosines, sines, angleStride, pairs);
}

extern "C" __global__ void rotate_wide_bf16(bf16* matrix, int stride, const int* positions, int heads, int headSize,
                                            const float* cosines, const float* sines, int angleStride, int pairs) {
  int row;
  int column;
  if (element(heads * pairs, 8, &row, &column)) {
    int i = column % pairs;
    bf16* first = matrix + static_cast<long long>(row) * stride + column / pairs * headSize + i;
    long long angle = static_cast<long long>(positions[row]) * angleStride + i;
    Eight x = load8(first);
    Eight y = load8(first + pairs);
    Eight cosine = load8(cosines + angle);
    Eight sine = load8(sines + angle);
    Eight turned;
    Eight other;
#pragma unroll
    for (int k = 0; k < 8; k++) {
      turned.at[k] = x.at[k] * cosine.at[k] - y.at[k] * sine.at[k];
      other.at[k] = y.at[k] * cosine.at[k] + x.at[k] * sine.at[k];
    }
    store8(first, turned);
    store8(first + pairs, other);
  }
}

/** output[t] = input[t - width / 2] to input[t + width / 2] side by side, zeros beyond the sequence. */
template <class T>
__device__ __forceinline__ void neighbours(const T* input, int inputStride, const int* sequenceOf,
                                           const int* sequenceStarts, int width, T* output, int outputStride,
                                           int columns) {
  int token;
  int at;
  if (element(width * columns, 1, &token, &at)) {
    int other = token + at / columns - width / 2;
    int sequence = sequenceOf[token];
    bool inside = other >= sequenceStarts[sequence] && other < sequenceStarts[sequence + 1];
    float x = inside ? load(input + static_cast<long long>(other) * inputStride + at % columns) : 0.0f;
    store(output + static_cast<long long>(token) * outputStride + at, x);
  }
}

extern "C" __global__ void neighbours_fp32(const float* input, int inputStride, const int* sequenceOf,
                                           const int* sequenceStarts, int width, float* output, int outputStride,
                                           int columns) {
  neighbours<float>(input, inputStride, sequenceOf, sequenceStarts, width, output, outputStride, columns);
}

extern "C" __global__ void neighbours_bf16(const bf16* input, int inputStride, const int* sequenceOf,
                                           const int* sequenceStarts, int width, bf16* output, int outputStride,
                                           int columns) {
  neighbours<bf16>(input, inputStride, sequenceOf, sequenceStarts, width, output, outputStride, columns);
}

/** As CudaBackend numbers them. */
enum Pooling { CLS = 0, MEAN = 1, MAX = 2, MEAN_SQRT_LENGTH = 3, WEIGHTED_MEAN = 4, LAST_TOKEN = 5 };

/** A thread for each column of a sequence: blockIdx.x counts sequences. */
template <class T>
__device__ __forceinline__ void pool(const T* hidden, int stride, const int* pooledStarts, const int* sequenceStarts,
                                     int mode, float* vectors, int vectorStride, int firstColumn, int columns) {
  int sequence = blockIdx.x;
  int column = blockIdx.y * blockDim.x + threadIdx.x;
  if (column >= columns) {
    return;
  }
  int first = pooledStarts[sequence];
  int end = sequenceStarts[sequence + 1];
  if (mode == CLS) {
    end = first + 1;
  } else if (mode == LAST_TOKEN) {
    first = end - 1;
  }
  float answer = mode == MAX ? -INFINITY : 0.0f;
  float weights = 0.0f;
  for (int row = first; row < end; row++) {
    float x = load(hidden + static_cast<long long>(row) * stride + column);
    float weight = mode == WEIGHTED_MEAN ? static_cast<float>(row - first + 1) : 1.0f;
    answer = mode == MAX ? fmaxf(answer, x) : answer + weight * x;
    weights += weight;
  }
  if (mode == MEAN || mode == WEIGHTED_MEAN) {
    answer /= weights;
  } else if (mode == MEAN_SQRT_LENGTH) {
    answer /= sqrtf(weights);
  }
  vectors[static_cast<long long>(sequence) * vectorStride + firstColumn + column] = answer;
}

extern "C" __global__ void pool_fp32(const float* hidden, int stride, const int* pooledStarts,
                                     const int* sequenceStarts, int mode, float* vectors, int vectorStride,
                                     int firstColumn, int columns) {
  pool<float>(hidden, stride, pooledStarts, sequenceStarts, mode, vectors, vectorStride, firstColumn, columns);
}

extern "C" __global__ void pool_bf16(const bf16* hidden, int stride, const int* pooledStarts,
                                     const int* sequenceStarts, int mode, float* vectors, int vectorStride,
                                     int firstColumn, int columns) {
  pool<bf16>(hidden, stride, pooledStarts, sequenceStarts, mode, vectors, vectorStride, firstColumn, columns);
}

/** Scales every row to length 1; a row of zeros stays as it is. */
template <class T>
__device__ __forceinline__ void normalize(T* vectors, int stride, int rows, int columns) {
  int row = warp_row();
  if (row >= rows) {
    return;
  }
  T* numbers = vectors + static_cast<long long>(row) * stride;
  float squares = 0.0f;
  for (int i = threadIdx.x % WARP; i < columns; i += WARP) {
    squares += load(numbers + i) * load(numbers + i);
  }
  float length = fmaxf(sqrtf(warp_sum(squares)), 1e-12f);
  for (int i = threadIdx.x % WARP; i < columns; i += WARP) {
    store(numbers + i, load(numbers + i) / length);
  }
}

extern "C" __global__ void normalize_fp32(float* vectors, int stride, int rows, int columns) {
  normalize<float>(vectors, stride, rows, columns);
}

extern "C" __global__ void normalize_bf16(bf16* vectors, int stride, int rows, int columns) {
  normalize<bf16>(vectors, stride, rows, columns);
}

/** What the tensor cores read: bf16 numbers at an address and stride that 8 numbers divide. */
extern "C" __global__ void to_bf16_from_fp32(const float* input, int inputStride, bf16* output, int outputStride,
                                             int columns) {
  int row;
  int column;
  if (element(columns, 1, &row, &column)) {
    store(output + static_cast<long long>(row) * outputStride + column,
          load(input + static_cast<long long>(row) * inputStride + column));
  }
}

extern "C" __global__ void to_bf16_from_bf16(const bf16* input, int inputStride, bf16* output, int outputStride,
                                             int columns) {
  int row;
  int column;
  if (element(columns, 1, &row, &column)) {
    output[static_cast<long long>(row) * outputStride + column] =
        input[static_cast<long long>(row) * inputStride + column];
  }
}
