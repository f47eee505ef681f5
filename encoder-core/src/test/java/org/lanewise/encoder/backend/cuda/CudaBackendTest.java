package org.lanewise.encoder.backend.cuda;

import org.junit.jupiter.api.BeforeEach;

/** The backend on this machine's device; skipped, with the reason, where there is none. */
final class CudaBackendTest extends CudaBackendContract {
  private CudaDevice device;

  @BeforeEach
  void open() {
    device = TestDevice.device();
  }

  @Override
  CudaDevice device() {
    return device;
  }
}
