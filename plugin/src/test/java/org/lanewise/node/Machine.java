package org.lanewise.node;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** What Linux tells of the machine and its processes. */
final class Machine {
  /** The kernel counts processor time in these, whatever it ticks in. */
  private static final Duration CLOCK_TICK = Duration.ofMillis(10);

  private Machine() {}

  /** Returns processors and Java in one line. */
  static String description() {
    String model =
        lines(Path.of("/proc/cpuinfo")).stream()
            .filter(line -> line.startsWith("model name"))
            .map(line -> line.substring(line.indexOf(':') + 1).strip())
            .findFirst()
            .orElse(System.getProperty("os.arch"));
    return Runtime.getRuntime().availableProcessors()
        + " processors, "
        + model
        + ", Java "
        + Runtime.version();
  }

  /** Returns the processor time that neither we nor the node used: what spoils a measurement. */
  static Duration othersProcessorTime(ElasticsearchNode node) {
    String[] all = lines(Path.of("/proc/stat")).getFirst().split(" +", -1);
    Duration busy = Duration.ZERO;
    for (String ticks : List.of(all[1], all[2], all[3])) {
      busy = busy.plus(CLOCK_TICK.multipliedBy(Long.parseLong(ticks)));
    }
    Duration own = ProcessHandle.current().info().totalCpuDuration().orElseThrow();
    return busy.minus(own).minus(node.processorTime());
  }

  /**
   * Returns the processor time of the threads that a process has now, but for those that compile:
   * what they do is done once, while a node's code settles for minutes.
   */
  static Duration processorTime(long pid) {
    try (Stream<Path> threads = Files.list(Path.of("/proc/" + pid + "/task"))) {
      return threads
          .map(thread -> threadTime(thread.resolve("stat")))
          .reduce(Duration.ZERO, Duration::plus);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Duration threadTime(Path stat) {
    String line;
    try {
      line = Files.readString(stat);
    } catch (IOException e) {
      // A thread that has ended meanwhile.
      return Duration.ZERO;
    }
    int name = line.indexOf('(') + 1;
    if (line.startsWith("C1 Compiler", name) || line.startsWith("C2 Compiler", name)) {
      return Duration.ZERO;
    }
    // The name may have blanks in it; the third value is the first one after it.
    String[] values = line.substring(line.lastIndexOf(')') + 2).split(" ", -1);
    return CLOCK_TICK.multipliedBy(Long.parseLong(values[11]) + Long.parseLong(values[12]));
  }

  /**
   * Memory of a process.
   *
   * @param anonymous resident bytes of its own: the Java heap and native memory
   * @param files resident bytes of files that it has mapped, such as an index and weights
   */
  record Memory(long anonymous, long files) {}

  /** Returns the memory of a process. */
  static Memory memory(long pid) {
    Map<String, Long> kibibytes =
        lines(Path.of("/proc/" + pid + "/status")).stream()
            .filter(line -> line.startsWith("Rss"))
            .map(line -> line.split("[:\\s]+", -1))
            .collect(Collectors.toMap(words -> words[0], words -> Long.parseLong(words[1])));
    return new Memory(kibibytes.get("RssAnon") << 10, kibibytes.get("RssFile") << 10);
  }

  private static List<String> lines(Path file) {
    try {
      return Files.readAllLines(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
