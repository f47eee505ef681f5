package org.lanewise.encoder.train;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.random.RandomGenerator;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.TrainingBackend;

/**
 * The matrices of one step, whose memory the next step uses again. Not thread-safe.
 *
 * <p>A model asks for the same numbers of columns at every step, and for as many rows as the batch
 * has words, so memory is kept by columns.
 */
final class Workspace {
  /** Dropout is decided by 16 bits: shares are multiples of one part in this. */
  private static final int SHARES = 1 << 16;

  /** Odd and near 2^64 divided by the golden ratio: the step of SplittableRandom's sequence. */
  private static final long GOLDEN = 0x9e3779b97f4a7c15L;

  private final TrainingBackend backend;
  private final List<Matrix> idle = new ArrayList<>();
  private final List<Matrix> lent = new ArrayList<>();

  Workspace(TrainingBackend backend) {
    this.backend = backend;
  }

  /** Takes all matrices back. */
  void reset() {
    idle.addAll(lent);
    lent.clear();
  }

  /** Returns a matrix with anything in it. */
  Matrix matrix(int rows, int columns) {
    Matrix best = null;
    for (Matrix each : idle) {
      // The smallest that has the rows; if none has them, the largest makes room for a larger one.
      if (each.columns() == columns
          && (best == null
              || (each.rows() < best.rows()
                  ? each.rows() >= rows
                  : best.rows() < rows && each.rows() > best.rows()))) {
        best = each;
      }
    }
    idle.remove(best);
    Matrix memory = best;
    if (best == null || best.rows() < rows) {
      // A quarter more than asked for, lest every slightly longer batch allocate anew.
      memory = backend.allocate(Arena.ofAuto(), rows + rows / 4, columns);
    }
    lent.add(memory);
    return memory.firstRows(rows);
  }

  /** Returns a matrix of zeros. */
  Matrix zeros(int rows, int columns) {
    Matrix matrix = matrix(rows, columns);
    backend.zero(matrix);
    return matrix;
  }

  /**
   * Returns what numbers are multiplied with to drop that share of them and to keep the sum of the
   * others as large as it was, on average; empty if the share is 0.
   */
  Optional<Matrix> mask(int rows, int columns, double share, RandomGenerator random) {
    int threshold = (int) Math.round(share * SHARES);
    if (threshold == 0) {
      return Optional.empty();
    }
    Matrix mask = matrix(rows, columns);
    int kept = Float.floatToRawIntBits((float) SHARES / (SHARES - threshold));
    float[] numbers = new float[columns];
    // One number of the generator is enough: a call for each number would take longer than to
    // multiply with it.
    long state = random.nextLong();
    for (int row = 0; row < rows; row++) {
      int i = 0;
      for (; i + 4 <= columns; i += 4) {
        state += GOLDEN;
        long bits = mix(state);
        numbers[i] = keep(bits, threshold, kept);
        numbers[i + 1] = keep(bits >>> 16, threshold, kept);
        numbers[i + 2] = keep(bits >>> 32, threshold, kept);
        numbers[i + 3] = keep(bits >>> 48, threshold, kept);
      }
      state += GOLDEN;
      for (long bits = mix(state); i < columns; i++, bits >>>= 16) {
        numbers[i] = keep(bits, threshold, kept);
      }
      backend.write(numbers, mask, row, 0);
    }
    return Optional.of(mask);
  }

  /** Returns 0 if the last bits are below the threshold, without a branch nobody can predict. */
  private static float keep(long bits, int threshold, int kept) {
    int dropped = threshold - 1 - (int) (bits & SHARES - 1);
    return Float.intBitsToFloat(kept & dropped >> 31);
  }

  /** Stafford's variant 13 of the finaliser of MurmurHash3. */
  private static long mix(long z) {
    z = (z ^ z >>> 30) * 0xbf58476d1ce4e5b9L;
    z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
    return z ^ z >>> 31;
  }
}
