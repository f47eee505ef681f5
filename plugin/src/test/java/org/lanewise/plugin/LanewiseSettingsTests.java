package org.lanewise.plugin;

import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.startsWith;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.apache.logging.log4j.Level;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.util.concurrent.EsExecutors;
import org.elasticsearch.test.ESTestCase;
import org.elasticsearch.test.MockLog;
import org.lanewise.encoder.backend.Precision;

public class LanewiseSettingsTests extends ESTestCase {
  private static LanewiseSettings of(String key, Object value) {
    return LanewiseSettings.of(Settings.builder().put(key, value.toString()).build());
  }

  public void testDefaults() {
    assertEquals(
        new LanewiseSettings(
            "auto", Optional.empty(), 1, 512, false, 10_000, 1_000_000, 1000, 10 << 20, 10L << 30),
        of("node.processors", 1));
  }

  public void testOneProcessorIsLeftToSearches() {
    assertEquals(1, LanewiseSettings.defaultThreads(1));
    assertEquals(1, LanewiseSettings.defaultThreads(2));
    assertEquals(15, LanewiseSettings.defaultThreads(16));
    int processors = EsExecutors.allocatedProcessors(Settings.EMPTY);
    assertEquals(
        LanewiseSettings.defaultThreads(processors), LanewiseSettings.of(Settings.EMPTY).threads());
  }

  public void testValues() {
    assertEquals("scalar", of("lanewise.backend", "scalar").backend());
    assertEquals(Optional.of(Precision.INT8), of("lanewise.precision", "int8").precision());
    assertEquals("cuda", of("lanewise.backend", "cuda").backend());
    assertEquals(16_384, of("lanewise.backend", "cuda").batchTokens());
    assertEquals(2048, of("lanewise.model_copies_size", "2kb").modelCopiesBytes());
    assertEquals(
        "m",
        LanewiseSettings.ALIAS
            .getConcreteSetting("lanewise.alias.a.b")
            .get(Settings.builder().put("lanewise.alias.a.b", "m").build()));
    assertEquals(
        "cuda:3",
        LanewiseSettings.of(
                Settings.builder()
                    .put("lanewise.backend", "cuda")
                    .put("lanewise.gpu.device", 3)
                    .build())
            .backend());
    assertEquals("auto:3", of("lanewise.gpu.device", 3).backend());
    assertEquals(
        "vector",
        LanewiseSettings.of(
                Settings.builder()
                    .put("lanewise.backend", "vector")
                    .put("lanewise.gpu.device", 3)
                    .build())
            .backend());
    assertEquals(7, of("lanewise.threads", 7).threads());
    assertEquals(16, of("lanewise.batch_tokens", 16).batchTokens());
    assertEquals(16, of("lanewise.batch_tokens", 16).batchTokens(OptionalInt.of(8192)));
    assertEquals(8192, of("lanewise.threads", 7).batchTokens(OptionalInt.of(8192)));
    assertEquals(512, of("lanewise.threads", 7).batchTokens(OptionalInt.empty()));
    assertEquals(1, of("lanewise.queue_capacity", 1).queueCapacity());
    assertEquals(9, of("lanewise.max_text_length", 9).maxTextLength());
    assertEquals(5, of("lanewise.max_texts", 5).maxTexts());
  }

  public void testBounds() {
    assertBad("lanewise.precision", "FP32", "must be one of [auto, fp32, bf16, int8]");
    assertBad("lanewise.gpu.device", -1, "must be >= 0");
    assertBad("lanewise.batch_tokens", 15, "must be >= 16");
    assertBad("lanewise.threads", 0, "must be >= 1");
    assertBad("lanewise.threads", 1025, "must be <= 1024");
    assertBad("lanewise.batch_tokens", 15, "must be >= 16");
    assertBad("lanewise.batch_tokens", 65_537, "must be <= 65536");
    assertBad("lanewise.queue_capacity", 0, "must be >= 1");
    assertBad("lanewise.queue_capacity", 1_000_001, "must be <= 1000000");
    assertBad("lanewise.max_text_length", 0, "must be >= 1");
    assertBad("lanewise.max_texts", 100_001, "must be <= 100000");
  }

  private static void assertBad(String key, Object value, String message) {
    Exception e = expectThrows(IllegalArgumentException.class, () -> of(key, value));
    assertThat(e.getMessage(), containsString(key));
    assertThat(e.getMessage(), containsString(message));
  }

  public void testWithoutTheVectorApi() {
    String cure = "Add --add-modules=jdk.incubator.vector to config/jvm.options.d/lanewise.options";
    MockLog.assertThatLogger(
        () -> LanewisePlugin.checkVectorModule(false, "auto"),
        LanewisePlugin.class,
        new MockLog.SeenEventExpectation(
            "warning", LanewisePlugin.class.getName(), Level.WARN, "*scalar backend*" + cure));
    LanewisePlugin.checkVectorModule(false, "scalar");
    LanewisePlugin.checkVectorModule(true, "vector");
    Exception e =
        expectThrows(
            IllegalArgumentException.class,
            () -> LanewisePlugin.checkVectorModule(false, "vector"));
    assertThat(e.getMessage(), containsString(cure));
  }

  public void testWhatCannotRunIsRefused() {
    assertRefused("lanewise.backend", "cuda", "backend [cuda] cannot start because ");
    for (String backend : List.of("auto", "scalar", "vector")) {
      LanewisePlugin.checkBackend(of("lanewise.backend", backend));
    }
    for (String precision : List.of("auto", "fp32", "bf16", "int8")) {
      LanewisePlugin.checkBackend(of("lanewise.precision", precision));
    }
  }

  private static void assertRefused(String key, String value, String reason) {
    Exception e =
        expectThrows(
            IllegalArgumentException.class, () -> LanewisePlugin.checkBackend(of(key, value)));
    assertThat(e.getMessage(), startsWith("[" + key + "] is [" + value + "]: " + reason));
  }
}
