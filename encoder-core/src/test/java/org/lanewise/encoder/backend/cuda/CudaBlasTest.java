package org.lanewise.encoder.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/**
 * cuBLASLt is called as its header says, takes the descriptions that it is given, and its absence
 * and failures cost no product.
 */
@SuppressWarnings("restricted") // It loads libraries of its own.
final class CudaBlasTest {
  private static final int ROWS = 5;
  private static final int INPUT = 72;
  private static final int OUTPUT = 40;

  @AfterEach
  void endFailures() {
    if (HostDevice.problem().isEmpty()) {
      HostDevice.failProducts(0);
    }
  }

  /** Where toolkits are installed; CUDA_HOME names another place. */
  private static String headers() throws IOException {
    List<Path> folders =
        Stream.of(System.getenv().getOrDefault("CUDA_HOME", "/usr/local/cuda"), "/usr")
            .map(each -> Path.of(each, "include"))
            .toList();
    for (Path folder : folders) {
      if (Files.exists(folder.resolve("cublasLt.h"))) {
        StringBuilder text = new StringBuilder();
        for (String name : List.of("cublasLt.h", "cublas_api.h", "library_types.h")) {
          text.append(Files.readString(folder.resolve(name))).append('\n');
        }
        return text.toString()
            .replaceAll("(?s)/\\*.*?\\*/", "")
            .replaceAll("//[^\n]*", "")
            .replaceAll("\\s+", " ");
      }
    }
    return abort("no cublasLt.h under $CUDA_HOME, /usr/local/cuda or /usr");
  }

  @Test
  void signaturesAreTheHeaders() throws IOException {
    String text = headers().replace("CUBLASWINAPI ", "").replace("( ", "(");
    List<String> signatures = Declarations.signatures(CudaBlas.class);
    assertEquals(14, signatures.size());
    for (String signature : signatures) {
      assertTrue(text.contains(" " + signature + ";"), "the header has no [" + signature + "]");
    }
  }

  @Test
  void numbersAreTheHeaders() throws IOException {
    String text = headers();
    for (CudaBlas.Constant each : CudaBlas.Constant.values()) {
      Matcher found = Pattern.compile("\\b" + each.name() + " *= *(\\d+) *,").matcher(text);
      assertTrue(found.find(), "the header has no [" + each + "]");
      assertEquals(each.number(), Integer.parseInt(found.group(1)), each.name());
    }
    assertTrue(text.contains("typedef struct { uint64_t data[8]; } cublasLtMatmulAlgo_t;"));
    assertTrue(
        text.contains(
            "typedef struct { cublasLtMatmulAlgo_t algo; size_t workspaceSize; cublasStatus_t"
                + " state; float wavesCount; int reserved[4]; }"
                + " cublasLtMatmulHeuristicResult_t;"));
  }

  @Test
  void signaturesSayHowFunctionsAreCalled() {
    assertEquals("()long", type("size_t cublasLtGetVersion(void)"));
    assertEquals(
        "(int)MemorySegment", type("const char* cublasLtGetStatusName(cublasStatus_t status)"));
    assertEquals(
        "(MemorySegment,int,long,long,long)int",
        type(
            Declarations.signatures(CudaBlas.class).stream()
                .filter(each -> each.contains("LayoutCreate"))
                .findFirst()
                .orElseThrow()));
  }

  private static String type(String signature) {
    return Declarations.descriptor(signature).toMethodType().toString();
  }

