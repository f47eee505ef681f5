package org.lanewise.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.StringTokenizer;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** What a race runs on, as far as Linux tells; elsewhere unknown. */
final class Machine {
  /** Instructions that one of the contenders uses where they are there. */
  private static final List<String> FLAGS =
      List.of(
          "avx2",
          "fma",
          "avx_vnni",
          "avx512f",
          "avx512_vnni",
          "avx512_bf16",
          "avx512_fp16",
          "amx_bf16",
          "amx_int8",
          "asimd",
          "sve",
          "bf16",
          "i8mm");

  private static final Path PROCESSORS = Path.of("/proc/cpuinfo");
  private static final Path CACHES = Path.of("/sys/devices/system/cpu/cpu0/cache");

  /** Ticks per second of /proc/stat on every Linux that Java runs on. */
  private static final double TICKS = 100;

  private Machine() {}

  /** Returns lines that describe the machine, by what they say. */
  static Map<String, String> description() throws IOException {
    Map<String, String> facts = new TreeMap<>();
    String processor = System.getProperty("os.arch");
    String flags = "unknown";
    if (Files.isReadable(PROCESSORS)) {
      List<String> lines = Files.readAllLines(PROCESSORS);
      processor =
          field(lines, "model name").orElse(processor)
              + ", family "
              + field(lines, "cpu family").orElse("?")
              + ", model "
              + field(lines, "model").orElse("?");
      List<String> all =
          Arrays.asList(
              field(lines, "flags").or(() -> field(lines, "Features")).orElse("").split(" ", -1));
      flags = FLAGS.stream().filter(all::contains).collect(Collectors.joining(" "));
    }
    facts.put("processor", processor);
    facts.put("instructions", flags);
    facts.put("processors in use", String.valueOf(Runtime.getRuntime().availableProcessors()));
    facts.put("caches of one", caches());
    facts.put("system", System.getProperty("os.name") + " " + System.getProperty("os.version"));
    facts.put("Java", System.getProperty("java.vm.name") + " " + Runtime.version());
    return facts;
  }

  private static Optional<String> field(List<String> lines, String name) {
    return lines.stream()
        .filter(line -> line.substring(0, Math.max(0, line.indexOf(':'))).strip().equals(name))
        .map(line -> line.substring(line.indexOf(':') + 1).strip())
        .findFirst();
  }

  private static String caches() throws IOException {
    if (!Files.isDirectory(CACHES)) {
      return "unknown";
    }
    try (Stream<Path> all = Files.list(CACHES)) {
      StringBuilder text = new StringBuilder();
      for (Path cache : all.filter(p -> Files.exists(p.resolve("level"))).sorted().toList()) {
        if (!read(cache.resolve("type")).equals("Instruction")) {
          text.append(text.isEmpty() ? "L" : ", L")
              .append(read(cache.resolve("level")))
              .append(' ')
              .append(read(cache.resolve("size")));
        }
      }
      return text.toString();
    }
  }

  private static String read(Path file) throws IOException {
    return Files.readString(file).strip();
  }

  /** Returns the processor seconds that all programs have used since the machine started. */
  static double busySeconds() throws IOException {
    Path file = Path.of("/proc/stat");
    if (!Files.isReadable(file)) {
      return Double.NaN;
    }
    StringTokenizer numbers = new StringTokenizer(Files.readAllLines(file).getFirst().substring(3));
    long ticks = 0;
    // user, nice, system; idle and waiting follow.
    for (int i = 0; i < 3; i++) {
      ticks += Long.parseLong(numbers.nextToken());
    }
    return ticks / TICKS;
  }

  /** Returns the processor seconds that this program and what it started have used. */
  static double ownSeconds() {
    ProcessHandle self = ProcessHandle.current();
    return Stream.concat(Stream.of(self), self.descendants())
            .map(process -> process.info().totalCpuDuration().orElse(Duration.ZERO))
            .mapToLong(Duration::toMillis)
            .sum()
        / 1e3;
  }
}
