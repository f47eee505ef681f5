package org.lanewise.encoder.train;

import java.util.Arrays;
import java.util.Optional;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.TrainingBackend;

/**
 * How the states of a text become one row, as {@code SequencePooling} does it, and back. The large
 * product of additive attention runs on the backend, the rest on the host.
 */
sealed interface TrainablePooling {
  /** Takes the gradient by the pooled states back to the states. */
  @FunctionalInterface
  interface Backward {
    /** Writes the gradient by the states and adds those by the weights. */
    void run(Matrix pooledGradient, States gradient);
  }

  /** Writes a row for each text, (texts, stateSize), and returns the way back. */
  Backward forward(Workspace workspace, States states, int[] sequenceStarts, Matrix pooled);

  /** The states that each direction ends with. */
  record Last(TrainingBackend backend, int directions) implements TrainablePooling {
    @Override
    public Backward forward(
        Workspace workspace, States states, int[] sequenceStarts, Matrix pooled) {
      int texts = sequenceStarts.length - 1;
      int hiddenSize = pooled.columns() / directions;
      int[][] rows = new int[directions][texts];
      for (int direction = 0; direction < directions; direction++) {
        for (int text = 0; text < texts; text++) {
          rows[direction][text] = direction * texts + text;
        }
        Matrix last = states.last().firstColumns(hiddenSize);
        backend.gather(last, rows[direction], pooled, direction * hiddenSize);
      }
      return (pooledGradient, gradient) -> {
        backend.zero(gradient.each());
        backend.zero(gradient.last());
        Matrix last = gradient.last().firstColumns(hiddenSize);
        for (int direction = 0; direction < directions; direction++) {
          backend.scatterAdd(pooledGradient, direction * hiddenSize, rows[direction], last);
        }
      };
    }
  }

  /** The mean of the states. */
  record Mean(TrainingBackend backend) implements TrainablePooling {
    @Override
    public Backward forward(
        Workspace workspace, States states, int[] sequenceStarts, Matrix pooled) {
      for (int text = 0; text < pooled.rows(); text++) {
        int tokens = sequenceStarts[text + 1] - sequenceStarts[text];
        double[] sums = new double[pooled.columns()];
        for (int token = sequenceStarts[text]; token < sequenceStarts[text + 1]; token++) {
          float[] state = backend.read(states.each(), token, sums.length);
          for (int i = 0; i < sums.length; i++) {
            sums[i] += state[i];
          }
        }
        float[] mean = new float[sums.length];
        for (int i = 0; i < sums.length; i++) {
          mean[i] = (float) (sums[i] / tokens);
        }
        backend.write(mean, pooled, text, 0);
      }
      return (pooledGradient, gradient) -> {
        backend.zero(gradient.last());
        for (int text = 0; text < pooled.rows(); text++) {
          int tokens = sequenceStarts[text + 1] - sequenceStarts[text];
          float[] row = backend.read(pooledGradient, text, pooled.columns());
          for (int i = 0; i < row.length; i++) {
            row[i] /= tokens;
          }
          for (int token = sequenceStarts[text]; token < sequenceStarts[text + 1]; token++) {
            backend.write(row, gradient.each(), token, 0);
          }
        }
      };
    }
  }

  /** The largest of each of the states; of equal ones the first. */
  record Max(TrainingBackend backend) implements TrainablePooling {
    @Override
    public Backward forward(
        Workspace workspace, States states, int[] sequenceStarts, Matrix pooled) {
      int size = pooled.columns();
      int[][] tokens = new int[pooled.rows()][size];
      for (int text = 0; text < pooled.rows(); text++) {
        float[] largest = new float[size];
        Arrays.fill(largest, Float.NEGATIVE_INFINITY);
        for (int token = sequenceStarts[text]; token < sequenceStarts[text + 1]; token++) {
          float[] state = backend.read(states.each(), token, size);
          for (int i = 0; i < size; i++) {
            if (state[i] > largest[i]) {
              largest[i] = state[i];
              tokens[text][i] = token;
            }
          }
        }
        backend.write(largest, pooled, text, 0);
      }
      return (pooledGradient, gradient) -> {
        backend.zero(gradient.last());
        float[] row = new float[size];
        for (int text = 0; text < pooled.rows(); text++) {
          float[] byPooled = backend.read(pooledGradient, text, size);
          for (int token = sequenceStarts[text]; token < sequenceStarts[text + 1]; token++) {
            for (int i = 0; i < size; i++) {
              row[i] = tokens[text][i] == token ? byPooled[i] : 0;
            }
            backend.write(row, gradient.each(), token, 0);
          }
        }
      };
    }
  }

