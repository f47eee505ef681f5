package org.lanewise.encoder.backend;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * Elementary functions on vectors of floats, as polynomials; the errors stated here are tested.
 *
 * <p>Bounds are set by comparing and blending, two instructions: {@code min} and {@code max} obey
 * {@link Math#max(float, float)} on zeros and on what is no number, which takes AVX-512 more.
 *
 * <p>The coefficients of {@link #exp2} and of the normal distribution were fitted for this project
 * (least squares reweighted towards the smallest largest error, evaluated in fp32).
 */
final class VectorMath {
  private static final VectorSpecies<Float> FLOATS = VectorBackend.FLOATS;
  private static final long BYTES = FLOATS.vectorByteSize();
  private static final ByteOrder NATIVE = ByteOrder.nativeOrder();

  private static final VectorShuffle<Float> BY_8 = rotation(8);
  private static final VectorShuffle<Float> BY_4 = rotation(4);
  private static final VectorShuffle<Float> BY_2 = rotation(2);
  private static final VectorShuffle<Float> BY_1 = rotation(1);

  static final float LOG2_E = 1.442695f;

  /** 1.5 * 2^23: adding it rounds to an integer that then sits in the low bits. */
  private static final float ROUND = 12582912f;

  /** Beyond this the normal distribution function differs from 0 or 1 by less than 4e-8. */
  private static final float NORMAL_END = 5.4f;

  private static final float EXP2_1 = 0.6931472f;
  private static final float EXP2_2 = 0.24022648f;
  private static final float EXP2_3 = 0.055503324f;
  private static final float EXP2_4 = 9.618437e-3f;
  private static final float EXP2_5 = 1.3398875e-3f;
  private static final float EXP2_6 = 1.5353362e-4f;

  /** Phi(x) - 1/2 = x * above(x * x) / below(x * x). */
  private static final float ABOVE_0 = 0.39894223f;

  private static final float ABOVE_1 = 0.033372194f;
  private static final float ABOVE_2 = 4.65085e-3f;
  private static final float ABOVE_3 = 1.6432139e-4f;
  private static final float ABOVE_4 = 6.360023e-6f;
  private static final float ABOVE_5 = 2.3386796e-8f;
  private static final float BELOW_0 = 1f;
  private static final float BELOW_1 = 0.25031778f;
  private static final float BELOW_2 = 0.028378667f;
  private static final float BELOW_3 = 1.8589799e-3f;
  private static final float BELOW_4 = 7.240011e-5f;
  private static final float BELOW_5 = 1.216593e-6f;

  private VectorMath() {}

  /**
   * Returns the sum of all lanes: halves are added to each other until one number is left. {@code
   * reduceLanes} may add in another order once it is compiled, and then a text's vector would
   * depend on how long the JVM has been running.
   */
  static float sum(FloatVector x) {
    int lanes = FLOATS.length();
    x = lanes > 8 ? x.add(x.rearrange(BY_8)) : x;
    x = lanes > 4 ? x.add(x.rearrange(BY_4)) : x;
    x = lanes > 2 ? x.add(x.rearrange(BY_2)) : x;
    return x.add(x.rearrange(BY_1)).lane(0);
  }

  private static VectorShuffle<Float> rotation(int lanes) {
    return VectorShuffle.iota(FLOATS, lanes, 1, true);
  }

  /**
   * Returns 2^x for x up to 127, relative error below 3e-7; what is below 2^-126 becomes 2^-126.
   */
  static FloatVector exp2(FloatVector x) {
    x = x.blend(-126f, x.compare(VectorOperators.LT, -126f));
    FloatVector shifted = x.add(ROUND);
    FloatVector fraction = x.sub(shifted.sub(ROUND));
    FloatVector power = FloatVector.broadcast(FLOATS, EXP2_6);
    power = power.fma(fraction, FloatVector.broadcast(FLOATS, EXP2_5));
    power = power.fma(fraction, FloatVector.broadcast(FLOATS, EXP2_4));
    power = power.fma(fraction, FloatVector.broadcast(FLOATS, EXP2_3));
    power = power.fma(fraction, FloatVector.broadcast(FLOATS, EXP2_2));
    power = power.fma(fraction, FloatVector.broadcast(FLOATS, EXP2_1));
    power = power.fma(fraction, FloatVector.broadcast(FLOATS, 1f));
    IntVector exponent = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
    return power.reinterpretAsInts().add(exponent).reinterpretAsFloats();
  }

  /** Returns e^x for x from -87 to 87; the relative error grows with |x|, to 4e-6 at the ends. */
  static FloatVector exp(FloatVector x) {
    FloatVector power = x.mul(LOG2_E);
    return exp2(power.blend(126f, power.compare(VectorOperators.GT, 126f)));
  }

  /** Returns x * Phi(x), the exact GELU; absolute error below 1.5e-6. */
  static FloatVector gelu(FloatVector x) {
    VectorMask<Float> low = x.compare(VectorOperators.LE, -NORMAL_END);
    VectorMask<Float> high = x.compare(VectorOperators.GE, NORMAL_END);
    FloatVector inside = x.blend(-NORMAL_END, low).blend(NORMAL_END, high);
    FloatVector square = inside.mul(inside);
    FloatVector above = FloatVector.broadcast(FLOATS, ABOVE_5);
    above = above.fma(square, FloatVector.broadcast(FLOATS, ABOVE_4));
    above = above.fma(square, FloatVector.broadcast(FLOATS, ABOVE_3));
    above = above.fma(square, FloatVector.broadcast(FLOATS, ABOVE_2));
    above = above.fma(square, FloatVector.broadcast(FLOATS, ABOVE_1));
    above = above.fma(square, FloatVector.broadcast(FLOATS, ABOVE_0));
    FloatVector below = FloatVector.broadcast(FLOATS, BELOW_5);
    below = below.fma(square, FloatVector.broadcast(FLOATS, BELOW_4));
    below = below.fma(square, FloatVector.broadcast(FLOATS, BELOW_3));
    below = below.fma(square, FloatVector.broadcast(FLOATS, BELOW_2));
    below = below.fma(square, FloatVector.broadcast(FLOATS, BELOW_1));
    below = below.fma(square, FloatVector.broadcast(FLOATS, BELOW_0));
    FloatVector distribution = inside.mul(above).div(below).add(0.5f);
    // Far out the rounding of the quotient would be multiplied by x.
    return x.mul(distribution.blend(0f, low).blend(1f, high));
  }

  /**
   * Replaces two vectors of each row by their {@link #gelu}. Written out, both vectors in step,
   * because the JIT never inlines so large a method into its callers: as part of a large one it now
   * and then was left with a call, which costs a boxed vector and thrice the time.
   */
  static void geluPanel(MemorySegment data, long at, long rowBytes, int rows) {
    data = NativeMemory.known(data);
    for (int row = 0; row < rows; row++) {
      FloatVector x0 = FloatVector.fromMemorySegment(FLOATS, data, at, NATIVE);
      FloatVector x1 = FloatVector.fromMemorySegment(FLOATS, data, at + BYTES, NATIVE);
      VectorMask<Float> low0 = x0.compare(VectorOperators.LE, -NORMAL_END);
      VectorMask<Float> low1 = x1.compare(VectorOperators.LE, -NORMAL_END);
      VectorMask<Float> high0 = x0.compare(VectorOperators.GE, NORMAL_END);
      VectorMask<Float> high1 = x1.compare(VectorOperators.GE, NORMAL_END);
      FloatVector inside0 = x0.blend(-NORMAL_END, low0).blend(NORMAL_END, high0);
      FloatVector inside1 = x1.blend(-NORMAL_END, low1).blend(NORMAL_END, high1);
      FloatVector square0 = inside0.mul(inside0);
      FloatVector square1 = inside1.mul(inside1);
      FloatVector above0 = FloatVector.broadcast(FLOATS, ABOVE_5);
      FloatVector above1 = FloatVector.broadcast(FLOATS, ABOVE_5);
      above0 = above0.fma(square0, FloatVector.broadcast(FLOATS, ABOVE_4));
      above1 = above1.fma(square1, FloatVector.broadcast(FLOATS, ABOVE_4));
      above0 = above0.fma(square0, FloatVector.broadcast(FLOATS, ABOVE_3));
      above1 = above1.fma(square1, FloatVector.broadcast(FLOATS, ABOVE_3));
      above0 = above0.fma(square0, FloatVector.broadcast(FLOATS, ABOVE_2));
      above1 = above1.fma(square1, FloatVector.broadcast(FLOATS, ABOVE_2));
      above0 = above0.fma(square0, FloatVector.broadcast(FLOATS, ABOVE_1));
      above1 = above1.fma(square1, FloatVector.broadcast(FLOATS, ABOVE_1));
      above0 = above0.fma(square0, FloatVector.broadcast(FLOATS, ABOVE_0));
      above1 = above1.fma(square1, FloatVector.broadcast(FLOATS, ABOVE_0));
      FloatVector below0 = FloatVector.broadcast(FLOATS, BELOW_5);
      FloatVector below1 = FloatVector.broadcast(FLOATS, BELOW_5);
      below0 = below0.fma(square0, FloatVector.broadcast(FLOATS, BELOW_4));
      below1 = below1.fma(square1, FloatVector.broadcast(FLOATS, BELOW_4));
      below0 = below0.fma(square0, FloatVector.broadcast(FLOATS, BELOW_3));
      below1 = below1.fma(square1, FloatVector.broadcast(FLOATS, BELOW_3));
      below0 = below0.fma(square0, FloatVector.broadcast(FLOATS, BELOW_2));
      below1 = below1.fma(square1, FloatVector.broadcast(FLOATS, BELOW_2));
      below0 = below0.fma(square0, FloatVector.broadcast(FLOATS, BELOW_1));
      below1 = below1.fma(square1, FloatVector.broadcast(FLOATS, BELOW_1));
      below0 = below0.fma(square0, FloatVector.broadcast(FLOATS, BELOW_0));
      below1 = below1.fma(square1, FloatVector.broadcast(FLOATS, BELOW_0));
      FloatVector normal0 = inside0.mul(above0).div(below0).add(0.5f);
      FloatVector normal1 = inside1.mul(above1).div(below1).add(0.5f);
      normal0 = normal0.blend(0f, low0).blend(1f, high0);
      normal1 = normal1.blend(0f, low1).blend(1f, high1);
      x0.mul(normal0).intoMemorySegment(data, at, NATIVE);
      x1.mul(normal1).intoMemorySegment(data, at + BYTES, NATIVE);
      at += rowBytes;
    }
  }

  /** Returns tanh(x), absolute error below 1e-6. */
  static FloatVector tanh(FloatVector x) {
    FloatVector decayed = exp2(x.abs().mul(-2 * LOG2_E));
    FloatVector magnitude = decayed.neg().add(1f).div(decayed.add(1f));
    return magnitude.blend(magnitude.neg(), x.compare(VectorOperators.LT, 0f));
  }

  /** Returns 1 / (1 + e^-x), absolute error below 1e-6. */
  static FloatVector sigmoid(FloatVector x) {
    return FloatVector.broadcast(FLOATS, 1f).div(exp(x.neg()).add(1f));
  }

  /** Returns the activation's function. */
  static FloatVector apply(Activation activation, FloatVector x) {
    return switch (activation) {
      case IDENTITY -> x;
      case GELU -> gelu(x);
      case GELU_TANH -> {
        FloatVector cubic = x.mul(x).mul(0.044715f).add(1f).mul(x).mul(0.7978846f);
        yield x.mul(0.5f).mul(tanh(cubic).add(1f));
      }
      case RELU -> x.blend(0f, x.compare(VectorOperators.LT, 0f));
      case SILU -> x.mul(sigmoid(x));
      case TANH -> tanh(x);
      case SIGMOID -> sigmoid(x);
    };
  }
}
