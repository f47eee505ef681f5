// Launches of the kernels on the host: see host.h. Built by a test into a shared library or, with its own main, into a
// program that the sanitizers watch.
#define LANEWISE_HOST
#include "../../main/cuda/attention.cu"
#include "../../main/cuda/product.cu"
#include "../../main/cuda/recurrence.cu"
#include "../../main/cuda/rows.cu"

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
    }
    current->groups.erase(current->groups.begin());
  }
}

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
