package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.backend.RecurrentTensors;
import org.lanewise.encoder.backend.RecurrentWeight;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/**
 * What must hold once the JIT is done, with the vectors that the machine prefers. Slow, and best in
 * a JVM of its own ({@code -Pslow -Dtest=SteadyStateTest}): after hundreds of other tests the JIT
 * has been seen to keep a kernel's vectors in boxes.
 */
@Tag("slow")
final class SteadyStateTest {
  /**
   * Bytes of heap that a further token may take: its id, type id and position in the batch are 12,
   * and its share of the loops is a few more. A vector in a box would be 80, at every step.
   */
  private static final int MOST_BYTES = 32;

  private static final Path BUNDLED = Path.of("..", "models", "lanewise-mini-en");

  @Test
  void aForwardPassPutsNoVectorIntoABox() {
    com.sun.management.ThreadMXBean threads =
        (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    try (TextEmbedder embedder =
        TextEmbedder.open(
            ModelDirectory.open(BUNDLED), EmbedderOptions.defaults().withThreads(1))) {
      embedder.warmUp();
      List<EncodedText> small = List.of(embedder.encode("word ".repeat(10), ""));
      List<EncodedText> large = List.of(embedder.encode("word ".repeat(110), ""));
      // Code that is not compiled yet does allocate; the steady state is what counts.
      long perToken = Long.MAX_VALUE;
      long deadline = System.nanoTime() + 180_000_000_000L;
      while (perToken > MOST_BYTES && System.nanoTime() < deadline) {
        long before = threads.getCurrentThreadAllocatedBytes();
        embedder.forward(small);
        long between = threads.getCurrentThreadAllocatedBytes();
        embedder.forward(large);
        long more = threads.getCurrentThreadAllocatedBytes() - between - (between - before);
        perToken = Math.min(perToken, Math.max(more, 0) / 100);
      }
      assertTrue(perToken <= MOST_BYTES, perToken + " bytes of heap for each further token");
    }
  }

  @ParameterizedTest
  @EnumSource(RecurrentCell.class)
  void aRecurrentStepAllocatesNothing(RecurrentCell cell) {
    com.sun.management.ThreadMXBean threads =
        (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    int hiddenSize = 40;
    try (Arena arena = Arena.ofShared();
        Workers workers = new Workers(1)) {
      Backend backend = Backends.create("vector", Optional.empty(), workers);
      Tensor weight = zeros(arena, (long) cell.gates() * hiddenSize, hiddenSize);
      Tensor bias = zeros(arena, (long) cell.gates() * hiddenSize);
      List<Tensor> peepholes = Collections.nCopies(cell.peepholes(), zeros(arena, hiddenSize));
      RecurrentWeight recurrent =
          backend.prepareRecurrent(
              arena,
              cell,
              List.of(new RecurrentTensors(List.of(weight), List.of(bias), peepholes)));
      Matrix projected = backend.allocate(arena, 1010, cell.gates() * hiddenSize);
      Matrix state = backend.allocate(arena, 1, cell.states() * hiddenSize);
      Matrix output = backend.allocate(arena, 1010, hiddenSize);
      int[] small = {0, 10};
      int[] large = {0, 1010};
      // As above: one number for each step would be thousands of bytes.
      long more = Long.MAX_VALUE;
      long deadline = System.nanoTime() + 180_000_000_000L;
      while (more > 0 && System.nanoTime() < deadline) {
        long before = threads.getCurrentThreadAllocatedBytes();
        backend.recur(projected, small, recurrent, state, output);
        long between = threads.getCurrentThreadAllocatedBytes();
        backend.recur(projected, large, recurrent, state, output);
        more = threads.getCurrentThreadAllocatedBytes() - between - (between - before);
      }
      assertTrue(more <= 0, more + " bytes of heap for 1000 further steps");
    }
  }

  private static Tensor zeros(Arena arena, long... shape) {
    long elements = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
    return new Tensor("zeros", DataType.F32, shape, arena.allocate(elements * Float.BYTES, 64));
  }
}