  /**
   * The real library without a device: it makes and checks the descriptions, and answers what they
   * say. What needs a device is left out.
   */
  @Test
  void theRealLibraryTakesTheDescriptions() {
    assumeTrue(HostDevice.problem().isEmpty(), () -> HostDevice.problem().orElse(""));
    CudaBlas real = realLibrary();
    for (Precision format : List.of(Precision.BF16, Precision.FP32)) {
      Described described = new Described();
      CudaDevice device = device(HostDevice.create());
      BlasProducts products = new BlasProducts(described.around(real), device);
      assertTrue(products.name().matches("cuBLASLt 1[23]\\.\\d+\\.\\d+"), products.name());
      Matrix input = new Matrix(MemorySegment.ofAddress(1 << 12), 7, 24, 32, Precision.BF16);
      Matrix output = new Matrix(MemorySegment.ofAddress(1 << 20), 7, 40, 64, format);
      long bias = 0x1234567800L;
      products.multiply(new Lane(device), input, 1 << 16, 128, bias, output, 1 << 24);
      String type = format == Precision.BF16 ? "14" : "0";
      assertEquals(
          Map.of(
              "operation", "compute=68 scale=0 transA=1 transB=0 epilogue=4 bias=" + bias,
              "A", "type=14 order=0 rows=24 columns=40 stride=128 at=" + (1 << 16),
              "B", "type=14 order=0 rows=24 columns=7 stride=32 at=" + (1 << 12),
              "C", "type=" + type + " order=0 rows=40 columns=7 stride=64 at=" + (1 << 20),
              "D", "type=" + type + " order=0 rows=40 columns=7 stride=64 at=" + (1 << 20),
              "preference", "workspace=33554432 reductions=2 alignments=16,16,16,16"),
          described.said);
    }
  }

  @Test
  void theRealLibrarySaysWhyItCannotStart() {
    assumeTrue(HostDevice.problem().isEmpty(), () -> HostDevice.problem().orElse(""));
    CudaBlas real = realLibrary();
    assumeTrue(Backends.gpuProblem().isPresent(), "this machine has a device");
    CudaDevice device = device(HostDevice.create());
    ProductChoices choices = HostDevice.always(() -> real);
    assertEquals(Optional.empty(), choices.open(device));
    assertEquals(
        "products: our own kernels: cublasLtCreate failed: CUBLAS_STATUS_NOT_INITIALIZED",
        choices.text());
  }

  private static CudaBlas realLibrary() {
    try {
      return CudaBlas.load();
    } catch (IllegalArgumentException e) {
      return abort(e.getMessage());
    }
  }

