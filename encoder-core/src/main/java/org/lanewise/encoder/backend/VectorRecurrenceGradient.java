package org.lanewise.encoder.backend;

import static org.lanewise.encoder.backend.ProductKernels.BYTES;
import static org.lanewise.encoder.backend.ProductKernels.PANEL;
import static org.lanewise.encoder.backend.ProductKernels.PANEL_BYTES;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The gradient of a recurrent layer, back through a step of all sequences of a group at a time.
 *
 * <p>A step of {@link VectorRecurrence} is a product and then the gates; here it is the gates,
 * which say what the loss owes to x and u, and then the product of the latter with W_h. What the
 * loss owes to W_h, b_h and the peepholes is summed when all steps are done: one large product and
 * a few sums over all tokens, cut up the same way whatever the threads.
 */
final class VectorRecurrenceGradient {
  private static final VectorSpecies<Float> FLOATS = VectorBackend.FLOATS;
  private static final int LANES = FLOATS.length();
  private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private final Workers workers;
  private final ScratchPool scratches;
  private final int[] sequenceStarts;
  private final RecurrentCell cell;
  private final List<RecurrentMatrices> weights;
  private final Matrix before;
  private final Matrix output;
  private final Matrix trace;
  private final Matrix outputGradient;
  private final Matrix stateGradient;
  private final Matrix projectedGradient;
  private final int hiddenSize;

  /** Columns of one gate in the trace and here: the hidden size in whole vectors. */
  private final int gateColumns;

  /** Bytes of one gate, in the trace and in the projected input. */
  private final long gate;

  private final long inputGate;

  VectorRecurrenceGradient(
      Workers workers,
      ScratchPool scratches,
      int[] sequenceStarts,
      RecurrentCell cell,
      List<RecurrentMatrices> weights,
      Matrix before,
      Matrix output,
      Matrix trace,
      Matrix outputGradient,
      Matrix stateGradient,
      Matrix projectedGradient) {
    this.workers = workers;
    this.scratches = scratches;
    this.sequenceStarts = sequenceStarts;
    this.cell = cell;
    this.weights = weights;
    this.before = before;
    this.output = output;
    this.trace = trace;
    this.outputGradient = outputGradient;
    this.stateGradient = stateGradient;
    this.projectedGradient = projectedGradient;
    hiddenSize = weights.getFirst().weight().columns();
    gateColumns = Matrix.roundUp(hiddenSize, LANES);
    gate = 4L * gateColumns;
    inputGate = 4L * hiddenSize;
  }

  /** Goes back through all steps and adds what the loss owes to the weights. */
  void run(List<RecurrentMatrices> gradients) {
    try (ScratchPool.Scratch shared = scratches.borrow()) {
      List<MemorySegment> panels = new ArrayList<>();
      List<MemorySegment> peepholes = new ArrayList<>();
      for (RecurrentMatrices matrices : weights) {
        panels.add(pack(shared, matrices.weight()));
        peepholes.add(VectorRecurrence.packPeepholes(shared, cell, matrices));
      }
      VectorRecurrence.forEachGroup(
          workers,
          sequenceStarts,
          weights.size(),
          (direction, members) -> {
            try (ScratchPool.Scratch scratch = scratches.borrow()) {
              new Scan(
                      scratch,
                      direction,
                      panels.get(direction),
                      peepholes.get(direction),
                      members.length)
                  .run(members);
            }
          });
      Earlier earlier = earlier(shared);
      for (int direction = 0; direction < weights.size(); direction++) {
        addWeightGradient(direction, earlier, gradients.get(direction).weight());
        addBiasGradient(direction, gradients.get(direction).bias());
        addPeepholeGradient(direction, earlier, gradients.get(direction).peepholes());
      }
    }
  }

  /** Returns W_h as the right side of a product with the gates of a row. */
  private MemorySegment pack(ScratchPool.Scratch scratch, Matrix weight) {
    int panels = Math.ceilDiv(hiddenSize, PANEL);
    long panelBytes = cell.gates() * (gateColumns * PANEL_BYTES);
    MemorySegment packed = scratch.zeros(panels * panelBytes / 4);
    for (int panel = 0; panel < panels; panel++) {
      for (int i = 0; i < cell.gates(); i++) {
        RightPacking.pack(
            weight.data(),
            weight.rowOffset(i * hiddenSize) + panel * PANEL_BYTES,
            weight.stride() * 4L,
            hiddenSize,
            Math.min(PANEL, hiddenSize - panel * PANEL),
            packed,
            panel * panelBytes + i * (gateColumns * PANEL_BYTES));
      }
    }
    return packed;
  }

