package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lanewise.encoder.DeviceChoice.Figures;

/** The decision from figures, without a device. */
final class DeviceChoiceTest {
  /**
   * Rates in tokens per second and times in milliseconds, of the processor and the device; then
   * what is expected: who computes bulks, who single texts, and where many begin.
   */
  @ParameterizedTest
  @CsvSource({
    // A large device: all on it, or short texts on the processor, which has them sooner.
    "20000, 360000, 0.52, 0.31, true, true, 8192",
    "20000, 364000, 0.31, 0.52, true, false, 16",
    "100000, 200000, 0.30, 1.30, true, false, 212",
    // So late that only a whole batch is worth it.
    "100000, 100001, 0.30, 1.30, true, false, 8192",
    // A small device, a large processor.
    "200000, 100000, 0.30, 0.20, false, true, 32",
    "200000, 100000, 0.20, 0.30, false, false, 8192",
    // The device has to be better, not as good; no number is no better.
    "100000, 100000, 0.30, 0.30, false, false, 8192",
    "100000, NaN, 0.30, NaN, false, false, 8192",
    "NaN, 100000, NaN, 0.30, false, false, 8192",
  })
  void bulksAndSingleTextsGoWhereTheyAreFaster(
      double processorRate,
      double deviceRate,
      double processorMillis,
      double deviceMillis,
      boolean bulks,
      boolean singles,
      long border) {
    DeviceChoice choice =
        DeviceChoice.of(
            new Figures("vector", "cuda", processorRate, deviceRate, processorMillis, deviceMillis),
            12,
            8192);
    assertEquals(bulks, choice.bulks());
    assertEquals(singles, choice.singles());
    assertEquals(bulks || singles, choice.usesDevice());
    assertEquals(border, choice.border());
    assertEquals(singles, choice.onDevice(1));
    assertEquals(singles, choice.onDevice(12));
    assertEquals(singles, choice.onDevice(border - 1));
    assertEquals(bulks, choice.onDevice(border));
    assertEquals(bulks, choice.onDevice(1 << 20));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "20000 | 364000 | 0.31 | 0.52"
            + " | bulks: cuda, 18.2x the processor's rate; single texts: vector, 0.31 ms against"
            + " 0.52 ms",
        "20000 | 364000 | 0.52 | 0.31"
            + " | bulks: cuda, 18.2x the processor's rate; single texts: cuda, 0.31 ms against"
            + " 0.52 ms",
        "20000 | 8000 | 0.31 | 0.52"
            + " | bulks: vector, cuda has 0.4x its rate; single texts: vector, 0.31 ms against"
            + " 0.52 ms"
      })
  void theTextNamesTheFigures(
      double processorRate,
      double deviceRate,
      double processorMillis,
      double deviceMillis,
      String text) {
    Figures figures =
        new Figures("vector", "cuda", processorRate, deviceRate, processorMillis, deviceMillis);
    assertEquals(text, DeviceChoice.of(figures, 12, 8192).text());
    DeviceChoice refused = DeviceChoice.refused("cuda", "it is full");
    assertEquals("cuda is not used: it is full", refused.text());
    assertFalse(refused.usesDevice());
  }
}
