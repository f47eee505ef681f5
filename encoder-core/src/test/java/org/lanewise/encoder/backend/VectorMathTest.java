package org.lanewise.encoder.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import java.util.function.UnaryOperator;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The errors that {@link VectorMath} states, measured against double arithmetic. */
@Tag("vectors")
final class VectorMathTest {
  private static final long SEED = Long.getLong("lanewise.seed", 20261121);

  @Test
  void exp2() {
    double relative =
        largest(-125, 120, VectorMath::exp2, x -> Math.pow(2, x), (error, exact) -> error / exact);
    assertTrue(relative < 3e-7, "relative error of exp2: " + relative);
    assertEquals(Math.pow(2, -126), lane(VectorMath::exp2, -1000f), "far below");
  }

  @Test
  void exp() {
    double relative = largest(-87, 87, VectorMath::exp, Math::exp, (error, exact) -> error / exact);
    assertTrue(relative < 4e-6, "relative error of exp: " + relative);
  }

  @Test
  void gelu() {
    double absolute =
        largest(
            -20,
            20,
            VectorMath::gelu,
            x -> ScalarBackend.apply(Activation.GELU, x),
            (error, exact) -> error / Math.max(1, Math.abs(exact)));
    assertTrue(absolute < 1.5e-6, "error of gelu: " + absolute);
    assertEquals(1e30f, lane(VectorMath::gelu, 1e30f));
    assertEquals(0f, Math.abs(lane(VectorMath::gelu, -1e30f)));
  }

  @Test
  void geluOfAPanelIsGelu() {
    int lanes = VectorBackend.FLOATS.length();
    float[] inputs = new float[3 * 2 * lanes];
    for (int i = 0; i < inputs.length; i++) {
      inputs[i] = -6 + 12f * i / (inputs.length - 1);
    }
    MemorySegment data = Arena.ofAuto().allocateFrom(ValueLayout.JAVA_FLOAT, inputs);
    VectorMath.geluPanel(data, 0, 2L * lanes * Float.BYTES, 3);
    for (int i = 0; i < inputs.length; i++) {
      float alone = lane(VectorMath::gelu, inputs[i]);
      assertEquals(alone, data.getAtIndex(ValueLayout.JAVA_FLOAT, i), "of " + inputs[i]);
    }
  }

  @Test
  void tanhAndSigmoid() {
    double tanh = largest(-30, 30, VectorMath::tanh, Math::tanh, (error, exact) -> error);
    assertTrue(tanh < 1e-6, "error of tanh: " + tanh);
    double sigmoid =
        largest(
            -100, 100, VectorMath::sigmoid, x -> 1 / (1 + Math.exp(-x)), (error, exact) -> error);
    assertTrue(sigmoid < 1e-6, "error of sigmoid: " + sigmoid);
  }

  /** Interpreted at first and compiled later, the same bits. */
  @Test
  void sumsAddHalvesAtAnyTime() {
    Random random = new Random(SEED);
    float[] numbers = new float[VectorBackend.FLOATS.length()];
    for (int time = 0; time < 100_000; time++) {
      for (int lane = 0; lane < numbers.length; lane++) {
        numbers[lane] = random.nextFloat() - 0.4f;
      }
      float sum = VectorMath.sum(FloatVector.fromArray(VectorBackend.FLOATS, numbers, 0));
      assertEquals(sumOfHalves(numbers), sum, () -> "of " + Arrays.toString(numbers));
    }
  }

  private static float sumOfHalves(float[] numbers) {
    float[] sums = numbers.clone();
    for (int half = sums.length / 2; half > 0; half /= 2) {
      for (int lane = 0; lane < half; lane++) {
        sums[lane] += sums[lane + half];
      }
    }
    return sums[0];
  }

  @Test
  void notANumberStaysNotANumber() {
    assertTrue(Float.isNaN(lane(VectorMath::gelu, Float.NaN)), "gelu");
    assertTrue(Float.isNaN(lane(VectorMath::tanh, Float.NaN)), "tanh");
  }

  @Test
  void theErrorFunctionOfTheOracle() {
    // Abramowitz and Stegun, table 7.1, and its tail.
    assertEquals(0.5204998778, ScalarBackend.erf(0.5), 1e-10);
    assertEquals(-0.8427007929, ScalarBackend.erf(-1), 1e-10);
    assertEquals(0.9953222650, ScalarBackend.erf(2), 1e-10);
    assertEquals(1 - 4.069520e-4, ScalarBackend.erf(2.5), 1e-9);
    assertEquals(1 - 2.209050e-5, ScalarBackend.erf(3), 1e-10);
    assertEquals(ScalarBackend.erf(2.4999999), ScalarBackend.erf(2.5), 1e-8);
  }

  private interface Measure {
    double of(double error, double exact);
  }

  private static double largest(
      float from,
      float to,
      UnaryOperator<FloatVector> function,
      DoubleUnaryOperator exact,
      Measure measure) {
    int lanes = VectorBackend.FLOATS.length();
    double largest = 0;
    float[] inputs = new float[lanes];
    for (int i = 0; i < 200_000; i += lanes) {
      for (int lane = 0; lane < lanes; lane++) {
        inputs[lane] = from + (to - from) * (i + lane) / 200_000f;
      }
      float[] answers =
          function.apply(FloatVector.fromArray(VectorBackend.FLOATS, inputs, 0)).toArray();
      for (int lane = 0; lane < lanes; lane++) {
        double expected = exact.applyAsDouble(inputs[lane]);
        double error = measure.of(Math.abs(answers[lane] - expected), expected);
        assertTrue(error >= 0, "not a number at " + inputs[lane]);
        largest = Math.max(largest, error);
      }
    }
    return largest;
  }

  private static float lane(UnaryOperator<FloatVector> function, float x) {
    return function.apply(FloatVector.broadcast(VectorBackend.FLOATS, x)).lane(0);
  }
}
