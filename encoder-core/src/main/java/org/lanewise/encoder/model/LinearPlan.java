package org.lanewise.encoder.model;

import java.util.List;
import java.util.stream.Stream;

/**
 * A linear layer as rows of tensors of a checkpoint, stacked in order.
 *
 * @param pieces the rows; their tensors agree in the columns
 */
public record LinearPlan(List<Piece> pieces) {
  /**
   * Some rows of one linear layer of the checkpoint.
   *
   * @param name the layer's name, without {@code .weight} and {@code .bias}
   * @param firstRow first row that is used
   * @param rows how many are used
   * @param bias whether it has a bias
   */
  public record Piece(String name, int firstRow, int rows, boolean bias) {}

  /** Copies the pieces. */
  public LinearPlan {
    pieces = List.copyOf(pieces);
  }

  /** Returns the layers as one whose outputs follow each other. */
  public static LinearPlan stack(LinearPlan... layers) {
    return new LinearPlan(Stream.of(layers).flatMap(layer -> layer.pieces.stream()).toList());
  }

  /** Returns the columns of the output. */
  public int outputSize() {
    return pieces.stream().mapToInt(Piece::rows).sum();
  }
}
