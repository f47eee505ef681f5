package org.lanewise.node;

import java.lang.instrument.Instrumentation;

/**
 * The agent that the server attaches to itself to check entitlements; the distribution's is not on
 * Maven Central. The server hands over the name of its own class that does the work.
 */
public final class EntitlementAgent {
  private EntitlementAgent() {}

  /** Called by the JVM on attaching. */
  public static void agentmain(String initializer, Instrumentation instrumentation)
      throws ReflectiveOperationException {
    Class.forName(initializer)
        .getMethod("initialize", Instrumentation.class)
        .invoke(null, instrumentation);
  }
}
