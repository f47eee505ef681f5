// Every kernel that uses shared memory or tensor cores against plain loops, at sizes around each tail, in memory that
// ends where the matrices end: built with the address and undefined-behaviour sanitizers, which is what the shared
// library that Java loads cannot be. The other comparisons are the backend's contract test. Exits 0, or 1 after a line.
#include "host.cpp"

static std::mt19937 numbers(20261121);

static float gaussian() {
  static std::normal_distribution<float> normal;
  return normal(numbers);
}

/** Memory that ends with its last number, begins at 128 bytes, and is NaN where nothing was written. */
template <class T>
struct Memory {
  explicit Memory(size_t count) : count(count) {
    // The sanitizer guards what follows an allocation to the byte.
    if (posix_memalign(reinterpret_cast<void**>(&at), 128, std::max<size_t>(count, 1) * sizeof(T)) != 0) {
      abort();
    }
    memset(static_cast<void*>(at), 0xff, count * sizeof(T));
  }
  ~Memory() { free(at); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  T* at;
  size_t count;
};

static float value(float x) { return x; }
static float value(bf16 x) { return widen(x); }
static void set(float* p, float x) { *p = x; }
static void set(bf16* p, float x) { *p = narrow(x); }

template <class... A>
static void launch(const char* name, unsigned gridX, unsigned gridY, unsigned threads, unsigned shared, A... values) {
  void* arguments[] = {&values...};
  if (lanewise_launch(name, gridX, gridY, threads, shared, arguments) != 0) {
    fprintf(stderr, "no kernel %s\n", name);
    exit(1);
  }
}

static void compare(const std::string& what, double expected, double actual, double tolerance) {
  if (!(fabs(expected - actual) <= tolerance)) {
    fprintf(stderr, "%s: expected %g, was %g\n", what.c_str(), expected, actual);
    exit(1);
  }
}

static unsigned tiles(int n, int tile) { return (n + tile - 1) / tile; }

static int padded(int n, int block) { return (n + block - 1) / block * block; }

template <class In, class Out>
static void product(const char* name, int tileRows, int tileColumns, int depthBlock, int threads, int shared, int rows,
                    int depth, int columns, double tolerance) {
  int leftStride = padded(depth, 8);
  int rightStride = padded(depth, depthBlock);
  int rightRows = padded(columns, tileColumns);
  int outputStride = columns + columns % 2;
  Memory<In> left(static_cast<size_t>(rows - 1) * leftStride + leftStride);
  Memory<In> right(static_cast<size_t>(rightRows) * rightStride);
  Memory<float> bias(rightRows);
  Memory<Out> output(static_cast<size_t>(rows - 1) * outputStride + columns);
  memset(static_cast<void*>(right.at), 0, right.count * sizeof(In));
  for (int row = 0; row < rows; row++) {
    for (int k = 0; k < depth; k++) {
      set(left.at + row * leftStride + k, gaussian());
    }
  }
  for (int column = 0; column < rightRows; column++) {
    bias.at[column] = gaussian();
    for (int k = 0; k < depth && column < columns; k++) {
      set(right.at + column * rightStride + k, gaussian());
    }
  }
  launch(name, tiles(rows, tileRows), tiles(columns, tileColumns), threads, shared,
         static_cast<const In*>(left.at), leftStride, static_cast<const In*>(right.at), rightStride,
         static_cast<const float*>(bias.at), static_cast<int>(RELU), output.at, outputStride, rows, depth, columns);
  for (int row = 0; row < rows; row++) {
    for (int column = 0; column < columns; column++) {
      double sum = bias.at[column];
      for (int k = 0; k < depth; k++) {
        sum += static_cast<double>(value(left.at[row * leftStride + k])) * value(right.at[column * rightStride + k]);
      }
      sum = std::max(sum, 0.0);
      compare(std::string(name) + " " + std::to_string(rows) + "x" + std::to_string(depth) + "x" +
                  std::to_string(columns) + " at " + std::to_string(row) + "," + std::to_string(column),
              sum, value(output.at[row * outputStride + column]), tolerance * (1 + fabs(sum)));
    }
  }
}

static void products() {
  for (int rows : {1, 64, 65}) {
    for (int depth : {1, 8, 63, 72, 200}) {
      for (int columns : {1, 63, 100}) {
        product<bf16, float>("product_bf16_small_to_fp32", 64, 64, 64, 128, 49152, rows, depth, columns, 1e-4);
        product<bf16, bf16>("product_bf16_small_to_bf16", 64, 64, 64, 128, 49152, rows, depth, columns, 1e-2);
        product<float, float>("product_fp32_plain", 64, 64, 16, 256, 8192, rows, depth, columns, 1e-4);
      }
    }
  }
  for (int rows : {1, 129}) {
    for (int depth : {70, 256}) {
      for (int columns : {33, 300}) {
        product<bf16, float>("product_bf16_middle_to_fp32", 128, 128, 64, 256, 98304, rows, depth, columns, 1e-4);
        product<bf16, bf16>("product_bf16_middle_to_bf16", 128, 128, 64, 256, 98304, rows, depth, columns, 1e-2);
        product<bf16, float>("product_bf16_large_to_fp32", 128, 256, 64, 256, 147456, rows, depth, columns, 1e-4);
        product<bf16, bf16>("product_bf16_large_to_bf16", 128, 256, 64, 256, 147456, rows, depth, columns, 1e-2);
      }
    }
  }
}

/** Products of warpgroups, with fewer steps than stages and with more. */
static void warpgroups() {
  for (int depth : {8, 128, 200, 330}) {
    product<bf16, float>("product_bf16_warpgroup_middle_to_fp32", 128, 128, 64, 256, 99328, 130, depth, 150, 1e-4);
    product<bf16, float>("product_bf16_warpgroup_large_to_fp32", 128, 256, 64, 256, 197632, 30, depth, 290, 1e-4);
  }
  product<bf16, bf16>("product_bf16_warpgroup_middle_to_bf16", 128, 128, 64, 256, 99328, 129, 200, 100, 1e-2);
  product<bf16, bf16>("product_bf16_warpgroup_large_to_bf16", 128, 256, 64, 256, 197632, 129, 200, 100, 1e-2);
}

static void attention(const char* name, int keys, int size, int room, const std::vector<int>& lengths, int heads,
                      int keyValueHeads, int behind, int ahead, bool biased) {
  std::vector<int> tileList;
  std::vector<int> starts = {0};
  for (int length : lengths) {
    for (int first = 0; first < length; first += QUERIES) {
      tileList.insert(tileList.end(), {starts.back(), length, first});
    }
    starts.push_back(starts.back() + length);
  }
  int tokens = starts.back();
  int stride = (heads + 2 * keyValueHeads) * size;
  int reach = 200;
  float scale = 0.4f;
  Memory<bf16> input(static_cast<size_t>(tokens) * stride);
  Memory<bf16> context(static_cast<size_t>(tokens) * heads * size);
  Memory<int> tile(tileList.size());
  Memory<float> bias(static_cast<size_t>(heads) * (2 * reach + 1));
  std::copy(tileList.begin(), tileList.end(), tile.at);
  for (size_t i = 0; i < input.count; i++) {
    set(input.at + i, gaussian());
  }
  for (size_t i = 0; i < bias.count; i++) {
    bias.at[i] = gaussian();
  }
  int shared = (QUERIES + 4 * keys) * room * 2;
  launch(name, tileList.size() / 3, heads, 128, shared, static_cast<const bf16*>(input.at), stride,
         static_cast<const int*>(tile.at), heads, keyValueHeads, size, scale, behind, ahead,
         biased ? static_cast<const float*>(bias.at) : nullptr, 2 * reach + 1, reach, context.at, heads * size);
  for (size_t sequence = 0; sequence < lengths.size(); sequence++) {
    for (int query = 0; query < lengths[sequence]; query++) {
      for (int head = 0; head < heads; head++) {
        int start = starts[sequence];
        int keyColumn = (heads + head / (heads / keyValueHeads)) * size;
        std::vector<double> scores;
        int first = std::max(0, query - behind);
        int end = std::min(lengths[sequence], query + ahead + 1);
        double total = 0;
        for (int key = first; key < end; key++) {
          double dot = 0;
          for (int i = 0; i < size; i++) {
            dot += static_cast<double>(value(input.at[(start + query) * stride + head * size + i])) *
                   value(input.at[(start + key) * stride + keyColumn + i]);
          }
          dot *= scale;
          if (biased) {
            dot += bias.at[head * (2 * reach + 1) + reach + query - key];
          }
          scores.push_back(exp(dot));
          total += exp(dot);
        }
        for (int i = 0; i < size; i++) {
          double sum = 0;
          for (int key = first; key < end; key++) {
            sum += scores[key - first] / total *
                   value(input.at[(start + key) * stride + keyColumn + keyValueHeads * size + i]);
          }
          compare(std::string(name) + " of " + std::to_string(size) + ", token " + std::to_string(start + query), sum,
                  value(context.at[(start + query) * heads * size + head * size + i]), 0.02 * (1 + fabs(sum)));
        }
      }
    }
  }
}

static void attentions() {
  struct Kind {
    const char* name;
    int room;
    int keys;
  };
  const int all = 1 << 30;
  for (Kind kind : {Kind{"attention_32", 32, 64}, Kind{"attention_64", 64, 64}, Kind{"attention_128", 128, 64},
                    Kind{"attention_256", 256, 32}}) {
    for (int size : {kind.room, kind.room - 8}) {
      attention(kind.name, kind.keys, size, kind.room, {1, 33, 64, 65}, 2, 1, all, all, false);
      attention(kind.name, kind.keys, size, kind.room, {129}, 1, 1, all, 0, true);
      attention(kind.name, kind.keys, size, kind.room, {100}, 2, 2, 5, 3, true);
      attention(kind.name, kind.keys, size, kind.room, {290}, 1, 1, 130, 70, false);
    }
  }
  attention("attention_32", 64, 8, 32, {5, 70}, 3, 3, 64, 64, false);
}

static void norms() {
  for (int size : {8, 200, 256, 384, 512, 768, 1024}) {
    const char* name = size <= 256 ? "norm_wide_256_bf16" : size <= 512 ? "norm_wide_512_bf16" : "norm_wide_1024_bf16";
    for (const char* each : {name, "norm_bf16"}) {
      int rows = 5;
      Memory<bf16> input(rows * size);
      Memory<bf16> residual(rows * size);
      Memory<bf16> output(rows * size);
      Memory<float> weight(size);
      Memory<float> bias(size);
      for (int i = 0; i < rows * size; i++) {
        set(input.at + i, gaussian());
        set(residual.at + i, gaussian());
      }
      for (int i = 0; i < size; i++) {
        weight.at[i] = gaussian();
        bias.at[i] = gaussian();
      }
      launch(each, tiles(rows, ROW_WARPS), 1, 128, 0, static_cast<const bf16*>(input.at), size,
             static_cast<const bf16*>(residual.at), size, static_cast<const float*>(weight.at),
             static_cast<const float*>(bias.at), 1, 1e-5f, output.at, size, rows, 1, size);
      for (int row = 0; row < rows; row++) {
        double mean = 0;
        double squares = 0;
        auto sum = [&](int i) { return value(input.at[row * size + i]) + value(residual.at[row * size + i]); };
        for (int i = 0; i < size; i++) {
          mean += sum(i) / size;
        }
        for (int i = 0; i < size; i++) {
          squares += (sum(i) - mean) * (sum(i) - mean) / size;
        }
        for (int i = 0; i < size; i++) {
          double expected = (sum(i) - mean) / sqrt(squares + 1e-5) * weight.at[i] + bias.at[i];
          compare(std::string(each) + " of " + std::to_string(size), expected, value(output.at[row * size + i]),
                  0.01 * (1 + fabs(expected)));
        }
      }
    }
  }
}

static double exact(int activation, double x) {
  double inner = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
  switch (activation) {
    case GELU:
      return x * 0.5 * erfc(-x / sqrt(2));
    case GELU_TANH:
      return x / (1 + exp(-2 * inner));
    case SILU:
      return x / (1 + exp(-x));
    default:
      return 1 / (1 + exp(-x));
  }
}

/** The fast functions at every bf16 number, and GELU's polynomial between them. */
static void activations() {
  for (double x = -6; x < 6; x += 1e-4) {
    float rounded = static_cast<float>(x);
    compare("gelu_fast of " + std::to_string(x), exact(GELU, rounded), gelu_fast(rounded), 4e-5);
  }
  const int all = 1 << 16;
  for (int activation : {GELU, GELU_TANH, SILU, SIGMOID}) {
    Memory<bf16> matrix(all);
    for (int i = 0; i < all; i++) {
      matrix.at[i].bits = static_cast<unsigned short>(i);
    }
    launch("activate_wide_bf16", 256, 1, 128, 0, matrix.at, 256, activation, 256);
    for (int i = 0; i < all; i++) {
      float x = widen(bf16{static_cast<unsigned short>(i)});
      double expected = exact(activation, x);
      float actual = value(matrix.at[i]);
      std::string what = "activation " + std::to_string(activation) + " of " + std::to_string(x);
      if (expected != expected || isinf(expected)) {
        compare(what, 1, expected == actual || (expected != expected && actual != actual), 0);
      } else {
        // Half a unit of bf16 beside the error of the function; the largest numbers round to infinity.
        compare(what, expected, isinf(actual) ? copysign(3.39e38, actual) : actual, 4e-5 + fabs(expected) / 256);
      }
    }
  }
}

int main() {
  activations();
  products();
  warpgroups();
  attentions();
  norms();
  return 0;
}
