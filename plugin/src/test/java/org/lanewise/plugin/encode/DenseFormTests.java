package org.lanewise.plugin.encode;

import static org.hamcrest.Matchers.equalTo;

import java.util.OptionalInt;
import org.elasticsearch.test.ESTestCase;
import org.lanewise.encoder.head.ElementType;

public class DenseFormTests extends ESTestCase {
  private static float[] cut(int dimensions, float... vector) {
    return new DenseForm(OptionalInt.of(dimensions), ElementType.FLOAT).of("m", vector);
  }

  public void testLengthOneStaysLengthOne() {
    assertArrayEquals(new float[] {1, 0}, cut(2, 0.6f, 0, 0.8f), 1e-6f);
    assertArrayEquals(new float[] {0.6f, -0.8f}, cut(2, 0.3f, -0.4f, 0.5f, 0.5f, 0.5f), 1e-6f);
    assertArrayEquals(new float[] {3, 4}, cut(2, 3, 4, 5), 0);
    assertArrayEquals(new float[] {0.6f, 0, 0.8f}, cut(3, 0.6f, 0, 0.8f), 0);
  }

  public void testBytesAreMadeOfWhatIsLeft() {
    float[] bytes =
        new DenseForm(OptionalInt.of(2), ElementType.BYTE).of("m", new float[] {1, -0.5f, 9});
    assertArrayEquals(new float[] {127, -63}, bytes, 0);
  }

  public void testWhatCannotBeCut() {
    Exception e = expectThrows(IllegalArgumentException.class, () -> cut(3, 1, 2));
    assertThat(
        e.getMessage(), equalTo("[dimensions] is [3] but the vectors of model [m] have [2]"));
    e = expectThrows(IllegalArgumentException.class, () -> cut(2, 0, 0, 1));
    assertThat(
        e.getMessage(),
        equalTo(
            "the first [2] numbers of a vector of model [m] are all zero; give more"
                + " [dimensions]"));
  }
}
