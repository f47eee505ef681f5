package org.lanewise.encoder.backend;

import java.lang.foreign.MemorySegment;

/**
 * Tells the JIT what kind of memory a kernel works on.
 *
 * <p>How a segment is read depends on its kind: native memory, a mapped file, or an array of any
 * primitive type. All share the JDK's methods, and so the types that the JIT saw in them: where
 * others in the process read arrays through segments as well, as Lucene does, it expects anything
 * and calls a method for every number, unless the kernel itself says what it has. Without, a MiniLM
 * embedded 1,100 tokens a second in such a process instead of 8,300 (fp32 on one core of a Zen 5).
 *
 * <p>Memory that belongs to one thread costs a check that memory of all threads passes by. Kernels
 * that see both are compiled several times until the JIT stops guessing, so backends, warming up
 * included, use memory of all threads.
 */
final class NativeMemory {
  /** The class of native segments; that of mapped files extends it. */
  private static final Class<? extends MemorySegment> NATIVE = MemorySegment.NULL.getClass();

  private NativeMemory() {}

  /**
   * Returns the segment, which the compiler then knows to be native. Called before a loop, not in
   * it.
   *
   * @throws ClassCastException if it is an array
   */
  static MemorySegment known(MemorySegment segment) {
    return NATIVE.cast(segment);
  }
}
