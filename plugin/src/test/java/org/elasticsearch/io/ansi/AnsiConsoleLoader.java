package org.elasticsearch.io.ansi;

import java.util.function.Supplier;

/**
 * Supplies no console. The server loads a class of this name from {@code lib/tools/ansi-console},
 * and the one of the distribution is not on Maven Central.
 */
public final class AnsiConsoleLoader implements Supplier<Object> {
  /** Called by the server through reflection. */
  public AnsiConsoleLoader() {}

  /** Returns null, the server's word for no console. */
  @Override
  public Object get() {
    return null;
  }
}
