package org.lanewise.encoder.backend;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.Tensor;

/**
 * The definition of every operation, in plain loops on the calling thread.
 *
 * <p>It is shipped and selectable, runs on any JVM, and is what the other backends are tested
 * against. Sums are kept in double where a long sum of floats would drift, so that it is the more
 * exact side of every comparison.
 */
public final class ScalarBackend implements TrainingBackend {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final Precision precision;

  /**
   * Creates a backend that rounds linear weights to the precision and computes in fp32; with int8,
   * what a linear layer reads is rounded too, row by row.
   */
  public ScalarBackend(Precision precision) {
    this.precision = precision;
  }

  /** A weight as rows of the output. (outputSize, inputSize) and (outputSize). */
  record RowWeight(MemorySegment rows, MemorySegment bias, int inputSize, int outputSize)
      implements LinearWeight {
    float get(int output, int input) {
      return rows.getAtIndex(FLOAT, (long) output * inputSize + input);
    }
  }

  @Override
  public String name() {
    return "scalar";
  }

  @Override
  public Precision precision() {
    return precision;
  }

  @Override
  public String kernels() {
    return "loops";
  }

  @Override
  public String kernelsReason() {
    return "the scalar backend has nothing else";
  }

  @Override
  public Matrix allocate(Arena arena, int rows, int columns) {
    return Matrix.allocate(arena, rows, columns);
  }

  @Override
  public LinearWeight prepareLinear(Arena arena, List<Tensor> weights, List<Tensor> biases) {
    int inputSize = Math.toIntExact(weights.getFirst().shape()[1]);
    int outputSize = 0;
    for (Tensor weight : weights) {
      outputSize += Math.toIntExact(weight.shape()[0]);
    }
    MemorySegment rows = arena.allocate(FLOAT, (long) inputSize * outputSize);
    MemorySegment bias = arena.allocate(FLOAT, outputSize);
    long at = 0;
    for (Tensor weight : weights) {
      for (long row = 0; row < weight.shape()[0]; row++) {
        float[] numbers = weight.row(row);
        if (precision == Precision.INT8) {
          Int8.roundAll(numbers);
        }
        for (float number : numbers) {
          float rounded = precision == Precision.BF16 ? BFloat16.round(number) : number;
          rows.setAtIndex(FLOAT, at++, rounded);
        }
      }
    }
    at = 0;
    for (Tensor tensor : biases) {
      for (long i = 0; i < tensor.elements(); i++) {
        bias.setAtIndex(FLOAT, at++, tensor.get(i));
      }
    }
    return new RowWeight(rows, bias, inputSize, outputSize);
  }

  @Override
  public NormWeight prepareNorm(
      Arena arena, NormKind kind, Tensor weight, Optional<Tensor> bias, float epsilon) {
    int size = Math.toIntExact(weight.elements());
    float base = kind == NormKind.ROOT_MEAN_SQUARE_FROM_ONE ? 1 : 0;
    MemorySegment weights = arena.allocate((long) size * Float.BYTES, 64);
    MemorySegment biases = arena.allocate((long) size * Float.BYTES, 64);
    for (int i = 0; i < size; i++) {
      weights.setAtIndex(FLOAT, i, base + weight.get(i));
      if (bias.isPresent()) {
        biases.setAtIndex(FLOAT, i, bias.get().get(i));
      }
    }
    return new NormWeight(kind == NormKind.LAYER, weights, biases, size, epsilon);
  }

  @Override
  public RecurrentWeight prepareRecurrent(
      Arena arena, RecurrentCell cell, List<RecurrentTensors> directions) {
    return ScalarRecurrence.prepare(precision, arena, cell, directions);
  }

  @Override
  public void embed(
      PackedBatch batch, EmbeddingTables tables, Optional<NormWeight> norm, Matrix hidden) {
    for (int token = 0; token < batch.tokens(); token++) {
      sumOfLookups(batch, tables, token, hidden);
      if (norm.isPresent()) {
        normalizeRow(hidden, token, 0, norm.get(), hidden);
      }
    }
  }

