package org.lanewise.encoder.model;

import java.util.Optional;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.LinearWeight;
import org.lanewise.encoder.backend.Matrix;
import org.lanewise.encoder.backend.PositionBias;
import org.lanewise.encoder.backend.RotaryTable;
import org.lanewise.encoder.weights.Tensor;

/** Tables of what positions and distances do: computed once, when an encoder is prepared. */
final class Positions {
  private Positions() {}

  /**
   * Returns the angles of every position, in fp32 as the reference implementations compute them.
   */
  static RotaryTable rotary(Preparation preparation, RotaryPlan plan, int maxPositions) {
    int pairs = plan.frequencies().size();
    Matrix cosines = preparation.allocate(maxPositions, pairs);
    Matrix sines = preparation.allocate(maxPositions, pairs);
    float[] cosine = new float[pairs];
    float[] sine = new float[pairs];
    for (int position = 0; position < maxPositions; position++) {
      for (int i = 0; i < pairs; i++) {
        float angle = position * plan.frequencies().get(i);
        cosine[i] = (float) Math.cos(angle);
        sine[i] = (float) Math.sin(angle);
      }
      preparation.backend().write(cosine, cosines, position, 0);
      preparation.backend().write(sine, sines, position, 0);
    }
    return new RotaryTable(cosines, sines);
  }

  static PositionBias bias(Preparation preparation, BiasPlan plan, int heads, int maxPositions) {
    int reach = maxPositions - 1;
    return switch (plan) {
      case BiasPlan.None() -> new PositionBias.None();
      case BiasPlan.Buckets buckets -> {
        Tensor learned = preparation.tensor(buckets.table());
        yield byDistance(
            preparation,
            heads,
            reach,
            (head, distance) -> learned.get((long) bucket(distance, buckets) * heads + head));
      }
      case BiasPlan.Alibi() ->
          byDistance(
              preparation,
              heads,
              reach,
              (head, distance) -> (float) (-slope(head, heads) * Math.abs(distance)));
      case BiasPlan.Disentangled disentangled -> disentangled(preparation, disentangled, reach);
    };
  }

  private interface Score {
    float of(int head, int distance);
  }

  private static PositionBias byDistance(
      Preparation preparation, int heads, int reach, Score score) {
    int distances = 2 * reach + 1;
    Matrix table = preparation.allocate(heads, distances + PositionBias.ByDistance.PADDING);
    float[] row = new float[distances];
    for (int head = 0; head < heads; head++) {
      for (int i = 0; i < distances; i++) {
        row[i] = score.of(head, i - reach);
      }
      preparation.backend().write(row, table, head, 0);
    }
    return new PositionBias.ByDistance(table, reach);
  }

  /**
   * Returns the bucket of a distance (query - key), in fp32 as the reference implementation
   * computes it.
   */
  static int bucket(int distance, BiasPlan.Buckets plan) {
    int half = plan.buckets() / 2;
    int exact = half / 2;
    int first = distance < 0 ? half : 0;
    int magnitude = Math.abs(distance);
    if (magnitude < exact) {
      return first + magnitude;
    }
    float steps = (float) Math.log((float) magnitude / exact);
    steps /= (float) Math.log((double) plan.maxDistance() / exact);
    return first + Math.min(exact + (int) (steps * (half - exact)), half - 1);
  }

  /**
   * Returns a head's slope as Press et al. chose them: powers of two in geometric sequence, and
   * where the heads are no power of two, every other slope of twice as many for the rest.
   */
  static double slope(int head, int heads) {
    int whole = Integer.highestOneBit(heads);
    return head < whole
        ? Math.pow(2, -8.0 * (head + 1) / whole)
        : Math.pow(2, -4.0 * (2 * (head - whole) + 1) / whole);
  }

  private static PositionBias disentangled(
      Preparation preparation, BiasPlan.Disentangled plan, int reach) {
    Tensor learned = preparation.tensor(plan.table());
    Matrix distances = preparation.allocate((int) learned.shape()[0], (int) learned.shape()[1]);
    for (int row = 0; row < distances.rows(); row++) {
      preparation.backend().write(learned.row(row), distances, row, 0);
    }
    plan.norm()
        .ifPresent(
            norm -> preparation.backend().norm(distances, preparation.norm(norm), distances));
    int[] rows = new int[2 * reach + 1];
    for (int i = 0; i < rows.length; i++) {
      int row = logBucket(i - reach, plan) + plan.span();
      rows[i] = Math.min(Math.max(row, 0), 2 * plan.span() - 1);
    }
    return new PositionBias.Disentangled(
        projected(preparation, distances, plan.keys()),
        plan.keys().isPresent(),
        projected(preparation, distances, plan.queries()),
        plan.queries().isPresent(),
        rows,
        reach);
  }

  private static Matrix projected(
      Preparation preparation, Matrix distances, Optional<LinearPlan> plan) {
    if (plan.isEmpty()) {
      return distances;
    }
    LinearWeight weight = preparation.linear(plan.get());
    Matrix output = preparation.allocate(distances.rows(), weight.outputSize());
    preparation.backend().linear(distances, weight, Activation.IDENTITY, output);
    return output;
  }

  /** DeBERTa's buckets: near distances as they are, far ones by their logarithm, in fp32. */
  static int logBucket(int distance, BiasPlan.Disentangled plan) {
    int middle = plan.buckets() / 2;
    int magnitude = Math.abs(distance);
    if (plan.buckets() == 0 || magnitude <= middle) {
      return distance;
    }
    float steps = (float) Math.log((float) magnitude / middle);
    steps /= (float) Math.log((float) (plan.maxDistance() - 1) / middle);
    int bucket = (int) Math.ceil(steps * (middle - 1)) + middle;
    return distance < 0 ? -bucket : bucket;
  }
}
