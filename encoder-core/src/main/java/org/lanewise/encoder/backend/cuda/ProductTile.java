package org.lanewise.encoder.backend.cuda;

import java.util.Arrays;
import java.util.Comparator;

/**
 * The tiles of the output in which a product on tensor cores is cut up: what {@code product.cu}
 * instantiates, and for Hopper alone {@code warpgroup.cu}.
 */
enum ProductTile {
  SMALL(64, 64, 128, 3, 4, 0.55, 32),
  MIDDLE(128, 128, 256, 3, 2, 0.85, 32),
  LARGE(128, 256, 256, 3, 1, 1, 128),
  WARPGROUP_MIDDLE(128, 128, 256, 3, 2, 0.85, 32),
  WARPGROUP_LARGE(128, 256, 256, 4, 1, 1, 128);

  /** Weights have rows for whole tiles of any kind. */
  static final int COLUMN_BLOCK = 256;

  /** Numbers of the depth that a stage holds: weights are as deep in whole blocks. */
  static final int DEPTH = 64;

  /** Bytes by which shared memory may begin before a place where a warpgroup's tiles may. */
  private static final int ALIGNMENT = 1024;

  /** Numbers by which staged rows of the output are longer than the tile. */
  private static final int PADDING = 8;

  private final int rows;
  private final int columns;
  private final int threads;
  private final int stages;
  private final int blocksAtOnce;
  private final double share;
  private final int overhead;

  ProductTile(
      int rows,
      int columns,
      int threads,
      int stages,
      int blocksAtOnce,
      double share,
      int overhead) {
    this.rows = rows;
    this.columns = columns;
    this.threads = threads;
    this.stages = stages;
    this.blocksAtOnce = blocksAtOnce;
    this.share = share;
    this.overhead = overhead;
  }

  /** Returns whether warpgroups multiply, which devices of compute capability 9.0 have. */
  boolean ofWarpgroups() {
    return this == WARPGROUP_MIDDLE || this == WARPGROUP_LARGE;
  }

  /** Returns what the kernel's file is called, without the ending. */
  String file() {
    return ofWarpgroups() ? "warpgroup" : "product";
  }

  int threads() {
    return threads;
  }

  long rowTiles(int n) {
    return Math.ceilDiv(n, rows);
  }

  int columnTiles(int n) {
    return Math.ceilDiv(n, columns);
  }

  /** Returns the shared memory of a block: a ring of stages, then the sums. */
  int sharedBytes() {
    int ring = stages * (rows + columns) * DEPTH * Short.BYTES;
    int sums = rows * (columns + PADDING) * Float.BYTES;
    return Math.max(ring, sums) + (ofWarpgroups() ? ALIGNMENT : 0);
  }

  /**
   * Returns the tile that should take the least time: as many rounds as it takes all
   * multiprocessors to work through the blocks, each as long as its numbers take at the share of
   * the full rate that the tile reaches, and what begins and ends a block takes as so much more
   * depth. Shares and overheads are estimates, to be replaced by what TileSpeed measures.
   *
   * @param byWarpgroups whether to choose among the tiles of warpgroups or among the others
   */
  static ProductTile choose(
      int rows,
      int depth,
      int columns,
      int multiprocessors,
      int sharedMemory,
      boolean byWarpgroups) {
    return Arrays.stream(values())
        .filter(tile -> tile.ofWarpgroups() == byWarpgroups && tile.sharedBytes() <= sharedMemory)
        .min(Comparator.comparingDouble(tile -> tile.time(rows, depth, columns, multiprocessors)))
        .orElseThrow();
  }

  private double time(int n, int depth, int m, int multiprocessors) {
    long blocks = rowTiles(n) * columnTiles(m);
    long rounds = Math.ceilDiv(blocks, (long) multiprocessors * blocksAtOnce);
    return rounds * blocksAtOnce * (double) rows * columns * (depth + overhead) / share;
  }
}
