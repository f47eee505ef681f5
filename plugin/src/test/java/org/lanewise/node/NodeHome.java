package org.lanewise.node;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.zip.ZipEntry;
import org.elasticsearch.io.ansi.AnsiConsoleLoader;

/**
 * The directory of one Elasticsearch node, as its distribution lays it out, with the plugin's zip
 * installed. It lies under {@code target}, or in the temporary directory where the node's user
 * could not reach it.
 */
public final class NodeHome implements AutoCloseable {
  private static final Path TARGET = Path.of("target").toAbsolutePath();
  private static final Path PARTS = TARGET.resolve("node-parts");

  private static final String LOGGING =
      """
      status = error
      appender.console.type = Console
      appender.console.name = console
      appender.console.layout.type = PatternLayout
      appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] [%node_name]%marker %m%n
      rootLogger.level = info
      rootLogger.appenderRef.console.ref = console
      """;

  private final NodeUser user;
  private final Path path;

  private NodeHome(NodeUser user, Path path) {
    this.user = user;
    this.path = path;
  }

  /** Returns a fresh home; one that an earlier run left under the same name is deleted first. */
  public static NodeHome assemble(String name) {
    NodeUser user = NodeUser.choose();
    Path zstd = Zstd.find();
    try {
      Path home = TARGET.resolve("node").resolve(name);
      Files.createDirectories(home.getParent());
      if (!user.canEnter(home.getParent())) {
        home = Files.createTempDirectory("lanewise-" + name + "-");
      }
      Directories.delete(home);
      for (String directory : List.of("config", "data", "logs", "modules", "plugins", "tmp")) {
        Files.createDirectories(home.resolve(directory));
      }
      installServer(home.resolve("lib"), zstd);
      installHttp(home.resolve("modules/transport-netty4"), home.resolve("lib"));
      unzip(pluginZip(), "/", home.resolve("plugins/lanewise"));
      Files.writeString(home.resolve("config/log4j2.properties"), LOGGING);
      return new NodeHome(user, home);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Returns the zip that the build made. */
  public static Path pluginZip() {
    List<Path> zips =
        Directories.files(TARGET, name -> name.startsWith("lanewise-") && name.endsWith(".zip"));
    if (zips.size() != 1) {
      throw new NodeException(
          "expected one plugin zip in [" + TARGET + "] but found " + zips + ": run mvn package");
    }
    return zips.getFirst();
  }

  /** Returns the home directory. */
  public Path path() {
    return path;
  }

  /** Returns {@code config}, where tests put models before the node starts. */
  public Path config() {
    return path.resolve("config");
  }

  /** Returns the file that the node logs into. */
  public Path log() {
    return path.resolve("logs/lanewise.log");
  }

  /** Returns the jar that the server's JVM patches into java.base. */
  Path entitlementBridge() {
    return onlyJar(path.resolve("lib/entitlement-bridge"));
  }

  NodeUser user() {
    return user;
  }

  /** Returns the JDK that runs us, or a copy of it where the node's user could not reach it. */
  Path javaHome() {
    Path own = Path.of(System.getProperty("java.home"));
    if (user.canEnter(own.resolve("bin"))) {
      return own;
    }
    Path copy = path.resolve("jdk");
    if (Files.notExists(copy)) {
      Directories.copy(
          own, copy, file -> !file.startsWith(own.resolve("jmods")) && !file.endsWith("src.zip"));
    }
    return copy;
  }

  /** Makes the home the node's own, after whatever was put into it. */
  void handOver() {
    user.take(path);
  }

  /**
   * Deletes a home that lies outside the build directory; the others stay, for a look at their
   * logs.
   */
  @Override
  public void close() {
    if (!path.startsWith(TARGET)) {
      Directories.delete(path);
    }
  }

  private static void installServer(Path lib, Path zstd) throws IOException {
    Directories.copy(PARTS.resolve("server"), lib, file -> true);
    Directories.copy(
        PARTS.resolve("entitlement-bridge"), lib.resolve("entitlement-bridge"), file -> true);
    Manifest agent = new Manifest();
    agent.getMainAttributes().putValue("Agent-Class", EntitlementAgent.class.getName());
    agent.getMainAttributes().putValue("Can-Retransform-Classes", "true");
    agent.getMainAttributes().putValue("Can-Redefine-Classes", "true");
    jar(lib.resolve("entitlement-agent/lanewise-agent.jar"), agent, EntitlementAgent.class);
    jar(
        lib.resolve("tools/ansi-console/lanewise-console.jar"),
        new Manifest(),
        AnsiConsoleLoader.class);
    String architecture = System.getProperty("os.arch").toLowerCase(Locale.ROOT);
    Path platform =
        lib.resolve("platform/linux-" + (architecture.equals("amd64") ? "x64" : architecture));
    Files.createDirectories(platform);
    Files.copy(zstd, platform.resolve("libzstd.so"));
  }

  /** Installs the module without the jars that the server has, which would be jar hell. */
  private static void installHttp(Path module, Path lib) throws IOException {
    Set<String> known = new HashSet<>();
    Directories.files(lib, name -> name.endsWith(".jar"))
        .forEach(jar -> known.add(jar.getFileName().toString()));
    Directories.copy(
        PARTS.resolve("transport-netty4"),
        module,
        file -> !known.contains(file.getFileName().toString()));
    Path jar = Directories.files(module, name -> name.startsWith("transport-netty4-")).getFirst();
    unzip(jar, "/META-INF/es-plugins/transport-netty4", module);
  }

  private static void unzip(Path zip, String from, Path to) throws IOException {
    try (FileSystem files = FileSystems.newFileSystem(zip)) {
      Directories.copy(files.getPath(from), to, file -> true);
    }
  }

  private static Path onlyJar(Path directory) {
    return Directories.files(directory, name -> name.endsWith(".jar")).getFirst();
  }

  private static void jar(Path file, Manifest manifest, Class<?> content) throws IOException {
    Files.createDirectories(file.getParent());
    manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
    String entry = content.getName().replace('.', '/') + ".class";
    try (OutputStream out = Files.newOutputStream(file);
        JarOutputStream jar = new JarOutputStream(out, manifest);
        InputStream in = content.getResourceAsStream("/" + entry)) {
      jar.putNextEntry(new ZipEntry(entry));
      in.transferTo(jar);
    }
  }
}
