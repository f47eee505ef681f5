package org.lanewise.encoder;

import java.util.Locale;

/**
 * What {@code auto} decided about a device that is there: which texts it computes.
 *
 * @param bulks whether it computes many texts at once
 * @param singles whether it computes few
 * @param border tokens from which on texts that are computed together are many
 * @param text the decision and its reasons, in words
 */
public record DeviceChoice(boolean bulks, boolean singles, long border, String text) {
  /**
   * What was measured.
   *
   * @param processor the name of the backend on the processor
   * @param device the name of the backend on the device
   * @param processorRate tokens of a bulk in a second, of all threads that may compute at once
   * @param deviceRate tokens of a bulk in a second
   * @param processorMillis a single text's time
   * @param deviceMillis a single text's time
   */
  record Figures(
      String processor,
      String device,
      double processorRate,
      double deviceRate,
      double processorMillis,
      double deviceMillis) {}

  /** Returns the choice of a device that is not used. */
  static DeviceChoice refused(String device, String reason) {
    return new DeviceChoice(false, false, 0, device + " is not used: " + reason);
  }

  /**
   * Returns the choice that the figures suggest: bulks and single texts each go where they are
   * faster, and to the processor where nothing speaks for the device.
   *
   * @param singleTokens the single text's length
   * @param bulkTokens the bulk's length
   */
  static DeviceChoice of(Figures figures, int singleTokens, int bulkTokens) {
    boolean bulks = figures.deviceRate > figures.processorRate;
    boolean singles = figures.deviceMillis < figures.processorMillis;
    String one =
        bulks
            ? String.format(
                Locale.ROOT,
                "bulks: %s, %.1fx the processor's rate",
                figures.device,
                figures.deviceRate / figures.processorRate)
            : String.format(
                Locale.ROOT,
                "bulks: %s, %s has %.1fx its rate",
                figures.processor,
                figures.device,
                figures.deviceRate / figures.processorRate);
    String other =
        String.format(
            Locale.ROOT,
            "single texts: %s, %.2f ms against %.2f ms",
            singles ? figures.device : figures.processor,
            singles ? figures.deviceMillis : figures.processorMillis,
            singles ? figures.processorMillis : figures.deviceMillis);
    return new DeviceChoice(
        bulks, singles, border(figures, singleTokens, bulkTokens), one + "; " + other);
  }

  /**
   * Where two lines cross, of which each begins at the single text's time and climbs as the bulk's
   * rate says.
   */
  private static long border(Figures figures, int singleTokens, int bulkTokens) {
    double later = (figures.deviceMillis - figures.processorMillis) / 1e3;
    double gain = 1 / figures.processorRate - 1 / figures.deviceRate;
    double border = singleTokens + later / gain;
    return border >= singleTokens && border < bulkTokens
        ? Math.max(singleTokens + 1, Math.round(border))
        : bulkTokens;
  }

  /** Returns whether the device computes anything. */
  public boolean usesDevice() {
    return bulks || singles;
  }

  /** Returns whether the device computes texts that have so many tokens together. */
  boolean onDevice(long tokens) {
    return tokens < border ? singles : bulks;
  }
}
