package org.lanewise.encoder.backend.cuda;

import static org.junit.jupiter.api.Assumptions.abort;

import org.junit.jupiter.api.BeforeEach;

/** The backend on this machine's device; skipped, with the reason, where there is none. */
final class CudaBackendTest extends CudaBackendContract {
  private CudaDevice device;

  @BeforeEach
  void open() {
    try {
      device = CudaDevice.open(CudaDriver.load(), 0, Long.MAX_VALUE);
    } catch (IllegalArgumentException e) {
      abort(e.getMessage());
    }
  }

  @Override
  CudaDevice device() {
    return device;
  }
}
