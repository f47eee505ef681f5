package org.lanewise.plugin.store;

import org.elasticsearch.test.ESTestCase;

/** The rule by which nodes with other files of one model keep each other from using it. */
public final class ClusterModelsTests extends ESTestCase {
  /** What a node does: it says what it has, asks, says that it goes on, asks again. */
  private static final int STEPS = 4;

  private static final String[] IDS = {"a", "b"};

  private final int[] done = new int[2];
  private final boolean[] refused = new boolean[2];

  /** In whatever order two nodes take their steps, not both go on; without a rush one does. */
  public void testOfTwoNodesAtMostOneGoesOn() {
    int bothRefused = 0;
    int orders = 0;
    for (int order = 0; order < 1 << 2 * STEPS; order++) {
      if (Integer.bitCount(order) != STEPS) {
        continue;
      }
      for (int node = 0; node < 2; node++) {
        done[node] = 0;
        refused[node] = false;
      }
      for (int turn = 0; turn < 2 * STEPS; turn++) {
        step(order >> turn & 1);
      }
      orders++;
      String turns = Integer.toBinaryString(order);
      assertTrue("both go on in order " + turns, refused[0] || refused[1]);
      bothRefused += refused[0] && refused[1] ? 1 : 0;
      boolean inTurn = order == 0b1111 || order == 0b11110000;
      assertFalse("none goes on in order " + turns, inTurn && refused[0] && refused[1]);
    }
    assertEquals(70, orders);
    assertTrue("none goes on in " + bothRefused + " orders", bothRefused < 15);
  }

  private void step(int node) {
    int other = 1 - node;
    if (refused[node]) {
      return;
    }
    int step = done[node]++;
    // What the first step says counts from then on, what the third says likewise.
    if (step % 2 == 1 && done[other] > 0 && !refused[other]) {
      refused[node] =
          ClusterModels.goesFirst(IDS[other], done[other] > 2, IDS[node], step == STEPS - 1);
    }
  }
}
