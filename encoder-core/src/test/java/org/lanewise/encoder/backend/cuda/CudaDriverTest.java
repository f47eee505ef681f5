package org.lanewise.encoder.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.BFloat16;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.DeviceException;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/** The driver's functions are declared as its header declares them, and what is absent is named. */
@SuppressWarnings("restricted") // It loads a library of its own.
final class CudaDriverTest {
  /** Where toolkits are installed; CUDA_HOME names another place. */
  private static Optional<Path> header() throws IOException {
    String home = System.getenv().getOrDefault("CUDA_HOME", "/usr/local/cuda");
    Path named = Path.of(home, "include", "cuda.h");
    if (Files.exists(named) || !Files.isDirectory(Path.of("/usr/local"))) {
      return Optional.of(named).filter(Files::exists);
    }
    try (Stream<Path> installed = Files.list(Path.of("/usr/local"))) {
      return installed
          .filter(each -> each.getFileName().toString().startsWith("cuda"))
          .map(each -> each.resolve("include").resolve("cuda.h"))
          .filter(Files::exists)
          .findFirst();
    }
  }

  @Test
  void signaturesAreTheHeaders() throws IOException {
    Optional<Path> header = header();
    assumeTrue(header.isPresent(), "no cuda.h under $CUDA_HOME or /usr/local");
    String text = Files.readString(header.get()).replaceAll("\\s+", " ");
    assertEquals(24, Declarations.signatures(CudaDriver.class).size());
    for (String signature : Declarations.signatures(CudaDriver.class)) {
      String name = Declarations.functionName(signature);
      // The header declares the name of the first version, and a macro makes it the newest.
      String declared = name.replaceAll("_v\\d$", "");
      if (!declared.equals(name)) {
        Pattern macro =
            Pattern.compile("#define " + declared + " (__CUDA_API_PTSZ\\()?" + name + "\\b");
        assertTrue(macro.matcher(text).find(), declared + " is not " + name);
      }
      String declaration = signature.replace("CUresult " + name, "CUresult CUDAAPI " + declared);
      assertTrue(text.contains(declaration + ";"), "the header has no [" + declaration + "]");
    }
  }

  @Test
  void signaturesSayHowFunctionsAreCalled() {
    for (String signature : Declarations.signatures(CudaDriver.class)) {
      assertTrue(Declarations.descriptor(signature).returnLayout().isPresent(), signature);
    }
    assertEquals(
        "(MemorySegment,long)int",
        Declarations.descriptor("CUresult cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize)")
            .toMethodType()
            .toString());
    assertThrows(
        IllegalStateException.class,
        () -> Declarations.descriptor("CUresult cuNew(CUnewtype new)"));
  }

  @Test
  void anAbsentFunctionIsNamed() {
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> Declarations.bind(CudaDriver.class, "the CUDA driver", name -> Optional.empty()));
    assertEquals("the CUDA driver has no [cuInit]: it is too old", refused.getMessage());
  }

  /** Through the linker, as on a real device: a library with the driver's names and types. */
  @Test
  void callsArriveInTheLibrary() {
    Object library = HostDevice.compile("driver.cpp", "cuda-driver.so");
    assumeTrue(library instanceof Path, library::toString);
    CudaDriver driver =
        Declarations.bind(
            CudaDriver.class,
            "the CUDA driver",
            SymbolLookup.libraryLookup((Path) library, Arena.global()));
    CudaBackend backend =
        CudaBackend.open(driver, 0, Precision.BF16, Long.MAX_VALUE, Optional.empty());
    assertEquals("the device is host (sm_80, 132 multiprocessors)", backend.kernelsReason());
    try (Arena arena = Arena.ofConfined()) {
      Matrix input = backend.allocateState(arena, 3, 40);
      float[] ones = new float[40];
      Arrays.fill(ones, 1);
      backend.write(ones, input, 1, 0);
      Tensor weight =
          new Tensor(
              "weight",
              DataType.F32,
              new long[] {2, 40},
              arena.allocateFrom(ValueLayout.JAVA_FLOAT, new float[80]).fill((byte) 0x3f));
      Matrix output = backend.allocate(arena, 3, 2);
      LinearWeight prepared = backend.prepareLinear(arena, List.of(weight), List.of());
      backend.linear(input, prepared, Activation.IDENTITY, output);
      float number = BFloat16.round(Float.intBitsToFloat(0x3f3f3f3f));
      assertArrayEquals(
          new float[][] {{0, 0}, {40 * number, 40 * number}, {0, 0}}, backend.read(output, 2));
    }
    DeviceException refused =
        assertThrows(
            DeviceException.class,
            () -> backend.read(new Matrix(MemorySegment.ofAddress(64), 1, 1, 32), 1));
    assertEquals("cuMemcpyDtoHAsync_v2 failed: CUDA_ERROR_OF_THE_TEST", refused.getMessage());
  }

  @Test
  void aBackendThatCannotStartSaysWhy() {
    Optional<String> problem = Backends.gpuProblem();
    assumeTrue(problem.isPresent(), "this machine has a device");
    try (Workers workers = new Workers(1)) {
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class,
              () -> Backends.create("cuda", Optional.empty(), workers));
      assertEquals(problem.get(), refused.getMessage());
      assertTrue(
          refused.getMessage().startsWith("backend [cuda] cannot start because "),
          refused.getMessage());
      String chosen = Backends.create("auto", Optional.empty(), workers).name();
      assertTrue(List.of("vector", "scalar").contains(chosen), chosen);
      assertEquals(
          "backend [cuda:x] cannot start because the GPU's number is [x], expected 0, 1 and so on",
          assertThrows(
                  IllegalArgumentException.class,
                  () -> Backends.create("cuda:x", Optional.of(Precision.BF16), workers))
              .getMessage());
    }
  }
}
