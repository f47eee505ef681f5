package org.lanewise.cli;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.model.RecurrentConfig;
import org.lanewise.encoder.model.SequenceInput;
import org.lanewise.encoder.model.SequenceModelConfig;
import org.lanewise.encoder.model.SequenceModelConfig.Head;
import org.lanewise.encoder.model.SequenceModelConfig.Unit;
import org.lanewise.encoder.model.SequenceModelDirectory;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/**
 * Taggers and classifiers whose answers are known: what is read has a row of a table that says its
 * label, and the network hands that on, seeing nothing else.
 */
final class KnownModels {
  private static final float SURE = 9;

  private KnownModels() {}

  /** Writes a tagger that knows Ada Lovelace and London. */
  static void writeTagger(Path directory) throws IOException {
    write(
        directory,
        Unit.WORD,
        Head.TAG_SOFTMAX,
        List.of("O", "B-PER", "I-PER", "B-LOC"),
        List.of("ada", "lovelace", "london"),
        new int[] {1, 2, 3});
  }

  /** Writes a tagger that knows a verb and a full stop and takes all else for nouns. */
  static void writePartsOfSpeech(Path directory) throws IOException {
    write(
        directory,
        Unit.WORD,
        Head.TAG_SOFTMAX,
        List.of("NOUN", "VERB", "PUNCT"),
        List.of("runs", "."),
        new int[] {1, 2});
  }

  /** Writes a classifier that takes texts for German if they have an umlaut. */
  static void writeLanguages(Path directory) throws IOException {
    write(
        directory,
        Unit.CHARACTER,
        Head.CLASS_MAX,
        List.of("eng", "deu"),
        List.of("\u00e4", "\u00f6", "\u00fc"),
        new int[] {1, 1, 1});
  }

  private static void write(
      Path directory,
      Unit unit,
      Head head,
      List<String> labels,
      List<String> vocabulary,
      int[] labelOf)
      throws IOException {
    int size = labels.size();
    SequenceModelConfig config =
        new SequenceModelConfig(
            unit,
            List.of(new SequenceInput.WordVectors(size, true)),
            new RecurrentConfig(RecurrentCell.RNN_TANH, size, size, 1, false),
            head,
            labels);
    Map<String, float[]> numbers = new HashMap<>();
    config
        .weightShapes(List.of(vocabulary.size() + 1), 1)
        .forEach(
            (name, shape) ->
                numbers.put(
                    name,
                    new float
                        [shape.stream().mapToInt(Long::intValue).reduce(1, Math::multiplyExact)]));
    float[] table = numbers.get("inputs.0.weight");
    table[0] = 1;
    for (int word = 0; word < labelOf.length; word++) {
      table[(word + 1) * size + labelOf[word]] = 1;
    }
    for (int i = 0; i < size; i++) {
      numbers.get("recurrent.weight_ih_l0")[i * size + i] = SURE;
      numbers.get("head.W")[i * size + i] = SURE;
    }
    // What is rare decides over what is there anyway.
    for (int i = 1; head == Head.CLASS_MAX && i < size; i++) {
      numbers.get("head.W")[i * size + i] = 2 * SURE;
    }
    Map<String, Tensor> weights = new HashMap<>();
    config
        .weightShapes(List.of(vocabulary.size() + 1), 1)
        .forEach((name, shape) -> weights.put(name, tensor(name, shape, numbers.get(name))));
    SequenceModelDirectory.write(directory, config, List.of(vocabulary), weights, DataType.F16);
  }

  private static Tensor tensor(String name, List<Long> shape, float[] numbers) {
    MemorySegment data = MemorySegment.ofArray(new byte[numbers.length * Float.BYTES]);
    for (int i = 0; i < numbers.length; i++) {
      data.set(
          ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN),
          (long) i * Float.BYTES,
          numbers[i]);
    }
    return new Tensor(
        name, DataType.F32, shape.stream().mapToLong(Long::longValue).toArray(), data);
  }
}
