package org.lanewise.encoder;

/**
 * Native memory that models may take together: weights, tables and activations. What a few rows
 * need for the time of one call is not counted.
 *
 * <p>Implementations are thread-safe.
 */
public interface MemoryBudget {
  /** Allows for everything. */
  MemoryBudget UNLIMITED =
      new MemoryBudget() {
        @Override
        public void reserve(long bytes) {}

        @Override
        public void release(long bytes) {}
      };

  /** Takes bytes before they are allocated, or throws: then they never are. */
  void reserve(long bytes);

  /** Gives bytes back that were reserved and are free again. */
  void release(long bytes);
}
