package org.lanewise.encoder;

import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import org.lanewise.encoder.backend.DeviceException;

/**
 * A head's weights, prepared for each model that computes it: the one on a device, and the one on
 * the processor that stands in for it. What could not be prepared is tried again. Thread-safe.
 *
 * @param <M> a model
 * @param <H> a head over it
 */
final class PreparedHead<M, H> {
  private final Function<M, H> maker;
  private final Map<M, H> made = new ConcurrentHashMap<>();

  private PreparedHead(Function<M, H> maker) {
    this.maker = maker;
  }

  /**
   * Returns a head that is prepared for a model, or for its stand-in where its device cannot.
   *
   * @param maker prepares it for a model
   * @param failover of the model's device, where it is on one
   */
  static <M, H> PreparedHead<M, H> prepare(
      Function<M, H> maker, M model, Optional<DeviceFailover<M>> failover) {
    PreparedHead<M, H> head = new PreparedHead<>(maker);
    try {
      head.on(model);
    } catch (DeviceException e) {
      head.on(failover.orElseThrow(() -> e).processor());
    }
    return head;
  }

  /**
   * Returns the head of a model, prepared when it is first asked for.
   *
   * @throws DeviceException if the model is on a device that is lost or has no room for the weights
   */
  H on(M model) {
    H known = made.get(model);
    if (known != null) {
      return known;
    }
    try {
      return made.computeIfAbsent(model, maker);
    } catch (DeviceException e) {
      throw e.kind() == DeviceException.Kind.OUT_OF_MEMORY
          ? new DeviceException(DeviceException.Kind.NO_ROOM, e.getMessage())
          : e;
    }
  }

  /** Returns the head of any model that it was prepared for. */
  H any() {
    return made.values().iterator().next();
  }
}
