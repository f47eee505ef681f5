package org.lanewise.encoder.backend;

import org.junit.jupiter.api.AfterAll;

final class VectorBackendTest extends BackendContract {
  private static final Workers WORKERS = new Workers(2);

  @AfterAll
  static void closeWorkers() {
    WORKERS.close();
  }

  @Override
  Backend backend(Precision precision) {
    return new VectorBackend(precision, WORKERS);
  }
}
