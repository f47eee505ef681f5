package org.lanewise.demo;

import java.io.Console;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;

/** Prints to stdout: in colour, and with progress that moves, only where a person watches. */
final class Terminal {
  private final PrintStream out = System.out;
  private final boolean watched;

  @SuppressWarnings(
      "SystemConsoleNull") // JDK 25 went back to null where stdin or stdout is a file.
  Terminal() {
    Console console = System.console();
    watched = console != null && console.isTerminal();
  }

  void line(String text) {
    out.println(text);
  }

  void heading(String text) {
    out.println();
    out.println(style("1", text));
  }

  /** Shows how far a step is; the last call ends the line. */
  void progress(String step, int done, int all) {
    boolean last = done == all;
    if (watched) {
      out.print("\r" + step + " " + done + " of " + all + (last ? "\n" : ""));
      out.flush();
    } else if (last) {
      out.println(step + " " + done + " of " + all);
    }
  }

  String good(String text) {
    return style("32", text);
  }

  String faint(String text) {
    return style("2", text);
  }

  static String seconds(Duration time) {
    return String.format(Locale.ROOT, "%.1f s", time.toMillis() / 1000.0);
  }

  private String style(String code, String text) {
    return watched ? "\u001b[" + code + "m" + text + "\u001b[0m" : text;
  }
}
