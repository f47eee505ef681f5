package org.lanewise.encoder.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.Workers;

/** The driver's functions are declared as its header declares them, and what is absent is named. */
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
    assertEquals(26, CudaDriver.signatures().size());
    for (String signature : CudaDriver.signatures()) {
      String name = CudaDriver.functionName(signature);
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
    for (String signature : CudaDriver.signatures()) {
      assertTrue(CudaDriver.descriptor(signature).returnLayout().isPresent(), signature);
    }
    assertEquals(
        "(MemorySegment,long)int",
        CudaDriver.descriptor("CUresult cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize)")
            .toMethodType()
            .toString());
    assertThrows(
        IllegalStateException.class, () -> CudaDriver.descriptor("CUresult cuNew(CUnewtype new)"));
  }

  @Test
  void anAbsentFunctionIsNamed() {
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class, () -> CudaDriver.bind(name -> Optional.empty()));
    assertEquals("the CUDA driver's library has no [cuInit]: it is too old", refused.getMessage());
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
      String chosen = Backends.forEncoder("auto", Optional.empty(), workers).name();
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
