package org.lanewise.encoder.backend;

import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.HexFormat;
import java.util.Locale;

/**
 * Instructions that the Vector API does not reach, as machine code in executable memory: products
 * of int8 and bf16 matrices with AVX-512 and with AMX tiles, and the questions that tell whether
 * the processor has these.
 *
 * <p>The code is the assembled {@code src/main/assembly/products.s}, which documents what each
 * function takes; a test assembles it again. It is mapped writable, filled, and then made
 * executable and read-only, so that it is never both. Thread-safe.
 */
@SuppressWarnings("restricted") // Calling machine code is what this class is for.
final class MachineCode {
  /** A function of the code; each takes one pointer. */
  enum Function {
    CPUID(MachineCode.CPUID),
    XGETBV(MachineCode.XGETBV),
    TILE_PERMISSION(MachineCode.TILE_PERMISSION),
    DOT_INT8(MachineCode.DOT_INT8),
    DOT_BF16(MachineCode.DOT_BF16),
    TILE_INT8(MachineCode.TILE_INT8),
    TILE_BF16(MachineCode.TILE_BF16),
    /** Not a function: what the two before it load. */
    TILE_SHAPES(MachineCode.TILE_SHAPES);

    private final String hex;

    Function(String hex) {
      this.hex = hex.replaceAll("\\s", "");
    }

    /** Returns where in the code the function begins. */
    int offset() {
      int offset = 0;
      for (Function before : values()) {
        if (before == this) {
          break;
        }
        offset += before.hex.length() / 2;
      }
      return offset;
    }
  }

  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
  private static final AddressLayout ADDRESS = ValueLayout.ADDRESS;

  /** PROT_READ, PROT_WRITE and PROT_EXEC, MAP_PRIVATE and MAP_ANONYMOUS of Linux. */
  private static final int READ = 1;

  private static final int WRITE = 2;
  private static final int EXECUTE = 4;
  private static final int PRIVATE_ANONYMOUS = 0x22;

  private static final Linker LINKER = Linker.nativeLinker();

  /**
   * Calls the function at an address. Critical, that is without leaving Java's thread state: the
   * functions never block, and callers give them work for microseconds.
   */
  private static final MethodHandle CALL =
      LINKER.downcallHandle(FunctionDescriptor.ofVoid(ADDRESS), Linker.Option.critical(false));

  private final MemorySegment code;

  private MachineCode(MemorySegment code) {
    this.code = code;
  }

  /** Returns the code's bytes. */
  static byte[] bytes() {
    StringBuilder hex = new StringBuilder();
    for (Function function : Function.values()) {
      hex.append(function.hex);
    }
    return HexFormat.of().parseHex(hex);
  }

  /** Returns whether the code was written for this operating system and kind of processor. */
  static boolean written() {
    return System.getProperty("os.name").equals("Linux")
        && System.getProperty("os.arch").toLowerCase(Locale.ROOT).equals("amd64");
  }

  /**
   * Maps the code, for the rest of the process.
   *
   * @throws IllegalStateException if the operating system refuses
   */
  static MachineCode map() {
    byte[] bytes = bytes();
    MemorySegment code =
        callMap(
            function("mmap", FunctionDescriptor.of(ADDRESS, ADDRESS, LONG, INT, INT, INT, LONG)),
            bytes.length);
    if (code.address() == -1) {
      throw new IllegalStateException("mmap refused memory for it");
    }
    code = code.reinterpret(bytes.length);
    MemorySegment.copy(bytes, 0, code, ValueLayout.JAVA_BYTE, 0, bytes.length);
    int protect =
        callProtect(
            function("mprotect", FunctionDescriptor.of(INT, ADDRESS, LONG, INT)),
            code,
            bytes.length);
    if (protect != 0) {
      throw new IllegalStateException("mprotect refused to make memory executable");
    }
    return new MachineCode(code.asReadOnly());
  }

  private static MethodHandle function(String name, FunctionDescriptor descriptor) {
    return LINKER.downcallHandle(
        LINKER
            .defaultLookup()
            .find(name)
            .orElseThrow(() -> new IllegalStateException("the C library has no [" + name + "]")),
        descriptor);
  }

