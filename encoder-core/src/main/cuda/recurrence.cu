// A recurrent layer over each sequence, all steps in one launch: a block walks along one sequence in one direction.
//
// The hidden state stays in shared memory; the recurrent weights, transposed so that neighbouring threads read
// neighbouring numbers, come out of the second cache at every step. fp32 throughout: bf16 is a rounding of the weights.
#include "device.cuh"

static const int RECURRENT_THREADS = 256;

/** As CudaBackend numbers them. */
enum Cell { RNN_TANH = 0, RNN_RELU = 1, LSTM = 2, LSTM_PEEPHOLE = 3, GRU = 4 };

/**
 * blockIdx.x counts sequences, blockIdx.y directions. weight (directions, size, gates * size), bias (directions, gates
 * * size), peepholes (directions, 3, size); state (directions * sequences, states * size), replaced.
 */
extern "C" __global__ void __launch_bounds__(RECURRENT_THREADS)
    recur(const float* projected, int projectedStride, const int* sequenceStarts, int cell, int gates,
          const float* weight, const float* bias, const float* peepholes, float* state, int stateStride,
          float* output, int outputStride, int size) {
  int width = gates * size;
  float* hidden = reinterpret_cast<float*>(dynamic_shared);
  float* remembered = hidden + size;
  float* sums = remembered + size;
  int direction = blockIdx.y;
  bool lstm = cell == LSTM || cell == LSTM_PEEPHOLE;
  const float* w = weight + static_cast<long long>(direction) * size * width;
  const float* b = bias + direction * width;
  const float* peeps = peepholes + direction * 3 * size;
  float* states = state + static_cast<long long>(direction * gridDim.x + blockIdx.x) * stateStride;
  for (int i = threadIdx.x; i < size; i += RECURRENT_THREADS) {
    hidden[i] = states[i];
    remembered[i] = lstm ? states[size + i] : 0.0f;
  }
  __syncthreads();
  int start = sequenceStarts[blockIdx.x];
  int end = sequenceStarts[blockIdx.x + 1];
  for (int step = 0; step < end - start; step++) {
    int token = direction == 0 ? start + step : end - 1 - step;
    for (int i = threadIdx.x; i < width; i += RECURRENT_THREADS) {
      float sum = b[i];
      for (int k = 0; k < size; k++) {
        sum += hidden[k] * w[static_cast<long long>(k) * width + i];
      }
      sums[i] = sum;
    }
    __syncthreads();
    const float* x = projected + static_cast<long long>(token) * projectedStride + direction * width;
    for (int i = threadIdx.x; i < size; i += RECURRENT_THREADS) {
      float h = 0.0f;
      if (cell == RNN_TANH) {
        h = tanhf(x[i] + sums[i]);
      } else if (cell == RNN_RELU) {
        h = fmaxf(x[i] + sums[i], 0.0f);
      } else if (cell == GRU) {
        float r = sigmoid(x[i] + sums[i]);
        float z = sigmoid(x[size + i] + sums[size + i]);
        float n = tanhf(x[2 * size + i] + r * sums[2 * size + i]);
        h = (1.0f - z) * n + z * hidden[i];
      } else {
        bool sees = cell == LSTM_PEEPHOLE;
        float before = remembered[i];
        float in = sigmoid(x[i] + sums[i] + (sees ? peeps[i] * before : 0.0f));
        float forget = sigmoid(x[size + i] + sums[size + i] + (sees ? peeps[size + i] * before : 0.0f));
        float g = tanhf(x[2 * size + i] + sums[2 * size + i]);
        float after = forget * before + in * g;
        float out = sigmoid(x[3 * size + i] + sums[3 * size + i] + (sees ? peeps[2 * size + i] * after : 0.0f));
        remembered[i] = after;
        h = out * tanhf(after);
      }
      hidden[i] = h;
      output[static_cast<long long>(token) * outputStride + direction * size + i] = h;
    }
    __syncthreads();
  }
  for (int i = threadIdx.x; i < size; i += RECURRENT_THREADS) {
    states[i] = hidden[i];
    if (lstm) {
      states[size + i] = remembered[i];
    }
  }
}
