package org.lanewise.encoder;

import java.util.Optional;

/**
 * What the device that computes an embedder's vectors could not do, since it was opened.
 *
 * @param halvedBatches batches that were too large for its memory and were cut in two
 * @param processorBatches batches that were computed on the processor instead
 * @param lost what it said when it failed, after which nothing is asked of it; empty while it works
 */
public record DeviceReport(long halvedBatches, long processorBatches, Optional<String> lost) {}
