package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.backend.cuda.HostDevice;

/** What {@code auto} makes of a device that is right, wrong, slow, full or gone. */
final class DeviceTrialTest {
  private static final Path MODEL = Goldens.path("encoders/bert_gelu");
  private static final EmbedderOptions OPTIONS =
      EmbedderOptions.defaults().withBackend("vector").withPrecision(Precision.BF16).withThreads(2);

  private HostDevice host;

  @BeforeEach
  void create() {
    assumeTrue(HostDevice.problem().isEmpty(), () -> HostDevice.problem().orElse(""));
    assumeTrue(Backends.vectorApiPresent(), "a trial needs the Vector API");
    host = HostDevice.create();
  }

  private static TextEmbedder open(EmbedderOptions options) {
    return TextEmbedder.open(
        ModelDirectory.open(MODEL),
        options,
        Backends.create(options.backend(), options.precision(), new Workers(1)));
  }

  private TextEmbedder tried() {
    TextEmbedder embedder = open(OPTIONS);
    embedder.tryDevice(() -> Optional.of(host.backend(Precision.BF16)), DeviceTrialTest::run);
    return embedder;
  }

  private static DeviceChoice run(TextEmbedder processor, TextEmbedder device) {
    return DeviceTrial.run(processor, device, 1, 256);
  }

  private static void assertRefused(TextEmbedder embedder, String reason) {
    DeviceChoice choice = embedder.deviceChoice().orElseThrow();
    assertTrue(
        choice.text().startsWith("cuda is not used: ") && choice.text().contains(reason),
        choice.text());
    assertFalse(choice.usesDevice());
    assertEquals("vector", embedder.backend());
    assertEquals(
        new DeviceReport(0, 0, Optional.empty(), Optional.of(choice.text())),
        embedder.deviceReport().orElseThrow());
    try (TextEmbedder processor = open(OPTIONS)) {
      List<String> texts = List.of("a text", "another text of the same author");
      List<Embedding> expected = processor.embed(texts);
      List<Embedding> found = embedder.embed(texts);
      for (int i = 0; i < texts.size(); i++) {
        assertArrayEquals(expected.get(i).vector(), found.get(i).vector(), 1e-6f);
      }
    }
  }

  @Test
  void aDeviceThatIsRightIsTimed() {
    try (TextEmbedder embedder = tried()) {
      DeviceChoice choice = embedder.deviceChoice().orElseThrow();
      assertTrue(
          choice.text().matches("bulks: .*; single texts: .* ms against .* ms"), choice.text());
    }
  }

