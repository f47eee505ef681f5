package org.lanewise.encoder.backend;

import static org.lanewise.encoder.backend.ProductKernels.BYTES;
import static org.lanewise.encoder.backend.ProductKernels.PANEL;
import static org.lanewise.encoder.backend.ProductKernels.PANEL_BYTES;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;
import org.lanewise.encoder.weights.Tensor;

/**
 * One direction of a recurrent layer over a group of sequences, a step of all of them at a time.
 *
 * <p>The longest sequence is the first row, so that those still running are always the first rows:
 * a step is one product of these with the recurrent panels, and then the gates of each row. In the
 * panels every gate begins at a whole vector; the gates of the projected input begin anywhere and
 * are read past their ends, which yields lanes that nobody looks at.
 *
 * <p>Gates are applied one after the other, in place. One kernel with all of an LSTM's five
 * exponentials is more than the JIT inlines: it boxed its vectors for good, 12 MB of heap a pass,
 * and a bidirectional layer of 128 ran at 143 instead of 187 GFLOP/s (one core of a Zen 5).
 */
final class VectorRecurrence {
  private static final VectorSpecies<Float> FLOATS = VectorBackend.FLOATS;
  private static final int LANES = FLOATS.length();
  private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  /**
   * Rows of one group. Near the end of a scan few sequences still run and leave blocks of rows half
   * empty, in every group anew; but the rows share a 1 MB L2 cache with the panels.
   */
  private static final int GROUP_ROWS = 16 * Matrix.ROW_BLOCK;

  /**
   * One direction.
   *
   * @param peepholes (peepholes, gateColumns)
   */
  private record Direction(MemorySegment panels, MemorySegment bias, MemorySegment peepholes) {}

  /**
   * The directions of a layer.
   *
   * @param gateColumns columns of one gate: the hidden size in whole vectors
   */
  record Weight(
      RecurrentCell cell,
      int hiddenSize,
      int gateColumns,
      boolean bf16,
      long panelBytes,
      List<Direction> each)
      implements RecurrentWeight {
    @Override
    public int directions() {
      return each.size();
    }

    int panelCount() {
      return Math.ceilDiv(cell.gates() * gateColumns, PANEL);
    }
  }

  private final Weight weight;
  private final int direction;
  private final Direction part;
  private final Matrix projected;

  /** Bytes from one gate to the next, of the projected input and of the sums. */
  private final long inputGate;

  private final long gate;

  /** Packed left side of the product. */
  private final MemorySegment left;

  /** (rows, panels * PANEL): what the product wrote, and then the gates. */
  private final MemorySegment sums;

  private final long sumsStride;

  /** (rows, gateColumns) each, {@code gate} bytes from row to row. */
  private final MemorySegment hidden;

  private final MemorySegment memory;

  /** (tokens, directions * traced(cell) * gateColumns): see {@link #traced}. */
  private final Optional<Matrix> trace;

  private VectorRecurrence(
      ScratchPool.Scratch scratch,
      Matrix projected,
      Weight weight,
      int direction,
      int rows,
      Optional<Matrix> trace) {
    this.weight = weight;
    this.projected = projected;
    this.direction = direction;
    this.trace = trace;
    part = weight.each().get(direction);
    inputGate = 4L * weight.hiddenSize();
    gate = 4L * weight.gateColumns();
    sumsStride = weight.panelCount() * PANEL_BYTES;
    long blockRows = Matrix.roundUp(rows, Matrix.ROW_BLOCK);
    left = scratch.floats(blockRows * weight.hiddenSize());
    sums = scratch.floats(blockRows * weight.panelCount() * PANEL);
    hidden = scratch.zeros(blockRows * weight.gateColumns());
    memory = scratch.zeros(blockRows * weight.gateColumns());
  }