  private static MemorySegment callMap(MethodHandle mmap, long bytes) {
    try {
      return (MemorySegment)
          mmap.invokeExact(MemorySegment.NULL, bytes, READ | WRITE, PRIVATE_ANONYMOUS, -1, 0L);
    } catch (Throwable e) {
      throw new IllegalStateException("mmap could not be called", e);
    }
  }

  private static int callProtect(MethodHandle mprotect, MemorySegment code, long bytes) {
    try {
      return (int) mprotect.invokeExact(code, bytes, READ | EXECUTE);
    } catch (Throwable e) {
      throw new IllegalStateException("mprotect could not be called", e);
    }
  }

  /** Returns the address of a function. */
  MemorySegment address(Function function) {
    return MemorySegment.ofAddress(code.address() + function.offset());
  }

  /** Calls the function at the address. */
  static void call(MemorySegment function, MemorySegment argument) {
    try {
      CALL.invokeExact(function, argument);
    } catch (Throwable e) {
      throw new IllegalStateException("machine code could not be called", e);
    }
  }

  /** Returns eax, ebx, ecx and edx of a leaf. */
  int[] cpuid(int leaf, int subleaf) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment registers = arena.allocate(INT, 4);
      registers.set(INT, 0, leaf);
      registers.set(INT, 4, subleaf);
      call(address(Function.CPUID), registers);
      return registers.toArray(INT);
    }
  }

  /** Returns the lower half of XCR0; only where CPUID says that the instruction exists. */
  int extendedControl() {
    return answer(Function.XGETBV);
  }

  /** Asks Linux to let this process use tiles and returns its answer, 0 for yes. */
  int requestTiles() {
    return answer(Function.TILE_PERMISSION);
  }

  private int answer(Function function) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment answer = arena.allocate(INT);
      call(address(function), answer);
      return answer.get(INT, 0);
    }
  }

  /** cpuid, at 0x0. */
  private static final String CPUID =
      """
      538b078b4f040fa28907895f04894f0889570c5bc3cccccccccccccccccccccccccccccccccccccccccccccc
      cccccccccccccccccccccccccccccccccccccccc
      """;

  /** xgetbv, at 0x40. */
  private static final String XGETBV =
      """
      31c90f01d08907c3cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
      cccccccccccccccccccccccccccccccccccccccc
      """;

  /** tile_permission, at 0x80. */
  private static final String TILE_PERMISSION =
      """
      57b89e000000bf23100000be120000000f055f8907c3cccccccccccccccccccccccccccccccccccccccccccc
      cccccccccccccccccccccccccccccccccccccccc
      """;

  /** dot_int8, at 0xc0. */
  private static final String DOT_INT8 =
      """
      53554154415541564157ff7728488b7708488b5710488b4f204c8b5730488b5f404c8d24764c8b074c8b0c24
      4c8b5f384983fb0c0f824902000062f17d48efc062f17548efc962f16d48efd262f16548efdb62f15d48efe4
      62f15548efed62f14d48eff662f14548efff62513d48efc062513548efc962512d48efd262512548efdb6251
      1d48efe462511548efed62510d48eff662510548efff62a17d40efc062a17540efc962a16d40efd262a16540
      efdb62a15d40efe462a15540efed62a14d40eff662a14540efff4c89c04d8d2cb04d8d34f04989d74889cd62
      417c48103762417c48107f0162f20d50500062f20550500862f20d5050143062f20550501c3062f20d505024
      7062f20550502c7062b20d5050342062b20550503c2062520d5050450062520550504d0062520d5050543500
      62520550505c350062520d505064750062520550506c750062120d505074250062120550507c250062c20d50
      500662c20550500e62c20d5050143662c20550501c3662c20d5050247662c20550502c7662820d5050342662
      820550503c264883c0044983c5044983c6044981c78000000048ffcd0f852dffffff62d17c48110162d17c48
      1149014d01d162d17c48111162d17c481159014d01d162d17c48112162d17c481169014d01d162d17c481131
      62d17c481179014d01d162517c48110162517c481149014d01d162517c48111162517c481159014d01d16251
      7c48112162517c481169014d01d162517c48113162517c481179014d01d162c17c48110162c17c481149014d
      01d162c17c48111162c17c481159014d01d162c17c48112162c17c481169014d01d162c17c48113162c17c48
      1179014d01d14d8d04b04d8d04b04d8d04b04983eb0ce9adfdffff4983fb080f829a01000062f17d48efc062
      f17548efc962f16d48efd262f16548efdb62f15d48efe462f15548efed62f14d48eff662f14548efff62513d
      48efc062513548efc962512d48efd262512548efdb62511d48efe462511548efed62510d48eff662510548ef
      ff4c89c04d8d2cb04d8d34f04989d74889cd62417c48103762417c48107f0162f20d50500062f20550500862
      f20d5050143062f20550501c3062f20d5050247062f20550502c7062b20d5050342062b20550503c2062520d
      5050450062520550504d0062520d505054350062520550505c350062520d505064750062520550506c750062
      120d505074250062120550507c25004883c0044983c5044983c6044981c78000000048ffcd0f8563ffffff62
      d17c48110162d17c481149014d01d162d17c48111162d17c481159014d01d162d17c48112162d17c48116901
      4d01d162d17c48113162d17c481179014d01d162517c48110162517c481149014d01d162517c48111162517c
      481159014d01d162517c48112162517c481169014d01d162517c48113162517c481179014d01d14d8d04b04d
      8d04b04983eb084d85db0f84e000000062f17d48efc062f17548efc962f16d48efd262f16548efdb62f15d48
      efe462f15548efed62f14d48eff662f14548efff4c89c04d8d2cb04d8d34f04989d74889cd62417c48103762
      417c48107f0162f20d50500062f20550500862f20d5050143062f20550501c3062f20d5050247062f2055050
      2c7062b20d5050342062b20550503c204883c0044983c5044983c6044981c78000000048ffcd75a562d17c48
      110162d17c481149014d01d162d17c48111162d17c481159014d01d162d17c48112162d17c481169014d01d1
      62d17c48113162d17c481179014d01d14d8d04b048035718488104248000000048ffcb0f8500fbffffc5f877
      58415f415e415d415c5d5bc3cccccccccccccccccccccccc
      """;

  /** dot_bf16, at 0x600. */
  private static final String DOT_BF16 =
      """
      53554154415541564157ff7728488b7708488b5710488b4f204c8b5730488b5f404c8d24764c8b074c8b0c24
      4c8b5f384983fb0c0f824902000062f17d48efc062f17548efc962f16d48efd262f16548efdb62f15d48efe4
      62f15548efed62f14d48eff662f14548efff62513d48efc062513548efc962512d48efd262512548efdb6251
      1d48efe462511548efed62510d48eff662510548efff62a17d40efc062a17540efc962a16d40efd262a16540
      efdb62a15d40efe462a15540efed62a14d40eff662a14540efff4c89c04d8d2cb04d8d34f04989d74889cd62
      417c48103762417c48107f0162f20e50520062f20650520862f20e5052143062f20650521c3062f20e505224
      7062f20650522c7062b20e5052342062b20650523c2062520e5052450062520650524d0062520e5052543500
      62520650525c350062520e505264750062520650526c750062120e505274250062120650527c250062c20e50
      520662c20650520e62c20e5052143662c20650521c3662c20e5052247662c20650522c7662820e5052342662
      820650523c264883c0044983c5044983c6044981c78000000048ffcd0f852dffffff62d17c48110162d17c48
      1149014d01d162d17c48111162d17c481159014d01d162d17c48112162d17c481169014d01d162d17c481131
      62d17c481179014d01d162517c48110162517c481149014d01d162517c48111162517c481159014d01d16251
      7c48112162517c481169014d01d162517c48113162517c481179014d01d162c17c48110162c17c481149014d
      01d162c17c48111162c17c481159014d01d162c17c48112162c17c481169014d01d162c17c48113162c17c48
      1179014d01d14d8d04b04d8d04b04d8d04b04983eb0ce9adfdffff4983fb080f829a01000062f17d48efc062
      f17548efc962f16d48efd262f16548efdb62f15d48efe462f15548efed62f14d48eff662f14548efff62513d
      48efc062513548efc962512d48efd262512548efdb62511d48efe462511548efed62510d48eff662510548ef
      ff4c89c04d8d2cb04d8d34f04989d74889cd62417c48103762417c48107f0162f20e50520062f20650520862
      f20e5052143062f20650521c3062f20e5052247062f20650522c7062b20e5052342062b20650523c2062520e
      5052450062520650524d0062520e505254350062520650525c350062520e505264750062520650526c750062
      120e505274250062120650527c25004883c0044983c5044983c6044981c78000000048ffcd0f8563ffffff62
      d17c48110162d17c481149014d01d162d17c48111162d17c481159014d01d162d17c48112162d17c48116901
      4d01d162d17c48113162d17c481179014d01d162517c48110162517c481149014d01d162517c48111162517c
      481159014d01d162517c48112162517c481169014d01d162517c48113162517c481179014d01d14d8d04b04d
      8d04b04983eb084d85db0f84e000000062f17d48efc062f17548efc962f16d48efd262f16548efdb62f15d48
      efe462f15548efed62f14d48eff662f14548efff4c89c04d8d2cb04d8d34f04989d74889cd62417c48103762
      417c48107f0162f20e50520062f20650520862f20e5052143062f20650521c3062f20e5052247062f2065052
      2c7062b20e5052342062b20650523c204883c0044983c5044983c6044981c78000000048ffcd75a562d17c48
      110162d17c481149014d01d162d17c48111162d17c481159014d01d162d17c48112162d17c481169014d01d1
      62d17c48113162d17c481179014d01d14d8d04b048035718488104248000000048ffcb0f8500fbffffc5f877
      58415f415e415d415c5d5bc3cccccccccccccccccccccccc
      """;

  /** tile_int8, at 0xb40. */
  private static final String TILE_INT8 =
      """
      53554154415541564157ff7728c4e27849056a030000488b7708488b5710488b4f204c8b5730488b5f40b880
      0000004c8b074c8b0c244c8b5f384983fb200f82a7000000c4e27b49c0c4e27b49c8c4e27b49d0c4e27b49d8
      4d89c54989f649c1e6044d01c64989d74889cdc4c27b4b3407c4c27b4b643500c4e24a5ec4c4c27b4b2c36c4
      e24a5ed5c4c27b4b7c0740c4e2425eccc4e2425edd4983c5404983c6404981c7000800004883ed1075bdc482
      7a4b0411c4827a4b4c11404d89d549c1e5044d01e94989f649c1e6044d01f0c4827a4b1411c4827a4b5c1140
      4d01e94d01f04983eb20e94fffffff4d85db7471c4e27b49c0c4e27b49c84d89c54989f649c1e6044d01c649
      89d74889cdc4c27b4b3407c4c27b4b643500c4e24a5ec4c4c27b4b7c0740c4e2425ecc4983c5404983c64049
      81c7000800004883ed1075cdc4827a4b0411c4827a4b4c11404d89d549c1e5044d01e94989f649c1e6044d01
      f048035718488104248000000048ffcb0f85b9feffffc4e27849c058415f415e415d415c5d5bc3cccccccccc
      cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
      cccccccccccccccc
      """;

  /** tile_bf16, at 0xd00. */
  private static final String TILE_BF16 =
      """
      53554154415541564157ff7728c4e2784905aa010000488b7708488b5710488b4f204c8b5730488b5f40b880
      0000004c8b074c8b0c244c8b5f384983fb200f82a7000000c4e27b49c0c4e27b49c8c4e27b49d0c4e27b49d8
      4d89c54989f649c1e6044d01c64989d74889cdc4c27b4b3407c4c27b4b643500c4e24a5cc4c4c27b4b2c36c4
      e24a5cd5c4c27b4b7c0740c4e2425cccc4e2425cdd4983c5404983c6404981c7000800004883ed1075bdc482
      7a4b0411c4827a4b4c11404d89d549c1e5044d01e94989f649c1e6044d01f0c4827a4b1411c4827a4b5c1140
      4d01e94d01f04983eb20e94fffffff4d85db7471c4e27b49c0c4e27b49c84d89c54989f649c1e6044d01c649
      89d74889cdc4c27b4b3407c4c27b4b643500c4e24a5cc4c4c27b4b7c0740c4e2425ccc4983c5404983c64049
      81c7000800004883ed1075cdc4827a4b0411c4827a4b4c11404d89d549c1e5044d01e94989f649c1e6044d01
      f048035718488104248000000048ffcb0f85b9feffffc4e27849c058415f415e415d415c5d5bc3cccccccccc
      cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
      cccccccccccccccc
      """;

  /** tile_shapes, at 0xec0. */
  private static final String TILE_SHAPES =
      """
      0100000000000000000000000000000040004000400040004000400040004000000000000000000000000000
      0000000010101010101010100000000000000000
      """;
}
