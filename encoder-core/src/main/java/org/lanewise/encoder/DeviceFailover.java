package org.lanewise.encoder;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiFunction;
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
  private final AtomicLong computedOnProcessor = new AtomicLong();
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
    return new DeviceReport(halved.get(), computedOnProcessor.get(), Optional.ofNullable(lost));
  }

  /**
   * Returns what the device computes, or else the processor, for each text in order.
   *
   * @param onProcessor is given the same model on the processor
   */
  <S, T> List<T> compute(
      List<S> texts,
      Function<List<S>, List<T>> onDevice,
      BiFunction<TextEmbedder, List<S>, List<T>> onProcessor) {
    if (lost == null) {
      try {
        return onDevice.apply(texts);
      } catch (DeviceException e) {
        if (e.kind() == DeviceException.Kind.OUT_OF_MEMORY && texts.size() > 1) {
          halved.incrementAndGet();
          int half = texts.size() / 2;
          List<T> answers = new ArrayList<>(compute(texts.subList(0, half), onDevice, onProcessor));
          answers.addAll(compute(texts.subList(half, texts.size()), onDevice, onProcessor));
          return answers;
        }
        if (e.kind() == DeviceException.Kind.LOST) {
          lost = e.getMessage();
        }
      }
    }
    computedOnProcessor.incrementAndGet();
    return onProcessor.apply(processor(), texts);
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