  /** As if nobody could call the processor: then anything is faster. */
  @Test
  void aDeviceThatIsRightAndFasterComputesBulks() {
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      texts.add("text " + i + " of the same author" + " and others".repeat(i % 4));
    }
    try (TextEmbedder embedder = open(OPTIONS);
        TextEmbedder processor = open(OPTIONS)) {
      embedder.tryDevice(
          () -> Optional.of(host.backend(Precision.BF16)),
          (here, device) -> DeviceTrial.run(here, device, 0, 256));
      DeviceChoice choice = embedder.deviceChoice().orElseThrow();
      assertTrue(choice.bulks(), choice.text());
      assertEquals("cuda", embedder.backend());
      host.launches();
      List<Embedding> found = embedder.embed(texts);
      assertFalse(host.launches().isEmpty());
      List<Embedding> expected = processor.embed(texts);
      for (int i = 0; i < texts.size(); i++) {
        assertArrayEquals(expected.get(i).vector(), found.get(i).vector(), 0.05f);
      }
    }
  }

  @Test
  void aKernelThatAnswersWronglyIsFound() {
    host.skip("attention");
    try (TextEmbedder embedder = tried()) {
      assertRefused(embedder, "tokens among others gets a vector with a cosine of [");
    }
  }

  @Test
  void aLibraryWhoseProductsAreRightIsTaken() {
    try (TextEmbedder embedder = open(OPTIONS)) {
      embedder.tryDevice(() -> Optional.of(host.blasBackend()), DeviceTrialTest::run);
      String choice = embedder.deviceChoice().orElseThrow().text();
      assertTrue(choice.startsWith("bulks: "), choice);
      assertTrue(host.launches().contains("cublasLtMatmul"));
    }
  }

  @Test
  void aLibraryWhoseProductsAreWrongIsFound() {
    host.skip("cublasLtMatmul");
    try (TextEmbedder embedder = open(OPTIONS)) {
      embedder.tryDevice(() -> Optional.of(host.blasBackend()), DeviceTrialTest::run);
      assertRefused(embedder, "tokens among others gets a vector with a cosine of [");
    }
  }

  @Test
  void aVectorOfZerosIsFound() {
    host.skip("pool");
    try (TextEmbedder embedder = tried()) {
      assertRefused(embedder, "cosine of [NaN]");
    }
  }

  @Test
  void whatIsNoNumberIsFound() {
    host.alter(_ -> Float.POSITIVE_INFINITY);
    try (TextEmbedder embedder = tried()) {
      assertRefused(embedder, "gets a vector with [Infinity] in it");
    }
  }

  @Test
  void aDeviceThatDoesNotRepeatItselfIsFound() {
    AtomicInteger copies = new AtomicInteger();
    host.alter(number -> copies.incrementAndGet() % 2 == 0 ? Math.nextUp(number) : number);
    try (TextEmbedder embedder = tried()) {
      assertRefused(embedder, "a text of [1] tokens gets another vector each time");
    }
  }

  /** Small products have tiles of their own. */
  @Test
  void aTextAloneIsComparedToo() {
    AtomicInteger copies = new AtomicInteger();
    host.alter(number -> copies.incrementAndGet() > 2 ? 30f : number);
    try (TextEmbedder embedder = tried()) {
      assertRefused(embedder, "tokens alone gets a vector with a cosine of [");
    }
  }

  @Test
  void aFullOrLostDeviceIsRefused() {
    host.limitMemory(1 << 16);
    try (TextEmbedder embedder = tried()) {
      assertRefused(embedder, "cuMemAlloc_v2 failed: CUDA_ERROR_OUT_OF_MEMORY");
    }
    host = HostDevice.create();
    host.lose();
    try (TextEmbedder embedder = tried()) {
      assertRefused(embedder, "CUDA_ERROR_LAUNCH_FAILED");
    }
    try (TextEmbedder embedder = open(OPTIONS)) {
      embedder.tryDevice(
          () -> {
            throw new IllegalArgumentException("device [0], old, is too old");
          },
          DeviceTrialTest::run);
      assertRefused(embedder, "device [0], old, is too old");
    }
  }

  @Test
  void whatCannotBeTriedStaysOnTheProcessor() {
    Path unpooled = Goldens.path("heads/token_classification");
    try (TextEmbedder embedder =
        TextEmbedder.open(
            ModelDirectory.open(unpooled),
            OPTIONS,
            Backends.create("vector", Optional.empty(), new Workers(1)))) {
      embedder.tryDevice(() -> Optional.of(host.backend(Precision.BF16)), DeviceTrialTest::run);
      assertEquals(
          "cuda is not used: the model states no pooling, so there are no vectors to compare",
          embedder.deviceChoice().orElseThrow().text());
    }
    try (TextEmbedder embedder = open(OPTIONS.withBackend("scalar"))) {
      embedder.tryDevice(() -> Optional.of(host.backend(Precision.BF16)), DeviceTrialTest::run);
      assertTrue(embedder.deviceChoice().orElseThrow().text().contains("against backend [scalar]"));
      assertEquals("scalar", embedder.backend());
    }
  }

  @Test
  void withoutADeviceNothingChanges() {
    try (TextEmbedder embedder = open(OPTIONS)) {
      embedder.tryDevice(Optional::empty, DeviceTrialTest::run);
      assertEquals(Optional.empty(), embedder.deviceChoice());
      assertEquals(Optional.empty(), embedder.deviceReport());
    }
    for (String name : List.of("vector", "scalar", "cuda")) {
      assertEquals(Optional.empty(), Backends.device(name, Optional.empty()));
    }
    assertEquals(Optional.empty(), Backends.device("auto", Optional.of(Precision.INT8)));
    assertEquals(
        Backends.gpuProblem().isEmpty(), Backends.device("auto", Optional.empty()).isPresent());
  }

  /** The device's own launches show where texts go. */
  @Test
  void bulksAndSingleTextsGoWhereTheChoiceSays() {
    List<String> many = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      many.add("text " + i + " of the same author" + " and others".repeat(i % 4));
    }
    for (boolean bulks : new boolean[] {false, true}) {
      for (boolean singles : new boolean[] {false, true}) {
        host = HostDevice.create();
        DeviceChoice choice = new DeviceChoice(bulks, singles, 20, "as the test says");
        try (TextEmbedder embedder = open(OPTIONS)) {
          embedder.tryDevice(() -> Optional.of(host.backend(Precision.BF16)), (_, _) -> choice);
          assertEquals(Optional.of(choice), embedder.deviceChoice());
          assertEquals(bulks ? "cuda" : "vector", embedder.backend());
          assertEquals(bulks ? 8192 : 512, embedder.bulkTokens());
          List<String> one = List.of("one text");
          List<EncodedText> encoded = many.stream().map(each -> embedder.encode(each, "")).toList();
          List<EncodedText> single = encoded.subList(0, 1);
          EncoderOutputs outputs = EncoderOutputs.over(embedder);
          assertLaunches(bulks, () -> embedder.embed(many));
          assertLaunches(singles, () -> embedder.embed(one));
          assertLaunches(bulks, () -> embedder.embedEncoded(encoded));
          assertLaunches(singles, () -> embedder.embedEncoded(single));
          assertLaunches(bulks, () -> embedder.forward(encoded));
          assertLaunches(singles, () -> embedder.forwardShared(single));
          assertLaunches(bulks, () -> outputs.forward(readings(outputs, many)));
          assertLaunches(singles, () -> outputs.forward(readings(outputs, one)));
          // What was not tried.
          assertLaunches(false, () -> embedder.forwardTokens(encoded));
        }
      }
    }
  }

  private static List<EncoderOutputs.Reading> readings(EncoderOutputs outputs, List<String> texts) {
    return texts.stream()
        .map(
            text ->
                outputs.read(
                    text, "", TokenEmbedder.Role.DOCUMENT, Set.of(EncoderOutputs.Output.DENSE)))
        .toList();
  }

  private void assertLaunches(boolean expected, Runnable run) {
    host.launches();
    run.run();
    assertEquals(expected, !host.launches().isEmpty());
  }

  @Test
  void aDeviceThatIsLostLaterLosesNoText() {
    List<String> texts = List.of("one text", "another text of the same author");
    List<Embedding> expected;
    try (TextEmbedder processor = open(OPTIONS)) {
      expected = processor.embed(texts);
    }
    TextEmbedder embedder = open(OPTIONS);
    embedder.tryDevice(
        () -> Optional.of(host.backend(Precision.BF16)),
        (_, _) -> new DeviceChoice(true, true, 100, "as the test says"));
    try (embedder) {
      host.lose();
      for (int i = 0; i < texts.size(); i++) {
        assertArrayEquals(expected.get(i).vector(), embedder.embed(texts).get(i).vector(), 1e-6f);
      }
      DeviceReport report = embedder.deviceReport().orElseThrow();
      assertTrue(report.processorBatches() > 0 && report.lost().isPresent(), report.toString());
      assertEquals(Optional.of("as the test says"), report.choice());
    }
  }
}
