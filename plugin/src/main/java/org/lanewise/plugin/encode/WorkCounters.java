package org.lanewise.plugin.encode;

import java.util.concurrent.atomic.LongAdder;

/** Counts what is done for one model in one lane, by however many open models in turn. */
final class WorkCounters {
  final LongAdder texts = new LongAdder();
  final LongAdder tokens = new LongAdder();
  final LongAdder truncated = new LongAdder();
  final LongAdder batches = new LongAdder();
  final LongAdder failures = new LongAdder();
  final LongAdder nanos = new LongAdder();

  WorkStats stats() {
    return new WorkStats(
        texts.sum(),
        tokens.sum(),
        truncated.sum(),
        batches.sum(),
        failures.sum(),
        nanos.sum() / 1_000_000);
  }
}
