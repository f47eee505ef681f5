package org.lanewise.encoder.backend;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;

@Tag("vectors")
final class VectorBackendTest extends TrainingBackendContract {
  private static final Workers WORKERS = new Workers(2);

  /** More than there are vectors in a row, or panels. */
  private static final Workers MANY_WORKERS = new Workers(7);

  @AfterAll
  static void closeWorkers() {
    WORKERS.close();
    MANY_WORKERS.close();
  }

  @Override
  protected TrainingBackend backend(Precision precision) {
    return new VectorBackend(precision, WORKERS);
  }

  @Override
  List<TrainingBackend> products(Precision precision) {
    MatrixUnit fastest = MatrixUnit.choose(precision, VectorBackend.vectorBits()).unit();
    return Stream.of(MatrixUnit.VECTOR_API, fastest)
        .map(unit -> new MatrixUnit.Choice(unit, "asked for", 1))
        .<TrainingBackend>map(choice -> new VectorBackend(precision, WORKERS, choice))
        .toList();
  }

  @Override
  List<TrainingBackend> backendsOnOtherThreads() {
    return List.of(
        new VectorBackend(Precision.FP32, new Workers(1)),
        new VectorBackend(Precision.FP32, MANY_WORKERS));
  }
}
