package org.lanewise.encoder;

import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.function.Supplier;
import org.lanewise.encoder.backend.DeviceException;

/**
 * Sees to it that no text is lost to a device: batches that do not fit into its memory are halved,
 * and what does not fit alone, or comes after the device failed, is computed on the processor.
 * Thread-safe.
 */
final class DeviceFailover implements AutoCloseable {
  private final Supplier<TextEmbedder> opener;
  private final AtomicLong halved = new AtomicLong();
  private final AtomicLong onProcessor = new AtomicLong();
  private volatile String lost;
  private TextEmbedder processor;
  private boolean closed;

  /**
   * Creates a failover.
   *
   * @param opener opens the same model on the processor, when it is needed first
   */
  DeviceFailover(Supplier<TextEmbedder> opener) {
    this.opener = opener;
  }

  DeviceReport report() {
    return new DeviceReport(halved.get(), onProcessor.get(), Optional.ofNullable(lost));
  }

  /** Returns the vectors that the device computes, or those of the processor. */
  float[][] forward(List<EncodedText> texts, Function<List<EncodedText>, float[][]> onDevice) {
    if (lost != null) {
      return forwardOnProcessor(texts);
    }
    try {
      return onDevice.apply(texts);
    } catch (DeviceException e) {
      if (e.kind() == DeviceException.Kind.OUT_OF_MEMORY && texts.size() > 1) {
        halved.incrementAndGet();
        int half = texts.size() / 2;
        float[][] vectors = new float[texts.size()][];
        float[][] first = forward(texts.subList(0, half), onDevice);
        float[][] second = forward(texts.subList(half, texts.size()), onDevice);
        System.arraycopy(first, 0, vectors, 0, half);
        System.arraycopy(second, 0, vectors, half, second.length);
        return vectors;
      }
      if (e.kind() == DeviceException.Kind.LOST) {
        lost = e.getMessage();
      }
      return forwardOnProcessor(texts);
    }
  }

  private float[][] forwardOnProcessor(List<EncodedText> texts) {
    onProcessor.incrementAndGet();
    return processor().forward(texts);
  }

  private synchronized TextEmbedder processor() {
    if (closed) {
      throw new IllegalStateException("the embedder is closed");
    }
    if (processor == null) {
      processor = opener.get();
    }
    return processor;
  }

  @Override
  public synchronized void close() {
    closed = true;
    if (processor != null) {
      processor.close();
    }
  }
}
