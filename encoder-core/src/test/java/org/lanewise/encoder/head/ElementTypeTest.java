package org.lanewise.encoder.head;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;

/** Quantisation of dense vectors. */
final class ElementTypeTest {
  @Test
  void floatsStayAsTheyAre() {
    float[] vector = {1.5f, -2};
    assertSame(vector, ElementType.FLOAT.quantize(vector));
  }

  @Test
  void theLargestByteIs127() {
    assertArrayEquals(
        new float[] {64, -127, 0, 1},
        ElementType.BYTE.quantize(new float[] {0.1f, -0.2f, 0, 0.002f}));
    assertArrayEquals(new float[3], ElementType.BYTE.quantize(new float[3]));
  }

  @Test
  void bytesKeepTheAngle() {
    Random random = new Random(3);
    for (int round = 0; round < 100; round++) {
      float[] vector = new float[384];
      for (int i = 0; i < vector.length; i++) {
        vector[i] = (float) random.nextGaussian();
      }
      float[] bytes = ElementType.BYTE.quantize(vector);
      double product = 0;
      double length = 0;
      double own = 0;
      for (int i = 0; i < vector.length; i++) {
        assertTrue(bytes[i] == Math.rint(bytes[i]) && Math.abs(bytes[i]) <= 127);
        product += vector[i] * bytes[i];
        length += vector[i] * vector[i];
        own += bytes[i] * bytes[i];
      }
      assertEquals(1, product / Math.sqrt(length * own), 2e-4);
    }
  }

  @Test
  void bitsAreSignsTheFirstHighest() {
    float[] vector = new float[16];
    vector[0] = 1;
    vector[7] = 0.5f;
    vector[9] = -1;
    vector[10] = 3;
    assertArrayEquals(new float[] {(byte) 0x81, 0x20}, ElementType.BIT.quantize(vector));
    Exception e =
        assertThrows(IllegalArgumentException.class, () -> ElementType.BIT.quantize(new float[12]));
    assertTrue(e.getMessage().contains("must be a multiple of 8"), e.getMessage());
  }
}
