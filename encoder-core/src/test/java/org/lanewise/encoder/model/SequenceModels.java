package org.lanewise.encoder.model;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/** Small sequence models with random weights. */
public final class SequenceModels {
  /** A vocabulary with what is hard to write to lines. */
  public static final List<String> CHARACTERS =
      Stream.concat(
              "abcdefghijklmnopqrstuvwxyz .,'ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                  .chars()
                  .mapToObj(Character::toString),
              Stream.of("\n", "\r", "\\", "\u2028", "\ud83d\ude00", "\u00e9", "\ufeff"))
          .toList();

  public static final List<String> WORDS = List.of("the", "Ada", "Lovelace", "lived", "in", ".");

  private SequenceModels() {}

  /** A model in memory. */
  public record Model(
      SequenceModelConfig config, List<List<String>> vocabularies, Map<String, Tensor> weights) {
    /** Returns the model with any number of classes for each text. */
    public Model multiLabel() {
      SequenceModelConfig any =
          new SequenceModelConfig(
              config.unit(),
              config.inputs(),
              config.recurrent(),
              config.head(),
              SequenceModelConfig.Choice.MULTI_LABEL,
              config.labels());
      return new Model(any, vocabularies, weights);
    }
  }

  /** Returns words, characters and static vectors under the head. */
  public static Model ofWords(
      RecurrentCell cell, SequenceModelConfig.Head head, List<String> labels, long seed) {
    List<SequenceInput> inputs =
        List.of(
            new SequenceInput.WordVectors(5, true),
            new SequenceInput.Characters(4, new RecurrentConfig(RecurrentCell.LSTM, 4, 3, 1, true)),
            new SequenceInput.StaticVectors(3, false));
    RecurrentConfig recurrent = new RecurrentConfig(cell, 14, 6, 2, true);
    return random(
        new SequenceModelConfig(SequenceModelConfig.Unit.WORD, inputs, recurrent, head, labels),
        List.of(List.of("the", "ada", "in"), CHARACTERS, WORDS),
        seed);
  }

  /** Returns a model that reads code points. */
  public static Model ofCharacters(SequenceModelConfig.Head head, List<String> labels, long seed) {
    return random(
        new SequenceModelConfig(
            SequenceModelConfig.Unit.CHARACTER,
            List.of(new SequenceInput.WordVectors(6, false)),
            new RecurrentConfig(RecurrentCell.GRU, 6, 8, 1, true),
            head,
            labels),
        List.of(CHARACTERS),
        seed);
  }

  /**
   * Returns a model of the configuration with weights from -0.5 to 0.5, few enough to keep ReLU
   * within bounds.
   */
  public static Model random(
      SequenceModelConfig config, List<List<String>> vocabularies, long seed) {
    Random random = new Random(seed);
    List<Integer> rows = new ArrayList<>();
    for (int i = 0; i < vocabularies.size(); i++) {
      boolean encoded = config.inputs().get(i) instanceof SequenceInput.EncoderVectors;
      rows.add(encoded ? 0 : vocabularies.get(i).size() + 1);
    }
    Map<String, Tensor> weights = new LinkedHashMap<>();
    config
        .weightShapes(rows, config.recurrent().outputSize())
        .forEach((name, shape) -> weights.put(name, tensor(name, shape, random)));
    return new Model(config, vocabularies, weights);
  }

  private static Tensor tensor(String name, List<Long> shape, Random random) {
    int elements = shape.stream().mapToInt(Math::toIntExact).reduce(1, Math::multiplyExact);
    MemorySegment data = MemorySegment.ofArray(new byte[elements * Float.BYTES]);
    // Small where steps hand states on, so that no network leaves all bounds.
    float bound = name.contains("weight_hh") || name.contains("W_h") ? 0.25f : 1;
    for (int i = 0; i < elements; i++) {
      data.set(
          ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN),
          (long) i * Float.BYTES,
          random.nextFloat(-bound, bound));
    }
    long[] sizes = shape.stream().mapToLong(Long::longValue).toArray();
    return new Tensor(name, DataType.F32, sizes, data);
  }
}
