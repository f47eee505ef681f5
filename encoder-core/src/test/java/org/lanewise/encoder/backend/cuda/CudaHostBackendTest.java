package org.lanewise.encoder.backend.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.BeforeEach;

/** The backend and its kernels without a device: see {@link HostDevice}. */
final class CudaHostBackendTest extends CudaBackendContract {
  private CudaDevice device;

  @BeforeEach
  void open() {
    assumeTrue(HostDevice.problem().isEmpty(), () -> HostDevice.problem().orElse(""));
    device = CudaDevice.open(HostDevice.create().driver(), 0, Long.MAX_VALUE);
  }

  @Override
  CudaDevice device() {
    return device;
  }
}
