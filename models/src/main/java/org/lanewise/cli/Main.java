package org.lanewise.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.lanewise.encoder.ModelException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/**
 * {@code lanewise}, the command line. Exits with 0, or with 2 after one line on stderr for bad
 * usage or a bad model.
 */
@Command(
    name = "lanewise",
    description = "Text to vectors, tags and classes on the JVM.",
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT)
public final class Main implements Runnable {
  private static final int BAD = 2;

  @Spec private CommandSpec spec;

  private Main() {}

  /** Runs the command and ends the JVM with its exit code. */
  public static void main(String[] args) throws IOException, InterruptedException {
    Restart.endWithParent();
    boolean terminal = Boolean.getBoolean(Restart.TERMINAL) || stderrIsTerminal();
    int code = computes(args) ? Restart.withVectorApi(args, terminal, System.err).orElse(-1) : -1;
    if (code < 0) {
      PrintStream out =
          new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
      code = run(args, new Streams(System.in, out, System.err, terminal));
      out.flush();
    }
    System.exit(code);
  }

  /** Returns the exit code of the command, run in this JVM as it is. */
  static int run(String[] args, InputStream in, PrintStream out, PrintStream err) {
    return run(args, new Streams(in, out, err, false));
  }

  private static int run(String[] args, Streams streams) {
    CommandLine line =
        new CommandLine(new Main())
            .addSubcommand(new EmbedCommand(streams))
            .addSubcommand(new TokenizeCommand(streams))
            .addSubcommand(new InspectCommand(streams))
            .addSubcommand(new BenchCommand(streams))
            .addSubcommand(new TagCommand(streams))
            .addSubcommand(new ClassifyCommand(streams))
            .addSubcommand(new SparseCommand(streams))
            .addSubcommand(new RerankCommand(streams))
            .addSubcommand(new EvaluateCommand(streams))
            .addSubcommand(new UploadCommand(streams))
            .addSubcommand(TrainCommand.line(streams))
            .setCaseInsensitiveEnumValuesAllowed(true)
            .setExpandAtFiles(false)
            .setOut(new PrintWriter(streams.out(), true, StandardCharsets.UTF_8))
            .setErr(new PrintWriter(streams.err(), true, StandardCharsets.UTF_8))
            .setParameterExceptionHandler((e, arguments) -> complain(streams, e.getMessage()))
            .setExecutionExceptionHandler(
                (e, command, parsed) -> {
                  // Anything else is a mistake of ours and keeps its stack trace.
                  return switch (e) {
                    case ModelException model -> complain(streams, model.getMessage());
                    case IllegalArgumentException usage -> complain(streams, usage.getMessage());
                    case UncheckedIOException io -> complain(streams, io.getCause().getMessage());
                    case IOException io -> complain(streams, io.getMessage());
                    default -> throw e;
                  };
                });
    String version = Main.class.getPackage().getImplementationVersion();
    line.getCommandSpec().version("lanewise " + (version == null ? "(not packaged)" : version));
    try {
      return line.execute(args);
    } catch (OutOfMemoryError e) {
      return complain(
          streams,
          "out of memory ("
              + e.getMessage()
              + "); give the JVM more with -Xmx, or set smaller batches with"
              + " -Dlanewise.batch_tokens");
    }
  }

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(),
        "a command is missing; expected one of "
            + String.join(", ", spec.subcommands().keySet())
            + ", or --help");
  }

  private static int complain(Streams streams, String message) {
    streams.progress("");
    streams.err().println("lanewise: " + String.valueOf(message).replaceAll("\\s*\\R\\s*", " "));
    streams.err().flush();
    return BAD;
  }

  /** Returns whether the arguments are those of a command that the Vector API makes faster. */
  private static boolean computes(String[] args) {
    return args.length > 0
        && switch (args[0]) {
          case "embed",
              "tag",
              "classify",
              "sparse",
              "rerank",
              "evaluate",
              "train",
              "bench",
              "inspect" ->
              true;
          default -> false;
        };
  }

  /** Returns whether stderr is a terminal, as far as Linux tells; elsewhere false. */
  private static boolean stderrIsTerminal() {
    try {
      Path stderr = Files.readSymbolicLink(Path.of("/proc/self/fd/2"));
      return stderr.startsWith("/dev/pts") || stderr.toString().startsWith("/dev/tty");
    } catch (IOException | UnsupportedOperationException e) {
      return false;
    }
  }
}
