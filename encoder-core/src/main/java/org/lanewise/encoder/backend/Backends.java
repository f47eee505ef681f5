package org.lanewise.encoder.backend;

import java.util.Optional;
import org.lanewise.encoder.backend.cuda.CudaBackend;

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
   * {@code vector} where the Vector API is present and {@code scalar} otherwise: what a {@link
   * #device} does beside it is for a trial to say.
   *
   * @param name {@code cuda:1} and so on for a GPU other than that of the system property {@code
   *     lanewise.gpu.device}, which is the first where it is not set; {@code auto:1} and so on for
   *     one that {@link #device} takes
   * @param precision empty for the backend's own choice: bf16 on vector and cuda, fp32 on scalar
   */
  public static Backend create(String name, Optional<Precision> precision, Workers workers) {
    return switch (isAuto(name) ? "auto" : name) {
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
      default -> {
        if (!isCuda(name)) {
          throw new IllegalArgumentException(
              "backend [" + name + "] is unknown; available: auto, vector, scalar, cuda");
        }
        yield cuda(name, precision.orElse(Precision.BF16));
      }
    };
  }

  /** Returns why no encoder can run on a GPU; empty where one can. */
  public static Optional<String> gpuProblem() {
    try {
      cuda("cuda", Precision.BF16);
      return Optional.empty();
    } catch (IllegalArgumentException e) {
      return Optional.of(String.valueOf(e.getMessage()));
    }
  }

  /**
   * Returns a backend that computes on what the other prepared, with the help of the workers; on a
   * GPU they are not needed, and it is the same.
   */
  public static Backend helped(Backend backend, Workers workers) {
    return isCuda(backend.name())
        ? backend
        : create(backend.name(), Optional.of(backend.precision()), workers);
  }

  private static boolean isCuda(String name) {
    return name.equals("cuda") || name.startsWith("cuda:");
  }

  private static boolean isAuto(String name) {
    return name.equals("auto") || name.startsWith("auto:");
  }

  /**
   * Returns the GPU that may compute beside the processor; empty where there is none, where another
   * backend was named, or in a precision that it has not got. Without a driver that takes no time.
   *
   * @param name of the backend
   * @throws IllegalArgumentException saying why a GPU that is there cannot be used
   */
  public static Optional<Backend> device(String name, Optional<Precision> precision) {
    Precision wanted = precision.orElse(Precision.BF16);
    if (!isAuto(name) || wanted == Precision.INT8) {
      return Optional.empty();
    }
    try {
      return Optional.of(open(name, wanted));
    } catch (NoDeviceException e) {
      return Optional.empty();
    }
  }

  private static Backend open(String name, Precision precision) {
    int colon = name.indexOf(':');
    String number =
        colon < 0 ? System.getProperty("lanewise.gpu.device", "0") : name.substring(colon + 1);
    return CudaBackend.open(device(number), precision, gpuMemory());
  }

  private static Backend cuda(String name, Precision precision) {
    try {
      return open(name, precision);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "backend [" + name + "] cannot start because " + e.getMessage(), e);
    }
  }

  private static int device(String number) {
    try {
      return Integer.parseInt(number);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          "the GPU's number is [" + number + "], expected 0, 1 and so on", e);
    }
  }

  /** Returns the bytes that a backend may take of a GPU that others use too. */
  private static long gpuMemory() {
    String megabytes = System.getProperty("lanewise.gpu.memory_mb");
    if (megabytes == null) {
      return Long.MAX_VALUE;
    }
    try {
      return Math.multiplyExact(Long.parseLong(megabytes), 1L << 20);
    } catch (NumberFormatException | ArithmeticException e) {
      throw new IllegalArgumentException(
          "system property [lanewise.gpu.memory_mb] is ["
              + megabytes
              + "], expected a whole number of megabytes",
          e);
    }
  }

  /**
   * Returns whether a system property does not switch something off.
   *
   * @throws IllegalArgumentException if it is neither {@code true} nor {@code false}
   */
  public static boolean isOn(String property) {
    String value = System.getProperty(property, "true");
    if (!value.equals("true") && !value.equals("false")) {
      throw new IllegalArgumentException(
          "system property [" + property + "] is [" + value + "], expected true or false");
    }
    return value.equals("true");
  }

  /** Keeps the Vector API's classes from being loaded where the module is missing. */
  private static final class VectorBackends {
    static Backend create(Precision precision, Workers workers) {
      return new VectorBackend(precision, workers);
    }
  }
}
