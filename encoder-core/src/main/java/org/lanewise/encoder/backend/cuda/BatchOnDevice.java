package org.lanewise.encoder.backend.cuda;

import java.util.Arrays;
import org.lanewise.encoder.batch.PackedBatch;

/**
 * A lane's copy of what kernels read of a packed batch: copied when a batch comes that the lane
 * does not hold, so once for all layers of a forward pass.
 */
final class BatchOnDevice {
  /** Queries that a block of attention's tiled kernels works on. */
  static final int TILE_QUERIES = 64;

  private static final int TILE_NUMBERS = 3;

  private final Lane lane;
  private PackedBatch held;
  private long address;
  private int tiles;

  BatchOnDevice(Lane lane) {
    this.lane = lane;
  }

  /** Returns this, holding the batch. */
  @SuppressWarnings("ReferenceEquality") // An equal batch that is another one is copied again.
  BatchOnDevice hold(PackedBatch batch) {
    if (batch == held) {
      return this;
    }
    held = null;
    int[] sequenceOf = new int[batch.tokens()];
    tiles = 0;
    for (int i = 0; i < batch.sequences(); i++) {
      Arrays.fill(sequenceOf, batch.sequenceStarts()[i], batch.sequenceStarts()[i + 1], i);
      tiles += Math.ceilDiv(batch.length(i), TILE_QUERIES);
    }
    int[] all = new int[4 * batch.tokens() + 2 * batch.sequences() + 1 + TILE_NUMBERS * tiles];
    int at = 0;
    for (int[] part :
        new int[][] {
          batch.ids(),
          batch.typeIds(),
          batch.positions(),
          sequenceOf,
          batch.sequenceStarts(),
          batch.pooledStarts()
        }) {
      System.arraycopy(part, 0, all, at, part.length);
      at += part.length;
    }
    for (int i = 0; i < batch.sequences(); i++) {
      for (int query = 0; query < batch.length(i); query += TILE_QUERIES) {
        all[at++] = batch.sequenceStarts()[i];
        all[at++] = batch.length(i);
        all[at++] = query;
      }
    }
    address = lane.batchIntegers(all);
    held = batch;
    return this;
  }

  long ids() {
    return address;
  }

  long typeIds() {
    return at(held.tokens());
  }

  long positions() {
    return at(2L * held.tokens());
  }

  /** Returns the sequence of each token. */
  long sequenceOf() {
    return at(3L * held.tokens());
  }

  long sequenceStarts() {
    return at(4L * held.tokens());
  }

  long pooledStarts() {
    return at(4L * held.tokens() + held.sequences() + 1);
  }

  /** Returns the first token, the length and the first query of every tile of attention. */
  long tiles() {
    return at(4L * held.tokens() + 2L * held.sequences() + 1);
  }

  /** Returns how many tiles there are. */
  int tileCount() {
    return tiles;
  }

  private long at(long index) {
    return address + index * Integer.BYTES;
  }
}