  /** hidden[token] = words + types + positions, in the order of the reference implementation. */
  private static void sumOfLookups(
      PackedBatch batch, EmbeddingTables tables, int token, Matrix hidden) {
    int size = tables.size();
    for (int i = 0; i < size; i++) {
      float sum = tables.words().get((long) batch.ids()[token] * size + i) * tables.scale();
      if (tables.types().isPresent()) {
        sum += tables.types().get().get((long) batch.typeIds()[token] * size + i);
      }
      if (tables.positions().isPresent()) {
        sum += tables.positions().get().get((long) batch.positions()[token] * size + i);
      }
      hidden.set(token, i, sum);
    }
  }

  @Override
  public void linear(Matrix input, LinearWeight weight, Activation activation, Matrix output) {
    RowWeight rows = (RowWeight) weight;
    assert input.columns() == rows.inputSize() && output.columns() == rows.outputSize();
    for (int row = 0; row < input.rows(); row++) {
      float[] left = input.row(row, rows.inputSize());
      if (precision == Precision.INT8) {
        Int8.roundAll(left);
      }
      for (int column = 0; column < rows.outputSize(); column++) {
        double sum = rows.bias().getAtIndex(FLOAT, column);
        long at = (long) column * rows.inputSize();
        for (int i = 0; i < rows.inputSize(); i++) {
          sum += (double) left[i] * rows.rows().getAtIndex(FLOAT, at + i);
        }
        output.set(row, column, (float) apply(activation, sum));
      }
    }
  }

  static double apply(Activation activation, double x) {
    return switch (activation) {
      case IDENTITY -> x;
      case GELU -> 0.5 * x * (1 + erf(x / Math.sqrt(2)));
      case GELU_TANH ->
          0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
      case RELU -> Math.max(x, 0);
      case SILU -> x / (1 + Math.exp(-x));
      case TANH -> Math.tanh(x);
      case SIGMOID -> 1 / (1 + Math.exp(-x));
    };
  }

  /**
   * The error function, to about 1e-15: its Maclaurin series near 0 and the continued fraction of
   * erfc beyond (Abramowitz and Stegun 7.1.6 and 7.1.14).
   */
  static double erf(double x) {
    double magnitude = Math.abs(x);
    if (magnitude > 6) {
      return Math.copySign(1, x);
    }
    double square = x * x;
    if (magnitude < 2.5) {
      double term = x;
      double sum = x;
      for (int n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
        term *= 2 * square / (2 * n + 1);
        sum += term;
      }
      return 2 / Math.sqrt(Math.PI) * Math.exp(-square) * sum;
    }
    double fraction = 0;
    for (int n = 60; n > 0; n--) {
      fraction = n / 2.0 / (magnitude + fraction);
    }
    double complement = Math.exp(-square) / Math.sqrt(Math.PI) / (magnitude + fraction);
    return Math.copySign(1 - complement, x);
  }

  @Override
  public void gate(Matrix input, Activation activation, Matrix output) {
    int half = output.columns();
    assert input.columns() == 2 * half;
    for (int row = 0; row < input.rows(); row++) {
      for (int i = 0; i < half; i++) {
        double gated = apply(activation, input.get(row, i)) * input.get(row, half + i);
        output.set(row, i, (float) gated);
      }
    }
  }

  @Override
  public void addNorm(Matrix input, Matrix residual, NormWeight norm, Matrix output) {
    for (int row = 0; row < input.rows(); row++) {
      for (int i = 0; i < norm.size(); i++) {
        output.set(row, i, input.get(row, i) + residual.get(row, i));
      }
      normalizeRow(output, row, 0, norm, output);
    }
  }

  @Override
  public void norm(Matrix input, NormWeight norm, Matrix output) {
    assert input.columns() % norm.size() == 0 && output.columns() == input.columns();
    for (int row = 0; row < input.rows(); row++) {
      for (int column = 0; column < input.columns(); column += norm.size()) {
        normalizeRow(input, row, column, norm, output);
      }
    }
  }

  private static void normalizeRow(
      Matrix input, int row, int column, NormWeight norm, Matrix output) {
    double mean = norm.centered() ? rowSum(input, row, column, norm.size()) / norm.size() : 0;
    double squares = 0;
    for (int i = 0; i < norm.size(); i++) {
      double difference = input.get(row, column + i) - mean;
      squares += difference * difference;
    }
    double scale = 1 / Math.sqrt(squares / norm.size() + norm.epsilon());
    for (int i = 0; i < norm.size(); i++) {
      double value = (input.get(row, column + i) - mean) * scale;
      double weight = norm.weight().getAtIndex(FLOAT, i);
      output.set(row, column + i, (float) (value * weight + norm.bias().getAtIndex(FLOAT, i)));
    }
  }

