package org.lanewise.node;

import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.TimeUnit;

/**
 * The times of the requests of one phase.
 *
 * @param nanos one for each request, in any order
 */
record Latencies(long[] nanos) {
  Latencies {
    nanos = nanos.clone();
    Arrays.sort(nanos);
  }

  /** Returns the time that this share of the requests took at most, in ms; 0 without requests. */
  double percentile(int percent) {
    if (nanos.length == 0) {
      return 0;
    }
    int rank = (int) Math.ceil(percent / 100.0 * nanos.length);
    return nanos[rank - 1] / (double) TimeUnit.MILLISECONDS.toNanos(1);
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "p50 %.1f ms, p95 %.1f ms, p99 %.1f ms of %d",
        percentile(50),
        percentile(95),
        percentile(99),
        nanos.length);
  }
}
