package org.lanewise.encoder.backend.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Precision;

/** What tests of whole models run on. */
public final class TestDevice {
  private TestDevice() {}

  /** Returns a backend on this machine's device, else on the host; aborts a test without either. */
  public static Backend backend(Precision precision) {
    try {
      return CudaBackend.open(0, precision, Long.MAX_VALUE);
    } catch (IllegalArgumentException e) {
      assumeTrue(
          HostDevice.problem().isEmpty(),
          () -> e.getMessage() + "; and on the host: " + HostDevice.problem().orElse(""));
      return HostDevice.create().backend(precision);
    }
  }
}
