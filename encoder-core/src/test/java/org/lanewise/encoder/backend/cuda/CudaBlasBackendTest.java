package org.lanewise.encoder.backend.cuda;

import static org.junit.jupiter.api.Assumptions.abort;

import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.lanewise.encoder.backend.Precision;

/** The backend on this machine's device with cuBLASLt; skipped, with the reason, without either. */
final class CudaBlasBackendTest extends CudaBackendContract {
  private CudaDevice device;
  private ProductChoices choices;

  @BeforeEach
  void open() {
    device = TestDevice.device();
    try {
      CudaBlas library = CudaBlas.load();
      choices = HostDevice.always(() -> library);
    } catch (IllegalArgumentException e) {
      abort(e.getMessage());
    }
  }

  @Override
  CudaDevice device() {
    return device;
  }

  @Override
  Optional<ProductChoices> choices() {
    return Optional.of(choices);
  }

  @Override
  protected Set<Precision> precisions() {
    return Set.of(Precision.BF16);
  }
}
