// The products of product.cu for Hopper: a warpgroup, four warps, multiplies 64 rows with a whole tile's columns by one
// instruction, which reads both sides from shared memory while the warps go on.
//
// Tiles lie in shared memory as in product.cu, which is what the instruction calls K-major with a swizzle of 128 bytes:
// rows of 128 bytes, their chunks of 16 exclusive-or-ed with the row, eight rows after the other. It reads through
// another path than threads write, hence the fence before a barrier, and goes on while the next stage is copied: the
// stage that is written over is the one that all warpgroups had done with before the barrier.
#include "product.cuh"

static const int GROUP_ROWS = 64;
static const int GROUP_THREADS = 4 * WARP;

/** Tiles begin where this divides the address: the swizzle is of its bits. */
static const unsigned TILE_ALIGNMENT = 1024;

#ifndef LANEWISE_HOST

#define LANEWISE_SUM(d, i) "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
#define LANEWISE_SUMS(d, i) LANEWISE_SUM(d, i), LANEWISE_SUM(d, i + 1), LANEWISE_SUM(d, i + 2), LANEWISE_SUM(d, i + 3)

/** d += a * b^T: 64 x 16 times 16 x 128. */
__device__ __forceinline__ void multiply_group(float (&d)[16][4], unsigned long long a, unsigned long long b) {
  asm volatile(
      "{ .reg .pred adds; setp.eq.b32 adds, 0, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
      "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
      "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
      "}, %64, %65, adds, 1, 1, 0, 0; }"
      : LANEWISE_SUMS(d, 0), LANEWISE_SUMS(d, 4), LANEWISE_SUMS(d, 8), LANEWISE_SUMS(d, 12)
      : "l"(a), "l"(b));
}

/** d += a * b^T: 64 x 16 times 16 x 256. */
__device__ __forceinline__ void multiply_group(float (&d)[32][4], unsigned long long a, unsigned long long b) {
  asm volatile(
      "{ .reg .pred adds; setp.eq.b32 adds, 0, 0; wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
      "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
      "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,"
      "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,"
      "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,"
      "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,"
      "%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
      "}, %128, %129, adds, 1, 1, 0, 0; }"
      : LANEWISE_SUMS(d, 0), LANEWISE_SUMS(d, 4), LANEWISE_SUMS(d, 8), LANEWISE_SUMS(d, 12), LANEWISE_SUMS(d, 16), LANEWISE_SUMS(d, 20), LANEWISE_SUMS(d, 24), LANEWISE_SUMS(d, 28)
      : "l"(a), "l"(b));
}

/** Before the first product that reads registers, and after others changed them. */
__device__ __forceinline__ void group_begins() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

__device__ __forceinline__ void products_end_group() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/** Waits until no more than the newest N groups of this warpgroup's products are under way. */
template <int N>
__device__ __forceinline__ void products_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

/** Keeps what reads the sums behind the wait before it. */
template <int N>
__device__ __forceinline__ void sums_are_there(float (&d)[N][4]) {
#pragma unroll
  for (int i = 0; i < N; i++) {
    asm volatile("" : LANEWISE_SUM(d, i)::"memory");
  }
}

/** What this thread wrote to shared memory is there for products that begin after the next barrier. */
__device__ __forceinline__ void shared_for_products() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

#endif

/** Says where a tile begins, in 16 bytes, that its groups of eight rows are 1,024 bytes apart, and the swizzle. */
__device__ __forceinline__ unsigned long long describe(const bf16* tile) {
  return (shared_address(tile) & 0x3ffff) >> 4 | 1ull << 16 | 64ull << 32 | 1ull << 62;
}

/** One tile of ROWS x COLUMNS of the output, GROUP_ROWS for each warpgroup. The arguments are product_tile's. */
template <int ROWS, int COLUMNS, int STAGES, class Out>
__device__ __forceinline__ void warpgroup_tile(const bf16* left, int leftStride, const bf16* right, int rightStride,
                                               const float* bias, int activation, Out* output, int outputStride,
                                               int rows, int depth, int columns) {
  constexpr int THREADS = ROWS / GROUP_ROWS * GROUP_THREADS;
  constexpr int AHEAD = STAGES - 2;
  unsigned char* memory = dynamic_shared + (-shared_address(dynamic_shared) & (TILE_ALIGNMENT - 1));
  Ring<ROWS, COLUMNS, STAGES, THREADS> ring(memory, left, leftStride, right, rightStride, rows, depth);
  int group = threadIdx.x / GROUP_THREADS;

  float sums[COLUMNS / 8][4] = {};
#pragma unroll
  for (int step = 0; step < AHEAD; step++) {
    ring.copy(step);
  }
  for (int step = 0; step < ring.steps; step++) {
    copies_wait<AHEAD - 1>();
    shared_for_products();
    __syncthreads();
    unsigned long long a = describe(ring.left(step) + group * GROUP_ROWS * DEPTH);
    unsigned long long b = describe(ring.right(step));
    group_begins();
#pragma unroll
    for (int k = 0; k < DEPTH / 16; k++) {
      // 16 numbers further on are 32 bytes.
      multiply_group(sums, a + k * 2, b + k * 2);
    }
    products_end_group();
    ring.copy(step + AHEAD);
    products_wait<1>();
  }
  products_wait<0>();
  sums_are_there(sums);
  copies_wait<0>();
  __syncthreads();
  constexpr int PITCH = COLUMNS + STAGED_PADDING;
  float* staged = reinterpret_cast<float*>(dynamic_shared);
  int lane = threadIdx.x % WARP;
  float* own = staged + (threadIdx.x / WARP * 16 + lane / 4) * PITCH + lane % 4 * 2;
#pragma unroll
  for (int j = 0; j < COLUMNS / 8; j++) {
    *reinterpret_cast<float2*>(own + j * 8) = float2{sums[j][0], sums[j][1]};
    *reinterpret_cast<float2*>(own + j * 8 + 8 * PITCH) = float2{sums[j][2], sums[j][3]};
  }
  __syncthreads();
  write_tile<ROWS, COLUMNS, THREADS>(staged, bias, activation, output, outputStride, rows, columns);
}

// The numbers of a name: rows and columns of the tile, stages, blocks that share a multiprocessor.
#define WARPGROUP_PRODUCT(NAME, OUT, ROWS, COLUMNS, STAGES, BLOCKS)                                                 \
  extern "C" __global__ void __launch_bounds__(ROWS / GROUP_ROWS * GROUP_THREADS, BLOCKS)                           \
      NAME(const bf16* left, int leftStride, const bf16* right, int rightStride, const float* bias, int activation, \
           OUT* output, int outputStride, int rows, int depth, int columns) {                                       \
    warpgroup_tile<ROWS, COLUMNS, STAGES, OUT>(left, leftStride, right, rightStride, bias, activation, output,      \
                                               outputStride, rows, depth, columns);                                 \
  }

WARPGROUP_PRODUCT(product_bf16_warpgroup_middle_to_bf16, bf16, 128, 128, 3, 2)
WARPGROUP_PRODUCT(product_bf16_warpgroup_middle_to_fp32, float, 128, 128, 3, 2)
WARPGROUP_PRODUCT(product_bf16_warpgroup_large_to_bf16, bf16, 128, 256, 4, 1)
WARPGROUP_PRODUCT(product_bf16_warpgroup_large_to_fp32, float, 128, 256, 4, 1)
