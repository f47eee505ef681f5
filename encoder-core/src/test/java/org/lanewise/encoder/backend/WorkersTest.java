package org.lanewise.encoder.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
final class WorkersTest {
  @Test
  void everyIterationRunsOnceAndIsSeenByTheCaller() {
    try (Workers workers = new Workers(4)) {
      for (int round = 0; round < 2000; round++) {
        int[] counts = new int[round % 40];
        workers.forEach(counts.length, i -> counts[i]++);
        for (int count : counts) {
          assertEquals(1, count);
        }
      }
    }
  }

  @Test
  void loopsOfSeveralThreadsAndNestedLoopsEnd() throws InterruptedException {
    try (Workers workers = new Workers(3)) {
      AtomicIntegerArray counts = new AtomicIntegerArray(4);
      List<Thread> callers = new ArrayList<>();
      for (int caller = 0; caller < 4; caller++) {
        int mine = caller;
        callers.add(
            Thread.ofPlatform()
                .start(
                    () -> {
                      for (int round = 0; round < 300; round++) {
                        workers.forEach(
                            5, i -> workers.forEach(3, j -> counts.incrementAndGet(mine)));
                      }
                    }));
      }
      for (Thread caller : callers) {
        caller.join();
      }
      for (int caller = 0; caller < 4; caller++) {
        assertEquals(300 * 15, counts.get(caller));
      }
    }
  }

  @Test
  void anExceptionReachesTheCallerAndTheWorkersLiveOn() {
    try (Workers workers = new Workers(2)) {
      IllegalStateException thrown =
          assertThrows(
              IllegalStateException.class,
              () ->
                  workers.forEach(
                      100,
                      i -> {
                        if (i == 50) {
                          throw new IllegalStateException("iteration 50");
                        }
                      }));
      assertEquals("iteration 50", thrown.getMessage());
      AtomicIntegerArray sum = new AtomicIntegerArray(1);
      workers.forEach(10, i -> sum.addAndGet(0, i));
      assertEquals(45, sum.get(0));
    }
  }

  @Test
  void aClosedPoolStillAnswers() {
    Workers workers = new Workers(2);
    workers.close();
    AtomicIntegerArray sum = new AtomicIntegerArray(1);
    workers.forEach(10, i -> sum.addAndGet(0, i));
    assertEquals(45, sum.get(0));
  }

  @Test
  void noThreadsAreRefused() {
    assertTrue(
        assertThrows(IllegalArgumentException.class, () -> new Workers(0))
            .getMessage()
            .contains("threads is 0"));
  }
}
