package org.lanewise.encoder.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.OtherJvm;
import org.lanewise.encoder.backend.MatrixUnit.Facts;

final class MatrixUnitTest {
  private static final int AVX512 = 1 << 16 | 1 << 17 | 1 << 30;
  private static final int VNNI = 1 << 11;
  private static final int AMX = 1 << 22 | 1 << 24 | 1 << 25;
  private static final int BF16 = 1 << 5;
  private static final int SAVES_VECTORS = 0xE7;
  private static final int SAVES_TILES = 0x600E7;

  private static Facts facts(int ebx, int ecx, int edx, int eaxOne, int saved) {
    return MatrixUnit.facts(
        new int[] {1, ebx, ecx, edx}, new int[] {eaxOne, 0, 0, 0}, saved, () -> 0);
  }

  @Test
  void everythingIsUsedWhereThereIsEverything() {
    Facts facts = facts(AVX512, VNNI, AMX, BF16, SAVES_TILES);
    assertEquals(new Facts(true, true, true, true, Optional.empty()), facts);
    assertEquals(MatrixUnit.AMX, choose(Precision.BF16, 512, true, facts));
    assertEquals(MatrixUnit.AMX, choose(Precision.INT8, 512, true, facts));
    assertEquals(MatrixUnit.AVX512, choose(Precision.FP32, 512, true, facts));
  }

  @Test
  void tilesNeedTheOperatingSystem() {
    assertFalse(facts(AVX512, VNNI, AMX, BF16, SAVES_VECTORS).amxBf16(), "XCR0 says no");
    Facts refused =
        MatrixUnit.facts(
            new int[] {1, AVX512, VNNI, AMX}, new int[] {BF16, 0, 0, 0}, SAVES_TILES, () -> -22);
    assertFalse(refused.amxInt8(), "arch_prctl says no");
    assertEquals(MatrixUnit.AVX512, choose(Precision.INT8, 512, true, refused));
  }

  @Test
  void tilesOfBf16NeedVectorsThatRound() {
    Facts facts = facts(AVX512, VNNI, AMX, 0, SAVES_TILES);
    assertFalse(facts.amxBf16());
    assertTrue(facts.amxInt8());
    assertEquals(MatrixUnit.VECTOR_API, choose(Precision.BF16, 512, true, facts));
  }

  @Test
  void aSwitchIsTrueOrFalse() {
    String property = "lanewise.test.switch";
    assertTrue(Backends.isOn(property));
    try {
      System.setProperty(property, "true");
      assertTrue(Backends.isOn(property));
      System.setProperty(property, "false");
      assertFalse(Backends.isOn(property));
      System.setProperty(property, "no");
      assertEquals(
          "system property [lanewise.test.switch] is [no], expected true or false",
          assertThrows(IllegalArgumentException.class, () -> Backends.isOn(property)).getMessage());
    } finally {
      System.clearProperty(property);
    }
  }

  /** The JVM warns of native access that nobody allowed, once it happens. */
  @Test
  void machineCodeIsNotMappedWhereItIsSwitchedOff() throws IOException, InterruptedException {
    OtherJvm off = OtherJvm.run(List.of("-Dlanewise.tiles=false"), Kernels.class);
    assertTrue(off.lines().getLast().startsWith("vector_"), off.lines().toString());
    assertFalse(off.errors().contains("restricted method"), off.errors());
    assumeTrue(MachineCode.written(), "machine code is for Linux on x86-64");
    assumeTrue(VectorBackend.vectorBits() == 512, "vectors are not of 512 bits");
    OtherJvm on = OtherJvm.run(List.of("-Dlanewise.tiles=true"), Kernels.class);
    assertTrue(on.errors().contains("restricted method"), on.errors());
  }

  /** Says what multiplies bf16. */
  static final class Kernels {
    private Kernels() {}

    public static void main(String[] args) {
      System.out.println(new VectorBackend(Precision.BF16, new Workers(1)).kernels());
    }
  }

  @Test
  void permissionIsNotAskedForWhereThereAreNoTiles() {
    MatrixUnit.facts(
        new int[] {1, AVX512, VNNI, 0},
        new int[] {BF16, 0, 0, 0},
        SAVES_TILES,
        () -> fail("asked"));
  }

  @Test
  void aProcessorWithoutAvx512HasNothing() {
    assertTrue(facts(0, VNNI, AMX, BF16, SAVES_TILES).missing().isPresent());
    for (int part : new int[] {16, 17, 30}) {
      int some = AVX512 & ~(1 << part);
      assertTrue(facts(some, VNNI, AMX, BF16, SAVES_TILES).missing().isPresent(), "bit " + part);
    }
    assertTrue(facts(AVX512, VNNI, AMX, BF16, 7).missing().isPresent(), "not saved by the system");
    assertEquals(
        MatrixUnit.VECTOR_API,
        choose(Precision.BF16, 512, true, facts(0, VNNI, AMX, BF16, SAVES_TILES)));
  }

  @Test
  void eachPrecisionNeedsItsOwnInstructions() {
    Facts vnni = facts(AVX512, VNNI, 0, 0, SAVES_VECTORS);
    assertEquals(MatrixUnit.AVX512, choose(Precision.INT8, 512, true, vnni));
    assertEquals(MatrixUnit.VECTOR_API, choose(Precision.BF16, 512, true, vnni));
    Facts bf16 = facts(AVX512, 0, 0, BF16, SAVES_VECTORS);
    assertEquals(MatrixUnit.VECTOR_API, choose(Precision.INT8, 512, true, bf16));
    assertEquals(MatrixUnit.AVX512, choose(Precision.BF16, 512, true, bf16));
  }

  @Test
  void theReasonNamesWhatSwitchedItOff() {
    Facts facts = facts(AVX512, VNNI, AMX, BF16, SAVES_TILES);
    assertEquals(
        "-Dlanewise.tiles=false", MatrixUnit.choose(Precision.BF16, 512, false, facts).reason());
    assertEquals(
        "vectors have 256 bits, not 512",
        MatrixUnit.choose(Precision.BF16, 256, true, facts).reason());
    assertEquals("x", MatrixUnit.choose(Precision.BF16, 512, true, Facts.none("x")).reason());
  }

  private static MatrixUnit choose(
      Precision precision, int vectorBits, boolean allowed, Facts facts) {
    return MatrixUnit.choose(precision, vectorBits, allowed, facts).unit();
  }
}