  private int sequences() {
    return sequenceStarts.length - 1;
  }

  private int tokens() {
    return sequenceStarts[sequences()];
  }

  private int length(int sequence) {
    return VectorRecurrence.length(sequenceStarts, sequence);
  }

  /** Returns the byte offset of what the trace keeps of a token and direction. */
  private long traceOffset(int token, int direction) {
    return trace.rowOffset(token) + VectorRecurrence.traced(cell) * gate * direction;
  }

  /** Returns the byte offset of the gradient by a token's projected input. */
  private long projectedOffset(int token, int direction) {
    return projectedGradient.rowOffset(token) + cell.gates() * inputGate * direction;
  }

  /**
   * The states before each token.
   *
   * @param hidden (tokens, directions * hiddenSize)
   * @param memory the same; nothing where no peephole sees it
   */
  private record Earlier(MemorySegment hidden, MemorySegment memory, long rowBytes) {}

  private Earlier earlier(ScratchPool.Scratch scratch) {
    int width = weights.size() * hiddenSize;
    // A vector more, because sums read whole ones.
    long numbers = (long) tokens() * width + LANES;
    MemorySegment hidden = scratch.floats(numbers);
    MemorySegment memory = scratch.floats(cell.peepholes() == 0 ? 0 : numbers);
    Earlier earlier = new Earlier(hidden, memory, 4L * width);
    workers.forEach(
        sequences() * weights.size(),
        task -> copyEarlier(task / weights.size(), task % weights.size(), earlier));
    return earlier;
  }

  private void copyEarlier(int sequence, int direction, Earlier earlier) {
    long column = direction * inputGate;
    MemorySegment hidden = before.data();
    long hiddenAt = before.rowOffset(direction * sequences() + sequence);
    MemorySegment memory = before.data();
    long memoryAt = hiddenAt + inputGate;
    for (int step = 0; step < length(sequence); step++) {
      int token = VectorRecurrence.token(sequenceStarts, sequence, direction, step);
      long to = token * earlier.rowBytes() + column;
      MemorySegment.copy(hidden, hiddenAt, earlier.hidden(), to, inputGate);
      hidden = output.data();
      hiddenAt = output.rowOffset(token) + column;
      if (cell.peepholes() > 0) {
        MemorySegment.copy(memory, memoryAt, earlier.memory(), to, inputGate);
        memory = trace.data();
        memoryAt = traceOffset(token, direction) + 4 * gate;
      }
    }
  }

  /** Gates that x and u share: all but the last of a GRU, whose u the reset gate multiplies. */
  private int sharedGates() {
    return cell == RecurrentCell.GRU ? 2 : cell.gates();
  }

  private void addWeightGradient(int direction, Earlier earlier, Matrix gradient) {
    MemorySegment owed = projectedGradient.data();
    long rowBytes = projectedGradient.stride() * 4L;
    long at = projectedOffset(0, direction);
    addProduct(owed, at, rowBytes, direction, earlier, gradient, 0, sharedGates());
    if (cell == RecurrentCell.GRU) {
      long from = traceOffset(0, direction) + 3 * gate;
      addProduct(trace.data(), from, trace.stride() * 4L, direction, earlier, gradient, 2, 1);
    }
  }

  /** Adds (gates, tokens) * (tokens, hiddenSize) to rows of the gradient. */
  private void addProduct(
      MemorySegment owed,
      long at,
      long rowBytes,
      int direction,
      Earlier earlier,
      Matrix gradient,
      int firstGate,
      int gates) {
    VectorProduct.multiply(
        workers,
        scratches,
        new VectorProduct.Side(owed, at, rowBytes, true),
        new VectorProduct.Side(earlier.hidden(), direction * inputGate, earlier.rowBytes(), false),
        tokens(),
        true,
        gradient,
        firstGate * hiddenSize,
        gates * hiddenSize);
  }

