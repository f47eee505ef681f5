// cuBLASLt as far as a backend uses it, on the host: descriptors that take the attributes of cublasLt.h by their
// numbers and sizes and refuse all others, matrices in columns as documented, and an algorithm that is good for the very
// problem it was asked for. lanewise_begin checks a product as cublasLtMatmul does and notes it, as descriptors may go
// when the call returns; lanewise_finish computes it.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <mutex>
#include <set>

namespace {

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum Type { R_32F = 0, R_16BF = 14 };

struct Operation {
  int compute;
  int scale;
  int32_t transposed[2] = {0, 0};
  uint32_t epilogue = 1;
  uint64_t bias = 0;
};

struct Layout {
  int type;
  uint64_t rows;
  uint64_t columns;
  int64_t stride;
};

struct Preference {
  uint64_t workspace = 0;
  uint32_t reductions = 7;
  uint32_t alignments[4] = {256, 256, 256, 256};
};

/** What an algorithm knows: all that it was chosen for. */
struct Algorithm {
  uint64_t magic;
  uint64_t rows;
  uint64_t columns;
  uint64_t depth;
  uint64_t workspace;
  uint64_t alignment;
  uint64_t strides;
  uint64_t type;
};
const uint64_t MAGIC = 0x6c616e6577697365;
static_assert(sizeof(Algorithm) == 64, "cublasLtMatmulAlgo_t has 64 bytes");

struct Result {
  Algorithm algorithm;
  size_t workspace;
  int status;
  float waves;
  int reserved[4];
};
static_assert(sizeof(Result) == 96, "cublasLtMatmulHeuristicResult_t has 96 bytes");

struct Product {
  Operation operation;
  Layout a, b, c, d;
  float alpha, beta;
  const void *aAt, *bAt, *cAt;
  void* dAt;
  void* workspace;
  size_t workspaceBytes;
};

char theHandle;
std::mutex turn;
std::set<const void*> live;
int failing;

#define TURN std::lock_guard<std::mutex> mine(turn);

template <class T>
int create(void** answer, const T& value) {
  TURN
  T* made = new T(value);
  live.insert(made);
  *answer = made;
  return SUCCESS;
}

template <class T>
int destroy(void* handle) {
  TURN
  if (live.erase(handle) == 0) {
    return INVALID_VALUE;
  }
  delete static_cast<T*>(handle);
  return SUCCESS;
}

template <class T>
int set(T* target, const void* value, size_t bytes) {
  if (value == nullptr || bytes != sizeof(T)) {
    return INVALID_VALUE;
  }
  memcpy(target, value, bytes);
  return SUCCESS;
}

float widen(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float x;
  memcpy(&x, &wide, 4);
  return x;
}

uint16_t narrow(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return x != x ? 0x7fff : static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float number(const void* at, int type, uint64_t index) {
  return type == R_32F ? static_cast<const float*>(at)[index] : widen(static_cast<const uint16_t*>(at)[index]);
}

/** The number of op(matrix) in that row and column: columns are what lies stride apart. */
float number(const Layout& layout, const void* at, bool transposed, uint64_t row, uint64_t column) {
  return number(at, layout.type, transposed ? column + row * layout.stride : row + column * layout.stride);
}

bool described(const void* operation, const void* a, const void* b, const void* c, const void* d) {
  return live.count(operation) && live.count(a) && live.count(b) && live.count(c) && live.count(d);
}

uint64_t strides(const Layout& a, const Layout& b, const Layout& d) {
  return (a.stride * 1000003 + b.stride) * 1000003 + d.stride;
}

int fitting(const Operation& operation, const Layout& a, const Layout& b, const Layout& c, const Layout& d) {
  bool ta = operation.transposed[0] == 1;
  bool tb = operation.transposed[1] == 1;
  uint64_t depth = ta ? a.rows : a.columns;
  bool sizes = (ta ? a.columns : a.rows) == d.rows && (tb ? b.rows : b.columns) == d.columns &&
               (tb ? b.columns : b.rows) == depth && c.rows == d.rows && c.columns == d.columns;
  bool types = a.type == R_16BF && b.type == R_16BF && c.type == d.type && operation.compute == 68 &&
               operation.scale == R_32F;
  bool epilogue = operation.epilogue == 1 || (operation.epilogue == 4 && operation.bias != 0);
  return !sizes || !epilogue ? INVALID_VALUE : types ? SUCCESS : NOT_SUPPORTED;
}

}  // namespace

extern "C" {

size_t cublasLtGetVersion() { return 130101; }

const char* cublasLtGetStatusName(int status) {
  return status == INVALID_VALUE      ? "CUBLAS_STATUS_INVALID_VALUE"
         : status == EXECUTION_FAILED ? "CUBLAS_STATUS_EXECUTION_FAILED"
         : status == NOT_SUPPORTED    ? "CUBLAS_STATUS_NOT_SUPPORTED"
                                      : "CUBLAS_STATUS_NOT_INITIALIZED";
}

int cublasLtCreate(void** handle) {
  *handle = &theHandle;
  return SUCCESS;
}

int cublasLtDestroy(void* handle) { return handle == &theHandle ? SUCCESS : NOT_INITIALIZED; }

int cublasLtMatmulDescCreate(void** answer, int compute, int scale) {
  Operation operation;
  operation.compute = compute;
  operation.scale = scale;
  return create(answer, operation);
}

int cublasLtMatmulDescDestroy(void* operation) { return destroy<Operation>(operation); }

int cublasLtMatmulDescSetAttribute(void* handle, int attribute, const void* value, size_t bytes) {
  TURN
  if (!live.count(handle)) {
    return INVALID_VALUE;
  }
  Operation* operation = static_cast<Operation*>(handle);
  switch (attribute) {
    case 3:
    case 4:
      return set(&operation->transposed[attribute - 3], value, bytes);
    case 7:
      return set(&operation->epilogue, value, bytes);
    case 8:
      return set(&operation->bias, value, bytes);
    default:
      return INVALID_VALUE;
  }
}

int cublasLtMatrixLayoutCreate(void** answer, int type, uint64_t rows, uint64_t columns, int64_t stride) {
  bool sane = (type == R_32F || type == R_16BF) && rows > 0 && columns > 0 && stride >= static_cast<int64_t>(rows);
  return sane ? create(answer, Layout{type, rows, columns, stride}) : static_cast<int>(INVALID_VALUE);
}

int cublasLtMatrixLayoutDestroy(void* layout) { return destroy<Layout>(layout); }

int cublasLtMatmulPreferenceCreate(void** answer) { return create(answer, Preference()); }

int cublasLtMatmulPreferenceDestroy(void* preference) { return destroy<Preference>(preference); }

int cublasLtMatmulPreferenceSetAttribute(void* handle, int attribute, const void* value, size_t bytes) {
  TURN
  if (!live.count(handle)) {
    return INVALID_VALUE;
  }
  Preference* preference = static_cast<Preference*>(handle);
  switch (attribute) {
    case 1:
      return set(&preference->workspace, value, bytes);
    case 3:
      return set(&preference->reductions, value, bytes);
    case 5:
    case 6:
    case 7:
    case 8:
      return set(&preference->alignments[attribute - 5], value, bytes);
    default:
      return INVALID_VALUE;
  }
}

/** The best algorithm would be one whose sums have other bits each time, if the preference did not exclude it. */
int cublasLtMatmulAlgoGetHeuristic(void* handle, void* operation, void* a, void* b, void* c, void* d, void* preference,
                                   int asked, Result* results, int* count) {
  TURN
  if (handle != &theHandle || !described(operation, a, b, c, d) || !live.count(preference) || asked < 1) {
    return INVALID_VALUE;
  }
  const Preference& wish = *static_cast<Preference*>(preference);
  const Operation& described = *static_cast<Operation*>(operation);
  const Layout& left = *static_cast<Layout*>(a);
  const Layout& right = *static_cast<Layout*>(b);
  const Layout& product = *static_cast<Layout*>(d);
  *count = 0;
  int status = fitting(described, left, right, *static_cast<Layout*>(c), product);
  if (status != SUCCESS) {
    return status;
  }
  if ((wish.reductions & 5) != 0 || wish.workspace == 0) {
    return NOT_SUPPORTED;
  }
  uint64_t alignment = 256;
  for (uint32_t each : wish.alignments) {
    alignment = each < alignment ? each : alignment;
  }
  Result result = {};
  result.algorithm = {MAGIC,
                      product.rows,
                      product.columns,
                      described.transposed[0] == 1 ? left.rows : left.columns,
                      wish.workspace,
                      alignment,
                      strides(left, right, product),
                      static_cast<uint64_t>(product.type)};
  result.workspace = wish.workspace;
  results[0] = result;
  *count = 1;
  return SUCCESS;
}

/** Lets so many products fail from now on; -1 for all. */
void lanewise_fail(int products) {
  TURN
  failing = products;
}

/** Notes a product; the status says what is wrong with it. */
int lanewise_begin(void* handle, void* operation, const void* alpha, const void* aAt, void* a, const void* bAt,
                   void* b, const void* beta, const void* cAt, void* c, void* dAt, void* d, const Algorithm* algorithm,
                   void* workspace, size_t workspaceBytes, void** product) {
  TURN
  if (handle != &theHandle || !described(operation, a, b, c, d) || algorithm == nullptr) {
    return INVALID_VALUE;
  }
  if (failing != 0) {
    failing -= failing > 0;
    return EXECUTION_FAILED;
  }
  Product noted = {*static_cast<Operation*>(operation),
                   *static_cast<Layout*>(a),
                   *static_cast<Layout*>(b),
                   *static_cast<Layout*>(c),
                   *static_cast<Layout*>(d),
                   *static_cast<const float*>(alpha),
                   *static_cast<const float*>(beta),
                   aAt,
                   bAt,
                   cAt,
                   dAt,
                   workspace,
                   workspaceBytes};
  int status = fitting(noted.operation, noted.a, noted.b, noted.c, noted.d);
  if (status != SUCCESS) {
    return status;
  }
  uint64_t depth = noted.operation.transposed[0] == 1 ? noted.a.rows : noted.a.columns;
  bool chosen = algorithm->magic == MAGIC && algorithm->rows == noted.d.rows &&
                algorithm->columns == noted.d.columns && algorithm->depth == depth &&
                algorithm->strides == strides(noted.a, noted.b, noted.d) &&
                algorithm->type == static_cast<uint64_t>(noted.d.type) && algorithm->workspace <= workspaceBytes;
  uint64_t alignment = algorithm->alignment;
  uint64_t bits = reinterpret_cast<uint64_t>(aAt) | reinterpret_cast<uint64_t>(bAt) | reinterpret_cast<uint64_t>(cAt) |
                  reinterpret_cast<uint64_t>(dAt) | noted.operation.bias | noted.a.stride * 2 | noted.b.stride * 2 |
                  noted.d.stride * (noted.d.type == R_32F ? 4 : 2);
  if (!chosen || bits % alignment != 0 || reinterpret_cast<uint64_t>(workspace) % 256 != 0) {
    return INVALID_VALUE;
  }
  *product = new Product(noted);
  return SUCCESS;
}

/** Returns where operand 0 to 4 (A, B, D, the bias, the workspace) begins, and how many bytes it has. */
uint64_t lanewise_operand(const Product* product, int operand, uint64_t* bytes) {
  const Layout* layouts[] = {&product->a, &product->b, &product->d};
  const void* places[] = {product->aAt, product->bAt, product->dAt};
  if (operand < 3) {
    const Layout& layout = *layouts[operand];
    *bytes = ((layout.columns - 1) * layout.stride + layout.rows) * (layout.type == R_32F ? 4 : 2);
    return reinterpret_cast<uint64_t>(places[operand]);
  }
  bool bias = operand == 3;
  *bytes = bias ? product->d.rows * (product->d.type == R_32F ? 4 : 2) : product->workspaceBytes;
  return bias ? product->operation.bias : reinterpret_cast<uint64_t>(product->workspace);
}

/** D = alpha * op(A) * op(B) + beta * C + bias, the sums in fp32; the bias is a column of D's type. */
void lanewise_finish(Product* product) {
  const Product& p = *product;
  // Where it begins and ends.
  size_t some = p.workspaceBytes < 4096 ? p.workspaceBytes : 4096;
  memset(p.workspace, 0xff, some);
  memset(static_cast<char*>(p.workspace) + p.workspaceBytes - some, 0xff, some);
  bool ta = p.operation.transposed[0] == 1;
  bool tb = p.operation.transposed[1] == 1;
  uint64_t depth = ta ? p.a.rows : p.a.columns;
  for (uint64_t column = 0; column < p.d.columns; column++) {
    for (uint64_t row = 0; row < p.d.rows; row++) {
      float sum = 0;
      for (uint64_t k = 0; k < depth; k++) {
        sum += number(p.a, p.aAt, ta, row, k) * number(p.b, p.bAt, tb, k, column);
      }
      float x = p.alpha * sum;
      if (p.beta != 0) {
        x += p.beta * number(p.c, p.cAt, false, row, column);
      }
      if (p.operation.epilogue == 4) {
        x += number(reinterpret_cast<const void*>(p.operation.bias), p.d.type, row);
      }
      uint64_t at = row + column * p.d.stride;
      if (p.d.type == R_32F) {
        static_cast<float*>(p.dAt)[at] = x;
      } else {
        static_cast<uint16_t*>(p.dAt)[at] = narrow(x);
      }
    }
  }
  delete product;
}

int cublasLtMatmul(void* handle, void* operation, const void* alpha, const void* aAt, void* a, const void* bAt, void* b,
                   const void* beta, const void* cAt, void* c, void* dAt, void* d, const Algorithm* algorithm,
                   void* workspace, size_t workspaceBytes, void*) {
  void* product;
  int status = lanewise_begin(handle, operation, alpha, aAt, a, bAt, b, beta, cAt, c, dAt, d, algorithm, workspace,
                              workspaceBytes, &product);
  if (status == SUCCESS) {
    lanewise_finish(static_cast<Product*>(product));
  }
  return status;
}

}  // extern "C"
