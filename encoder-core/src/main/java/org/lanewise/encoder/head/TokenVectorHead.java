package org.lanewise.encoder.head;

import java.lang.foreign.Arena;
import java.util.List;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Matrix;

/**
 * Turns the hidden state of each token into its vector for late interaction. Immutable and
 * thread-safe; weights live as long as the arena.
 */
public final class TokenVectorHead {
  private final DenseSteps steps;

  /**
   * Prepares the modules.
   *
   * @param modules any Dense and Normalize
   */
  public TokenVectorHead(
      Backend backend, Arena arena, List<SentenceModule> modules, int hiddenSize) {
    steps = new DenseSteps(backend, arena, modules, hiddenSize);
  }

  /** Returns the length of the vectors. */
  public int dimensions() {
    return steps.dimensions();
  }

  /** Returns the vectors, (tokens, dimensions); {@code hidden} may be changed. */
  public Matrix forward(Backend backend, Arena arena, Matrix hidden) {
    return steps.forward(backend, arena, hidden);
  }

  /**
   * Returns MaxSim: the sum over the query's tokens of the largest dot product with any of the
   * document's; 0 of a document without tokens.
   */
  public static float maxSim(float[][] query, float[][] document) {
    double sum = 0;
    for (float[] of : query) {
      float largest = document.length == 0 ? 0 : Float.NEGATIVE_INFINITY;
      for (float[] with : document) {
        largest = Math.max(largest, dot(of, with));
      }
      sum += largest;
    }
    return (float) sum;
  }

  private static float dot(float[] a, float[] b) {
    if (a.length != b.length) {
      throw new IllegalArgumentException(
          "a document's vector has " + b.length + " numbers, expected the query's " + a.length);
    }
    float sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }
}