  private void addBiasGradient(int direction, Matrix gradient) {
    int columns = sharedGates() * hiddenSize;
    TrainingKernels.addColumnSums(
        workers,
        scratches,
        tokens(),
        columns,
        (token, sums, at) ->
            TrainingKernels.add(
                projectedGradient.data(), projectedOffset(token, direction), sums, at, columns),
        gradient.data(),
        0);
    if (cell == RecurrentCell.GRU) {
      TrainingKernels.addColumnSums(
          workers,
          scratches,
          tokens(),
          hiddenSize,
          (token, sums, at) ->
              TrainingKernels.add(
                  trace.data(), traceOffset(token, direction) + 3 * gate, sums, at, hiddenSize),
          gradient.data(),
          2 * inputGate);
    }
  }

  private void addPeepholeGradient(int direction, Earlier earlier, Matrix gradient) {
    for (int row = 0; row < cell.peepholes(); row++) {
      boolean seesNext = row == 2;
      long owedGate = (seesNext ? 3 : row) * inputGate;
      TrainingKernels.addColumnSums(
          workers,
          scratches,
          tokens(),
          hiddenSize,
          (token, sums, at) ->
              TrainingKernels.addProducts(
                  projectedGradient.data(),
                  projectedOffset(token, direction) + owedGate,
                  seesNext ? trace.data() : earlier.memory(),
                  seesNext
                      ? traceOffset(token, direction) + 4 * gate
                      : token * earlier.rowBytes() + direction * inputGate,
                  sums,
                  at,
                  hiddenSize),
          gradient.data(),
          gradient.rowOffset(row));
    }
  }

  /** The way back of one direction of a group of sequences. */
  private final class Scan {
    private final int direction;
    private final MemorySegment panels;
    private final MemorySegment peepholes;

    /** Of the loss by u, gate by gate, and behind a GRU's by x of gate n: (rows, ...). */
    private final MemorySegment owed;

    private final long owedBytes;

    /** Packed left side of the product. */
    private final MemorySegment left;

    /** Of the loss by the hidden state: (rows, panels * PANEL). */
    private final MemorySegment hidden;

    private final long hiddenBytes;

    /** Of the loss by c, or by a GRU's h past the gates: (rows, gateColumns). */
    private final MemorySegment carried;

    private final MemorySegment zeros;

    Scan(
        ScratchPool.Scratch scratch,
        int direction,
        MemorySegment panels,
        MemorySegment peepholes,
        int rows) {
      this.direction = direction;
      this.panels = panels;
      this.peepholes = peepholes;
      long blockRows = Matrix.roundUp(rows, Matrix.ROW_BLOCK);
      int gates = cell == RecurrentCell.GRU ? 4 : cell.gates();
      owedBytes = gates * gate;
      owed = scratch.floats(blockRows * gates * gateColumns);
      left = scratch.floats(blockRows * cell.gates() * gateColumns);
      hiddenBytes = Math.ceilDiv(hiddenSize, PANEL) * PANEL_BYTES;
      hidden = scratch.zeros(blockRows * hiddenBytes / 4);
      carried = scratch.zeros(blockRows * gateColumns);
      zeros = scratch.zeros(PANEL);
    }

    void run(int[] members) {
      int running = 0;
      for (int step = length(members[0]) - 1; step >= 0; step--) {
        while (running < members.length && length(members[running]) > step) {
          begin(running, members[running]);
          running++;
        }
        for (int row = 0; row < running; row++) {
          gates(row, members[row], step);
        }
        product(running);
      }
      for (int row = 0; row < running; row++) {
        end(row, members[row]);
      }
    }

    private long stateOffset(Matrix matrix, int sequence) {
      return matrix.rowOffset(direction * sequences() + sequence);
    }

    private void begin(int row, int sequence) {
      MemorySegment from = stateGradient.data();
      long at = stateOffset(stateGradient, sequence);
      MemorySegment.copy(from, at, hidden, row * hiddenBytes, inputGate);
      if (cell.states() == 2) {
        MemorySegment.copy(from, at + inputGate, carried, row * gate, inputGate);
      }
    }

