package org.lanewise.node;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * How a node is started.
 *
 * @param httpPort port on 127.0.0.1, or 0 for a free one
 * @param vectorModule whether the JVM gets {@code --add-modules=jdk.incubator.vector}, as
 *     Elasticsearch's own jvm.options say
 * @param settings further lines for elasticsearch.yml
 * @param environment variables that the process has beside ours
 */
public record NodeOptions(
    int httpPort,
    boolean vectorModule,
    Map<String, String> settings,
    Map<String, String> environment) {
  /** Copies the settings and the environment. */
  public NodeOptions {
    settings = Map.copyOf(settings);
    environment = Map.copyOf(environment);
  }

  /** Returns a free port, the vector module and no further settings. */
  public static NodeOptions defaults() {
    return new NodeOptions(0, true, Map.of(), Map.of());
  }

  /** Returns these options with the port. */
  public NodeOptions withHttpPort(int port) {
    return new NodeOptions(port, vectorModule, settings, environment);
  }

  /** Returns these options without the vector module. */
  public NodeOptions withoutVectorModule() {
    return new NodeOptions(httpPort, false, settings, environment);
  }

  /** Returns these options with more lines for elasticsearch.yml, {@code name=value} each. */
  public NodeOptions withSettings(List<String> arguments) {
    NodeOptions options = this;
    for (String argument : arguments) {
      int equals = argument.indexOf('=');
      if (equals < 1) {
        throw new NodeException("expected a setting name=value but was given [" + argument + "]");
      }
      options = options.withSetting(argument.substring(0, equals), argument.substring(equals + 1));
    }
    return options;
  }

  /** Returns these options with one more line for elasticsearch.yml. */
  public NodeOptions withSetting(String name, String value) {
    Map<String, String> more = new TreeMap<>(settings);
    more.put(name, value);
    return new NodeOptions(httpPort, vectorModule, more, environment);
  }

  /** Returns these options with one more variable of the environment. */
  public NodeOptions withVariable(String name, String value) {
    Map<String, String> more = new TreeMap<>(environment);
    more.put(name, value);
    return new NodeOptions(httpPort, vectorModule, settings, more);
  }
}
