package org.lanewise.encoder.batch;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/** Cuts work on many texts into batches. */
public final class Batches {
  private Batches() {}

  /**
   * Returns the positions of the texts by batch: longest first, so that the last batches to end are
   * short, and texts of about one length together.
   *
   * @param lengths what each text costs
   * @param budget the most that a batch costs; a longer text is a batch of its own
   */
  public static List<List<Integer>> longestFirst(int[] lengths, long budget) {
    List<Integer> order =
        IntStream.range(0, lengths.length)
            .boxed()
            .sorted(Comparator.comparingInt((Integer i) -> -lengths[i]))
            .toList();
    List<List<Integer>> batches = new ArrayList<>();
    long filled = 0;
    for (int i : order) {
      if (batches.isEmpty() || filled + lengths[i] > budget) {
        batches.add(new ArrayList<>());
        filled = 0;
      }
      batches.getLast().add(i);
      filled += lengths[i];
    }
    return batches;
  }
}
