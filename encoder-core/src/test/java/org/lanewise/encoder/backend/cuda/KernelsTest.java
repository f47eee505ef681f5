package org.lanewise.encoder.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The kernels that are shipped are those in the sources, and these stay within their memory. */
final class KernelsTest {
  private static final Path RESOURCES =
      Path.of("src/main/resources/org/lanewise/encoder/backend/cuda");

  /** The compiler that made the resources; another writes other instructions. */
  private static final String COMPILER = "V13.0.88";

  @Test
  void ptxIsWhatTheCompilerMakesOfTheSources(@TempDir Path built) throws IOException {
    Optional<String> version = said("nvcc", "--version");
    assumeTrue(version.isPresent(), "nvcc is not installed");
    assumeTrue(version.get().contains(COMPILER), "nvcc is not " + COMPILER);
    assertEquals(Optional.empty(), HostDevice.run("src/main/cuda/build.sh", built.toString()));
    for (String file : List.of("attention", "product", "recurrence", "rows", "warpgroup")) {
      String name = file + ".ptx";
      assertEquals(
          Files.readString(RESOURCES.resolve(name)),
          Files.readString(built.resolve(name)),
          name + " is not what src/main/cuda makes: run src/main/cuda/build.sh");
    }
  }

  @Test
  void kernelsComputeWhatPlainLoopsDoUnderTheSanitizers(@TempDir Path built) throws IOException {
    assumeTrue(HostDevice.problem().isEmpty(), () -> HostDevice.problem().orElse(""));
    String program = built.resolve("check").toString();
    String sources = "src/test/cuda";
    Optional<String> problem =
        HostDevice.run(
            "g++",
            "-O1",
            "-g",
            "-std=c++17",
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover",
            "-Wno-unknown-pragmas",
            "-I" + sources,
            "-Isrc/main/cuda",
            sources + "/check.cpp",
            "-o",
            program);
    assumeTrue(
        problem.isEmpty() || !problem.get().contains("-lasan"), "g++ has no address sanitizer");
    assertEquals(Optional.empty(), problem);
    assertEquals(Optional.empty(), HostDevice.run(program));
  }

  /** Returns what a command printed; empty where there is no such command. */
  private static Optional<String> said(String... command) {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      return Optional.of(
          new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}
