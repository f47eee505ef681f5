package org.lanewise.encoder.backend.cuda;

/**
 * The head sizes of attention on tensor cores: what {@code attention.cu} instantiates.
 *
 * @param headSize the largest that fits
 * @param keys keys and values that are in shared memory at once, twice
 */
record AttentionTile(int headSize, int keys) {
  static final int LARGEST = 256;

  static final int THREADS = 128;

  /** Returns the tile for heads of a size, no more than {@link #LARGEST}. */
  static AttentionTile of(int headSize) {
    if (headSize <= 32) {
      return new AttentionTile(32, 64);
    }
    if (headSize <= 64) {
      return new AttentionTile(64, 64);
    }
    return headSize <= 128 ? new AttentionTile(128, 64) : new AttentionTile(LARGEST, 32);
  }

  String kernel() {
    return "attention_" + headSize;
  }

  /** Returns the shared memory of a block: queries, and two tiles each of keys and of values. */
  int sharedBytes() {
    return (BatchOnDevice.TILE_QUERIES + 4 * keys) * headSize * Short.BYTES;
  }
}
