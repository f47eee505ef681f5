package org.lanewise.encoder.backend;

import java.util.Locale;
import java.util.Optional;
import java.util.function.Supplier;

/** What multiplies matrices: the Vector API, or machine code for instructions beyond it. */
enum MatrixUnit {
  VECTOR_API,
  /** AVX512F, DQ and BW, and for pairs of bf16 or quadruples of int8 AVX512_BF16 or AVX512_VNNI. */
  AVX512,
  /** Tiles of 16 x 16 sums: AMX-BF16, AMX-INT8. */
  AMX;

  /** The system property that switches machine code off. */
  static final String PROPERTY = "lanewise.tiles";

  /** Returns the lower-case name. */
  String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * What the processor and the operating system offer.
   *
   * @param missing why there is nothing at all
   */
  record Facts(
      boolean avx512Bf16,
      boolean avx512Int8,
      boolean amxBf16,
      boolean amxInt8,
      Optional<String> missing) {
    static Facts none(String missing) {
      return new Facts(false, false, false, false, Optional.of(missing));
    }
  }

  /**
   * A unit, and why it and no other.
   *
   * @param leastDepth rows shorter than this are multiplied by the Vector API all the same
   */
  record Choice(MatrixUnit unit, String reason, int leastDepth) {
    /**
     * Rounding what a layer reads is an error of its own, which averages out over the depth of a
     * sum: in a network of width 32 it turns vectors by more than a cosine of 0.9999 allows. So
     * small a network gains no time either.
     */
    private static final int LEAST_DEPTH = 128;

    Choice(MatrixUnit unit, String reason) {
      this(unit, reason, LEAST_DEPTH);
    }
  }

  /** Where products by machine code come from; loaded when first asked for. */
  private static final class Loaded {
    static final Object CODE_OR_REASON = load();
    static final Facts FACTS =
        CODE_OR_REASON instanceof MachineCode code
            ? facts(code)
            : Facts.none((String) CODE_OR_REASON);

    private static Object load() {
      if (!MachineCode.written()) {
        return "machine code is written for Linux on x86-64 only";
      }
      try {
        return MachineCode.map();
      } catch (RuntimeException | LinkageError e) {
        // Native access denied to us, or memory that may not be executed.
        return "machine code cannot run in this process: " + e;
      }
    }
  }

  /** Returns what this process may use. */
  static Facts facts() {
    return Loaded.FACTS;
  }

  /** Returns the code; only where {@link #choose} chose it. */
  static MachineCode code() {
    return (MachineCode) Loaded.CODE_OR_REASON;
  }

  private static Facts facts(MachineCode code) {
    int leaves = code.cpuid(0, 0)[0];
    boolean saves = (code.cpuid(1, 0)[2] >>> 27 & 1) != 0;
    if (leaves < 7 || !saves) {
      return Facts.none("the processor has no AVX-512");
    }
    int[] seven = code.cpuid(7, 0);
    int[] sevenOne = seven[0] >= 1 ? code.cpuid(7, 1) : new int[4];
    return facts(seven, sevenOne, code.extendedControl(), code::requestTiles);
  }

  /**
   * Returns the facts behind the answers of CPUID leaf 7 and of XGETBV.
   *
   * @param seven eax, ebx, ecx, edx of subleaf 0
   * @param sevenOne the same of subleaf 1
   * @param saved XCR0: bits 1, 2, 5 to 7 for vectors of 512 bits, 17 and 18 for tiles
   * @param permission asks the operating system for tiles, 0 for yes; asked only where there are
   *     tiles
   */
  static Facts facts(int[] seven, int[] sevenOne, int saved, Supplier<Integer> permission) {
    // AVX512F, AVX512DQ and AVX512BW.
    boolean vectors = has(seven[1], 16) && has(seven[1], 17) && has(seven[1], 30);
    boolean avx512 = vectors && (saved & 0xE6) == 0xE6;
    if (!avx512) {
      return Facts.none("the processor has no AVX-512");
    }
    boolean tiles = has(seven[3], 24) && (saved & 0x60000) == 0x60000 && permission.get() == 0;
    boolean bf16 = has(sevenOne[0], 5);
    // What tiles of bf16 multiply, vectors round.
    return new Facts(
        bf16,
        has(seven[2], 11),
        bf16 && tiles && has(seven[3], 22),
        tiles && has(seven[3], 25),
        Optional.empty());
  }

  private static boolean has(int register, int bit) {
    return (register >>> bit & 1) != 0;
  }

  /** Returns the unit for a precision in this JVM; the property is read anew each time. */
  static Choice choose(Precision precision, int vectorBits) {
    boolean allowed = Backends.isOn(PROPERTY);
    // Native access is not even asked for where it would not be used.
    boolean asked = allowed && vectorBits == 512;
    return choose(precision, vectorBits, allowed, asked ? facts() : Facts.none(""));
  }

  /** Returns the fastest unit for a precision that the facts allow. */
  static Choice choose(Precision precision, int vectorBits, boolean allowed, Facts facts) {
    if (!allowed) {
      return new Choice(VECTOR_API, "-D" + PROPERTY + "=false");
    }
    if (vectorBits != 512) {
      return new Choice(VECTOR_API, "vectors have " + vectorBits + " bits, not 512");
    }
    if (facts.missing().isPresent()) {
      return new Choice(VECTOR_API, facts.missing().get());
    }
    if (precision == Precision.FP32) {
      return new Choice(AVX512, "the processor has AVX-512");
    }
    boolean int8 = precision == Precision.INT8;
    if (int8 ? facts.amxInt8() : facts.amxBf16()) {
      return new Choice(AMX, "the processor has AMX tiles and Linux allows them");
    }
    if (int8 ? facts.avx512Int8() : facts.avx512Bf16()) {
      return new Choice(AVX512, "the processor has AVX-512 dot products and no AMX to use");
    }
    return new Choice(VECTOR_API, "the processor has no dot products of " + precision.label());
  }
}
