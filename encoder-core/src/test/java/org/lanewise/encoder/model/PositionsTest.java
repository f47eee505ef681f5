package org.lanewise.encoder.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Buckets and slopes of distances, against what the reference implementations printed. */
class PositionsTest {
  @Test
  void bucketsAreMpnets() {
    BiasPlan.Buckets plan = new BiasPlan.Buckets("table", 32, 128);
    // The distances (query - key) at which the next bucket begins.
    int[] starts = {0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91, 601};
    for (int bucket = 0; bucket < 16; bucket++) {
      for (int distance = starts[bucket]; distance < starts[bucket + 1]; distance++) {
        assertEquals(bucket, Positions.bucket(distance, plan), "bucket of " + distance);
        if (distance > 0) {
          assertEquals(16 + bucket, Positions.bucket(-distance, plan), "bucket of -" + distance);
        }
      }
    }
  }

  @Test
  void logarithmicBucketsAreDebertas() {
    assertEquals(1441768768, digest(256, 512));
    assertEquals(1221484864, digest(8, 48));
    assertEquals(17, Positions.logBucket(17, disentangled(0, 512)));
  }

  /** A digest of the buckets of all distances to 600, computed alike from the reference's. */
  private static int digest(int buckets, int maxDistance) {
    int digest = 0;
    for (int distance = -600; distance <= 600; distance++) {
      digest = digest * 31 + Positions.logBucket(distance, disentangled(buckets, maxDistance));
    }
    return digest;
  }

  private static BiasPlan.Disentangled disentangled(int buckets, int maxDistance) {
    return new BiasPlan.Disentangled(
        "table", Optional.empty(), buckets, maxDistance, Optional.empty(), Optional.empty());
  }

  @Test
  void slopesAreAlibis() {
    double[] eight = {
      1 / 2.0, 1 / 4.0, 1 / 8.0, 1 / 16.0, 1 / 32.0, 1 / 64.0, 1 / 128.0, 1 / 256.0
    };
    assertArrayEquals(eight, slopes(8));
    double[] twelve = {
      1 / 2.0,
      1 / 4.0,
      1 / 8.0,
      1 / 16.0,
      1 / 32.0,
      1 / 64.0,
      1 / 128.0,
      1 / 256.0,
      Math.pow(2, -0.5),
      Math.pow(2, -1.5),
      Math.pow(2, -2.5),
      Math.pow(2, -3.5)
    };
    assertArrayEquals(twelve, slopes(12));
  }

  private static double[] slopes(int heads) {
    double[] slopes = new double[heads];
    for (int head = 0; head < heads; head++) {
      slopes[head] = Positions.slope(head, heads);
    }
    return slopes;
  }
}
