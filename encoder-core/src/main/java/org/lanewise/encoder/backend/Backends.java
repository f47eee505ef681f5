package org.lanewise.encoder.backend;

import java.util.Optional;

/** Chooses the backend: by name, or the best that this JVM can run. */
public final class Backends {
  /** What to tell a user whose JVM lacks the Vector API. */
  public static final String VECTOR_API_CURE =
      "add --add-modules=jdk.incubator.vector to the JVM options";

  private Backends() {}

  /** Returns whether this JVM was started with the Vector API. */
  public static boolean vectorApiPresent() {
    return ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
  }

  /**
   * Returns the backend of that name, or an error that says why it cannot start. {@code auto} is
   * {@code vector} where the Vector API is present and {@code scalar} otherwise.
   *
   * @param precision empty for the backend's own choice: bf16 on vector, fp32 on scalar
   */
  public static Backend create(String name, Optional<Precision> precision, Workers workers) {
    return switch (name) {
      case "auto" -> create(vectorApiPresent() ? "vector" : "scalar", precision, workers);
      case "scalar" -> new ScalarBackend(precision.orElse(Precision.FP32));
      case "vector" -> {
        if (!vectorApiPresent()) {
          throw new IllegalArgumentException(
              "backend [vector] cannot start because the module jdk.incubator.vector is missing; "
                  + VECTOR_API_CURE);
        }
        yield VectorBackends.create(precision.orElse(Precision.BF16), workers);
      }
      case "cuda" ->
          throw new IllegalArgumentException(
              "backend [cuda] is not part of this version; available: auto, vector, scalar");
      default ->
          throw new IllegalArgumentException(
              "backend [" + name + "] is unknown; available: auto, vector, scalar");
    };
  }

  /** Keeps the Vector API's classes from being loaded where the module is missing. */
  private static final class VectorBackends {
    static Backend create(Precision precision, Workers workers) {
      return new VectorBackend(precision, workers);
    }
  }
}
