package org.lanewise.encoder.model;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.lanewise.encoder.backend.RecurrentCell;

/**
 * The kind and the sizes of a recurrent network.
 *
 * @param cell what one step computes
 * @param inputSize numbers per token that the first layer reads
 * @param hiddenSize numbers per token that each direction of a layer writes
 * @param layers each reads what the one before it wrote
 * @param bidirectional whether every layer also reads its sequences backwards
 */
public record RecurrentConfig(
    RecurrentCell cell, int inputSize, int hiddenSize, int layers, boolean bidirectional) {
  private static final int MAX_SIZE = 1 << 16;
  private static final int MAX_LAYERS = 1024;

  /** Checks the sizes. */
  public RecurrentConfig {
    check("inputSize", inputSize, MAX_SIZE);
    check("hiddenSize", hiddenSize, MAX_SIZE);
    check("layers", layers, MAX_LAYERS);
  }

  private static void check(String name, int value, int largest) {
    if (value < 1 || value > largest) {
      throw new IllegalArgumentException(
          "[" + name + "] is " + value + ", expected 1 to " + largest);
    }
  }

  /** Returns 2 where layers also read backwards, else 1. */
  public int directions() {
    return bidirectional ? 2 : 1;
  }

  /** Returns numbers per token that each layer writes: directions * hiddenSize. */
  public int outputSize() {
    return directions() * hiddenSize;
  }

  /** Returns numbers per token that a layer reads. */
  int inputSize(int layer) {
    return layer == 0 ? inputSize : outputSize();
  }

  /**
   * Returns the shape of every weight of the network by its name, as {@link RecurrentNetwork} reads
   * them.
   */
  public Map<String, List<Long>> weightShapes() {
    Map<String, List<Long>> shapes = new LinkedHashMap<>();
    long hidden = hiddenSize;
    long rows = cell.gates() * hidden;
    for (int layer = 0; layer < layers; layer++) {
      for (int direction = 0; direction < directions(); direction++) {
        String name = "_l" + layer + (direction == 1 ? "_reverse" : "");
        long input = inputSize(layer);
        if (cell == RecurrentCell.LSTM_PEEPHOLE) {
          String suffix = name.equals("_l0") ? "" : name;
          for (String gate : RecurrentNetwork.PEEPHOLE_GATES) {
            shapes.put("W_x" + gate + suffix, List.of(hidden, input));
            shapes.put("W_h" + gate + suffix, List.of(hidden, hidden));
            shapes.put("b_" + gate + suffix, List.of(hidden));
          }
          for (String gate : List.of("i", "f", "o")) {
            shapes.put("w_c" + gate + suffix, List.of(hidden));
          }
        } else {
          shapes.put("weight_ih" + name, List.of(rows, input));
          shapes.put("weight_hh" + name, List.of(rows, hidden));
          shapes.put("bias_ih" + name, List.of(rows));
          shapes.put("bias_hh" + name, List.of(rows));
        }
      }
    }
    return shapes;
  }
}
