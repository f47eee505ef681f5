// Launches of the kernels on the host: see host.h. Built by a test into a shared library or, with its own main, into a
// program that the sanitizers watch.
#define LANEWISE_HOST
#include "../../main/cuda/attention.cu"
#include "../../main/cuda/product.cu"
#include "../../main/cuda/recurrence.cu"
#include "../../main/cuda/rows.cu"
#include "../../main/cuda/warpgroup.cu"

#include <stdio.h>
#include <stdlib.h>

#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

inline bf16 narrow(float x) { return bf16{narrow_bits(x)}; }

Coordinates threadIdx, blockIdx, blockDim, gridDim;
unsigned char* dynamic_shared;

namespace {

const size_t STACK = 128 << 10;

struct Copy {
  void* shared;
  const void* global;
  int bytes;
};

struct GroupProduct {
  float (*sums)[4];
  int columnTiles;
  unsigned long long a;
  unsigned long long b;
};

struct Warp {
  /** What lanes handed over, in turn: a lane is at most one exchange ahead of the others. */
  unsigned char slots[2][32][64];
  int arrived = 0;
  long generation = 0;
  int alive = 0;
};

struct Fiber {
  std::vector<unsigned char> stack;
  void* pointer = nullptr;
  unsigned thread = 0;
  bool ended = false;
  const long* awaited = nullptr;
  long until = 0;
  std::vector<Copy> open;
  std::vector<std::vector<Copy>> groups;
  std::vector<GroupProduct> openProducts;
  std::vector<std::vector<GroupProduct>> productGroups;
  /** Whether copies arrived that products may not see yet, and whether products may begin. */
  bool unfenced = false;
  bool begun = false;
  unsigned asked = 0;
  void* fake = nullptr;
};

std::vector<Fiber> fibers;
std::vector<Warp> warps;
Fiber* current;
void* scheduler;
long blockGeneration;
int blockArrived;
int blockAlive;
std::function<void()> body;

/** Saves the registers that a call keeps, and goes on where the other stack was left. */
extern "C" void switch_stacks(void** from, void* to);
__asm__(
    ".text\n"
    ".globl switch_stacks\n"
    "switch_stacks:\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  movq %rsp, (%rdi)\n"
    "  movq %rsi, %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
    "  ret\n");

#if SANITIZED
const void* schedulerBottom;
size_t schedulerSize;
void* schedulerFake;
#endif

void to_scheduler(bool ending) {
  Fiber* self = current;
#if SANITIZED
  __sanitizer_start_switch_fiber(ending ? nullptr : &self->fake, schedulerBottom, schedulerSize);
#else
  (void)ending;
#endif
  switch_stacks(&self->pointer, scheduler);
#if SANITIZED
  __sanitizer_finish_switch_fiber(self->fake, &schedulerBottom, &schedulerSize);
#endif
}

void to_fiber(Fiber& fiber) {
  current = &fiber;
  threadIdx = {fiber.thread, 0, 0};
#if SANITIZED
  __sanitizer_start_switch_fiber(&schedulerFake, fiber.stack.data(), fiber.stack.size());
#endif
  switch_stacks(&scheduler, fiber.pointer);
#if SANITIZED
  __sanitizer_finish_switch_fiber(schedulerFake, nullptr, nullptr);
#endif
}

void await(const long* counter, long until) {
  current->awaited = counter;
  current->until = until;
  while (*counter < until) {
    to_scheduler(false);
  }
  current->awaited = nullptr;
}

void release_block() {
  if (blockAlive > 0 && blockArrived == blockAlive) {
    blockArrived = 0;
    blockGeneration++;
  }
}

void run_fiber() {
#if SANITIZED
  __sanitizer_finish_switch_fiber(nullptr, &schedulerBottom, &schedulerSize);
#endif
  body();
  current->ended = true;
  blockAlive--;
  Warp& warp = warps[current->thread / 32];
  warp.alive--;
  if (warp.alive > 0 && warp.arrived > 0) {
    fprintf(stderr, "thread %u ended while its warp exchanges numbers\n", current->thread);
    abort();
  }
  release_block();
  to_scheduler(true);
  abort();
}

void start(Fiber& fiber, unsigned thread) {
  if (fiber.stack.empty()) {
    fiber.stack.resize(STACK);
  }
  fiber.thread = thread;
  fiber.ended = false;
  fiber.awaited = nullptr;
  fiber.open.clear();
  fiber.groups.clear();
  fiber.openProducts.clear();
  fiber.productGroups.clear();
  fiber.unfenced = false;
  fiber.begun = false;
  fiber.asked = 0;
  // A return address aligned as after a call, below it six registers.
  uintptr_t top = reinterpret_cast<uintptr_t>(fiber.stack.data() + STACK) & ~static_cast<uintptr_t>(15);
  void** pointer = reinterpret_cast<void**>(top - 16);
  *pointer = reinterpret_cast<void*>(run_fiber);
  memset(pointer - 6, 0, 6 * sizeof(void*));
  fiber.pointer = pointer - 6;
}

void run_block(std::mt19937& random) {
  unsigned threads = blockDim.x;
  if (fibers.size() < threads) {
    fibers.resize(threads);
  }
  warps.assign((threads + 31) / 32, Warp());
  blockArrived = 0;
  blockGeneration = 0;
  blockAlive = threads;
  for (unsigned i = 0; i < threads; i++) {
    start(fibers[i], i);
    warps[i / 32].alive++;
  }
  std::vector<unsigned> order(threads);
  for (unsigned i = 0; i < threads; i++) {
    order[i] = i;
  }
  std::shuffle(order.begin(), order.end(), random);
  bool running = true;
  while (running) {
    running = false;
    bool moved = false;
    for (unsigned i : order) {
      Fiber& fiber = fibers[i];
      if (fiber.ended) {
        continue;
      }
      running = true;
      if (fiber.awaited == nullptr || *fiber.awaited >= fiber.until) {
        moved = true;
        to_fiber(fiber);
      }
    }
    if (running && !moved) {
      fprintf(stderr, "threads of a block wait for others that wait elsewhere or have ended\n");
      abort();
    }
  }
}

}  // namespace

