package org.lanewise.encoder.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.backend.TrainingBackend;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.model.RecurrentConfig;
import org.lanewise.encoder.model.SequenceInput;
import org.lanewise.encoder.model.SequenceInputs;
import org.lanewise.encoder.model.SequenceModelConfig;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.model.SequenceModelConfig.Head;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/** Whole models of every kind of input and head on small random batches. */
@Tag("backend")
final class TrainableModelTest {
  private static final String BACKEND = System.getProperty("lanewise.backend", "auto");
  private static final long SEED = Long.getLong("lanewise.seed", 20261121);
  private static final List<String> LABELS = List.of("O", "B-A", "I-A", "B-B", "I-B");
  private static final List<Integer> ROWS = List.of(6, 7, 5, 0);
  private static final TrainableModel.Dropout DROPOUT =
      new TrainableModel.Dropout(0.2, 0.3, 0.25, 0.2);

  private final Workers workers = new Workers(2);

  @AfterEach
  void close() {
    workers.close();
  }

  @ParameterizedTest
  @EnumSource(Head.class)
  void gradientsAreThoseOfFiniteDifferences(Head head) {
    for (RecurrentCell cell : RecurrentCell.values()) {
      // A step across the kink of a relu says nothing of the slope; the goldens have that cell.
      if (cell != RecurrentCell.RNN_RELU) {
        Random random = new Random(SEED);
        SequenceInputs.Batch batch = batch(random);
        int[][] labels = labels(batch, head, random);
        compareWithFiniteDifferences(config(head, cell), batch, labels, random);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = "CLASS_.*")
  void gradientsOfAnyNumberOfClassesAreThoseOfFiniteDifferences(Head head) {
    SequenceModelConfig one = config(head, RecurrentCell.LSTM);
    SequenceModelConfig any =
        new SequenceModelConfig(
            one.unit(), one.inputs(), one.recurrent(), head, Choice.MULTI_LABEL, one.labels());
    Random random = new Random(SEED);
    SequenceInputs.Batch batch = batch(random);
    int[][] sets = {{}, {1}, {0, 2, 4}};
    int[][] labels = new int[batch.sequenceStarts().length - 1][];
    Arrays.setAll(labels, text -> sets[text % sets.length]);
    compareWithFiniteDifferences(any, batch, labels, random);
  }

  private void compareWithFiniteDifferences(
      SequenceModelConfig config, SequenceInputs.Batch batch, int[][] labels, Random random) {
    Head head = config.head();
    try (TrainableModel model = new TrainableModel(backend(workers), config, ROWS, SEED)) {
      model.load(Weights.of(Map.of("inputs.2.weight", random("inputs.2.weight", random, 5, 3))));
      Map<String, Tensor> weights = model.weights();
      loss(model, batch, labels);
      Map<String, Tensor> gradients = model.gradients();
      assertFalse(gradients.containsKey("inputs.2.weight"), "static vectors are frozen");
      assertEquals(weights.size() - 1, gradients.size());
      // A larger step may make another word the largest.
      float step = head == Head.CLASS_MAX ? 1 / 1024f : 1 / 128f;
      double largest = 0;
      int compared = 0;
      for (Map.Entry<String, Tensor> gradient : gradients.entrySet()) {
        Tensor weight = weights.get(gradient.getKey());
        for (int sample = 0; sample < 5; sample++) {
          long at = random.nextLong(weight.elements());
          double above = lossWith(model, weight, at, step, batch, labels);
          double below = lossWith(model, weight, at, -step, batch, labels);
          lossWith(model, weight, at, 0, batch, labels);
          double expected = (above - below) / (2 * step);
          double error =
              Math.abs(expected - gradient.getValue().get(at)) / (1 + Math.abs(expected));
          assertTrue(
              error < 1e-3,
              () ->
                  gradient.getKey()
                      + "["
                      + at
                      + "] is "
                      + gradient.getValue().get(at)
                      + ", by finite differences "
                      + expected);
          largest = Math.max(largest, error);
          compared++;
        }
      }
      System.out.printf(
          Locale.ROOT,
          "%s, %s: %d derivatives, largest error %.1e%n",
          head,
          config.recurrent().cell(),
          compared,
          largest);
    }
  }

  private static double lossWith(
      TrainableModel model,
      Tensor weight,
      long at,
      float change,
      SequenceInputs.Batch batch,
      int[][] labels) {
    MemorySegment data = Arena.ofAuto().allocate(weight.data().byteSize());
    data.copyFrom(weight.data());
    data.set(
        ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN),
        at * Float.BYTES,
        weight.get(at) + change);
    model.load(
        Weights.of(
            Map.of(weight.name(), new Tensor(weight.name(), weight.type(), weight.shape(), data))));
    return loss(model, batch, labels);
  }

  /** The masks of dropout are the same every time. */
  private static double loss(TrainableModel model, SequenceInputs.Batch batch, int[][] labels) {
    return model.accumulate(batch, labels, DROPOUT, new Random(7));
  }

  @ParameterizedTest
  @EnumSource(Head.class)
  void theLossGoesDown(Head head) {
    for (RecurrentCell cell : RecurrentCell.values()) {
      try (TrainableModel model = model(head, cell, workers, SEED)) {
        Random random = new Random(SEED);
        SequenceInputs.Batch batch = batch(random);
        int[][] labels = labels(batch, head, random);
        Optimizer optimizer = new Optimizer(0.05, 0, 200, 0.001, 5, 0);
        double first = model.accumulate(batch, labels, TrainableModel.Dropout.NONE, random);
        double last = first;
        for (int step = 1; step <= 60; step++) {
          model.step(optimizer, step, 1.0 / labels.length);
          last = model.accumulate(batch, labels, TrainableModel.Dropout.NONE, random);
        }
        String which = head + ", " + cell + ": from " + first + " to " + last;
        assertTrue(last < 0.1 * first, which);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Head.class)
  void theSameSeedGivesTheSameWeightsOnAnyThreads(Head head) {
    try (Workers one = new Workers(1);
        Workers three = new Workers(3);
        TrainableModel alone = model(head, RecurrentCell.LSTM, one, SEED);
        TrainableModel shared = model(head, RecurrentCell.LSTM, three, SEED);
        TrainableModel other = model(head, RecurrentCell.LSTM, one, SEED + 1)) {
      for (TrainableModel model : List.of(alone, shared, other)) {
        train(model, head, 1, 5);
      }
      assertSame(alone.weights(), shared.weights());
      assertFalse(
          Arrays.equals(
              bytes(alone.weights().get("head.W")), bytes(other.weights().get("head.W"))));
    }
  }

  @Test
  void aModelGoesOnFromItsCheckpointAsIfItHadNotStopped() {
    try (TrainableModel model = model(Head.TAG_CRF, RecurrentCell.GRU, workers, SEED);
        TrainableModel resumed = model(Head.TAG_CRF, RecurrentCell.GRU, workers, SEED + 1)) {
      train(model, Head.TAG_CRF, 1, 4);
      Map<String, Tensor> checkpoint = model.checkpoint();
      train(model, Head.TAG_CRF, 5, 8);
      train(resumed, Head.TAG_CRF, 1, 2);
      resumed.restore(Weights.of(checkpoint));
      train(resumed, Head.TAG_CRF, 5, 8);
      assertSame(model.weights(), resumed.weights());
      refused(
          "weight [head.b] is missing",
          () -> {
            Map<String, Tensor> lacking = new LinkedHashMap<>(checkpoint);
            lacking.remove("head.b");
            resumed.restore(Weights.of(lacking));
          });
    }
  }

  @ParameterizedTest
  @EnumSource(Head.class)
  void weightsThatAreReadBackGiveTheSameLoss(Head head) {
    try (TrainableModel model = model(head, RecurrentCell.LSTM_PEEPHOLE, workers, SEED);
        TrainableModel copy = model(head, RecurrentCell.LSTM_PEEPHOLE, workers, SEED + 1)) {
      train(model, head, 1, 3, 0);
      Random random = new Random(SEED);
      SequenceInputs.Batch batch = batch(random);
      int[][] labels = labels(batch, head, random);
      copy.load(Weights.of(model.weights()));
      assertEquals(loss(model, batch, labels), loss(copy, batch, labels));
    }
  }

  @ParameterizedTest
  @EnumSource(Head.class)
  void weightsAreNamedAndShapedAsTheConfigurationSays(Head head) {
    for (RecurrentCell cell : RecurrentCell.values()) {
      try (TrainableModel model = model(head, cell, workers, SEED)) {
        SequenceModelConfig config = config(head, cell);
        Map<String, List<Long>> shapes = new LinkedHashMap<>();
        model
            .weights()
            .forEach(
                (name, tensor) -> shapes.put(name, Arrays.stream(tensor.shape()).boxed().toList()));
        assertEquals(config.weightShapes(ROWS, config.recurrent().outputSize()), shapes);
      }
    }
  }

  @Test
  void whatDoesNotFitIsNamed() {
    try (TrainableModel model = model(Head.TAG_CRF, RecurrentCell.LSTM, workers, SEED)) {
      Random random = new Random(SEED);
      SequenceInputs.Batch batch = batch(random);
      int words = batch.words();
      int[][] labels = labels(batch, Head.TAG_CRF, random);
      refused(
          "there are 1 labels, expected " + words + ": one for each word",
          () -> loss(model, batch, new int[1][1]));
      int[][] unknown = new int[words][1];
      unknown[2] = new int[] {0, 5};
      refused("word [2] has label 5, expected 0 to 4", () -> loss(model, batch, unknown));
      int[][] none = new int[words][1];
      none[1] = new int[0];
      refused("token [1] has the labels [], expected at least one", () -> loss(model, batch, none));
      int[][] forbidden = new int[words][1];
      forbidden[0] = new int[] {2, 4};
      refused("sequence [0] has the score -Infinity", () -> loss(model, batch, forbidden));
      SequenceInputs.Part.Rows rows = (SequenceInputs.Part.Rows) batch.parts().getFirst();
      int[] beyond = rows.rows().clone();
      beyond[0] = 6;
      refused(
          "row [6] of input [0] is beyond its table of 6 rows",
          () -> loss(model, with(batch, 0, new SequenceInputs.Part.Rows(beyond)), labels));
      refused(
          "input [3] is Rows",
          () -> loss(model, with(batch, 3, new SequenceInputs.Part.Rows(beyond)), labels));
      float[][] narrow = new float[words][1];
      refused(
          "vector [0] of input [3] has 1 numbers, expected 2",
          () -> loss(model, with(batch, 3, new SequenceInputs.Part.Vectors(narrow)), labels));
      SequenceInputs.Batch torn =
          new SequenceInputs.Batch(new int[] {0, 0, words}, batch.distinct(), batch.parts());
      refused("the starts of the texts are not", () -> loss(model, torn, labels));
      refused(
          "weight [head.b] has shape [4], expected [5]",
          () -> model.load(Weights.of(Map.of("head.b", random("head.b", random, 4)))));
      refused("dropout [layers] is 1.0", () -> new TrainableModel.Dropout(0, 1, 0, 0));
      refused(
          "[rows] has 1 entries, expected 4",
          () ->
              new TrainableModel(
                  backend(workers), config(Head.TAG_CRF, RecurrentCell.GRU), List.of(3), 1));
      refused(
          "the table of input [1] has 0 rows",
          () ->
              new TrainableModel(
                  backend(workers),
                  config(Head.TAG_CRF, RecurrentCell.GRU),
                  List.of(6, 0, 5, 0),
                  1));
      // What was refused has left no trace.
      loss(model, batch, labels);
      Map<String, Tensor> gradients = model.gradients();
      try (TrainableModel fresh = model(Head.TAG_CRF, RecurrentCell.LSTM, workers, SEED)) {
        loss(fresh, batch, labels);
        assertSame(gradients, fresh.gradients());
      }
    }
  }

  private static void train(TrainableModel model, Head head, int first, int last) {
    train(model, head, first, last, 0.5);
  }

  private static void train(
      TrainableModel model, Head head, int first, int last, double averaging) {
    Optimizer optimizer = new Optimizer(0.01, 2, 10, 0.01, 1, averaging);
    for (int step = first; step <= last; step++) {
      Random random = new Random(step);
      SequenceInputs.Batch batch = batch(random);
      int[][] labels = labels(batch, head, random);
      model.accumulate(batch, labels, DROPOUT, random);
      model.step(optimizer, step, 1.0 / labels.length);
    }
  }

  private static void assertSame(Map<String, Tensor> expected, Map<String, Tensor> actual) {
    assertEquals(expected.keySet(), actual.keySet());
    expected.forEach(
        (name, tensor) ->
            assertTrue(Arrays.equals(bytes(tensor), bytes(actual.get(name))), name + " differs"));
  }

  private static byte[] bytes(Tensor tensor) {
    return tensor.data().toArray(ValueLayout.JAVA_BYTE);
  }

  private static void refused(String words, Runnable call) {
    String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
    assertTrue(message.contains(words), message);
  }

  private static SequenceInputs.Batch with(
      SequenceInputs.Batch batch, int input, SequenceInputs.Part part) {
    SequenceInputs.Part[] parts = batch.parts().toArray(SequenceInputs.Part[]::new);
    parts[input] = part;
    return new SequenceInputs.Batch(batch.sequenceStarts(), batch.distinct(), List.of(parts));
  }

  private static TrainableModel model(Head head, RecurrentCell cell, Workers workers, long seed) {
    return new TrainableModel(backend(workers), config(head, cell), ROWS, seed);
  }

  private static TrainingBackend backend(Workers workers) {
    return (TrainingBackend) Backends.create(BACKEND, Optional.of(Precision.FP32), workers);
  }

  private static SequenceModelConfig config(Head head, RecurrentCell cell) {
    return new SequenceModelConfig(
        SequenceModelConfig.Unit.WORD,
        List.of(
            new SequenceInput.WordVectors(4, true),
            new SequenceInput.Characters(3, new RecurrentConfig(RecurrentCell.LSTM, 3, 2, 1, true)),
            new SequenceInput.StaticVectors(3, true),
            new SequenceInput.EncoderVectors(2, "encoder", 1, "fingerprint")),
        new RecurrentConfig(cell, 13, 5, 2, true),
        head,
        LABELS);
  }

  /** Returns four texts of five distinct words. */
  private static SequenceInputs.Batch batch(Random random) {
    int distinct = 5;
    int[] starts = new int[5];
    for (int text = 1; text < starts.length; text++) {
      starts[text] = starts[text - 1] + 1 + random.nextInt(6);
    }
    int words = starts[starts.length - 1];
    int[] characters = new int[distinct + 1];
    for (int word = 1; word <= distinct; word++) {
      characters[word] = characters[word - 1] + 1 + random.nextInt(4);
    }
    float[][] vectors = new float[words][2];
    for (float[] vector : vectors) {
      vector[0] = (float) random.nextGaussian();
      vector[1] = (float) random.nextGaussian();
    }
    return new SequenceInputs.Batch(
        starts,
        random.ints(words, 0, distinct).toArray(),
        List.of(
            new SequenceInputs.Part.Rows(random.ints(distinct, 0, 6).toArray()),
            new SequenceInputs.Part.CharacterRows(
                random.ints(characters[distinct], 0, 7).toArray(), characters),
            new SequenceInputs.Part.Rows(random.ints(distinct, 0, 5).toArray()),
            new SequenceInputs.Part.Vectors(vectors)));
  }

  /** Returns labels that the scheme allows; a CRF may choose where a word has the first one. */
  private static int[][] labels(SequenceInputs.Batch batch, Head head, Random random) {
    boolean tags = head == Head.TAG_SOFTMAX || head == Head.TAG_CRF;
    int[] any = head == Head.TAG_CRF ? new int[] {0, 1, 2} : new int[] {0};
    int[][] allowed = {any, {1}, {3}};
    return random
        .ints(tags ? batch.words() : batch.sequenceStarts().length - 1, 0, allowed.length)
        .mapToObj(each -> allowed[each])
        .toArray(int[][]::new);
  }

  private static Tensor random(String name, Random random, long... shape) {
    int elements = (int) Arrays.stream(shape).reduce(1, Math::multiplyExact);
    MemorySegment data = Arena.ofAuto().allocate((long) elements * Float.BYTES);
    for (int i = 0; i < elements; i++) {
      data.set(
          ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN),
          (long) i * Float.BYTES,
          (float) random.nextGaussian());
    }
    return new Tensor(name, DataType.F32, shape, data);
  }
}
