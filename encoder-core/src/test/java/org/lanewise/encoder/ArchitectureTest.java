package org.lanewise.encoder;

import static com.tngtech.archunit.base.DescribedPredicate.alwaysTrue;
import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.equivalentTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noFields;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The house plan, held by the build: who may know whom. */
final class ArchitectureTest {
  private static final String ROOT = "org.lanewise.encoder";

  /**
   * Package to the packages it may use; the door uses all, and all may throw its ModelException.
   */
  private static final Map<String, List<String>> ARROWS =
      Map.of(
          "tokenizer", List.of(),
          "weights", List.of(),
          "batch", List.of("tokenizer"),
          "backend", List.of("batch", "weights"),
          "backend.cuda", List.of("backend", "batch", "weights"),
          "model", List.of("backend", "batch", "tokenizer", "weights"),
          "family", List.of("model", "backend", "weights"),
          "head", List.of("model", "backend", "batch", "weights"),
          "train", List.of("head", "model", "backend", "batch", "tokenizer", "weights"));

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages(ROOT);

  static Stream<String> packages() {
    return ARROWS.keySet().stream().sorted();
  }

  @ParameterizedTest
  @MethodSource("packages")
  void packagesFollowTheArrows(String name) {
    String[] allowed =
        Stream.concat(Stream.of(name), ARROWS.get(name).stream())
            .map(each -> ROOT + "." + each)
            .toArray(String[]::new);
    noClasses()
        .that()
        .resideInAPackage(ROOT + "." + name)
        .and()
        // It chooses among the backends, those of the packages below included.
        .doNotHaveFullyQualifiedName(ROOT + ".backend.Backends")
        .should()
        .dependOnClassesThat(
            resideInAPackage(ROOT + "..")
                .and(not(resideInAnyPackage(allowed)))
                .and(not(equivalentTo(ModelException.class))))
        .because("a package may use " + ARROWS.get(name) + " only: see ARCHITECTURE.md")
        .allowEmptyShould(true)
        .check(CLASSES);
  }

  @Test
  void everyPackageHasItsArrows() {
    List<String> strangers =
        CLASSES.stream()
            .map(JavaClass::getPackageName)
            .filter(name -> !name.equals(ROOT))
            .map(name -> name.substring(ROOT.length() + 1))
            .distinct()
            .filter(name -> !ARROWS.containsKey(name))
            .toList();
    assertEquals(List.of(), strangers, "packages without arrows in ArchitectureTest");
  }

  @Test
  void packagesHaveNoCycles() {
    slices()
        .matching(ROOT + ".(*)..")
        .should()
        .beFreeOfCycles()
        .ignoreDependency(alwaysTrue(), equivalentTo(ModelException.class))
        .because("what depends on each other is one package")
        .check(CLASSES);
  }

  @Test
  void onlyTheBackendKnowsTheVectorApi() {
    noClasses()
        .that()
        .resideOutsideOfPackage(ROOT + ".backend")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("jdk.incubator.vector..")
        .because("a JVM may run without the module: then only the scalar backend is touched")
        .check(CLASSES);
  }

  @Test
  void onlyTheCudaBackendAndMachineCodeCallNativeCode() {
    noClasses()
        .that()
        .resideOutsideOfPackage(ROOT + ".backend.cuda")
        .and()
        .doNotHaveFullyQualifiedName(ROOT + ".backend.MachineCode")
        .should()
        .dependOnClassesThat()
        .haveFullyQualifiedName("java.lang.foreign.Linker")
        .orShould()
        .dependOnClassesThat()
        .haveFullyQualifiedName("java.lang.foreign.SymbolLookup")
        .because("native calls can end the JVM; everything else is checked Java")
        .check(CLASSES);
  }

  @Test
  void nothingKnowsElasticsearch() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("org.elasticsearch..", "org.apache.lucene..")
        .because("the encoder serves any Java program")
        .check(CLASSES);
  }

  @Test
  void stateIsPerCall() {
    fields()
        .that()
        .areStatic()
        .should()
        .beFinal()
        .because("state lives in one call, never in a class")
        .check(CLASSES);
    noFields()
        .that()
        .areStatic()
        .should()
        .haveRawType(resideInAPackage("java.util.concurrent.atomic"))
        .because("a final reference to changing state is still state")
        .check(CLASSES);
  }

  @Test
  void everyPackageSaysItsJob() throws IOException {
    Path sources = Path.of("src/main/java");
    try (Stream<Path> files = Files.walk(sources)) {
      List<Path> packages =
          files
              .filter(file -> file.toString().endsWith(".java"))
              .map(Path::getParent)
              .distinct()
              .toList();
      assertFalse(packages.isEmpty(), "no sources in [" + sources.toAbsolutePath() + "]");
      List<Path> silent =
          packages.stream()
              .filter(each -> Files.notExists(each.resolve("package-info.java")))
              .toList();
      assertEquals(List.of(), silent, "packages without package-info.java");
    }
  }
}