  /** Returns a library's function of that declaration. */
  private static MethodHandle handle(CudaBlas library, String signature) {
    int index = Declarations.signatures(CudaBlas.class).indexOf(signature);
    try {
      return (MethodHandle)
          CudaBlas.class.getRecordComponents()[index].getAccessor().invoke(library);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Stands for what of the library needs a device, and asks it for what it was told. */
  @SuppressWarnings("unused") // Functions of the library, called by their names.
  private static final class Described {
    private static final Set<String> OF_DEVICES =
        Set.of(
            "cublasLtCreate",
            "cublasLtDestroy",
            "cublasLtMatmulAlgoGetHeuristic",
            "cublasLtMatmul");

    private final Map<String, String> said = new TreeMap<>();

    CudaBlas around(CudaBlas library) {
      return Declarations.of(
          CudaBlas.class,
          signature ->
              OF_DEVICES.contains(Declarations.functionName(signature))
                  ? bound(signature)
                  : handle(library, signature));
    }

    private MethodHandle bound(String signature) {
      try {
        return MethodHandles.lookup()
            .bind(
                this,
                Declarations.functionName(signature),
                Declarations.descriptor(signature).toMethodType());
      } catch (ReflectiveOperationException e) {
        throw new IllegalStateException(e);
      }
    }

    private int cublasLtCreate(MemorySegment answer) {
      answer.set(ValueLayout.ADDRESS, 0, MemorySegment.ofAddress(1));
      return 0;
    }

    private int cublasLtDestroy(MemorySegment handle) {
      return 0;
    }

    private int cublasLtMatmulAlgoGetHeuristic(
        MemorySegment handle,
        MemorySegment operation,
        MemorySegment a,
        MemorySegment b,
        MemorySegment c,
        MemorySegment d,
        MemorySegment preference,
        int asked,
        MemorySegment results,
        MemorySegment count) {
      String get = "cublasLtMatmulPreferenceGetAttribute";
      String alignments =
          get(get, preference, 5, 4)
              + ","
              + get(get, preference, 6, 4)
              + ","
              + get(get, preference, 7, 4)
              + ","
              + get(get, preference, 8, 4);
      said.put(
          "preference",
          "workspace="
              + get(get, preference, 1, 8)
              + " reductions="
              + get(get, preference, 3, 4)
              + " alignments="
              + alignments);
      assertEquals(96, results.byteSize());
      count.set(ValueLayout.JAVA_INT, 0, asked);
      return 0;
    }

    private int cublasLtMatmul(
        MemorySegment handle,
        MemorySegment operation,
        MemorySegment alpha,
        MemorySegment a,
        MemorySegment aLayout,
        MemorySegment b,
        MemorySegment bLayout,
        MemorySegment beta,
        MemorySegment c,
        MemorySegment cLayout,
        MemorySegment d,
        MemorySegment dLayout,
        MemorySegment algorithm,
        MemorySegment workspace,
        long workspaceBytes,
        MemorySegment stream) {
      String get = "cublasLtMatmulDescGetAttribute";
      said.put(
          "operation",
          "compute="
              + get(get, operation, 0, 4)
              + " scale="
              + get(get, operation, 1, 4)
              + " transA="
              + get(get, operation, 3, 4)
              + " transB="
              + get(get, operation, 4, 4)
              + " epilogue="
              + get(get, operation, 7, 4)
              + " bias="
              + get(get, operation, 8, 8));
      said.put("A", layout(aLayout, a));
      said.put("B", layout(bLayout, b));
      said.put("C", layout(cLayout, c));
      said.put("D", layout(dLayout, d));
      assertEquals(1, alpha.get(ValueLayout.JAVA_FLOAT, 0));
      assertEquals(0, beta.get(ValueLayout.JAVA_FLOAT, 0));
      return 0;
    }

    private static String layout(MemorySegment layout, MemorySegment at) {
      String get = "cublasLtMatrixLayoutGetAttribute";
      return "type="
          + get(get, layout, 0, 4)
          + " order="
          + get(get, layout, 1, 4)
          + " rows="
          + get(get, layout, 2, 8)
          + " columns="
          + get(get, layout, 3, 8)
          + " stride="
          + get(get, layout, 4, 8)
          + " at="
          + at.address();
    }

    /** Returns an attribute of so many bytes. */
    private static long get(String function, MemorySegment handle, int attribute, long bytes) {
      SymbolLookup library =
          Stream.of("libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so")
              .flatMap(Described::library)
              .findFirst()
              .orElseThrow();
      MethodHandle call =
          Linker.nativeLinker()
              .downcallHandle(
                  library.find(function).orElseThrow(),
                  FunctionDescriptor.of(
                      ValueLayout.JAVA_INT,
                      ValueLayout.ADDRESS,
                      ValueLayout.JAVA_INT,
                      ValueLayout.ADDRESS,
                      ValueLayout.JAVA_LONG,
                      ValueLayout.ADDRESS));
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment value = arena.allocate(8, 8);
        MemorySegment written = arena.allocate(8, 8);
        assertEquals(0, (int) call.invokeExact(handle, attribute, value, bytes, written));
        assertEquals(bytes, written.get(ValueLayout.JAVA_LONG, 0), function + " " + attribute);
        return value.get(ValueLayout.JAVA_LONG, 0);
      } catch (RuntimeException | Error e) {
        throw e;
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      }
    }

    private static Stream<SymbolLookup> library(String name) {
      try {
        return Stream.of(SymbolLookup.libraryLookup(name, Arena.global()));
      } catch (IllegalArgumentException e) {
        return Stream.empty();
      }
    }
  }

  private static CudaDevice device(HostDevice host) {
    CudaDevice device = CudaDevice.open(host.driver(), 0, Long.MAX_VALUE);
    device.enter();
    return device;
  }

  private static CudaBackend backend(HostDevice host, ProductChoices choices) {
    return CudaBackend.open(host.driver(), 0, Precision.BF16, Long.MAX_VALUE, Optional.of(choices));
  }

  private static HostDevice host() {
    assumeTrue(HostDevice.problem().isEmpty(), () -> HostDevice.problem().orElse(""));
    return HostDevice.create();
  }

  private static void assertMultiplies(CudaBackend backend) {
    assertMultiplies(backend, INPUT, OUTPUT);
  }

  /** Multiplies ones by a weight, twice, into the first columns of matrices of so many. */
  private static void assertMultiplies(CudaBackend backend, int inputColumns, int outputColumns) {
    try (Arena arena = Arena.ofConfined()) {
      float[] numbers = new float[OUTPUT * INPUT];
      float[] biases = new float[OUTPUT];
      for (int row = 0; row < OUTPUT; row++) {
        biases[row] = row % 2;
        Arrays.fill(numbers, row * INPUT, (row + 1) * INPUT, row % 3);
      }
      LinearWeight weight =
          backend.prepareLinear(
              arena,
              List.of(tensor(arena, numbers, OUTPUT, INPUT)),
              List.of(tensor(arena, biases, OUTPUT)));
      Matrix input = backend.allocateState(arena, ROWS, inputColumns);
      Matrix output = backend.allocateState(arena, ROWS, outputColumns);
      float[] ones = new float[inputColumns];
      Arrays.fill(ones, 1);
      for (int row = 0; row < ROWS; row++) {
        backend.write(ones, input, row, 0);
      }
      for (int i = 0; i < 2; i++) {
        backend.linear(
            input.firstColumns(INPUT), weight, Activation.RELU, output.firstColumns(OUTPUT));
      }
      float[] expected = new float[outputColumns];
      for (int i = 0; i < OUTPUT; i++) {
        expected[i] = INPUT * (i % 3) + i % 2;
      }
      for (float[] row : backend.read(output, outputColumns)) {
        assertArrayEquals(expected, row);
      }
    }
  }

  private static Tensor tensor(Arena arena, float[] numbers, long... shape) {
    return new Tensor(
        "test", DataType.F32, shape, arena.allocateFrom(ValueLayout.JAVA_FLOAT, numbers));
  }

  @Test
  void rowsMayLieFurtherApartTheNextTime() {
    HostDevice host = host();
    CudaBackend backend = backend(host, HostDevice.always(host::blas));
    assertMultiplies(backend);
    assertMultiplies(backend, INPUT + 64, OUTPUT);
    assertMultiplies(backend, INPUT, OUTPUT + 64);
    List<String> launches = host.launches();
    assertEquals(6, launches.stream().filter("cublasLtMatmul"::equals).count());
  }

  @Test
  void productsAreMeasuredOnTheDevice() {
    HostDevice host = host();
    List<ProductChoices.Figure> figures = new ArrayList<>();
    ProductChoices choices =
        new ProductChoices(
            host::blas,
            (shape, stopwatch) -> {
              assertEquals(
                  new ProductChoices.Shape(INPUT, OUTPUT, Activation.RELU, Precision.BF16), shape);
              figures.add(stopwatch.time(9));
              return figures;
            });
    CudaBackend backend = backend(host, choices);
    assertTrue(
        backend.kernelsReason().endsWith("; products: cuBLASLt 13.1.1 where it is faster"),
        backend.kernelsReason());
    assertMultiplies(backend);
    assertMultiplies(backend);
    assertEquals(1, figures.size());
    ProductChoices.Figure figure = figures.getFirst();
    assertEquals(Set.of(ProductChoices.Way.values()), figure.seconds().keySet());
    assertTrue(figure.seconds().values().stream().allMatch(each -> each > 0), figure.toString());
    assertEquals(9, figure.rows());
    ProductChoices.Way chosen = figure.fastest(figure.seconds().keySet());
    assertEquals(
        "products: cuBLASLt 13.1.1 for "
            + (chosen == ProductChoices.Way.LIBRARY ? 1 : 0)
            + " of 1 shapes; warpgroups for "
            + (chosen == ProductChoices.Way.WARPGROUPS ? 1 : 0)
            + " of 1 shapes",
        choices.text());
    List<String> launches = host.launches();
    assertTrue(launches.contains("cublasLtMatmul"), launches.toString());
    assertTrue(launches.contains("product_bf16_small_to_bf16"), launches.toString());
    assertTrue(launches.contains("product_bf16_warpgroup_middle_to_bf16"), launches.toString());
  }

  @Test
  void aWayThatAnswersOtherwiseIsNotUsed() {
    for (String broken : List.of("product_bf16_warpgroup", "cublasLtMatmul")) {
      HostDevice host = host();
      ProductChoices choices =
          new ProductChoices(host::blas, (shape, stopwatch) -> List.of(stopwatch.time(9)));
      CudaBackend backend = backend(host, choices);
      host.skip(broken);
      assertMultiplies(backend);
      String name = broken.equals("cublasLtMatmul") ? "cuBLASLt" : "warpgroups";
      String text = choices.text();
      assertTrue(
          text.contains("; " + name + " failed for 1, the last time because its answers differ"),
          text);
      assertTrue(text.endsWith(" of their length, expected at most [0.02]"), text);
    }
  }

  @Test
  void aProductThatFailsIsComputedByOurOwnKernel() {
    HostDevice host = host();
    ProductChoices choices = HostDevice.always(host::blas);
    CudaBackend backend = backend(host, choices);
    assertMultiplies(backend);
    HostDevice.failProducts(1);
    host.launches();
    assertMultiplies(backend);
    assertMultiplies(backend);
    List<String> launches = host.launches();
    assertFalse(launches.contains("cublasLtMatmul"), launches.toString());
    assertEquals(
        "products: cuBLASLt 13.1.1 for 0 of 1 shapes; cuBLASLt failed for 1, the last time because"
            + " cublasLtMatmul failed: CUBLAS_STATUS_EXECUTION_FAILED",
        choices.text());
  }

  @Test
  void aLibraryThatFailsWhileItIsMeasuredIsNotUsed() {
    HostDevice host = host();
    HostDevice.failProducts(-1);
    CudaBackend backend =
        backend(host, new ProductChoices(host::blas, (shape, watch) -> List.of(watch.time(3))));
    assertMultiplies(backend);
    assertFalse(host.launches().contains("cublasLtMatmul"));
  }

  @Test
  void withoutRoomForTheWorkspaceOurOwnKernelMultiplies() {
    HostDevice host = host();
    CudaBackend backend =
        CudaBackend.open(
            host.driver(),
            0,
            Precision.BF16,
            16L << 20,
            Optional.of(HostDevice.always(host::blas)));
    assertMultiplies(backend);
    List<String> launches = host.launches();
    assertFalse(launches.contains("cublasLtMatmul"), launches.toString());
  }

  @Test
  void aLibraryThatIsAbsentIsTold() {
    HostDevice host = host();
    CudaBackend backend =
        backend(
            host,
            HostDevice.always(
                () -> {
                  throw new IllegalArgumentException("cuBLASLt is missing: no such file");
                }));
    assertEquals(
        "the device is host (sm_90, 132 multiprocessors); products: our own kernels: cuBLASLt is"
            + " missing: no such file",
        backend.kernelsReason());
    assertMultiplies(backend);
  }

  @Test
  void aVersionThatIsNotKnownIsRefused() {
    HostDevice host = host();
    CudaBlas known = host.blas();
    for (long version : new long[] {110_903, 140_000}) {
      MethodHandle other = MethodHandles.constant(long.class, version);
      CudaBlas unknown =
          Declarations.of(
              CudaBlas.class,
              signature -> signature.contains("GetVersion") ? other : handle(known, signature));
      ProductChoices choices = HostDevice.always(() -> unknown);
      assertEquals(Optional.empty(), choices.open(device(host)));
      assertTrue(choices.text().endsWith(", expected version 12 or 13"), choices.text());
    }
  }

  @Test
  void aPropertySwitchesWarpgroupsOff() {
    HostDevice host = host();
    ProductChoices choices =
        new ProductChoices(host::blas, (shape, stopwatch) -> List.of(stopwatch.time(9)));
    System.setProperty(CudaProducts.WARPGROUPS_PROPERTY, "false");
    try {
      assertMultiplies(backend(host, choices));
    } finally {
      System.clearProperty(CudaProducts.WARPGROUPS_PROPERTY);
    }
    assertFalse(choices.text().contains("warpgroups"), choices.text());
    List<String> launches = host.launches();
    assertTrue(launches.contains("cublasLtMatmul"), launches.toString());
    assertTrue(
        launches.stream().noneMatch(each -> each.contains("warpgroup")), launches.toString());
  }

  @Test
  void aPropertySwitchesItOff() {
    String before = System.getProperty(CudaBlas.PROPERTY);
    System.setProperty(CudaBlas.PROPERTY, "false");
    try {
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, CudaBlas::load);
      assertEquals("-Dlanewise.cublas=false", refused.getMessage());
    } finally {
      if (before == null) {
        System.clearProperty(CudaBlas.PROPERTY);
      } else {
        System.setProperty(CudaBlas.PROPERTY, before);
      }
    }
  }
}