void __syncthreads() {
  long next = blockGeneration + 1;
  blockArrived++;
  release_block();
  await(&blockGeneration, next);
}

const unsigned char* exchange(const void* mine, int bytes) {
  Warp& warp = warps[current->thread / 32];
  if (warp.alive != 32) {
    fprintf(stderr, "a warp of %d threads exchanges numbers, expected 32\n", warp.alive);
    abort();
  }
  unsigned char(*slots)[64] = warp.slots[warp.generation % 2];
  memcpy(slots[current->thread % 32], mine, bytes);
  long next = warp.generation + 1;
  if (++warp.arrived == 32) {
    warp.arrived = 0;
    warp.generation++;
  }
  await(&warp.generation, next);
  return slots[0];
}

void copy16(void* shared, const void* global, int bytes) {
  unsigned char* target = static_cast<unsigned char*>(shared);
  if (bytes < 0 || bytes > 16 || reinterpret_cast<uintptr_t>(shared) % 16 != 0 ||
      (bytes > 0 && reinterpret_cast<uintptr_t>(global) % 16 != 0)) {
    fprintf(stderr, "cp.async of %d bytes from %p to %p\n", bytes, global, shared);
    abort();
  }
  memset(target, 0xff, 16);
  current->open.push_back({shared, global, bytes});
}

void copies_end_group() {
  current->groups.push_back(current->open);
  current->open.clear();
}

void copies_wait_for_all_but(int groups) {
  while (current->groups.size() > static_cast<size_t>(groups)) {
    for (const Copy& copy : current->groups.front()) {
      memset(copy.shared, 0, 16);
      memcpy(copy.shared, copy.global, copy.bytes);
      current->unfenced = true;
    }
    current->groups.erase(current->groups.begin());
  }
}

namespace {

/** Number k of a row of a tile of shared memory: K-major, swizzled by 128 bytes. */
float described(unsigned long long description, int row, int k) {
  unsigned start = (description & 0x3fff) << 4;
  unsigned stride = (description >> 32 & 0x3fff) << 4;
  if (description >> 62 != 1 || (description >> 49 & 7) != 0) {
    fprintf(stderr, "wgmma of a tile without a swizzle of 128 bytes, or from within one\n");
    abort();
  }
  unsigned address = start + row / 8 * stride + row % 8 * 128 + k * 2;
  address ^= (address >> 7 & 7) << 4;
  unsigned short bits;
  memcpy(&bits, dynamic_shared + (address - SHARED_START), 2);
  return widen(bf16{bits});
}

void compute(const GroupProduct& product) {
  int lane = current->thread % 32;
  int warp = current->thread / 32 % 4;
  for (int tile = 0; tile < product.columnTiles; tile++) {
    for (int i = 0; i < 4; i++) {
      float sum = 0;
      for (int k = 0; k < 16; k++) {
        sum += described(product.a, warp * 16 + lane / 4 + i / 2 * 8, k) *
               described(product.b, tile * 8 + lane % 4 * 2 + i % 2, k);
      }
      product.sums[tile][i] += sum;
    }
  }
}

}  // namespace

void multiply_group(float (*d)[4], int columnTiles, unsigned long long a, unsigned long long b) {
  for (unsigned i = 0; i < blockDim.x; i++) {
    if (fibers[i].unfenced && !fibers[i].ended) {
      fprintf(stderr, "wgmma while thread %u has not fenced what it copied\n", i);
      abort();
    }
  }
  if (!current->begun || warps[current->thread / 32].alive != 32) {
    fprintf(stderr, "wgmma without a fence, or of a warp that is not whole\n");
    abort();
  }
  current->openProducts.push_back({d, columnTiles, a, b});
}

