package org.lanewise.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.lang.module.ModuleFinder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.lanewise.encoder.backend.Backends;

/**
 * Starts the program again in a JVM that has the Vector API, because a jar's manifest cannot ask
 * for the module and plain loops are many times slower.
 */
final class Restart {
  private static final String MODULE = "jdk.incubator.vector";

  /** Set in the second JVM: it does not start a third. */
  private static final String RESTARTED = "lanewise.restarted";

  /** Set in the second JVM, whose stderr is a pipe, when the first one's is a terminal. */
  static final String TERMINAL = "lanewise.terminal";

  /** onExit of a process that is no child looks after it only every few seconds. */
  private static final int PARENT_MILLIS = 200;

  /** Nobody is left to see this exit code. */
  private static final int GONE = 3;

  /** How lines begin that the JVM itself puts on stderr when it starts. */
  private static final List<String> GREETINGS =
      List.of("WARNING: Using incubator modules", "Picked up ", "NOTE: Picked up ");

  private Restart() {}

  /**
   * Returns the exit code of the program run again, or empty if this JVM is to run it: it has the
   * module, or no other could have it.
   *
   * @param terminal whether stderr is a terminal
   */
  static Optional<Integer> withVectorApi(String[] args, boolean terminal, PrintStream err)
      throws IOException, InterruptedException {
    if (Backends.vectorApiPresent()
        || Boolean.getBoolean(RESTARTED)
        || ModuleFinder.ofSystem().find(MODULE).isEmpty()) {
      return Optional.empty();
    }
    Process process =
        new ProcessBuilder(command(args, terminal))
            .redirectInput(ProcessBuilder.Redirect.INHERIT)
            .redirectOutput(ProcessBuilder.Redirect.INHERIT)
            .start();
    Runtime.getRuntime().addShutdownHook(new Thread(process::destroy));
    Thread errors =
        Thread.ofPlatform()
            .start(
                () -> {
                  try {
                    copyAfterGreetings(process.getErrorStream(), err);
                  } catch (IOException e) {
                    throw new UncheckedIOException(e);
                  }
                });
    int code = process.waitFor();
    errors.join();
    return Optional.of(code);
  }

  /** Ends the second JVM when the first one is gone, however that ended. */
  static void endWithParent() {
    if (Boolean.getBoolean(RESTARTED)) {
      ProcessHandle.current()
          .parent()
          .ifPresent(parent -> Thread.ofPlatform().daemon().start(() -> await(parent)));
    }
  }

  private static void await(ProcessHandle parent) {
    try {
      while (parent.isAlive()) {
        TimeUnit.MILLISECONDS.sleep(PARENT_MILLIS);
      }
      Runtime.getRuntime().halt(GONE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static List<String> command(String[] args, boolean terminal) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    for (String argument : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (argument.startsWith("-D") || argument.startsWith("-X")) {
        command.add(argument);
      }
    }
    command.add("--add-modules=" + MODULE);
    command.add("--enable-native-access=ALL-UNNAMED");
    command.add("-D" + RESTARTED + "=true");
    command.add("-D" + TERMINAL + "=" + terminal);
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(Main.class.getName());
    command.addAll(List.of(args));
    return command;
  }

  /** Copies everything but the JVM's own lines at the beginning, without holding anything back. */
  static void copyAfterGreetings(InputStream from, PrintStream to) throws IOException {
    StringBuilder line = new StringBuilder();
    boolean greeting = true;
    while (greeting) {
      int next = from.read();
      if (next >= 0) {
        line.append((char) next);
      }
      String begun = line.toString();
      greeting =
          next >= 0
              && GREETINGS.stream()
                  .anyMatch(each -> each.startsWith(begun) || begun.startsWith(each));
      if (greeting && next == '\n') {
        line.setLength(0);
      }
    }
    to.write(line.toString().getBytes(StandardCharsets.ISO_8859_1));
    to.flush();
    byte[] buffer = new byte[8192];
    for (int n = from.read(buffer); n >= 0; n = from.read(buffer)) {
      to.write(buffer, 0, n);
      to.flush();
    }
  }
}