  static Weight prepare(
      Arena arena, boolean bf16, RecurrentCell cell, List<RecurrentTensors> directions) {
    int hiddenSize = Math.toIntExact(directions.getFirst().weights().getFirst().shape()[1]);
    int gateColumns = Matrix.roundUp(hiddenSize, LANES);
    int panels = Math.ceilDiv(cell.gates() * gateColumns, PANEL);
    Precision precision = bf16 ? Precision.BF16 : Precision.FP32;
    long panelBytes = WeightPacking.panelBytes(precision, hiddenSize);
    List<Direction> each = new ArrayList<>();
    for (RecurrentTensors tensors : directions) {
      MemorySegment packed = arena.allocate(panels * panelBytes, 64);
      float[][] columns = new float[panels * PANEL][];
      Arrays.fill(columns, new float[hiddenSize]);
      MemorySegment bias = arena.allocate(panels * PANEL_BYTES, 64);
      MemorySegment peepholes = arena.allocate(cell.peepholes() * 4L * gateColumns, 64);
      int number = 0;
      for (Tensor tensor : tensors.weights()) {
        for (int row = 0; row < tensor.shape()[0]; row++, number++) {
          columns[number / hiddenSize * gateColumns + number % hiddenSize] = tensor.row(row);
        }
      }
      for (int panel = 0; panel < panels; panel++) {
        float[][] some = Arrays.copyOfRange(columns, panel * PANEL, (panel + 1) * PANEL);
        WeightPacking.pack(precision, some, packed, panel * panelBytes, MemorySegment.NULL, 0);
      }
      copyGates(tensors.biases(), hiddenSize, gateColumns, bias);
      copyGates(tensors.peepholes(), hiddenSize, gateColumns, peepholes);
      each.add(new Direction(packed, bias, peepholes));
    }
    return new Weight(cell, hiddenSize, gateColumns, bf16, panelBytes, List.copyOf(each));
  }

  /** The same of weights that change from call to call, in scratch memory and fp32. */
  private static Weight pack(
      ScratchPool.Scratch scratch, RecurrentCell cell, List<RecurrentMatrices> directions) {
    int hiddenSize = directions.getFirst().weight().columns();
    int gateColumns = Matrix.roundUp(hiddenSize, LANES);
    int panels = Math.ceilDiv(cell.gates() * gateColumns, PANEL);
    List<Direction> each = new ArrayList<>();
    for (RecurrentMatrices matrices : directions) {
      MemorySegment bias = scratch.zeros((long) panels * PANEL);
      for (int gate = 0; gate < cell.gates(); gate++) {
        long from = 4L * gate * hiddenSize;
        long to = 4L * gate * gateColumns;
        MemorySegment.copy(matrices.bias().data(), from, bias, to, 4L * hiddenSize);
      }
      MemorySegment peepholes = packPeepholes(scratch, cell, matrices);
      MemorySegment packed = scratch.floats((long) panels * PANEL * hiddenSize);
      MemorySegment squares = scratch.floats(RightPacking.SCRATCH);
      each.add(new Direction(packed, bias, peepholes));
      for (int half = 0; half < 2 * panels; half++) {
        packHalf(matrices.weight(), half, gateColumns, packed, squares);
      }
    }
    return new Weight(
        cell, hiddenSize, gateColumns, false, PANEL_BYTES * hiddenSize, List.copyOf(each));
  }

  /** Packs a vector of gates: a half of a panel. */
  private static void packHalf(
      Matrix weight, int half, int gateColumns, MemorySegment packed, MemorySegment squares) {
    int hiddenSize = weight.columns();
    int gate = half * LANES / gateColumns;
    int within = half * LANES % gateColumns;
    int row = gate * hiddenSize + within;
    int present = row < weight.rows() ? Math.min(LANES, hiddenSize - within) : 0;
    long at = half / 2 * PANEL_BYTES * hiddenSize + half % 2 * BYTES;
    RightPacking.packTransposed(
        weight.data(),
        weight.rowOffset(row),
        weight.stride() * 4L,
        hiddenSize,
        present,
        packed,
        at,
        squares);
  }

  /** Returns the peepholes in whole vectors, (peepholes, gateColumns). */
  static MemorySegment packPeepholes(
      ScratchPool.Scratch scratch, RecurrentCell cell, RecurrentMatrices matrices) {
    int hiddenSize = matrices.weight().columns();
    long rowBytes = 4L * Matrix.roundUp(hiddenSize, LANES);
    MemorySegment peepholes = scratch.zeros(cell.peepholes() * rowBytes / 4);
    for (int row = 0; row < cell.peepholes(); row++) {
      Matrix from = matrices.peepholes();
      MemorySegment.copy(
          from.data(), from.rowOffset(row), peepholes, row * rowBytes, 4L * hiddenSize);
    }
    return peepholes;
  }

  private static void copyGates(
      List<Tensor> tensors, int hiddenSize, int gateColumns, MemorySegment target) {
    int number = 0;
    for (Tensor tensor : tensors) {
      for (long i = 0; i < tensor.elements(); i++, number++) {
        int column = number / hiddenSize * gateColumns + number % hiddenSize;
        target.setAtIndex(FLOAT, column, tensor.get(i));
      }
    }
  }

