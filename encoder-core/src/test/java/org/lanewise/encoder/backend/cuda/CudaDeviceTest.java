package org.lanewise.encoder.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.backend.DeviceException;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;

/** Memory, copies and failures, on a device that can be made to fail. */
final class CudaDeviceTest {
  private HostDevice host;

  @BeforeEach
  void open() {
    assumeTrue(HostDevice.problem().isEmpty(), () -> HostDevice.problem().orElse(""));
    host = HostDevice.create();
  }

  @Test
  void blocksComeInFewSizes() {
    assertEquals(256, DeviceMemory.blockSize(0));
    assertEquals(256, DeviceMemory.blockSize(256));
    assertEquals(512, DeviceMemory.blockSize(257));
    assertEquals(1 << 20, DeviceMemory.blockSize(1 << 20));
    assertEquals((1 << 20) + (1 << 17), DeviceMemory.blockSize((1 << 20) + 1));
    long last = 0;
    for (long bytes = 1; bytes < 1L << 36; bytes += bytes / 3 + 1) {
      long size = DeviceMemory.blockSize(bytes);
      assertTrue(size >= bytes && size >= last && size <= Math.max(256, 2 * bytes), "" + bytes);
      last = size;
    }
  }

  @Test
  void memoryIsUsedAgainAndIsZero() {
    CudaDevice device = CudaDevice.open(host.driver(), 0, Long.MAX_VALUE);
    CudaBackend backend = new CudaBackend(device, Precision.FP32);
    long address;
    try (Arena arena = Arena.ofConfined()) {
      Matrix matrix = backend.allocate(arena, 100, 64);
      backend.write(new float[] {1, 2, 3}, matrix, 99, 0);
      assertArrayEquals(new float[] {1, 2, 3, 0}, backend.read(matrix, 99, 4));
      address = matrix.data().address();
      assertTrue(device.memory().owns(address));
    }
    assertFalse(device.memory().owns(address));
    long taken = device.memory().taken();
    try (Arena arena = Arena.ofConfined()) {
      Matrix again = backend.allocate(arena, 100, 64);
      assertEquals(address, again.data().address());
      assertArrayEquals(new float[4], backend.read(again, 99, 4));
    }
    assertEquals(taken, device.memory().taken());
  }

  @Test
  void aLimitIsKept() {
    CudaDevice device = CudaDevice.open(host.driver(), 0, 1 << 20);
    CudaBackend backend = new CudaBackend(device, Precision.FP32);
    try (Arena arena = Arena.ofConfined()) {
      backend.allocate(arena, 1, 100_000);
      DeviceException full =
          assertThrows(DeviceException.class, () -> backend.allocate(arena, 1, 200_000));
      assertEquals(DeviceException.Kind.OUT_OF_MEMORY, full.kind());
      assertEquals(
          "device memory is limited to [1048576] bytes: asked for 1048576 beside 524288",
          full.getMessage());
    }
    try (Arena arena = Arena.ofConfined()) {
      // What is idle is given back first.
      backend.allocate(arena, 1, 200_000);
    }
    assertTrue(host.taken() <= 1 << 20);
  }

  @Test
  void aFullDeviceIsToldFromALostOne() {
    CudaBackend backend = host.backend(Precision.FP32);
    try (Arena arena = Arena.ofConfined()) {
      Matrix matrix = backend.allocate(arena, 1, 100);
      host.limitMemory(host.taken());
      DeviceException full =
          assertThrows(DeviceException.class, () -> backend.allocate(arena, 1000, 1000));
      assertEquals(DeviceException.Kind.OUT_OF_MEMORY, full.kind());
      assertEquals(
          "cuMemAlloc_v2 failed: CUDA_ERROR_OUT_OF_MEMORY (asked for 4194304 bytes)",
          full.getMessage());
      host.lose();
      DeviceException lost = assertThrows(DeviceException.class, () -> backend.read(matrix, 0, 1));
      assertEquals(DeviceException.Kind.LOST, lost.kind());
      assertEquals("cuMemcpyDtoHAsync_v2 failed: CUDA_ERROR_LAUNCH_FAILED", lost.getMessage());
    }
  }

  /** More than the staging memory holds, many times. */
  @Test
  void copiesLargerThanTheStagingMemoryArrive() {
    CudaDevice device = CudaDevice.open(host.driver(), 0, Long.MAX_VALUE);
    device.enter();
    Lane lane = new Lane(device);
    int[] numbers = new int[5_000_000];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = i;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = device.memory().allocate(lane, arena, 4L * numbers.length);
      lane.copyIn(memory.address(), MemorySegment.ofArray(numbers));
      long last = 4L * (numbers.length - 1000);
      int[] end = lane.copyOut(memory.address() + last, 4000).toArray(ValueLayout.JAVA_INT);
      for (int i = 0; i < end.length; i++) {
        assertEquals(numbers.length - 1000 + i, end[i]);
      }
    }
  }

  @Test
  void aDeviceThatIsNotThereIsRefused() {
    assertEquals(
        "there is no device [1]; devices: 1",
        assertThrows(
                IllegalArgumentException.class,
                () -> CudaDevice.open(host.driver(), 1, Long.MAX_VALUE))
            .getMessage());
  }

  @Test
  void tilesGrowWithTheProduct() {
    int hopper = 227 << 10;
    assertEquals(ProductTile.SMALL, ProductTile.choose(12, 384, 1152, 132, hopper, false));
    assertEquals(ProductTile.LARGE, ProductTile.choose(32768, 768, 3072, 132, hopper, false));
    assertEquals(
        ProductTile.WARPGROUP_MIDDLE, ProductTile.choose(12, 384, 1152, 132, hopper, true));
    assertEquals(
        ProductTile.WARPGROUP_LARGE, ProductTile.choose(32768, 768, 3072, 132, hopper, true));
    // Ampere's smaller devices have no room for the large tile.
    assertEquals(ProductTile.MIDDLE, ProductTile.choose(32768, 768, 3072, 84, 99 << 10, false));
  }
}
