package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What must hold once the JIT is done, with the vectors that the machine prefers. */
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
      long deadline = System.nanoTime() + 60_000_000_000L;
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
}