  static void recur(
      Workers workers,
      ScratchPool scratches,
      Matrix projected,
      int[] sequenceStarts,
      Weight weight,
      Matrix state,
      Matrix output) {
    forEachGroup(
        workers,
        sequenceStarts,
        weight.directions(),
        (direction, members) -> {
          try (ScratchPool.Scratch scratch = scratches.borrow()) {
            new VectorRecurrence(
                    scratch, projected, weight, direction, members.length, Optional.empty())
                .scan(members, sequenceStarts, state, state, output);
          }
        });
  }

  static void recurTraced(
      Workers workers,
      ScratchPool scratches,
      Matrix projected,
      int[] sequenceStarts,
      RecurrentCell cell,
      List<RecurrentMatrices> weights,
      Matrix before,
      Matrix after,
      Matrix output,
      Matrix trace) {
    try (ScratchPool.Scratch panels = scratches.borrow()) {
      Weight weight = pack(panels, cell, weights);
      forEachGroup(
          workers,
          sequenceStarts,
          weights.size(),
          (direction, members) -> {
            try (ScratchPool.Scratch scratch = scratches.borrow()) {
              new VectorRecurrence(
                      scratch, projected, weight, direction, members.length, Optional.of(trace))
                  .scan(members, sequenceStarts, before, after, output);
            }
          });
    }
  }

  /** What is done for one direction of a group of sequences, the longest first. */
  interface GroupBody {
    void accept(int direction, int[] members);
  }

  /** Runs the body for all sequences and directions, among the workers. */
  static void forEachGroup(Workers workers, int[] sequenceStarts, int directions, GroupBody body) {
    int sequences = sequenceStarts.length - 1;
    int[] longestFirst = longestFirst(sequenceStarts);
    // Threads without a direction of their own take sequences, but no less than a block of them.
    int wanted = Math.ceilDiv(workers.threads(), directions);
    int groups =
        Math.max(
            Math.ceilDiv(sequences, GROUP_ROWS),
            Math.min(wanted, Math.ceilDiv(sequences, Matrix.ROW_BLOCK)));
    workers.forEach(
        directions * groups,
        task -> {
          int group = task / directions;
          // Every group gets its share of the long ones.
          int[] members = new int[Math.ceilDiv(sequences - group, groups)];
          for (int row = 0; row < members.length; row++) {
            members[row] = longestFirst[group + row * groups];
          }
          body.accept(task % directions, members);
        });
  }

  /** Returns the sequences by falling length, and by their number where lengths are equal. */
  private static int[] longestFirst(int[] sequenceStarts) {
    long[] keys = new long[sequenceStarts.length - 1];
    for (int i = 0; i < keys.length; i++) {
      long length = length(sequenceStarts, i);
      keys[i] = (Integer.MAX_VALUE - length) << 32 | i;
    }
    Arrays.sort(keys);
    return Arrays.stream(keys).mapToInt(key -> (int) key).toArray();
  }

  /**
   * Returns how many times {@code gateColumns} numbers a trace keeps for a token: the gates, then
   * what an LSTM remembers, or the u of a GRU's gate n. An Elman network's gates are its output.
   */
  static int traced(RecurrentCell cell) {
    return switch (cell) {
      case RNN_TANH, RNN_RELU -> 0;
      case LSTM, LSTM_PEEPHOLE -> 5;
      case GRU -> 4;
    };
  }

  private void scan(
      int[] members, int[] sequenceStarts, Matrix before, Matrix after, Matrix output) {
    long rowBytes = 4L * weight.hiddenSize();
    long inputColumn = direction * rowBytes * weight.cell().gates();
    long outputColumn = direction * rowBytes;
    boolean keepsMemory = weight.cell().states() == 2;
    int stateRow = direction * (sequenceStarts.length - 1);
    int longest = 0;
    for (int row = 0; row < members.length; row++) {
      long from = before.rowOffset(stateRow + members[row]);
      MemorySegment.copy(before.data(), from, hidden, row * gate, rowBytes);
      if (keepsMemory) {
        MemorySegment.copy(before.data(), from + rowBytes, memory, row * gate, rowBytes);
      }
      longest = Math.max(longest, length(sequenceStarts, members[row]));
    }
    int running = members.length;
    for (int step = 0; step < longest; step++) {
      while (length(sequenceStarts, members[running - 1]) <= step) {
        running--;
      }
      product(running);
      for (int row = 0; row < running; row++) {
        int token = token(sequenceStarts, members[row], direction, step);
        step(row, token, projected.rowOffset(token) + inputColumn);
        long to = output.rowOffset(token) + outputColumn;
        MemorySegment.copy(hidden, row * gate, output.data(), to, rowBytes);
      }
    }
    for (int row = 0; row < members.length; row++) {
      long to = after.rowOffset(stateRow + members[row]);
      MemorySegment.copy(hidden, row * gate, after.data(), to, rowBytes);
      if (keepsMemory) {
        MemorySegment.copy(memory, row * gate, after.data(), to + rowBytes, rowBytes);
      }
    }
  }