void group_begins() { current->begun = true; }

void products_end_group() {
  // A warpgroup's threads agree, so that what one reads early none reads late.
  if ((current->asked++ + current->thread / 128) % 3 == 0 && current->productGroups.empty()) {
    for (const GroupProduct& product : current->openProducts) {
      compute(product);
    }
    current->openProducts.clear();
  }
  current->productGroups.push_back(current->openProducts);
  current->openProducts.clear();
}

void products_wait_for_all_but(int groups) {
  while (current->productGroups.size() > static_cast<size_t>(groups)) {
    for (const GroupProduct& product : current->productGroups.front()) {
      compute(product);
    }
    current->productGroups.erase(current->productGroups.begin());
  }
}

void shared_for_products() { current->unfenced = false; }

namespace {

template <class... A, size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
  kernel(*static_cast<A*>(arguments[I])...);
}

using Launch = std::function<void(void**)>;

template <class... A>
Launch launcher(void (*kernel)(A...)) {
  return [kernel](void** arguments) { call(kernel, arguments, std::index_sequence_for<A...>()); };
}

#define KERNEL(name) {#name, launcher(name)}
const std::map<std::string, Launch> KERNELS = {
    KERNEL(product_fp32_plain),
    KERNEL(product_bf16_small_to_bf16),
    KERNEL(product_bf16_small_to_fp32),
    KERNEL(product_bf16_middle_to_bf16),
    KERNEL(product_bf16_middle_to_fp32),
    KERNEL(product_bf16_large_to_bf16),
    KERNEL(product_bf16_large_to_fp32),
    KERNEL(product_bf16_warpgroup_middle_to_bf16),
    KERNEL(product_bf16_warpgroup_middle_to_fp32),
    KERNEL(product_bf16_warpgroup_large_to_bf16),
    KERNEL(product_bf16_warpgroup_large_to_fp32),
    KERNEL(attention_plain_fp32),
    KERNEL(attention_plain_bf16),
    KERNEL(attention_32),
    KERNEL(attention_64),
    KERNEL(attention_128),
    KERNEL(attention_256),
    KERNEL(embed_fp32),
    KERNEL(embed_bf16),
    KERNEL(embed_wide_256_bf16),
    KERNEL(embed_wide_512_bf16),
    KERNEL(embed_wide_1024_bf16),
    KERNEL(norm_fp32),
    KERNEL(norm_bf16),
    KERNEL(norm_wide_256_bf16),
    KERNEL(norm_wide_512_bf16),
    KERNEL(norm_wide_1024_bf16),
    KERNEL(add_fp32),
    KERNEL(add_bf16),
    KERNEL(add_wide_bf16),
    KERNEL(gate_fp32),
    KERNEL(gate_bf16),
    KERNEL(gate_wide_bf16),
    KERNEL(activate_fp32),
    KERNEL(activate_bf16),
    KERNEL(activate_wide_bf16),
    KERNEL(rotate_fp32),
    KERNEL(rotate_bf16),
    KERNEL(rotate_wide_bf16),
    KERNEL(neighbours_fp32),
    KERNEL(neighbours_bf16),
    KERNEL(pool_fp32),
    KERNEL(pool_bf16),
    KERNEL(normalize_fp32),
    KERNEL(normalize_bf16),
    KERNEL(to_bf16_from_fp32),
    KERNEL(to_bf16_from_bf16),
    KERNEL(recur),
};

}  // namespace

/** Returns 0 after the launch, or 1 where there is no kernel of that name. One launch at a time. */
extern "C" int lanewise_launch(const char* name, unsigned gridX, unsigned gridY, unsigned threads,
                               unsigned sharedBytes, void** arguments) {
  auto found = KERNELS.find(name);
  if (found == KERNELS.end()) {
    return 1;
  }
  std::mt19937 random(gridX * 31 + gridY * 7 + threads);
  gridDim = {gridX, gridY, 1};
  blockDim = {threads, 1, 1};
  body = [&] { found->second(arguments); };
  for (unsigned y = 0; y < gridY; y++) {
    for (unsigned x = 0; x < gridX; x++) {
      blockIdx = {x, y, 0};
      // Exactly as much as was asked for, at the alignment of the device's.
      void* memory = nullptr;
      if (posix_memalign(&memory, 128, sharedBytes == 0 ? 128 : sharedBytes) != 0) {
        abort();
      }
      memset(memory, 0xff, sharedBytes);
      dynamic_shared = static_cast<unsigned char*>(memory);
      run_block(random);
      free(memory);
    }
  }
  return 0;
}
