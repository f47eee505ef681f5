package org.lanewise.plugin.store;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.test.ESTestCase;
import org.lanewise.plugin.store.ClusterModels.Turn;

/** The rule by which nodes with other files of one model keep each other from using it. */
public final class ClusterModelsTests extends ESTestCase {
  private enum Phase {
    IDLE,
    ASKS,
    SETTLED,
    USES,
    REFUSED
  }

  /**
   * One of some nodes.
   *
   * @param answers a bit for each node that answered its question
   * @param turn the worst of these answers
   */
  private record Node(Phase phase, int answers, Turn turn) {
    static final Node IDLE = new Node(Phase.IDLE, 0, Turn.OURS);

    boolean isAsking() {
      return phase == Phase.ASKS || phase == Phase.SETTLED;
    }

    boolean isSeen() {
      return isAsking() || phase == Phase.USES;
    }

    boolean isSettled() {
      return phase == Phase.SETTLED || phase == Phase.USES;
    }

    /** Returns it after the answer of another node. */
    Node hears(int other, Turn answer) {
      return new Node(
          phase, answers | 1 << other, answer == Turn.THEIRS || turn == Turn.OURS ? answer : turn);
    }

    /** Returns it after the answers of all others. */
    Node goesOn() {
      return switch (turn) {
        case THEIRS -> new Node(Phase.REFUSED, 0, Turn.OURS);
        case UNDECIDED -> new Node(phase, 0, Turn.OURS);
        case OURS -> new Node(phase == Phase.ASKS ? Phase.SETTLED : Phase.USES, 0, Turn.OURS);
      };
    }
  }

  public void testExactlyOneOfTwoNodesUsesIt() {
    check(2);
  }

  public void testExactlyOneOfThreeNodesUsesIt() {
    check(3);
  }

  /** Visits all states that nodes can get into, in whatever order they begin, ask and hear. */
  private static void check(int nodes) {
    List<Node> begin = new ArrayList<>();
    for (int node = 0; node < nodes; node++) {
      begin.add(Node.IDLE);
    }
    Map<List<Node>, Set<List<Node>>> before = new HashMap<>();
    before.put(begin, new HashSet<>());
    ArrayDeque<List<Node>> open = new ArrayDeque<>(List.of(begin));
    Set<List<Node>> ends = new HashSet<>();
    while (!open.isEmpty()) {
      List<Node> state = open.remove();
      assertTrue("more than one in " + state, users(state) <= 1);
      List<List<Node>> after = after(state);
      if (after.isEmpty()) {
        assertEquals("end " + state, 1, users(state));
        ends.add(state);
      }
      for (List<Node> each : after) {
        if (!before.containsKey(each)) {
          before.put(each, new HashSet<>());
          open.add(each);
        }
        before.get(each).add(state);
      }
    }
    // Who begins last is refused, so each of them can be the one that uses it.
    assertEquals(nodes, ends.size());
    // Nobody waits for ever: every state leads to an end.
    Set<List<Node>> ending = new HashSet<>(ends);
    open.addAll(ends);
    while (!open.isEmpty()) {
      for (List<Node> state : before.get(open.remove())) {
        if (ending.add(state)) {
          open.add(state);
        }
      }
    }
    assertEquals(before.keySet(), ending);
  }

  private static long users(List<Node> state) {
    return state.stream().filter(node -> node.phase == Phase.USES).count();
  }

  /** Returns what may be next: a step of one of them. */
  private static List<List<Node>> after(List<Node> state) {
    List<List<Node>> after = new ArrayList<>();
    for (int self = 0; self < state.size(); self++) {
      Node node = state.get(self);
      if (node.phase == Phase.IDLE) {
        after.add(with(state, self, new Node(Phase.ASKS, 1 << self, Turn.OURS)));
      } else if (node.isAsking()) {
        boolean answered = true;
        for (int other = 0; other < state.size(); other++) {
          if (other != self && (node.answers >> other & 1) == 0) {
            answered = false;
            Node asked = state.get(other);
            Turn turn =
                asked.isSeen()
                    ? ClusterModels.turn(
                        "id" + other, asked.isSettled(), "id" + self, node.isSettled())
                    : Turn.OURS;
            after.add(with(state, self, node.hears(other, turn)));
          }
        }
        if (answered) {
          after.add(with(state, self, node.goesOn()));
        }
      }
    }
    return after;
  }

  private static List<Node> with(List<Node> state, int index, Node node) {
    Node[] nodes = state.toArray(Node[]::new);
    nodes[index] = node;
    return Arrays.asList(nodes);
  }
}
