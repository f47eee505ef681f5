package org.lanewise.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.MalformedURLException;
import java.net.URL;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.entitlement.runtime.policy.Policy;
import org.elasticsearch.entitlement.runtime.policy.PolicyUtils;
import org.elasticsearch.plugins.PluginDescriptor;
import org.elasticsearch.plugins.PluginsUtils;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What {@code elasticsearch-plugin install} checks, by its own classes, on the zip that is built.
 */
final class PluginZipIT {
  private static final String VERSION = "9.5.3";
  private static final Path MODELS = Path.of("..", "models");
  private static final List<String> BUNDLED =
      List.of("lanewise-mini-en", "language", "ner-en", "pos-en", "sentiment-en");
  private static final Path SERVER = Path.of("target", "node-parts", "server");

  @TempDir private Path directory;
  private Path unzipped;
  private Set<URL> server;

  @BeforeAll
  static void configureLogging() {
    LogConfigurator.configureESLogging();
  }

  @BeforeEach
  void unzip() throws IOException {
    unzipped = directory.resolve("lanewise");
    try (FileSystem zip = FileSystems.newFileSystem(NodeHome.pluginZip())) {
      Directories.copy(zip.getPath("/"), unzipped, file -> true);
    }
    server =
        Directories.files(SERVER, name -> name.endsWith(".jar")).stream()
            .map(PluginZipIT::url)
            .collect(Collectors.toSet());
    assertTrue(server.size() > 30, () -> "too few jars of the server: " + server);
  }

  @Test
  void descriptorFitsTheServer() throws IOException {
    PluginDescriptor descriptor = PluginDescriptor.readFromProperties(unzipped);
    assertEquals("lanewise", descriptor.getName());
    assertEquals(VERSION, descriptor.getElasticsearchVersion());
    assertEquals("25", descriptor.getJavaVersion());
    assertEquals("org.lanewise.plugin.LanewisePlugin", descriptor.getClassname());
    assertTrue(descriptor.getModuleName().isEmpty());
    assertTrue(descriptor.getExtendedPlugins().isEmpty());
    PluginsUtils.verifyCompatibility(descriptor);
  }

  @Test
  void descriptorOfAnotherServerIsRefused() throws IOException {
    Path file = unzipped.resolve("plugin-descriptor.properties");
    Files.writeString(file, Files.readString(file).replace(VERSION, "9.5.2"));
    PluginDescriptor descriptor = PluginDescriptor.readFromProperties(unzipped);
    Exception e =
        assertThrows(
            IllegalArgumentException.class, () -> PluginsUtils.verifyCompatibility(descriptor));
    assertTrue(e.getMessage().contains("9.5.2"), e::getMessage);
  }

  @Test
  void noClassIsInTheServerAsWell() throws IOException {
    checkJarHell();
    Path twice = Directories.files(SERVER, name -> name.startsWith("HdrHistogram-")).getFirst();
    Files.copy(twice, unzipped.resolve("HdrHistogram.jar"));
    Exception e = assertThrows(IllegalStateException.class, this::checkJarHell);
    assertTrue(e.getMessage().contains("lanewise"), e::getMessage);
  }

  private void checkJarHell() throws IOException {
    PluginsUtils.preInstallJarHellCheck(
        PluginDescriptor.readFromProperties(unzipped),
        unzipped,
        Files.createDirectories(directory.resolve("plugins")),
        Files.createDirectories(directory.resolve("modules")),
        server);
  }

  @Test
  void policyAsksForModelDirectoriesAndNativeCallsOnly() throws IOException {
    Policy policy = PolicyUtils.parsePolicyIfExists("lanewise", unzipped, true);
    assertEquals(
        List.of("ALL-UNNAMED"), policy.scopes().stream().map(scope -> scope.moduleName()).toList());
    assertEquals(
        Set.of(
            "files [READ] <CONFIG>/lanewise",
            "files [READ_WRITE] <DATA>/lanewise",
            "load_native_libraries"),
        PolicyUtils.getEntitlementsDescriptions(policy));
  }

  @Test
  void policyIsForModulesThatThePluginHas() throws IOException {
    assertEquals(Set.of("lanewise"), createPolicies().keySet());
    Path file = unzipped.resolve("entitlement-policy.yaml");
    Files.writeString(file, Files.readString(file).replace("ALL-UNNAMED", "org.lanewise.plugin"));
    Exception e = assertThrows(IllegalStateException.class, this::createPolicies);
    assertTrue(e.getMessage().contains("org.lanewise.plugin"), e::getMessage);
  }

  private Map<String, Policy> createPolicies() throws IOException {
    return PolicyUtils.createPluginPolicies(
        List.of(new PolicyUtils.PluginData(unzipped, "lanewise", false, true)), Map.of(), VERSION);
  }

  @Test
  void holdsWhatItShouldAndNothingElse() throws IOException {
    Set<String> expected =
        new TreeSet<>(
            List.of(
                "LICENSE.txt",
                "NOTICE.txt",
                "entitlement-policy.yaml",
                "plugin-descriptor.properties",
                "encoder-core.jar",
                "lanewise-plugin.jar",
                "jackson-annotations.jar",
                "jackson-core.jar",
                "jackson-databind.jar"));
    for (String model : BUNDLED) {
      try (Stream<Path> files = Files.walk(MODELS.resolve(model))) {
        files
            .filter(file -> Files.isRegularFile(file) && !file.endsWith("expected.json"))
            .forEach(file -> expected.add("models/" + MODELS.relativize(file)));
      }
    }
    assertTrue(expected.contains("models/lanewise-mini-en/1_Pooling/config.json"));
    Set<String> found = new TreeSet<>();
    try (Stream<Path> files = Files.walk(unzipped)) {
      files
          .filter(Files::isRegularFile)
          .map(file -> unzipped.relativize(file).toString())
          .map(file -> file.replaceFirst("-[0-9][^/]*\\.jar$", ".jar"))
          .forEach(found::add);
    }
    assertEquals(expected, found);
  }

  @Test
  void sizesAreOfTheRealFiles() throws IOException {
    for (String model : BUNDLED) {
      Path weights = Path.of("models", model, "model.safetensors");
      assertEquals(
          Files.size(Path.of("..").resolve(weights)), Files.size(unzipped.resolve(weights)));
    }
    assertTrue(
        Arrays.equals(
            Files.readAllBytes(Path.of("../LICENSE")),
            Files.readAllBytes(unzipped.resolve("LICENSE.txt"))));
    String notice = Files.readString(unzipped.resolve("NOTICE.txt"));
    for (Path jar : Directories.files(unzipped, name -> name.startsWith("jackson-"))) {
      String name = jar.getFileName().toString().replaceFirst("-[0-9].*", "");
      assertTrue(notice.contains(name), () -> "NOTICE.txt does not name " + name);
    }
  }

  private static URL url(Path jar) {
    try {
      return jar.toUri().toURL();
    } catch (MalformedURLException e) {
      throw new IllegalArgumentException(e);
    }
  }
}
