package org.lanewise.encoder.train;

import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.lanewise.encoder.model.SequenceInputs.WordEncoder;
import org.lanewise.encoder.tokenizer.SegmentedText;

/**
 * An encoder's vectors of the training texts, computed once: it is frozen, and the same in every
 * epoch. They are kept as half-precision numbers, and all vectors are rounded to these, so that it
 * makes no difference which of them found room. Thread-safe.
 */
final class KeptVectors implements WordEncoder {
  /** So many texts are read at once, always the same ones together. */
  private static final int TOGETHER = 128;

  private final WordEncoder encoder;
  private final int size;
  private final Map<Integer, Map<SegmentedText, short[]>> kept = new HashMap<>();

  /**
   * Reads texts, the first ones, as far as there is room.
   *
   * @param bytes that the vectors may take
   */
  KeptVectors(TrainingData.Encoder encoder, List<SegmentedText> texts, long bytes) {
    this.encoder = encoder.words();
    encoder.layers().forEach(layer -> kept.put(layer, new IdentityHashMap<>()));
    size = encoder.size();
    long left = bytes;
    for (int from = 0; from < texts.size(); from += TOGETHER) {
      List<SegmentedText> some = texts.subList(from, Math.min(from + TOGETHER, texts.size()));
      long words = some.stream().mapToLong(SegmentedText::words).sum();
      left -= words * size * Short.BYTES * kept.size();
      if (left < 0) {
        return;
      }
      keep(some);
    }
  }

  private void keep(List<SegmentedText> texts) {
    for (Map.Entry<Integer, Map<SegmentedText, short[]>> layer : kept.entrySet()) {
      float[][] vectors = encoder.encode(texts, layer.getKey());
      int at = 0;
      for (SegmentedText text : texts) {
        short[] halves = new short[text.words() * size];
        for (int word = 0; word < text.words(); word++) {
          float[] vector = vectors[at++];
          for (int i = 0; i < size; i++) {
            halves[word * size + i] = Float.floatToFloat16(vector[i]);
          }
        }
        layer.getValue().put(text, halves);
      }
    }
  }

  @Override
  public float[][] encode(List<SegmentedText> texts, int layer) {
    Map<SegmentedText, short[]> known = kept.get(layer);
    List<SegmentedText> missing = texts.stream().filter(text -> !known.containsKey(text)).toList();
    float[][] encoded = missing.isEmpty() ? new float[0][] : encoder.encode(missing, layer);
    int next = 0;
    float[][] vectors = new float[texts.stream().mapToInt(SegmentedText::words).sum()][];
    int at = 0;
    for (SegmentedText text : texts) {
      short[] halves = known.get(text);
      for (int word = 0; word < text.words(); word++) {
        vectors[at++] = halves == null ? rounded(encoded[next++]) : vector(halves, word * size);
      }
    }
    return vectors;
  }

  private float[] vector(short[] halves, int from) {
    float[] vector = new float[size];
    for (int i = 0; i < size; i++) {
      vector[i] = Float.float16ToFloat(halves[from + i]);
    }
    return vector;
  }

  private static float[] rounded(float[] vector) {
    float[] rounded = new float[vector.length];
    for (int i = 0; i < vector.length; i++) {
      rounded[i] = Float.float16ToFloat(Float.floatToFloat16(vector[i]));
    }
    return rounded;
  }
}
