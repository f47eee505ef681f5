package org.lanewise.encoder.backend;

import org.junit.jupiter.api.AfterAll;

final class VectorBackendTest extends BackendContract {
  private static final Workers WORKERS = new Workers(2);

  @AfterAll
  static void closeWorkers() {
    WORKERS.close();
  }

  @Override
  TrainingBackend backend(Precision precision) {
    return new VectorBackend(precision, WORKERS);
  }

  @Override
  TrainingBackend backendOnOneThread() {
    return new VectorBackend(Precision.FP32, new Workers(1));
  }
}
