package org.lanewise.encoder.backend.cuda;

import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Precision;

/** What tests of whole models run on. */
public final class TestDevice {
  private TestDevice() {}

  /** This machine's device, opened once: its kernels take a while to compile. */
  private static final class Present {
    static final Object DEVICE = open();

    private static Object open() {
      try {
        return CudaDevice.open(CudaDriver.load(), 0, Long.MAX_VALUE);
      } catch (IllegalArgumentException e) {
        return String.valueOf(e.getMessage());
      }
    }
  }

  /** Returns this machine's device; aborts a test where there is none. */
  static CudaDevice device() {
    if (Present.DEVICE instanceof CudaDevice device) {
      return device;
    }
    return abort((String) Present.DEVICE);
  }

  /** Returns a backend on this machine's device, else on the host; aborts a test without either. */
  public static Backend backend(Precision precision) {
    if (Present.DEVICE instanceof CudaDevice device) {
      return new CudaBackend(device, precision);
    }
    assumeTrue(
        HostDevice.problem().isEmpty(),
        () -> Present.DEVICE + "; and on the host: " + HostDevice.problem().orElse(""));
    return HostDevice.create().backend(precision);
  }
}
