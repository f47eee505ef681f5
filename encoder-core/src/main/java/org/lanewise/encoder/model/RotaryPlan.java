package org.lanewise.encoder.model;

import java.util.List;

/**
 * Rotary position embedding: pair i of a head turns by {@code position * frequencies[i]}.
 *
 * @param frequencies one for each pair of rotated numbers, radians per position
 */
public record RotaryPlan(List<Float> frequencies) {
  /** Copies the frequencies. */
  public RotaryPlan {
    frequencies = List.copyOf(frequencies);
  }
}