    private void end(int row, int sequence) {
      MemorySegment to = stateGradient.data();
      long at = stateOffset(stateGradient, sequence);
      MemorySegment.copy(hidden, row * hiddenBytes, to, at, inputGate);
      if (cell.states() == 2) {
        MemorySegment.copy(carried, row * gate, to, at + inputGate, inputGate);
      }
    }

    /** hidden = owed * W_h for the first rows; and what a GRU hands on past its gates. */
    private void product(int rows) {
      int depth = cell.gates() * gateColumns;
      LeftPacking.pack(owed, 0, owedBytes, rows, depth, left);
      for (int panel = 0; panel * PANEL_BYTES < hiddenBytes; panel++) {
        ProductKernels.multiplyRows(
            rows,
            false,
            left,
            panels,
            panel * (PANEL_BYTES * depth),
            depth,
            zeros,
            0,
            hidden,
            panel * PANEL_BYTES,
            hiddenBytes);
      }
      for (int row = 0; row < rows && cell == RecurrentCell.GRU; row++) {
        TrainingKernels.add(carried, row * gate, hidden, row * hiddenBytes, hiddenSize);
      }
    }

    /** Fills a row of {@code owed} and keeps it. */
    private void gates(int row, int sequence, int step) {
      int token = VectorRecurrence.token(sequenceStarts, sequence, direction, step);
      long outputColumn = direction * inputGate;
      long at = row * owedBytes;
      long hiddenAt = row * hiddenBytes;
      long gradientAt = outputGradient.rowOffset(token) + outputColumn;
      TrainingKernels.add(outputGradient.data(), gradientAt, hidden, hiddenAt, hiddenSize);
      switch (cell) {
        case RNN_TANH -> {
          long outputAt = output.rowOffset(token) + outputColumn;
          throughTanh(hidden, hiddenAt, output.data(), outputAt, owed, at, hiddenSize);
        }
        case RNN_RELU -> {
          long outputAt = output.rowOffset(token) + outputColumn;
          throughRelu(hidden, hiddenAt, output.data(), outputAt, owed, at, hiddenSize);
        }
        case LSTM, LSTM_PEEPHOLE -> lstm(row, sequence, step, token);
        case GRU -> gru(row, sequence, step, token);
      }
      clearTails(at);
      long to = projectedOffset(token, direction);
      for (int i = 0; i < sharedGates(); i++) {
        MemorySegment.copy(
            owed, at + i * gate, projectedGradient.data(), to + i * inputGate, inputGate);
      }
      if (cell == RecurrentCell.GRU) {
        MemorySegment.copy(
            owed, at + 3 * gate, projectedGradient.data(), to + 2 * inputGate, inputGate);
        long traceAt = traceOffset(token, direction) + 3 * gate;
        MemorySegment.copy(owed, at + 2 * gate, trace.data(), traceAt, inputGate);
      }
    }

    /** What lies behind a gate is multiplied by zeros, and must be a number for that. */
    private void clearTails(long at) {
      for (int i = 0; i < cell.gates(); i++) {
        for (int column = hiddenSize; column < gateColumns; column++) {
          owed.set(FLOAT, at + i * gate + 4L * column, 0f);
        }
      }
    }

    private void lstm(int row, int sequence, int step, int token) {
      long at = row * owedBytes;
      long carriedAt = row * gate;
      long traceAt = traceOffset(token, direction);
      boolean first = step == 0;
      MemorySegment memory = first ? before.data() : trace.data();
      long memoryAt = stateOffset(before, sequence) + inputGate;
      if (!first) {
        int previous = VectorRecurrence.token(sequenceStarts, sequence, direction, step - 1);
        memoryAt = traceOffset(previous, direction) + 4 * gate;
      }
      boolean peeps = cell == RecurrentCell.LSTM_PEEPHOLE;
      long out = at + 3 * gate;
      throughOut(
          hidden,
          row * hiddenBytes,
          trace.data(),
          traceAt + 3 * gate,
          gate,
          owed,
          out,
          carried,
          carriedAt,
          hiddenSize);
      if (peeps) {
        VectorRecurrence.peep(peepholes, 2 * gate, owed, out, carried, carriedAt, hiddenSize);
      }
      throughMemory(
          trace.data(), traceAt, gate, memory, memoryAt, owed, at, carried, carriedAt, hiddenSize);
      if (peeps) {
        VectorRecurrence.peep(peepholes, 0, owed, at, carried, carriedAt, hiddenSize);
        VectorRecurrence.peep(peepholes, gate, owed, at + gate, carried, carriedAt, hiddenSize);
      }
    }