  private static double rowSum(Matrix input, int row, int column, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += input.get(row, column + i);
    }
    return sum;
  }

  @Override
  public void add(Matrix input, Matrix output) {
    for (int row = 0; row < input.rows(); row++) {
      for (int i = 0; i < input.columns(); i++) {
        output.set(row, i, output.get(row, i) + input.get(row, i));
      }
    }
  }

  @Override
  public void rotate(
      Matrix queryKeyValue, PackedBatch batch, int heads, int headSize, RotaryTable table) {
    int pairs = table.pairs();
    for (int row = 0; row < queryKeyValue.rows(); row++) {
      int position = batch.positions()[row];
      for (int head = 0; head < heads; head++) {
        for (int i = 0; i < pairs; i++) {
          int column = head * headSize + i;
          double first = queryKeyValue.get(row, column);
          double second = queryKeyValue.get(row, column + pairs);
          double cosine = table.cosines().get(position, i);
          double sine = table.sines().get(position, i);
          queryKeyValue.set(row, column, (float) (first * cosine - second * sine));
          queryKeyValue.set(row, column + pairs, (float) (second * cosine + first * sine));
        }
      }
    }
  }

  @Override
  public void attention(
      Matrix queryKeyValue, PackedBatch batch, AttentionPattern pattern, Matrix context) {
    assert queryKeyValue.columns() == pattern.queryKeyValueSize();
    assert context.columns() == pattern.contextSize();
    double[] scores = new double[batch.longest()];
    for (int sequence = 0; sequence < batch.sequences(); sequence++) {
      int start = batch.sequenceStarts()[sequence];
      for (int query = 0; query < batch.length(sequence); query++) {
        int first = Math.max(0, query - pattern.behind());
        int end = Math.min(batch.length(sequence), query + pattern.ahead() + 1);
        for (int head = 0; head < pattern.heads(); head++) {
          attend(queryKeyValue, start, query, first, end, head, pattern, scores, context);
        }
      }
    }
  }

  /** One query of one head over the keys [first, end) of its sequence. */
  private static void attend(
      Matrix queryKeyValue,
      int start,
      int query,
      int first,
      int end,
      int head,
      AttentionPattern pattern,
      double[] scores,
      Matrix context) {
    int headSize = pattern.headSize();
    int queryColumn = head * headSize;
    int keyColumn = pattern.keyColumn(pattern.keyValueHead(head));
    int valueColumn = pattern.valueColumn(pattern.keyValueHead(head));
    int row = start + query;
    double largest = Double.NEGATIVE_INFINITY;
    for (int key = first; key < end; key++) {
      int other = start + key;
      double dot = dot(queryKeyValue, row, queryColumn, queryKeyValue, other, keyColumn, headSize);
      if (pattern.bias() instanceof PositionBias.Disentangled bias) {
        int at = bias.row(query - key);
        if (bias.hasKeys()) {
          Matrix keys = bias.distanceKeys();
          dot += dot(queryKeyValue, row, queryColumn, keys, at, queryColumn, headSize);
        }
        if (bias.hasQueries()) {
          Matrix queries = bias.distanceQueries();
          dot += dot(queryKeyValue, other, keyColumn, queries, at, queryColumn, headSize);
        }
      }
      scores[key] = dot * pattern.scale();
      if (pattern.bias() instanceof PositionBias.ByDistance bias) {
        scores[key] += bias.table().get(head, bias.reach() + query - key);
      }
      largest = Math.max(largest, scores[key]);
    }
    double total = 0;
    for (int key = first; key < end; key++) {
      scores[key] = Math.exp(scores[key] - largest);
      total += scores[key];
    }
    for (int i = 0; i < headSize; i++) {
      double sum = 0;
      for (int key = first; key < end; key++) {
        sum += scores[key] * queryKeyValue.get(start + key, valueColumn + i);
      }
      context.set(row, queryColumn + i, (float) (sum / total));
    }
  }

  private static double dot(
      Matrix left, int leftRow, int leftColumn, Matrix right, int row, int column, int size) {
    double dot = 0;
    for (int i = 0; i < size; i++) {
      dot += (double) left.get(leftRow, leftColumn + i) * right.get(row, column + i);
    }
    return dot;
  }

  @Override
  public void neighbours(Matrix input, PackedBatch batch, int width, Matrix output) {
    int columns = input.columns();
    float[] none = new float[columns];
    for (int sequence = 0; sequence < batch.sequences(); sequence++) {
      int start = batch.sequenceStarts()[sequence];
      int end = batch.sequenceStarts()[sequence + 1];
      for (int token = start; token < end; token++) {
        for (int i = 0; i < width; i++) {
          int other = token + i - width / 2;
          boolean inside = other >= start && other < end;
          output.write(inside ? input.row(other, columns) : none, token, i * columns);
        }
      }
    }
  }

  @Override
  public void recur(
      Matrix projected, int[] sequenceStarts, RecurrentWeight weight, Matrix state, Matrix output) {
    ScalarRecurrence.recur(
        projected, sequenceStarts, (ScalarRecurrence.Weight) weight, state, output);
  }

  @Override
  public void pool(Matrix hidden, PackedBatch batch, PoolingMode mode, Matrix vectors, int column) {
    for (int sequence = 0; sequence < batch.sequences(); sequence++) {
      int first = batch.pooledStarts()[sequence];
      int end = batch.sequenceStarts()[sequence + 1];
      for (int i = 0; i < hidden.columns(); i++) {
        vectors.set(sequence, column + i, (float) pool(hidden, first, end, i, mode));
      }
    }
  }

  private static double pool(Matrix hidden, int first, int end, int column, PoolingMode mode) {
    int count = end - first;
    return switch (mode) {
      case CLS -> hidden.get(first, column);
      case LAST_TOKEN -> hidden.get(end - 1, column);
      case MEAN -> sum(hidden, first, end, column) / count;
      case MEAN_SQRT_LENGTH -> sum(hidden, first, end, column) / Math.sqrt(count);
      case MAX -> {
        double largest = Double.NEGATIVE_INFINITY;
        for (int row = first; row < end; row++) {
          largest = Math.max(largest, hidden.get(row, column));
        }
        yield largest;
      }
      case WEIGHTED_MEAN -> {
        double sum = 0;
        double weights = 0;
        for (int row = first; row < end; row++) {
          double weight = row - first + 1;
          sum += weight * hidden.get(row, column);
          weights += weight;
        }
        yield sum / weights;
      }
    };
  }

  private static double sum(Matrix hidden, int first, int end, int column) {
    double sum = 0;
    for (int row = first; row < end; row++) {
      sum += hidden.get(row, column);
    }
    return sum;
  }

  @Override
  public void normalize(Matrix vectors) {
    for (int row = 0; row < vectors.rows(); row++) {
      double square = 0;
      for (int i = 0; i < vectors.columns(); i++) {
        square += (double) vectors.get(row, i) * vectors.get(row, i);
      }
      double length = Math.max(Math.sqrt(square), 1e-12);
      for (int i = 0; i < vectors.columns(); i++) {
        vectors.set(row, i, (float) (vectors.get(row, i) / length));
      }
    }
  }

  @Override
  public void write(float[] numbers, Matrix matrix, int row, int column) {
    matrix.write(numbers, row, column);
  }

  @Override
  public float[] read(Matrix matrix, int row, int columns) {
    return matrix.row(row, columns);
  }

  @Override
  public void multiply(
      Matrix left,
      boolean transposeLeft,
      Matrix right,
      boolean transposeRight,
      boolean accumulate,
      Matrix output) {
    int depth = transposeLeft ? left.rows() : left.columns();
    assert output.rows() == (transposeLeft ? left.columns() : left.rows());
    assert output.columns() == (transposeRight ? right.rows() : right.columns());
    assert depth == (transposeRight ? right.columns() : right.rows());
    for (int row = 0; row < output.rows(); row++) {
      for (int column = 0; column < output.columns(); column++) {
        double sum = accumulate ? output.get(row, column) : 0;
        for (int i = 0; i < depth; i++) {
          double number = transposeLeft ? left.get(i, row) : left.get(row, i);
          sum += number * (transposeRight ? right.get(column, i) : right.get(i, column));
        }
        output.set(row, column, (float) sum);
      }
    }
  }

  @Override
  public void recurTraced(
      Matrix projected,
      int[] sequenceStarts,
      RecurrentCell cell,
      List<RecurrentMatrices> weights,
      Matrix before,
      Matrix after,
      Matrix output,
      Matrix trace) {
    for (int row = 0; row < before.rows(); row++) {
      after.write(before.row(row, before.columns()), row, 0);
    }
    ScalarRecurrence.recurTraced(projected, sequenceStarts, cell, weights, after, output, trace);
  }

  @Override
  public int traceSize(RecurrentCell cell, int hiddenSize) {
    return ScalarRecurrence.traced(cell) * hiddenSize;
  }

  @Override
  public void recurGradient(
      int[] sequenceStarts,
      RecurrentCell cell,
      List<RecurrentMatrices> weights,
      Matrix before,
      Matrix output,
      Matrix trace,
      Matrix outputGradient,
      Matrix stateGradient,
      Matrix projectedGradient,
      List<RecurrentMatrices> gradients) {
    for (int direction = 0; direction < weights.size(); direction++) {
      ScalarRecurrenceGradient gradient =
          new ScalarRecurrenceGradient(
              cell, direction, weights.get(direction), before, output, trace);
      gradient.run(sequenceStarts, outputGradient, stateGradient, projectedGradient);
      gradient.addTo(gradients.get(direction));
    }
  }

  @Override
  public void gather(Matrix table, int[] rows, Matrix output, int column) {
    for (int i = 0; i < rows.length; i++) {
      output.write(table.row(rows[i], table.columns()), i, column);
    }
  }

  @Override
  public void scatterAdd(Matrix input, int column, int[] rows, Matrix table) {
    for (int i = 0; i < rows.length; i++) {
      for (int k = 0; k < table.columns(); k++) {
        table.set(rows[i], k, table.get(rows[i], k) + input.get(i, column + k));
      }
    }
  }

  @Override
  public void addRow(Matrix row, Matrix matrix) {
    for (int i = 0; i < matrix.rows(); i++) {
      for (int column = 0; column < matrix.columns(); column++) {
        matrix.set(i, column, matrix.get(i, column) + row.get(0, column));
      }
    }
  }

  @Override
  public void addColumnSums(Matrix matrix, Matrix row) {
    for (int column = 0; column < matrix.columns(); column++) {
      double sum = row.get(0, column) + sum(matrix, 0, matrix.rows(), column);
      row.set(0, column, (float) sum);
    }
  }

  @Override
  public void multiplyElements(Matrix mask, Matrix matrix) {
    for (int row = 0; row < matrix.rows(); row++) {
      for (int column = 0; column < matrix.columns(); column++) {
        matrix.set(row, column, matrix.get(row, column) * mask.get(row, column));
      }
    }
  }

  @Override
  public void adamW(
      Matrix parameter,
      Matrix gradient,
      Matrix firstMoment,
      Matrix secondMoment,
      AdamW coefficients,
      double learningRate,
      double scale,
      int step) {
    double beta1 = coefficients.beta1();
    double beta2 = coefficients.beta2();
    double keep = 1 - learningRate * coefficients.weightDecay();
    double rate = learningRate / (1 - Math.pow(beta1, step));
    double correction = Math.sqrt(1 - Math.pow(beta2, step));
    for (int row = 0; row < parameter.rows(); row++) {
      for (int column = 0; column < parameter.columns(); column++) {
        double slope = scale * gradient.get(row, column);
        double first = beta1 * firstMoment.get(row, column) + (1 - beta1) * slope;
        double second = beta2 * secondMoment.get(row, column) + (1 - beta2) * slope * slope;
        double change = rate * first / (Math.sqrt(second) / correction + coefficients.epsilon());
        parameter.set(row, column, (float) (keep * parameter.get(row, column) - change));
        firstMoment.set(row, column, (float) first);
        secondMoment.set(row, column, (float) second);
      }
    }
  }

  @Override
  public void average(Matrix matrix, float share, Matrix mean) {
    for (int row = 0; row < matrix.rows(); row++) {
      for (int column = 0; column < matrix.columns(); column++) {
        float before = mean.get(row, column);
        mean.set(row, column, Math.fma(share, matrix.get(row, column) - before, before));
      }
    }
  }

  @Override
  public double sumOfSquares(Matrix matrix) {
    double sum = 0;
    for (int row = 0; row < matrix.rows(); row++) {
      for (int column = 0; column < matrix.columns(); column++) {
        sum += (double) matrix.get(row, column) * matrix.get(row, column);
      }
    }
    return sum;
  }
}
