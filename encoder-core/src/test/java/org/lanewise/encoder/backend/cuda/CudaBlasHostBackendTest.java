package org.lanewise.encoder.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInfo;
import org.lanewise.encoder.backend.Precision;

/** The backend without a device, with cuBLASLt's products as its header documents them. */
final class CudaBlasHostBackendTest extends CudaBackendContract {
  private HostDevice host;
  private CudaDevice device;

  @BeforeEach
  void open() {
    assumeTrue(HostDevice.problem().isEmpty(), () -> HostDevice.problem().orElse(""));
    host = HostDevice.create();
    device = CudaDevice.open(host.driver(), 0, Long.MAX_VALUE);
  }

  @Override
  CudaDevice device() {
    return device;
  }

  @Override
  Optional<ProductChoices> choices() {
    return Optional.of(HostDevice.always(host::blas));
  }

  @Override
  protected Set<Precision> precisions() {
    return Set.of(Precision.BF16);
  }

  @AfterEach
  void ownKernelsMultipliedNothing(TestInfo test) {
    boolean asked =
        test.getTestMethod().orElseThrow().getName().equals("statesAreMultipliedByEveryTile");
    if (host != null && !asked) {
      assertEquals(
          Set.of(),
          host.launches().stream()
              .filter(each -> each.startsWith("product_bf16"))
              .collect(Collectors.toSet()));
    }
  }
}