  /**
   * The mean of the states, weighted by a softmax over scale * query . key; the key of a state s is
   * tanh(W s + b), or s itself where there is no projection.
   */
  record Attention(
      TrainingBackend backend, Optional<TrainableLinear> projection, Parameter query, double scale)
      implements TrainablePooling {
    static Attention additive(
        TrainingBackend backend, Parameters parameters, int attentionSize, int stateSize) {
      return new Attention(
          backend,
          Optional.of(
              TrainableLinear.add(backend, parameters, "pooling.", attentionSize, stateSize)),
          query(parameters, "pooling.v", attentionSize),
          1);
    }

    static Attention dot(TrainingBackend backend, Parameters parameters, int stateSize) {
      return new Attention(
          backend,
          Optional.empty(),
          query(parameters, "pooling.u", stateSize),
          1 / Math.sqrt(stateSize));
    }

    private static Parameter query(Parameters parameters, String name, int size) {
      return parameters.addVector(Parameter.Kind.WEIGHT, name, size, 1 / Math.sqrt(size));
    }

    @Override
    public Backward forward(
        Workspace workspace, States states, int[] sequenceStarts, Matrix pooled) {
      Matrix keys = states.each();
      if (projection.isPresent()) {
        keys = workspace.matrix(keys.rows(), projection.get().outputSize());
        projection.get().forward(states.each(), keys);
        squash(keys);
      }
      double[] weights = weights(keys, sequenceStarts);
      for (int text = 0; text < pooled.rows(); text++) {
        double[] sums = new double[pooled.columns()];
        for (int token = sequenceStarts[text]; token < sequenceStarts[text + 1]; token++) {
          float[] state = backend.read(states.each(), token, sums.length);
          for (int i = 0; i < sums.length; i++) {
            sums[i] += weights[token] * state[i];
          }
        }
        backend.write(floats(sums), pooled, text, 0);
      }
      Matrix kept = keys;
      return (pooledGradient, gradient) -> {
        double[] byScores =
            backward(states.each(), sequenceStarts, weights, pooledGradient, gradient.each());
        addKeyGradients(workspace, states.each(), kept, byScores, gradient.each());
        backend.zero(gradient.last());
      };
    }

    private void squash(Matrix matrix) {
      for (int row = 0; row < matrix.rows(); row++) {
        float[] numbers = backend.read(matrix, row, matrix.columns());
        for (int i = 0; i < numbers.length; i++) {
          // Math.tanh takes three times as long.
          numbers[i] = (float) (1 - 2 / (Math.exp(2.0 * numbers[i]) + 1));
        }
        backend.write(numbers, matrix, row, 0);
      }
    }

    /** Returns the weight of each token. */
    private double[] weights(Matrix keys, int[] sequenceStarts) {
      float[] by = backend.read(query.value(), 0, keys.columns());
      double[] weights = new double[keys.rows()];
      for (int text = 0; text < sequenceStarts.length - 1; text++) {
        int first = sequenceStarts[text];
        int end = sequenceStarts[text + 1];
        double largest = Double.NEGATIVE_INFINITY;
        for (int token = first; token < end; token++) {
          weights[token] = scale * dot(by, backend.read(keys, token, by.length));
          largest = Math.max(largest, weights[token]);
        }
        double sum = 0;
        for (int token = first; token < end; token++) {
          weights[token] = Math.exp(weights[token] - largest);
          sum += weights[token];
        }
        for (int token = first; token < end; token++) {
          weights[token] /= sum;
        }
      }
      return weights;
    }

    /** Returns the gradient by the scores and writes that which the states owe to their mean. */
    private double[] backward(
        Matrix states,
        int[] sequenceStarts,
        double[] weights,
        Matrix pooledGradient,
        Matrix stateGradient) {
      double[] byScores = new double[weights.length];
      for (int text = 0; text < pooledGradient.rows(); text++) {
        int first = sequenceStarts[text];
        int end = sequenceStarts[text + 1];
        float[] byPooled = backend.read(pooledGradient, text, states.columns());
        float[] row = new float[byPooled.length];
        double mean = 0;
        for (int token = first; token < end; token++) {
          byScores[token] = dot(byPooled, backend.read(states, token, row.length));
          mean += weights[token] * byScores[token];
          for (int i = 0; i < row.length; i++) {
            row[i] = (float) (weights[token] * byPooled[i]);
          }
          backend.write(row, stateGradient, token, 0);
        }
        for (int token = first; token < end; token++) {
          byScores[token] = weights[token] * (byScores[token] - mean);
        }
      }
      return byScores;
    }

    private void addKeyGradients(
        Workspace workspace, Matrix states, Matrix keys, double[] byScores, Matrix stateGradient) {
      float[] by = backend.read(query.value(), 0, keys.columns());
      double[] byQuery = new double[by.length];
      Matrix keyGradient =
          projection.isPresent() ? workspace.matrix(keys.rows(), keys.columns()) : stateGradient;
      for (int token = 0; token < byScores.length; token++) {
        double factor = scale * byScores[token];
        float[] key = backend.read(keys, token, by.length);
        for (int i = 0; i < by.length; i++) {
          byQuery[i] += factor * key[i];
        }
        float[] row = projection.isPresent() ? key : backend.read(stateGradient, token, by.length);
        for (int i = 0; i < by.length; i++) {
          double slope = factor * by[i];
          row[i] =
              (float) (projection.isPresent() ? slope * (1 - key[i] * key[i]) : row[i] + slope);
        }
        backend.write(row, keyGradient, token, 0);
      }
      if (projection.isPresent()) {
        projection.get().addGradients(states, keyGradient);
        projection.get().inputGradient(keyGradient, true, stateGradient);
      }
      float[] sums = backend.read(query.gradient(), 0, by.length);
      for (int i = 0; i < sums.length; i++) {
        sums[i] += (float) byQuery[i];
      }
      backend.write(sums, query.gradient(), 0, 0);
    }

    private static double dot(float[] left, float[] right) {
      double sum = 0;
      for (int i = 0; i < left.length; i++) {
        sum += (double) left[i] * right[i];
      }
      return sum;
    }

    private static float[] floats(double[] numbers) {
      float[] floats = new float[numbers.length];
      for (int i = 0; i < floats.length; i++) {
        floats[i] = (float) numbers[i];
      }
      return floats;
    }
  }
}
