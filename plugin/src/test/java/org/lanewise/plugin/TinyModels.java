package org.lanewise.plugin;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.model.RecurrentConfig;
import org.lanewise.encoder.model.SequenceInput;
import org.lanewise.encoder.model.SequenceModelConfig;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.model.SequenceModelConfig.Head;
import org.lanewise.encoder.model.SequenceModelConfig.Unit;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/**
 * Writes directories of taggers and classifiers that the library opens, most with known answers.
 */
public final class TinyModels {
  private TinyModels() {}

  /** Writes a tagger that knows [Ada Lovelace] as PER and [London] as LOC, and nothing else. */
  public static void names(Path directory) {
    write(
        directory,
        config(
            new SequenceInput.WordVectors(3, true),
            Head.TAG_SOFTMAX,
            List.of("O", "B-PER", "I-PER", "B-LOC")),
        List.of("ada", "lovelace", "london"),
        Map.of(
            "inputs.0.weight", rows(new float[3], unit(3, 0), unit(3, 1), unit(3, 2)),
            "head.W", rows(new float[3], unit(3, 0), unit(3, 1), unit(3, 2)),
            "head.b", new float[] {3, 0, 0, 0}));
  }

  /** Writes a classifier that finds texts with [good] positive, those with [bad] negative. */
  public static void mood(Path directory) {
    mood(directory, Choice.MULTI_CLASS);
  }

  /** Writes one that may find a text both, or neither: it expects neither. */
  public static void moods(Path directory) {
    mood(directory, Choice.MULTI_LABEL);
  }

  private static void mood(Path directory, Choice choice) {
    SequenceModelConfig config =
        config(
            new SequenceInput.WordVectors(2, true),
            Head.CLASS_MAX,
            List.of("positive", "negative"));
    float bias = choice == Choice.MULTI_LABEL ? -3 : 0;
    write(
        directory,
        new SequenceModelConfig(
            config.unit(),
            config.inputs(),
            config.recurrent(),
            config.head(),
            choice,
            config.labels()),
        List.of("good", "bad"),
        Map.of(
            "inputs.0.weight", rows(new float[2], unit(2, 0), unit(2, 1)),
            "head.W", rows(unit(2, 0), unit(2, 1)),
            "head.b", new float[] {bias, bias}));
  }

  /** Writes a tagger whose answers only depend on the vectors of the encoder. */
  public static void reader(Path directory, String encoder, Path encoderDirectory) {
    try (ModelDirectory open = ModelDirectory.open(encoderDirectory)) {
      int size = open.config().hiddenSize();
      SequenceModelConfig config =
          config(
              new SequenceInput.EncoderVectors(size, encoder, 1, open.weightsFingerprint()),
              Head.TAG_SOFTMAX,
              List.of("NOUN", "VERB", "ADJ"));
      Random random = new Random(7);
      float[] head = new float[3 * size];
      for (int i = 0; i < head.length; i++) {
        head[i] = (float) random.nextGaussian();
      }
      write(directory, config, List.of(), Map.of("head.W", head));
    }
  }

  /** One state for each number of the input, which is its tanh of three times that number. */
  private static SequenceModelConfig config(SequenceInput input, Head head, List<String> labels) {
    return new SequenceModelConfig(
        Unit.WORD,
        List.of(input),
        new RecurrentConfig(RecurrentCell.RNN_TANH, input.size(), input.size(), 1, false),
        head,
        labels);
  }

  private static void write(
      Path directory,
      SequenceModelConfig config,
      List<String> vocabulary,
      Map<String, float[]> weights) {
    int size = config.recurrent().hiddenSize();
    int labels = config.labels().size();
    float[] triple = new float[size * size];
    for (int i = 0; i < size; i++) {
      triple[i * size + i] = 3;
    }
    Map<String, Tensor> tensors = new HashMap<>();
    put(tensors, "recurrent.weight_ih_l0", triple, size, size);
    put(tensors, "recurrent.weight_hh_l0", new float[size * size], size, size);
    put(tensors, "recurrent.bias_ih_l0", new float[size], size);
    put(tensors, "recurrent.bias_hh_l0", new float[size], size);
    put(tensors, "head.W", weights.get("head.W"), labels, size);
    put(tensors, "head.b", weights.getOrDefault("head.b", new float[labels]), labels);
    if (!vocabulary.isEmpty()) {
      put(tensors, "inputs.0.weight", weights.get("inputs.0.weight"), vocabulary.size() + 1, size);
    }
    try {
      SequenceModelDirectory.write(directory, config, List.of(vocabulary), tensors, DataType.F32);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void put(Map<String, Tensor> tensors, String name, float[] values, long... shape) {
    MemorySegment data = MemorySegment.ofArray(new byte[values.length * Float.BYTES]);
    for (int i = 0; i < values.length; i++) {
      data.set(
          ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN),
          (long) i * Float.BYTES,
          values[i]);
    }
    tensors.put(name, new Tensor(name, DataType.F32, shape, data));
  }

  /** A vector of length ten along one axis. */
  private static float[] unit(int size, int axis) {
    float[] vector = new float[size];
    vector[axis] = 10;
    return vector;
  }

  private static float[] rows(float[]... rows) {
    float[] all = new float[rows.length * rows[0].length];
    for (int i = 0; i < rows.length; i++) {
      System.arraycopy(rows[i], 0, all, i * rows[0].length, rows[0].length);
    }
    return all;
  }
}
