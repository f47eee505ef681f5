package org.lanewise.encoder.train;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;

/**
 * Cuts each epoch into batches of texts of similar length: the shorter the longest text of a batch,
 * the fewer its steps. The same seed and epoch give the same batches. Immutable and thread-safe.
 *
 * @param lengths words of each text, at least 1
 */
record Minibatches(int[] lengths, TrainingOptions options) {
  /** Texts are sorted within so many batches' worth of them; chance decides the rest. */
  private static final int POOL = 50;

  /**
   * What is read of a text.
   *
   * @param text index of the text
   * @param from its first word that is read
   * @param to the word after the last that is read
   */
  record Piece(int text, int from, int to) {
    int words() {
      return to - from;
    }
  }

  /** Returns a generator that depends on the seed and the epoch only, for one use of many. */
  static RandomGenerator random(long seed, int epoch, int use) {
    return new SplittableRandom(31 * (31 * seed + epoch) + use);
  }

  /** Returns the batches of an epoch. */
  List<List<Piece>> epoch(int epoch) {
    RandomGenerator random = random(options.seed(), epoch, 0);
    List<Piece> pieces = new ArrayList<>(lengths.length);
    for (int text = 0; text < lengths.length; text++) {
      pieces.add(piece(text, random));
    }
    Collections.shuffle(pieces, random);
    int pool = POOL * options.schedule().batchTexts();
    for (int from = 0; from < pieces.size(); from += pool) {
      pieces
          .subList(from, Math.min(from + pool, pieces.size()))
          .sort(Comparator.comparingInt(Piece::words));
    }
    List<List<Piece>> batches = new ArrayList<>();
    List<Piece> batch = new ArrayList<>();
    int words = 0;
    for (Piece piece : pieces) {
      boolean full =
          batch.size() == options.schedule().batchTexts()
              || words + piece.words() > options.schedule().batchWords();
      if (full && !batch.isEmpty()) {
        batches.add(batch);
        batch = new ArrayList<>();
        words = 0;
      }
      batch.add(piece);
      words += piece.words();
    }
    if (!batch.isEmpty()) {
      batches.add(batch);
    }
    Collections.shuffle(batches, random);
    return batches;
  }

  private Piece piece(int text, RandomGenerator random) {
    TrainingOptions.Crop crop = options.crop();
    if (crop.equals(TrainingOptions.Crop.NONE)) {
      return new Piece(text, 0, lengths[text]);
    }
    int words =
        Math.min(lengths[text], random.nextInt(crop.shortest(), Math.addExact(crop.longest(), 1)));
    int from = random.nextInt(lengths[text] - words + 1);
    return new Piece(text, from, from + words);
  }
}
