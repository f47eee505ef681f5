package org.lanewise.encoder.model;

import static java.util.stream.Collectors.joining;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.Tensor;

/** What is written is read back; what is not in order is refused by name. */
final class SequenceModelDirectoryTest {
  private static final List<String> LABELS = List.of("O", "B-PER", "I-PER");

  @TempDir private Path directory;

  @ParameterizedTest
  @EnumSource(RecurrentCell.class)
  void whatIsWrittenIsReadBack(RecurrentCell cell) throws IOException {
    for (SequenceModelConfig.Head head : SequenceModelConfig.Head.values()) {
      SequenceModels.Model model = SequenceModels.ofWords(cell, head, LABELS, 1);
      write(model, DataType.F32);
      try (Arena arena = Arena.ofConfined()) {
        SequenceModelDirectory read = SequenceModelDirectory.open(directory, arena);
        assertEquals(model.config(), read.config());
        assertEquals(model.vocabularies(), read.vocabularies());
        assertEquals(Optional.of(read.kind()), SequenceModelDirectory.kind(directory));
        for (Map.Entry<String, Tensor> weight : model.weights().entrySet()) {
          assertArrayEquals(
              numbers(weight.getValue()), numbers(read.weights().tensor(weight.getKey())));
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F16", "BF16"})
  void halfPrecisionKeepsTheNearestNumber(DataType type) throws IOException {
    SequenceModels.Model model =
        SequenceModels.ofCharacters(SequenceModelConfig.Head.CLASS_LAST, LABELS, 2);
    write(model, type);
    double relative = type == DataType.F16 ? 0x1p-11 : 0x1p-8;
    try (Arena arena = Arena.ofConfined()) {
      SequenceModelDirectory read = SequenceModelDirectory.open(directory, arena);
      for (Map.Entry<String, Tensor> weight : model.weights().entrySet()) {
        float[] expected = numbers(weight.getValue());
        float[] found = numbers(read.weights().tensor(weight.getKey()));
        for (int i = 0; i < expected.length; i++) {
          assertEquals(expected[i], found[i], relative * Math.abs(expected[i]) + 0x1p-25);
        }
      }
    }
  }

  @Test
  void equalModelsAreEqualFiles() throws IOException {
    SequenceModels.Model model =
        SequenceModels.ofCharacters(SequenceModelConfig.Head.CLASS_MEAN, LABELS, 3);
    write(model, DataType.F16);
    byte[] first = Files.readAllBytes(directory.resolve("model.safetensors"));
    write(
        new SequenceModels.Model(
            model.config(), model.vocabularies(), new HashMap<>(model.weights())),
        DataType.F16);
    assertArrayEquals(first, Files.readAllBytes(directory.resolve("model.safetensors")));
  }

  static Stream<Arguments> badFiles() {
    return Stream.of(
        Arguments.of("config.json", "\"tag_crf\"", "\"tag_crfs\"", "[head] is \"tag_crfs\""),
        Arguments.of("config.json", "\"tag_crf\"", "\"class_mean\"", "a head of a lanewise_tagger"),
        Arguments.of("config.json", "\"unit\"", "\"units\"", "[unit] is missing"),
        Arguments.of(
            "config.json", "\"unit\"", "\"choice\" : \"all\", \"unit\"", "[choice] is \"all\""),
        Arguments.of(
            "config.json",
            "\"unit\"",
            "\"choice\" : \"multi_label\", \"unit\"",
            "[choice] is multi_label, which is for classifiers"),
        Arguments.of("config.json", "\"unit\"", "\"more\" : 1, \"unit\"", "[more] is unknown"),
        Arguments.of("config.json", "lanewise_tagger", "bert", "[model_type] is \"bert\""),
        Arguments.of(
            "config.json", "\"format_version\" : 1", "\"format_version\" : 2", "expected 1:"),
        Arguments.of("config.json", "\"layers\" : 2", "\"layers\" : 3", "_l2] is missing"),
        Arguments.of("config.json", "\"layers\" : 2", "\"layers\" : 65", "expected a whole number"),
        Arguments.of("config.json", "\"hidden_size\" : 6", "\"hidden_size\" : 7", "has shape"),
        Arguments.of("config.json", "\"size\" : 5", "\"size\" : 99999", "[size] is 99999"),
        Arguments.of("config.json", "\"B-PER\"", "\"O\"", "no two alike"),
        Arguments.of("config.json", "\"B-PER\"", "7", "[labels] has 7"),
        Arguments.of(
            "config.json",
            "\"B-PER\"",
            IntStream.range(0, 1000).mapToObj(i -> "\"B-" + i + "\"").collect(joining(",")),
            "[labels] has 1002 names, expected at most 1000 of a tagger"),
        Arguments.of("config.json", "\"word_vectors\"", "\"vectors\"", "[kind] is \"vectors\""),
        Arguments.of("config.json", "{", "[", "is not valid JSON"),
        Arguments.of("inputs.0.txt", "ada\n", "the\n", "line 2 repeats [the]"),
        Arguments.of("inputs.0.txt", "ada\n", "\n", "line 2 is empty"),
        Arguments.of("inputs.0.txt", "ada\n", "ada\r\n", "line 2 has a carriage return"),
        Arguments.of("inputs.0.txt", "ada\n", "a\\da\n", "line 2 is [a\\da]"),
        Arguments.of("inputs.0.txt", "ada\n", "", "[inputs.0.weight] has shape [4, 5]"));
  }

  @ParameterizedTest
  @MethodSource("badFiles")
  void whatIsNotInOrderIsRefused(String file, String text, String replacement, String expected)
      throws IOException {
    write(
        SequenceModels.ofWords(RecurrentCell.LSTM, SequenceModelConfig.Head.TAG_CRF, LABELS, 4),
        DataType.F32);
    String content = Files.readString(directory.resolve(file));
    assertTrue(content.contains(text), content);
    Files.writeString(directory.resolve(file), content.replace(text, replacement));
    assertRefused(expected);
  }

  @Test
  void bytesThatAreNotUtf8AreRefused() throws IOException {
    write(
        SequenceModels.ofWords(RecurrentCell.LSTM, SequenceModelConfig.Head.TAG_CRF, LABELS, 4),
        DataType.F32);
    Files.write(
        directory.resolve("inputs.2.txt"), "the\n\u00e9\n".getBytes(StandardCharsets.ISO_8859_1));
    assertRefused("inputs.2.txt: line 2 is not valid UTF-8");
  }

  @Test
  void missingFilesAreNamed() throws IOException {
    SequenceModels.Model model =
        SequenceModels.ofWords(RecurrentCell.LSTM, SequenceModelConfig.Head.TAG_CRF, LABELS, 4);
    for (String file : List.of("config.json", "inputs.1.txt", "model.safetensors")) {
      write(model, DataType.F32);
      Files.delete(directory.resolve(file));
      assertRefused(file + " is missing");
    }
  }

  @Test
  void strangeOrMissingOrBadWeightsAreNamed() throws IOException {
    SequenceModels.Model model =
        SequenceModels.ofWords(RecurrentCell.LSTM, SequenceModelConfig.Head.TAG_CRF, LABELS, 4);
    Map<String, Tensor> weights = new HashMap<>(model.weights());
    weights.put("head.c", weights.remove("head.b"));
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                write(
                    new SequenceModels.Model(model.config(), model.vocabularies(), weights),
                    DataType.F32));
    assertTrue(refused.getMessage().contains("weight [head.b] is missing"), refused.getMessage());
    assertTrue(refused.getMessage().contains("weight [head.c] is not part"), refused.getMessage());
  }

  @Test
  void aConfigurationSaysWhereATextHasAnyNumberOfClasses() throws IOException {
    SequenceModels.Model model =
        SequenceModels.ofCharacters(SequenceModelConfig.Head.CLASS_MAX, LABELS, 1);
    write(model, DataType.F32);
    assertFalse(Files.readString(directory.resolve("config.json")).contains("choice"));
    write(model.multiLabel(), DataType.F32);
    assertEquals(model.multiLabel().config(), SequenceModelDirectory.config(directory));
  }

  private void write(SequenceModels.Model model, DataType type) throws IOException {
    SequenceModelDirectory.write(
        directory, model.config(), model.vocabularies(), model.weights(), type);
  }

  private void assertRefused(String expected) {
    try (Arena arena = Arena.ofConfined()) {
      ModelException refused =
          assertThrows(ModelException.class, () -> SequenceModelDirectory.open(directory, arena));
      assertTrue(refused.getMessage().contains(expected), refused.getMessage());
    }
  }

  private static float[] numbers(Tensor tensor) {
    float[] numbers = new float[Math.toIntExact(tensor.elements())];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = tensor.get(i);
    }
    return numbers;
  }
}