  /** Returns the token that a direction reads at a step. */
  static int token(int[] sequenceStarts, int sequence, int direction, int step) {
    return direction == 0
        ? sequenceStarts[sequence] + step
        : sequenceStarts[sequence + 1] - 1 - step;
  }

  /** Takes a row past the token, and keeps its trace if there is one. */
  private void step(int row, int token, long inputAt) {
    long kept = traced(weight.cell());
    if (trace.isEmpty() || kept == 0) {
      gates(row, inputAt);
      return;
    }
    MemorySegment to = trace.get().data();
    long at = trace.get().rowOffset(token) + direction * kept * gate;
    long sumsAt = row * sumsStride;
    int gates = weight.cell().gates();
    if (weight.cell() == RecurrentCell.GRU) {
      MemorySegment.copy(sums, sumsAt + 2 * gate, to, at + gates * gate, gate);
    }
    gates(row, inputAt);
    MemorySegment.copy(sums, sumsAt, to, at, gates * gate);
    if (weight.cell().states() == 2) {
      MemorySegment.copy(memory, row * gate, to, at + gates * gate, gate);
    }
  }

  static int length(int[] sequenceStarts, int sequence) {
    return sequenceStarts[sequence + 1] - sequenceStarts[sequence];
  }

  /** sums = hidden * weight^T + bias for the first rows. */
  private void product(int rows) {
    int depth = weight.hiddenSize();
    LeftPacking.pack(hidden, 0, gate, rows, depth, left);
    for (int panel = 0; panel < weight.panelCount(); panel++) {
      ProductKernels.multiplyRows(
          rows,
          weight.bf16(),
          left,
          part.panels(),
          panel * weight.panelBytes(),
          depth,
          part.bias(),
          panel * PANEL_BYTES,
          sums,
          panel * PANEL_BYTES,
          sumsStride);
    }
  }

  /** Replaces the hidden state of a row, and what it remembers, by those of the next step. */
  private void gates(int row, long inputAt) {
    MemorySegment input = projected.data();
    int size = weight.hiddenSize();
    long at = row * sumsStride;
    long rowAt = row * gate;
    switch (weight.cell()) {
      case RNN_TANH -> {
        addTanh(input, inputAt, sums, at, size);
        MemorySegment.copy(sums, at, hidden, rowAt, gate);
      }
      case RNN_RELU -> addRelu(input, inputAt, sums, at, hidden, rowAt, size);
      case LSTM -> {
        addSigmoid(input, inputAt, sums, at, size);
        addSigmoid(input, inputAt + inputGate, sums, at + gate, size);
        addTanh(input, inputAt + 2 * inputGate, sums, at + 2 * gate, size);
        addSigmoid(input, inputAt + 3 * inputGate, sums, at + 3 * gate, size);
        remember(sums, at, gate, memory, rowAt, size);
        tell(memory, rowAt, sums, at + 3 * gate, hidden, size);
      }
      case LSTM_PEEPHOLE -> {
        peep(part.peepholes(), 0, memory, rowAt, sums, at, size);
        addSigmoid(input, inputAt, sums, at, size);
        peep(part.peepholes(), gate, memory, rowAt, sums, at + gate, size);
        addSigmoid(input, inputAt + inputGate, sums, at + gate, size);
        addTanh(input, inputAt + 2 * inputGate, sums, at + 2 * gate, size);
        remember(sums, at, gate, memory, rowAt, size);
        peep(part.peepholes(), 2 * gate, memory, rowAt, sums, at + 3 * gate, size);
        addSigmoid(input, inputAt + 3 * inputGate, sums, at + 3 * gate, size);
        tell(memory, rowAt, sums, at + 3 * gate, hidden, size);
      }
      case GRU -> {
        addSigmoid(input, inputAt, sums, at, size);
        addSigmoid(input, inputAt + inputGate, sums, at + gate, size);
        reset(sums, at, sums, at + 2 * gate, size);
        addTanh(input, inputAt + 2 * inputGate, sums, at + 2 * gate, size);
        update(sums, at + gate, sums, at + 2 * gate, hidden, rowAt, size);
      }
    }
  }

