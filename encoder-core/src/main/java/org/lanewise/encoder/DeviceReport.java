package org.lanewise.encoder;

import java.util.Optional;

/**
 * What the device that computes for a model could not do, since it was opened.
 *
 * @param halvedBatches batches that were too large for its memory and were cut in two
 * @param processorBatches batches that were computed on the processor instead
 * @param lost what it said when it failed, after which nothing is asked of it; empty while it works
 * @param choice what backend {@code auto} uses it for, or why it does not; empty where the backend
 *     was named
 */
public record DeviceReport(
    long halvedBatches, long processorBatches, Optional<String> lost, Optional<String> choice) {}