    private void gru(int row, int sequence, int step, int token) {
      boolean first = step == 0;
      MemorySegment earlier = first ? before.data() : output.data();
      long earlierAt = stateOffset(before, sequence);
      if (!first) {
        int previous = VectorRecurrence.token(sequenceStarts, sequence, direction, step - 1);
        earlierAt = output.rowOffset(previous) + direction * inputGate;
      }
      long hiddenAt = row * hiddenBytes;
      long traceAt = traceOffset(token, direction);
      long at = row * owedBytes;
      throughUpdate(
          hidden,
          hiddenAt,
          trace.data(),
          traceAt,
          gate,
          earlier,
          earlierAt,
          owed,
          at,
          carried,
          row * gate,
          hiddenSize);
      throughNew(hidden, hiddenAt, trace.data(), traceAt, gate, owed, at, hiddenSize);
    }
  }

  /** owed = hidden * (1 - output^2). */
  private static void throughTanh(
      MemorySegment hidden,
      long hiddenAt,
      MemorySegment output,
      long outputAt,
      MemorySegment owed,
      long at,
      int size) {
    hidden = NativeMemory.known(hidden);
    output = NativeMemory.known(output);
    owed = NativeMemory.known(owed);
    for (int i = 0; i < size; i += LANES) {
      FloatVector gradient = load(hidden, hiddenAt);
      FloatVector value = load(output, outputAt);
      gradient.sub(gradient.mul(value).mul(value)).intoMemorySegment(owed, at, NATIVE);
      hiddenAt += BYTES;
      outputAt += BYTES;
      at += BYTES;
    }
  }

  /** owed = hidden where the output is above 0. */
  private static void throughRelu(
      MemorySegment hidden,
      long hiddenAt,
      MemorySegment output,
      long outputAt,
      MemorySegment owed,
      long at,
      int size) {
    hidden = NativeMemory.known(hidden);
    output = NativeMemory.known(output);
    owed = NativeMemory.known(owed);
    for (int i = 0; i < size; i += LANES) {
      FloatVector value = load(output, outputAt);
      FloatVector.zero(FLOATS)
          .blend(load(hidden, hiddenAt), value.compare(VectorOperators.GT, 0f))
          .intoMemorySegment(owed, at, NATIVE);
      hiddenAt += BYTES;
      outputAt += BYTES;
      at += BYTES;
    }
  }

  /**
   * Through h = o tanh(c): owed = hidden * tanh(c) * o (1 - o), carried += hidden * o (1 -
   * tanh(c)^2). The trace has c {@code step} bytes behind o.
   */
  private static void throughOut(
      MemorySegment hidden,
      long hiddenAt,
      MemorySegment trace,
      long traceAt,
      long step,
      MemorySegment owed,
      long at,
      MemorySegment carried,
      long carriedAt,
      int size) {
    hidden = NativeMemory.known(hidden);
    trace = NativeMemory.known(trace);
    owed = NativeMemory.known(owed);
    carried = NativeMemory.known(carried);
    for (int i = 0; i < size; i += LANES) {
      FloatVector squashed = VectorMath.tanh(load(trace, traceAt + step));
      FloatVector out = load(trace, traceAt);
      FloatVector opened = load(hidden, hiddenAt).mul(out);
      FloatVector told = opened.mul(squashed);
      told.sub(told.mul(out)).intoMemorySegment(owed, at, NATIVE);
      opened
          .sub(told.mul(squashed))
          .add(load(carried, carriedAt))
          .intoMemorySegment(carried, carriedAt, NATIVE);
      hiddenAt += BYTES;
      traceAt += BYTES;
      at += BYTES;
      carriedAt += BYTES;
    }
  }