  /** gate = sigmoid(input + gate). */
  private static void addSigmoid(
      MemorySegment input, long inputAt, MemorySegment gate, long at, int size) {
    input = NativeMemory.known(input);
    gate = NativeMemory.known(gate);
    for (int i = 0; i < size; i += LANES) {
      FloatVector sum = load(input, inputAt).add(load(gate, at));
      VectorMath.sigmoid(sum).intoMemorySegment(gate, at, NATIVE);
      inputAt += BYTES;
      at += BYTES;
    }
  }

  /** gate = tanh(input + gate). */
  private static void addTanh(
      MemorySegment input, long inputAt, MemorySegment gate, long at, int size) {
    input = NativeMemory.known(input);
    gate = NativeMemory.known(gate);
    for (int i = 0; i < size; i += LANES) {
      FloatVector sum = load(input, inputAt).add(load(gate, at));
      VectorMath.tanh(sum).intoMemorySegment(gate, at, NATIVE);
      inputAt += BYTES;
      at += BYTES;
    }
  }

  /** hidden = max(input + sum, 0). */
  private static void addRelu(
      MemorySegment input,
      long inputAt,
      MemorySegment sum,
      long sumAt,
      MemorySegment hidden,
      long at,
      int size) {
    input = NativeMemory.known(input);
    sum = NativeMemory.known(sum);
    hidden = NativeMemory.known(hidden);
    for (int i = 0; i < size; i += LANES) {
      load(input, inputAt).add(load(sum, sumAt)).max(0f).intoMemorySegment(hidden, at, NATIVE);
      inputAt += BYTES;
      sumAt += BYTES;
      at += BYTES;
    }
  }

  /** gate = gate + peephole * memory. */
  static void peep(
      MemorySegment peephole,
      long peepholeAt,
      MemorySegment memory,
      long memoryAt,
      MemorySegment gate,
      long at,
      int size) {
    peephole = NativeMemory.known(peephole);
    memory = NativeMemory.known(memory);
    gate = NativeMemory.known(gate);
    for (int i = 0; i < size; i += LANES) {
      load(peephole, peepholeAt)
          .fma(load(memory, memoryAt), load(gate, at))
          .intoMemorySegment(gate, at, NATIVE);
      peepholeAt += BYTES;
      memoryAt += BYTES;
      at += BYTES;
    }
  }

  /** memory = f * memory + i * g, the gates i, f and g {@code step} bytes apart. */
  private static void remember(
      MemorySegment gates, long gatesAt, long step, MemorySegment memory, long at, int size) {
    gates = NativeMemory.known(gates);
    memory = NativeMemory.known(memory);
    for (int i = 0; i < size; i += LANES) {
      FloatVector gain = load(gates, gatesAt).mul(load(gates, gatesAt + 2 * step));
      load(gates, gatesAt + step).fma(load(memory, at), gain).intoMemorySegment(memory, at, NATIVE);
      gatesAt += BYTES;
      at += BYTES;
    }
  }

  /** hidden = o * tanh(memory); both begin at the same offset. */
  private static void tell(
      MemorySegment memory, long at, MemorySegment o, long gateAt, MemorySegment hidden, int size) {
    memory = NativeMemory.known(memory);
    o = NativeMemory.known(o);
    hidden = NativeMemory.known(hidden);
    for (int i = 0; i < size; i += LANES) {
      VectorMath.tanh(load(memory, at)).mul(load(o, gateAt)).intoMemorySegment(hidden, at, NATIVE);
      gateAt += BYTES;
      at += BYTES;
    }
  }

  /** n = r * n. */
  private static void reset(MemorySegment r, long resetAt, MemorySegment n, long at, int size) {
    r = NativeMemory.known(r);
    n = NativeMemory.known(n);
    for (int i = 0; i < size; i += LANES) {
      load(r, resetAt).mul(load(n, at)).intoMemorySegment(n, at, NATIVE);
      resetAt += BYTES;
      at += BYTES;
    }
  }

  /** hidden = (1 - z) * n + z * hidden. */
  private static void update(
      MemorySegment z,
      long updateAt,
      MemorySegment n,
      long newAt,
      MemorySegment hidden,
      long at,
      int size) {
    z = NativeMemory.known(z);
    n = NativeMemory.known(n);
    hidden = NativeMemory.known(hidden);
    for (int i = 0; i < size; i += LANES) {
      FloatVector next = load(n, newAt);
      load(z, updateAt).fma(load(hidden, at).sub(next), next).intoMemorySegment(hidden, at, NATIVE);
      updateAt += BYTES;
      newAt += BYTES;
      at += BYTES;
    }
  }

  private static FloatVector load(MemorySegment data, long at) {
    return FloatVector.fromMemorySegment(FLOATS, data, at, NATIVE);
  }
}
