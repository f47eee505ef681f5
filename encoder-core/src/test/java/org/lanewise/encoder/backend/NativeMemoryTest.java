package org.lanewise.encoder.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lanewise.encoder.OtherJvm;
import org.lanewise.encoder.batch.PackedBatch;
import org.lanewise.encoder.weights.Tensor;

/** Kernels are as fast where the rest of the process reads every kind of memory by segments. */
final class NativeMemoryTest {
  /** Without {@link NativeMemory} 4 to 8 times as long, and with it 0.9 to 1.2. */
  private static final double MOST = 2.5;

  @Test
  void refusesArrays() {
    MemorySegment array = MemorySegment.ofArray(new float[16]);
    assertThrows(ClassCastException.class, () -> NativeMemory.known(array));
  }

  @Test
  void takesMappedFilesAndNativeMemory() throws IOException {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment mapped = mapped(arena);
      assertEquals(mapped, NativeMemory.known(mapped));
      MemorySegment allocated = arena.allocate(64);
      assertEquals(allocated, NativeMemory.known(allocated));
    }
  }

  @ParameterizedTest
  @EnumSource(Precision.class)
  void otherKindsOfMemoryInTheProcessDoNotSlowKernelsDown(Precision precision)
      throws IOException, InterruptedException {
    double alone = Times.of(precision, false);
    double amongOthers = Times.of(precision, true);
    assertTrue(
        amongOthers < MOST * alone,
        "a layer takes " + amongOthers + " us, and " + alone + " where nobody else reads segments");
  }

  private static MemorySegment mapped(Arena arena) throws IOException {
    Path file = Files.createTempFile("mapped", ".bin");
    try {
      Files.write(file, new byte[4096]);
      try (FileChannel channel = FileChannel.open(file)) {
        return channel.map(FileChannel.MapMode.READ_ONLY, 0, 4096, arena);
      }
    } finally {
      Files.delete(file);
    }
  }

  /** A JVM of its own, which first reads other kinds of memory or does not, and times a layer. */
  static final class Times {
    private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
    private static final int SIZE = 128;
    private static final int TOKENS = 48;
    private static final long SETTLED_NANOS = 1_000_000_000;

    private Times() {}

    /** Returns the microseconds of the fastest pass through a layer. */
    static double of(Precision precision, boolean others) throws IOException, InterruptedException {
      // Callers wait for the JIT, so that a busy machine measures the same code.
      OtherJvm jvm =
          OtherJvm.run(List.of("-Xbatch"), Times.class, precision.name(), String.valueOf(others));
      return Double.parseDouble(jvm.lines().getLast());
    }

    public static void main(String[] args) throws IOException {
      if (Boolean.parseBoolean(args[1])) {
        readOthers();
      }
      System.out.println(layer(Precision.valueOf(args[0])));
    }

    private static void readOthers() throws IOException {
      try (Arena arena = Arena.ofShared()) {
        List<MemorySegment> kinds =
            List.of(
                MemorySegment.ofArray(new byte[4096]),
                MemorySegment.ofArray(new float[1024]),
                mapped(arena),
                arena.allocate(4096, 64));
        float sum = 0;
        for (int time = 0; time < 1000; time++) {
          for (MemorySegment kind : kinds) {
            sum += read(kind) + (kind.isReadOnly() ? 0 : write(kind));
          }
        }
        System.out.println(sum);
      }
    }

    private static float read(MemorySegment memory) {
      FloatVector sums = FloatVector.zero(FloatVector.SPECIES_PREFERRED);
      float sum = 0;
      for (long at = 0; at < memory.byteSize(); at += 64) {
        sums = sums.add(FloatVector.fromMemorySegment(sums.species(), memory, at, NATIVE));
        sum += memory.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at);
        sum += ByteVector.fromMemorySegment(ByteVector.SPECIES_128, memory, at, NATIVE).lane(0);
        sum += IntVector.fromMemorySegment(IntVector.SPECIES_PREFERRED, memory, at, NATIVE).lane(0);
      }
      return sum + sums.lane(0);
    }

    private static float write(MemorySegment memory) {
      FloatVector ones = FloatVector.broadcast(FloatVector.SPECIES_PREFERRED, 1f);
      for (long at = 0; at < memory.byteSize(); at += 64) {
        ones.intoMemorySegment(memory, at, NATIVE);
        memory.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at, 1f);
      }
      return ones.lane(0);
    }

    private static double layer(Precision precision) {
      MatrixUnit.Choice choice = new MatrixUnit.Choice(MatrixUnit.VECTOR_API, "told so");
      VectorBackend backend = new VectorBackend(precision, new Workers(1), choice);
      backend.warmUp();
      try (Arena arena = Arena.ofShared()) {
        Matrix hidden = backend.allocate(arena, TOKENS, SIZE);
        Matrix wide = backend.allocate(arena, TOKENS, 3 * SIZE);
        LinearWeight in =
            backend.prepareLinear(
                arena, List.of(VectorBackend.zeros(arena, 3L * SIZE, SIZE)), List.of());
        LinearWeight out =
            backend.prepareLinear(
                arena, List.of(VectorBackend.zeros(arena, SIZE, 3L * SIZE)), List.of());
        Tensor row = VectorBackend.zeros(arena, SIZE);
        NormWeight norm = backend.prepareNorm(arena, NormKind.LAYER, row, Optional.of(row), 1e-12f);
        PackedBatch batch = PackedBatch.of(new int[] {0, TOKENS});
        long fastest = Long.MAX_VALUE;
        long improved = System.nanoTime();
        while (System.nanoTime() - improved < SETTLED_NANOS) {
          long start = System.nanoTime();
          backend.linear(hidden, in, Activation.IDENTITY, wide);
          backend.attention(wide, batch, AttentionPattern.full(4, SIZE / 4), hidden);
          backend.linear(hidden, in, Activation.GELU, wide);
          backend.linear(wide, out, Activation.IDENTITY, hidden);
          backend.addNorm(hidden, hidden, norm, hidden);
          long nanos = System.nanoTime() - start;
          if (nanos < 0.95 * fastest) {
            fastest = nanos;
            improved = start;
          }
        }
        return fastest / 1e3;
      }
    }
  }
}
