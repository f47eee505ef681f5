package org.lanewise.encoder;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.lanewise.encoder.backend.DeviceException;

/**
 * Sees to it that no text is lost to a device: batches that do not fit into its memory are halved,
 * and what does not fit alone, or comes after the device failed, is computed on the processor.
 * Thread-safe.
 *
 * @param <M> a model, on a device or on the processor
 */
final class DeviceFailover<M> implements AutoCloseable {
  private final Supplier<M> opener;
  private final Consumer<M> closer;
  private final AtomicLong halved = new AtomicLong();
  private final AtomicLong computedOnProcessor = new AtomicLong();
  private volatile String lost;
  private M processor;
  private boolean closed;

  /**
   * Creates a failover.
   *
   * @param opener opens the same model on the processor, when it is needed first
   * @param closer closes it
   */
  DeviceFailover(Supplier<M> opener, Consumer<M> closer) {
    this.opener = opener;
    this.closer = closer;
  }

  /**
   * Returns what happened.
   *
   * @param choice what the device is used for, where that was not said
   */
  DeviceReport report(Optional<String> choice) {
    return new DeviceReport(
        halved.get(), computedOnProcessor.get(), Optional.ofNullable(lost), choice);
  }

  DeviceReport report() {
    return report(Optional.empty());
  }

  /**
   * Returns what the device computes, or else the processor, for each text in order.
   *
   * @param device the model that there is a device for
   * @param body computes some of the texts with either model
   */
  <S, T> List<T> compute(M device, List<S> texts, BiFunction<M, List<S>, List<T>> body) {
    if (lost == null) {
      try {
        return body.apply(device, texts);
      } catch (DeviceException e) {
        switch (e.kind()) {
          case OUT_OF_MEMORY -> {
            if (texts.size() > 1) {
              halved.incrementAndGet();
              int half = texts.size() / 2;
              List<T> answers = new ArrayList<>(compute(device, texts.subList(0, half), body));
              answers.addAll(compute(device, texts.subList(half, texts.size()), body));
              return answers;
            }
          }
          case NO_ROOM -> {}
          case LOST -> lost = e.getMessage();
        }
      }
    }
    computedOnProcessor.incrementAndGet();
    return body.apply(processor(), texts);
  }

  /** Returns the same model on the processor, which is opened when it is first asked for. */
  synchronized M processor() {
    if (closed) {
      throw new IllegalStateException("the model is closed");
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
      closer.accept(processor);
    }
  }
}
