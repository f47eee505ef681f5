package org.lanewise.encoder.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.lanewise.encoder.train.Minibatches.Piece;

/** The cutting of epochs into batches. */
class MinibatchesTest {
  private static final int TEXTS = 5000;

  private final int[] lengths = new Random(1).ints(TEXTS, 1, 60).toArray();

  @Test
  void everyTextComesOnceInAnEpoch() {
    List<List<Piece>> batches = minibatches(TrainingOptions.Crop.NONE, 1).epoch(1);
    int[] texts = batches.stream().flatMap(List::stream).mapToInt(Piece::text).sorted().toArray();
    int[] all = new int[TEXTS];
    Arrays.setAll(all, i -> i);
    assertEquals(Arrays.toString(all), Arrays.toString(texts));
    for (List<Piece> batch : batches) {
      for (Piece piece : batch) {
        assertEquals(new Piece(piece.text(), 0, lengths[piece.text()]), piece);
      }
    }
  }

  @Test
  void batchesKeepToTheirLimits() {
    lengths[7] = 3000;
    int alone = 0;
    for (List<Piece> batch : minibatches(TrainingOptions.Crop.NONE, 1).epoch(1)) {
      assertTrue(batch.size() <= 32, batch.toString());
      int words = batch.stream().mapToInt(Piece::words).sum();
      assertTrue(words <= 1000 || batch.size() == 1, batch.toString());
      alone += words > 1000 ? 1 : 0;
    }
    assertEquals(1, alone, "the text that is longer than a batch");
  }

  @Test
  void textsOfABatchAreOfSimilarLength() {
    List<List<Piece>> batches = minibatches(TrainingOptions.Crop.NONE, 1).epoch(1);
    long wasted = 0;
    long words = 0;
    for (List<Piece> batch : batches) {
      int longest = batch.stream().mapToInt(Piece::words).max().orElseThrow();
      words += batch.stream().mapToInt(Piece::words).sum();
      wasted += batch.stream().mapToInt(piece -> longest - piece.words()).sum();
    }
    assertTrue(wasted < 0.1 * words, wasted + " of " + words);
  }

  @Test
  void theOrderDependsOnSeedAndEpochAlone() {
    List<List<Piece>> batches = minibatches(TrainingOptions.Crop.NONE, 1).epoch(1);
    assertEquals(batches, minibatches(TrainingOptions.Crop.NONE, 1).epoch(1));
    assertNotEquals(batches, minibatches(TrainingOptions.Crop.NONE, 1).epoch(2));
    assertNotEquals(batches, minibatches(TrainingOptions.Crop.NONE, 2).epoch(1));
    int[] sizes = batches.stream().mapToInt(batch -> batch.getFirst().words()).toArray();
    int[] sorted = Arrays.stream(sizes).sorted().toArray();
    assertNotEquals(Arrays.toString(sorted), Arrays.toString(sizes), "short texts must not lead");
  }

  @Test
  void piecesHaveTheLengthsThatAreAskedFor() {
    Minibatches minibatches = minibatches(new TrainingOptions.Crop(5, 9), 1);
    int[] counts = new int[10];
    int later = 0;
    for (Piece piece : minibatches.epoch(1).stream().flatMap(List::stream).toList()) {
      int length = lengths[piece.text()];
      assertTrue(piece.from() >= 0 && piece.to() <= length, piece.toString());
      assertTrue(piece.words() >= Math.min(5, length) && piece.words() <= 9, piece.toString());
      counts[piece.words()]++;
      later += piece.from() > 0 ? 1 : 0;
    }
    for (int words = 5; words <= 9; words++) {
      assertTrue(counts[words] > TEXTS / 10, Arrays.toString(counts));
    }
    assertTrue(later > TEXTS / 2, "pieces from the middle: " + later);
    assertNotEquals(minibatches.epoch(1), minibatches.epoch(2));
  }

  private Minibatches minibatches(TrainingOptions.Crop crop, long seed) {
    TrainingOptions options = TrainingOptions.classifier();
    return new Minibatches(
        lengths,
        new TrainingOptions(
            options.unit(),
            options.inputs(),
            options.network(),
            options.head(),
            options.choice(),
            options.dropout(),
            new TrainingOptions.Schedule(32, 1000, 3, 3, 1e-3, 0, 0, 1, 0),
            crop,
            1,
            options.store(),
            seed));
  }
}
