package org.lanewise.encoder;

import java.io.PrintStream;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestDescriptor;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.Launcher;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.lanewise.encoder.backend.Backends;

/**
 * Runs the tests that need a GPU, where there is one and no Maven: benchmarks/gpu.sh starts it.
 * Prints what failed and was skipped and a table, and exits 0 if nothing failed.
 */
public final class GpuCheck implements TestExecutionListener {
  /** Each kernel at a few sizes. */
  private static final String FEW =
      "states.*|recurHandsStatesAlongEachSequence|attentionIsDisentangledByDistance";

  private final PrintStream out;
  private final Map<String, int[]> counts = new LinkedHashMap<>();

  private GpuCheck(PrintStream out) {
    this.out = out;
  }

  /**
   * Runs the contract, with {@code all} whole models instead, or with {@code few} what a checker of
   * memory that makes everything many times slower has the time for.
   */
  public static void main(String[] arguments) {
    PrintStream out = System.out;
    String problem = Backends.gpuProblem().orElse("");
    if (!problem.isEmpty()) {
      out.println(problem);
      System.exit(2);
    }
    String which = arguments.length == 0 ? "contract" : arguments[0];
    LauncherDiscoveryRequestBuilder request = LauncherDiscoveryRequestBuilder.request();
    if (which.equals("all")) {
      request.selectors(
          DiscoverySelectors.selectClass("org.lanewise.encoder.model.CudaEncoderGoldenTest"),
          DiscoverySelectors.selectClass(CudaEmbedderTest.class));
    } else {
      request.selectors(
          DiscoverySelectors.selectClass("org.lanewise.encoder.backend.cuda.CudaBackendTest"));
    }
    if (which.equals("contract")) {
      request.selectors(
          DiscoverySelectors.selectClass("org.lanewise.encoder.backend.cuda.CudaBlasBackendTest"));
    }
    if (which.equals("few")) {
      request.filters(
          (PostDiscoveryFilter)
              test -> FilterResult.includedIf(name(test).isEmpty() || name(test).matches(FEW)));
    }
    GpuCheck check = new GpuCheck(out);
    LauncherDiscoveryRequest built = request.build();
    Launcher launcher = LauncherFactory.create();
    launcher.execute(built, check);
    System.exit(check.report() ? 0 : 1);
  }

  private static String name(TestDescriptor test) {
    return test.getSource()
        .filter(MethodSource.class::isInstance)
        .map(source -> ((MethodSource) source).getMethodName())
        .orElse("");
  }

  @Override
  public void executionSkipped(TestIdentifier test, String reason) {
    count(test, 2);
    out.println("skipped " + test.getDisplayName() + ": " + reason);
  }

  @Override
  public void executionFinished(TestIdentifier test, TestExecutionResult result) {
    if (!test.isTest()) {
      result.getThrowable().ifPresent(e -> failed(test, e));
      return;
    }
    switch (result.getStatus()) {
      case SUCCESSFUL -> count(test, 0);
      case FAILED -> failed(test, result.getThrowable().orElseThrow());
      case ABORTED -> {
        count(test, 2);
        String reason = result.getThrowable().map(Throwable::getMessage).orElse("");
        out.println("skipped " + name(test) + ": " + reason);
      }
    }
  }

  private void failed(TestIdentifier test, Throwable e) {
    count(test, 1);
    out.println("FAILED " + name(test) + ": " + e);
    StackTraceElement[] trace = e.getStackTrace();
    for (int i = 0; i < Math.min(12, trace.length); i++) {
      out.println("    " + trace[i]);
    }
  }

  private void count(TestIdentifier test, int kind) {
    counts.computeIfAbsent(group(test), key -> new int[3])[kind]++;
  }

  private static String group(TestIdentifier test) {
    String name = name(test);
    return name.substring(0, name.indexOf('.') < 0 ? name.length() : name.indexOf('.'));
  }

  private static String name(TestIdentifier test) {
    return test.getSource()
        .filter(MethodSource.class::isInstance)
        .map(MethodSource.class::cast)
        .map(
            method ->
                method.getJavaClass().getSimpleName()
                    + "."
                    + method.getMethodName()
                    + " "
                    + test.getDisplayName())
        .orElse(test.getDisplayName());
  }

  private boolean report() {
    boolean passed = !counts.isEmpty();
    out.println("| tests | passed | failed | skipped |");
    out.println("|---|---|---|---|");
    for (Map.Entry<String, int[]> each : counts.entrySet()) {
      int[] count = each.getValue();
      out.printf(
          Locale.ROOT, "| %s | %d | %d | %d |%n", each.getKey(), count[0], count[1], count[2]);
      passed &= count[1] == 0;
    }
    return passed;
  }
}
