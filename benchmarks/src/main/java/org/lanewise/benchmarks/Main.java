package org.lanewise.benchmarks;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.backend.Backends;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * {@code benchmarks.jar}: the race, models for it, the quality of searches, and the JMH benchmarks
 * of kernels.
 */
@Command(
    name = "benchmarks",
    description = {
      "Measures Lanewise beside its rivals, beside the machine's limits and by what it finds.",
      "jmh [...] runs the kernels' benchmarks and takes JMH's own options."
    },
    mixinStandardHelpOptions = true,
    subcommands = {
      RaceCommand.class,
      RandomModelCommand.class,
      EvaluateRetrievalCommand.class,
      DeviceSpeedCommand.class
    })
public final class Main implements Runnable {
  @Spec private CommandSpec spec;

  private Main() {}

  /** Runs the command and ends the JVM with its exit code. */
  public static void main(String[] args) throws IOException, InterruptedException {
    if (args.length > 0 && args[0].equals("jmh")) {
      org.openjdk.jmh.Main.main(Arrays.copyOfRange(args, 1, args.length));
      return;
    }
    boolean computes =
        args.length > 0 && List.of("race", "evaluate-retrieval", "device-speed").contains(args[0]);
    boolean restart = computes && !Backends.vectorApiPresent();
    System.exit(restart ? again(args) : run(args));
  }

  /** Returns the exit code of the command, run in this JVM as it is. */
  static int run(String... args) {
    return new CommandLine(new Main())
        .setExecutionExceptionHandler(
            (e, line, parsed) -> {
              if (e instanceof IllegalArgumentException || e instanceof ModelException) {
                line.getErr().println("benchmarks: " + e.getMessage());
                return 2;
              }
              throw e;
            })
        .execute(args);
  }

  /** A jar's manifest cannot ask for the Vector API, so a second JVM runs the command. */
  private static int again(String... args) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    for (String argument : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (argument.startsWith("-D") || argument.startsWith("-X")) {
        command.add(argument);
      }
    }
    command.addAll(
        List.of(
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            OwnFigures.TRACKING,
            "-cp",
            System.getProperty("java.class.path"),
            Main.class.getName()));
    command.addAll(List.of(args));
    Process process = new ProcessBuilder(command).inheritIO().start();
    Runtime.getRuntime().addShutdownHook(new Thread(process::destroy));
    return process.waitFor();
  }

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(),
        "a command is missing; expected race, random-model, evaluate-retrieval, device-speed or"
            + " jmh");
  }
}
