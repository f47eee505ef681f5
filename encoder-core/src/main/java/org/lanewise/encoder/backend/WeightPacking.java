package org.lanewise.encoder.backend;

import static org.lanewise.encoder.backend.ProductKernels.BYTES;
import static org.lanewise.encoder.backend.ProductKernels.PANEL;
import static org.lanewise.encoder.backend.ProductKernels.PANEL_BYTES;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import org.lanewise.encoder.weights.Tensor;

/**
 * Packs weights for {@link ProductKernels} when a model is opened: the rows of a weight, which are
 * the columns of the product, a panel at a time.
 */
final class WeightPacking {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;

  private WeightPacking() {}

  /** Returns the bytes of a panel. */
  static long panelBytes(Precision precision, int depth) {
    return switch (precision) {
      case FP32 -> PANEL_BYTES * depth;
      case BF16 -> BYTES * depth;
      case INT8 -> (long) PANEL * depth;
    };
  }

  /** Returns the rows of all weights, from {@code first} on; zeros where there are no more. */
  static float[][] rows(List<Tensor> weights, int first, int count) {
    float[][] rows = new float[count][];
    Arrays.fill(rows, new float[Math.toIntExact(weights.getFirst().shape()[1])]);
    long before = 0;
    for (Tensor weight : weights) {
      long end = before + weight.shape()[0];
      for (long row = Math.max(first, before); row < Math.min(first + count, end); row++) {
        rows[Math.toIntExact(row - first)] = weight.row(row - before);
      }
      before = end;
    }
    return rows;
  }

  /**
   * Writes a panel.
   *
   * @param columns as many as a panel has
   * @param at byte offset of the panel
   * @param scales where the scales of int8 columns go
   * @param scalesAt byte offset of the first
   */
  static void pack(
      Precision precision,
      float[][] columns,
      MemorySegment panel,
      long at,
      MemorySegment scales,
      long scalesAt) {
    switch (precision) {
      case FP32 -> packFp32(columns, panel, at);
      case BF16 -> packBf16(columns, panel, at);
      case INT8 -> packInt8(columns, panel, at, scales, scalesAt);
    }
  }

  static void packFp32(float[][] columns, MemorySegment panel, long at) {
    panel = NativeMemory.known(panel);
    for (int k = 0; k < columns[0].length; k++) {
      for (float[] column : columns) {
        panel.set(FLOAT, at, column[k]);
        at += Float.BYTES;
      }
    }
  }

  private static void packBf16(float[][] columns, MemorySegment panel, long at) {
    panel = NativeMemory.known(panel);
    int lanes = columns.length / 2;
    for (int k = 0; k < columns[0].length; k++) {
      for (int i = 0; i < lanes; i++) {
        int low = BFloat16.bits(columns[i][k]);
        panel.set(INT, at, low | BFloat16.bits(columns[i + lanes][k]) << 16);
        at += Integer.BYTES;
      }
    }
  }

  private static void packInt8(
      float[][] columns, MemorySegment panel, long at, MemorySegment scales, long scalesAt) {
    panel = NativeMemory.known(panel);
    float[] scale = scales(columns, scales, scalesAt);
    for (int k = 0; k < columns[0].length; k++) {
      for (int i = 0; i < columns.length; i++) {
        panel.set(ValueLayout.JAVA_BYTE, at++, (byte) Int8.round(columns[i][k], scale[i]));
      }
    }
  }

  /** Writes the scales of columns and returns them. */
  static float[] scales(float[][] columns, MemorySegment scales, long scalesAt) {
    float[] scale = new float[columns.length];
    for (int i = 0; i < columns.length; i++) {
      scale[i] = Int8.scale(columns[i]);
    }
    MemorySegment.copy(scale, 0, scales, FLOAT, scalesAt, scale.length);
    return scale;
  }
}
