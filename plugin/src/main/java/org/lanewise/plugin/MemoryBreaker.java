package org.lanewise.plugin;

import org.elasticsearch.common.breaker.CircuitBreaker;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.indices.breaker.BreakerSettings;
import org.elasticsearch.monitor.jvm.JvmInfo;
import org.elasticsearch.monitor.os.OsProbe;
import org.lanewise.encoder.MemoryBudget;

/**
 * The circuit breaker {@code lanewise}: native memory of all models of the node. What does not fit
 * is refused with a 429 that states the numbers, before it is allocated.
 *
 * <p>The limit of all breakers together is not asked, because it is one of the heap.
 */
final class MemoryBreaker implements MemoryBudget {
  static final String NAME = "lanewise";

  private static final String LABEL = "weights and activations of models";

  private final CircuitBreaker breaker;

  MemoryBreaker(CircuitBreaker breaker) {
    this.breaker = breaker;
  }

  /**
   * Returns half of the memory that the heap leaves, or what {@code breaker.lanewise.limit}, {@code
   * breaker.lanewise.overhead} and {@code breaker.lanewise.type} say. The other half is for the
   * files of indices and models, which the system keeps in memory as far as it can.
   */
  static BreakerSettings settings(Settings settings) {
    long heap = JvmInfo.jvmInfo().getMem().getHeapMax().getBytes();
    long rest = OsProbe.getInstance().getTotalPhysicalMemorySize() - heap;
    BreakerSettings byDefault =
        new BreakerSettings(
            NAME,
            Math.max(rest / 2, heap / 2),
            1,
            CircuitBreaker.Type.MEMORY,
            CircuitBreaker.Durability.PERMANENT);
    return BreakerSettings.updateFromSettings(byDefault, settings);
  }

  @Override
  public synchronized void reserve(long bytes) {
    long wanted = (long) ((breaker.getUsed() + bytes) * breaker.getOverhead());
    if (breaker.getLimit() >= 0 && wanted > breaker.getLimit()) {
      breaker.circuitBreak(LABEL, wanted);
    }
    breaker.addWithoutBreaking(bytes);
  }

  @Override
  public synchronized void release(long bytes) {
    breaker.addWithoutBreaking(-bytes);
  }
}