  /**
   * Through c' = f c + i g, with what is carried to c': owed by i, f and g, {@code step} bytes
   * apart as in the trace; then carried *= f.
   */
  private static void throughMemory(
      MemorySegment trace,
      long traceAt,
      long step,
      MemorySegment memory,
      long memoryAt,
      MemorySegment owed,
      long at,
      MemorySegment carried,
      long carriedAt,
      int size) {
    trace = NativeMemory.known(trace);
    memory = NativeMemory.known(memory);
    owed = NativeMemory.known(owed);
    carried = NativeMemory.known(carried);
    for (int i = 0; i < size; i += LANES) {
      FloatVector gradient = load(carried, carriedAt);
      FloatVector in = load(trace, traceAt);
      FloatVector forget = load(trace, traceAt + step);
      FloatVector gain = load(trace, traceAt + 2 * step);
      FloatVector byIn = gradient.mul(in);
      FloatVector byGain = byIn.mul(gain);
      byGain.sub(byGain.mul(in)).intoMemorySegment(owed, at, NATIVE);
      byIn.sub(byGain.mul(gain)).intoMemorySegment(owed, at + 2 * step, NATIVE);
      FloatVector kept = gradient.mul(forget);
      FloatVector byForget = kept.mul(load(memory, memoryAt));
      byForget.sub(byForget.mul(forget)).intoMemorySegment(owed, at + step, NATIVE);
      kept.intoMemorySegment(carried, carriedAt, NATIVE);
      traceAt += BYTES;
      memoryAt += BYTES;
      at += BYTES;
      carriedAt += BYTES;
    }
  }

  /** Through h' = (1 - z) n + z h: owed by z, and carried = hidden * z. */
  private static void throughUpdate(
      MemorySegment hidden,
      long hiddenAt,
      MemorySegment trace,
      long traceAt,
      long step,
      MemorySegment earlier,
      long earlierAt,
      MemorySegment owed,
      long at,
      MemorySegment carried,
      long carriedAt,
      int size) {
    hidden = NativeMemory.known(hidden);
    trace = NativeMemory.known(trace);
    earlier = NativeMemory.known(earlier);
    owed = NativeMemory.known(owed);
    carried = NativeMemory.known(carried);
    for (int i = 0; i < size; i += LANES) {
      FloatVector update = load(trace, traceAt + step);
      FloatVector difference = load(earlier, earlierAt).sub(load(trace, traceAt + 2 * step));
      FloatVector kept = load(hidden, hiddenAt).mul(update);
      FloatVector byUpdate = kept.mul(difference);
      byUpdate.sub(byUpdate.mul(update)).intoMemorySegment(owed, at + step, NATIVE);
      kept.intoMemorySegment(carried, carriedAt, NATIVE);
      hiddenAt += BYTES;
      traceAt += BYTES;
      earlierAt += BYTES;
      at += BYTES;
      carriedAt += BYTES;
    }
  }

  /**
   * Through h' = (1 - z) n + z h and n = tanh(x + r u): owed by r, by u of gate n and, behind it,
   * by its x.
   */
  private static void throughNew(
      MemorySegment hidden,
      long hiddenAt,
      MemorySegment trace,
      long traceAt,
      long step,
      MemorySegment owed,
      long at,
      int size) {
    hidden = NativeMemory.known(hidden);
    trace = NativeMemory.known(trace);
    owed = NativeMemory.known(owed);
    for (int i = 0; i < size; i += LANES) {
      FloatVector gradient = load(hidden, hiddenAt);
      FloatVector next = load(trace, traceAt + 2 * step);
      FloatVector byNext = gradient.sub(gradient.mul(load(trace, traceAt + step)));
      FloatVector byInput = byNext.sub(byNext.mul(next).mul(next));
      FloatVector reset = load(trace, traceAt);
      FloatVector byRecurrent = byInput.mul(reset);
      FloatVector byReset = byRecurrent.mul(load(trace, traceAt + 3 * step));
      byReset.sub(byReset.mul(reset)).intoMemorySegment(owed, at, NATIVE);
      byRecurrent.intoMemorySegment(owed, at + 2 * step, NATIVE);
      byInput.intoMemorySegment(owed, at + 3 * step, NATIVE);
      hiddenAt += BYTES;
      traceAt += BYTES;
      at += BYTES;
    }
  }

  private static FloatVector load(MemorySegment data, long at) {
    return FloatVector.fromMemorySegment(FLOATS, data, at, NATIVE);
  }
}
