package org.lanewise.node;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.bootstrap.BootstrapInfo;
import org.elasticsearch.bootstrap.ServerArgs;
import org.elasticsearch.common.io.stream.OutputStreamStreamOutput;
import org.elasticsearch.common.settings.SecureClusterStateSettings;
import org.elasticsearch.common.settings.Settings;

/**
 * A running Elasticsearch process on 127.0.0.1, its entitlements on. It reads our end of a pipe, so
 * it ends with us however we end.
 */
public final class ElasticsearchNode implements AutoCloseable {
  private static final Duration START_LIMIT = Duration.ofSeconds(90);
  private static final Duration STOP_LIMIT = Duration.ofSeconds(15);
  private static final Duration PAUSE = Duration.ofMillis(100);
  private static final int TAIL_LINES = 30;

  private final NodeHome home;
  private final Process process;
  private final URI address;
  private final Http http;
  private final Thread onExit;

  private ElasticsearchNode(NodeHome home, Process process, URI address) {
    this.home = home;
    this.process = process;
    this.address = address;
    http = new Http(address);
    onExit =
        new Thread(
            () -> {
              stop(process);
              home.close();
            },
            "stop-elasticsearch");
  }

  /**
   * Returns a node that answers. The home may have run a node before, with the same data. A node
   * that does not start is an error with the end of its log.
   */
  public static ElasticsearchNode start(NodeHome home, NodeOptions options) {
    requireFree(options.httpPort());
    try {
      Path ports = home.path().resolve("logs/http.ports");
      Files.deleteIfExists(ports);
      Settings settings = writeSettings(home, options);
      Process process = launch(home, options);
      try {
        sendArguments(home, process, settings);
        URI address = URI.create("http://127.0.0.1:" + waitForPort(home, process, ports));
        ElasticsearchNode node = new ElasticsearchNode(home, process, address);
        Runtime.getRuntime().addShutdownHook(node.onExit);
        node.http.get("/_cluster/health?wait_for_status=green&timeout=30s").orThrow();
        return node;
      } catch (IOException | RuntimeException e) {
        stop(process);
        throw e;
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Returns the client of this node. */
  public Http http() {
    return http;
  }

  /** Returns the node's address, for example {@code http://127.0.0.1:9200}. */
  public URI address() {
    return address;
  }

  /** Returns what the node has logged. */
  public String log() {
    try {
      return Files.readString(home.log(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Returns whether the process is there. */
  public boolean isAlive() {
    return process.isAlive();
  }

  /** Returns the number of the process. */
  long pid() {
    return process.pid();
  }

  /** Ends the process as {@code kill -9} does; the home stays, for another start. */
  void kill() {
    process.destroyForcibly();
    waitUntilStopped();
    close();
  }

  /** Returns the processor time that the process has used. */
  Duration processorTime() {
    return process.info().totalCpuDuration().orElseThrow();
  }

  /** Returns when the process has ended, for whatever reason. */
  public void waitUntilStopped() {
    try {
      process.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Stops the process and waits until it is gone; the home stays, for another start. */
  @Override
  public void close() {
    stop(process);
    http.close();
    try {
      Runtime.getRuntime().removeShutdownHook(onExit);
    } catch (IllegalStateException e) {
      assert !process.isAlive() : "the JVM is ending and its hook stops the node as well";
    }
  }

  private static void stop(Process process) {
    try {
      try (OutputStream pipe = process.getOutputStream()) {
        pipe.write(BootstrapInfo.SERVER_SHUTDOWN_MARKER);
      } catch (IOException e) {
        process.destroy();
      }
      if (!process.waitFor(STOP_LIMIT.toMillis(), TimeUnit.MILLISECONDS)) {
        process.destroyForcibly().waitFor();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }

  private static void requireFree(int port) {
    try (ServerSocket probe = new ServerSocket()) {
      probe.setReuseAddress(true);
      probe.bind(new InetSocketAddress(InetAddress.ofLiteral("127.0.0.1"), port));
    } catch (IOException e) {
      throw new NodeException(
          "Port ["
              + port
              + "] is busy: stop the program that listens on it, or choose another port (for the"
              + " demo with -Ddemo.port="
              + (port + 1)
              + ").",
          e);
    }
  }

  private static Settings writeSettings(NodeHome home, NodeOptions options) throws IOException {
    Map<String, String> lines = new TreeMap<>();
    lines.put("cluster.name", "lanewise");
    lines.put("node.name", home.path().getFileName().toString());
    lines.put("discovery.type", "single-node");
    lines.put("network.host", "127.0.0.1");
    lines.put("http.port", Integer.toString(options.httpPort()));
    lines.put("transport.port", "0");
    lines.put("node.portsfile", "true");
    lines.put("path.data", home.path().resolve("data").toString());
    lines.put("path.logs", home.path().resolve("logs").toString());
    // A full disk of a test machine is not what is tested here.
    lines.put("cluster.routing.allocation.disk.threshold_enabled", "false");
    lines.putAll(options.settings());
    StringBuilder yaml = new StringBuilder();
    lines.forEach(
        (name, value) ->
            yaml.append(name).append(": '").append(value.replace("'", "''")).append("'\n"));
    Path file = home.config().resolve("elasticsearch.yml");
    Files.writeString(file, yaml);
    return Settings.builder().loadFromPath(file).put("path.home", home.path().toString()).build();
  }

  private static Process launch(NodeHome home, NodeOptions options) throws IOException {
    Path java = home.javaHome().resolve("bin/java");
    home.handOver();
    List<String> command = new ArrayList<>(home.user().commandPrefix());
    command.add(java.toString());
    command.addAll(jvmOptions(home));
    if (options.vectorModule()) {
      command.add("--add-modules=jdk.incubator.vector");
    }
    command.addAll(
        List.of(
            "--module-path=" + home.path().resolve("lib"),
            "--add-modules=jdk.net,jdk.management.agent,ALL-MODULE-PATH",
            "--module=org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch"));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.directory(home.path().toFile());
    builder.environment().keySet().removeAll(List.of("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"));
    builder.environment().put("LIBFFI_TMPDIR", home.path().resolve("tmp").toString());
    builder.environment().putAll(options.environment());
    builder.redirectErrorStream(true).redirectOutput(home.log().toFile());
    try {
      return builder.start();
    } catch (IOException e) {
      throw new NodeException("The node's process cannot be started: " + e.getMessage() + ".", e);
    }
  }

  /** Returns what the distribution's launcher passes to the server's JVM. */
  private static List<String> jvmOptions(NodeHome home) {
    return List.of(
        "-Xms512m",
        "-Xmx1g",
        "-Xss1m",
        "-XX:+UseG1GC",
        "-XX:-OmitStackTraceInFastThrow",
        "-Djava.awt.headless=true",
        "-Dfile.encoding=UTF-8",
        "-Djava.io.tmpdir=" + home.path().resolve("tmp"),
        "-Djava.locale.providers=CLDR",
        "-Dio.netty.noUnsafe=true",
        "-Dio.netty.noKeySetOptimization=true",
        "-Dio.netty.recycler.maxCapacityPerThread=0",
        "-Dlog4j.shutdownHookEnabled=false",
        "-Dlog4j2.disable.jmx=true",
        "-Dlog4j2.formatMsgNoLookups=true",
        "-Dorg.apache.lucene.vectorization.upperJavaFeatureVersion=25",
        "-Des.path.home=" + home.path(),
        "-Des.distribution.type=tar",
        "-Des.entitlements.enabled=true",
        // Its library is not on Maven Central; without this switch all native access is off.
        "-Dorg.elasticsearch.nativeaccess.enableVectorLibrary=false",
        "-XX:+EnableDynamicAgentLoading",
        "-Djdk.attach.allowAttachSelf=true",
        "--patch-module=java.base=" + home.entitlementBridge(),
        "--add-exports=java.base/org.elasticsearch.entitlement.bridge="
            + "org.elasticsearch.entitlement,java.logging,java.net.http,java.naming,jdk.net",
        "--enable-native-access=org.elasticsearch.nativeaccess,org.elasticsearch.foreign,"
            + "org.elasticsearch.foreign.adapter,org.apache.lucene.core,ALL-UNNAMED",
        "--illegal-native-access=deny");
  }

  /** Says to the server what its launcher would say, and leaves the pipe open. */
  private static void sendArguments(NodeHome home, Process process, Settings settings)
      throws IOException {
    ServerArgs arguments =
        new ServerArgs(
            false,
            false,
            home.path().resolve("elasticsearch.pid"),
            SecureClusterStateSettings.EMPTY,
            settings,
            home.config(),
            home.log().getParent());
    OutputStreamStreamOutput out = new OutputStreamStreamOutput(process.getOutputStream());
    try {
      arguments.writeTo(out);
      out.flush();
    } catch (IOException e) {
      throw new NodeException("The node ended at once." + tail(home), e);
    }
  }

  private static int waitForPort(NodeHome home, Process process, Path ports) throws IOException {
    Instant end = Instant.now().plus(START_LIMIT);
    while (Files.notExists(ports)) {
      if (!process.isAlive()) {
        throw new NodeException(
            "The node ended with status [" + process.exitValue() + "]." + tail(home));
      }
      if (Instant.now().isAfter(end)) {
        throw new NodeException(
            "The node did not start within [" + START_LIMIT.toSeconds() + " s]." + tail(home));
      }
      pause();
    }
    String line = Files.readAllLines(ports).getFirst();
    return Integer.parseInt(line.substring(line.lastIndexOf(':') + 1));
  }

  private static void pause() {
    try {
      Thread.sleep(PAUSE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new NodeException("interrupted while the node was starting", e);
    }
  }

  private static String tail(NodeHome home) throws IOException {
    if (Files.notExists(home.log())) {
      return "";
    }
    List<String> lines = Files.readAllLines(home.log());
    List<String> last = lines.subList(Math.max(0, lines.size() - TAIL_LINES), lines.size());
    return " The end of its log:\n" + String.join("\n", last);
  }
}
