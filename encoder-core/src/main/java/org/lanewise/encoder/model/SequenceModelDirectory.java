package org.lanewise.encoder.model;

import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.JsonFile;
import org.lanewise.encoder.weights.SafetensorsWriter;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/**
 * The directory of a tagger or classifier, read and checked.
 *
 * <p>It holds {@code config.json}, {@code model.safetensors} and, for each input with a table, its
 * vocabulary {@code inputs.N.txt}: UTF-8, one word or character per line beginning with row 1,
 * lines ended by {@code \n} alone, with {@code \\}, {@code \n} and {@code \r} standing for
 * backslash, line feed and carriage return. Other files are left alone.
 *
 * @param vocabularies for each input the spellings of rows 1, 2 and so on; empty where it has none
 * @param weights tensors of {@link SequenceModelConfig#weightShapes}, in memory of the arena
 * @param weightBytes their bytes in the file
 * @param parameters how many numbers they are
 */
public record SequenceModelDirectory(
    Path path,
    SequenceModelConfig config,
    List<List<String>> vocabularies,
    Weights weights,
    long weightBytes,
    long parameters) {

  static final int FORMAT_VERSION = 1;
  static final String CONFIG = "config.json";
  static final String WEIGHTS = "model.safetensors";

  private static final ObjectMapper MAPPER = new ObjectMapper();

  /** What a directory holds, by {@code model_type} of its config.json. */
  public enum Kind {
    TAGGER,
    CLASSIFIER;

    /** Returns {@code lanewise_tagger} or {@code lanewise_classifier}. */
    public String modelType() {
      return "lanewise_" + name().toLowerCase(Locale.ROOT);
    }
  }

  /** Copies the lists. */
  public SequenceModelDirectory {
    vocabularies = vocabularies.stream().map(List::copyOf).toList();
  }

  /** Returns what the directory holds, or empty where it is neither tagger nor classifier. */
  public static Optional<Kind> kind(Path directory) {
    if (!Files.isRegularFile(directory.resolve(CONFIG))) {
      return Optional.empty();
    }
    List<String> problems = new ArrayList<>();
    String type =
        JsonFile.open(directory.resolve(CONFIG), CONFIG, problems)
            .flatMap(json -> json.text("model_type"))
            .orElse("");
    for (Kind kind : Kind.values()) {
      if (kind.modelType().equals(type)) {
        return Optional.of(kind);
      }
    }
    return Optional.empty();
  }

  /** Returns what the directory holds. */
  public Kind kind() {
    return config.tagger() ? Kind.TAGGER : Kind.CLASSIFIER;
  }

  /**
   * Returns what config.json of a tagger or classifier says; its other files are left alone.
   *
   * @throws ModelException naming every problem that was found, with what is expected
   */
  public static SequenceModelConfig config(Path directory) {
    return new SequenceModelReader(directory, Arena.global()).readConfig();
  }

  /**
   * Returns the directory's contents.
   *
   * @param arena keeps the weights' memory
   * @throws ModelException naming every problem that was found, with what is expected
   */
  public static SequenceModelDirectory open(Path directory, Arena arena) {
    return new SequenceModelReader(directory, arena).read();
  }

  /**
   * Writes a directory that {@link #open} reads, config.json last. What is there under the same
   * names is replaced.
   *
   * @param vocabularies for each input; empty where it has no table
   * @param weights those of {@link SequenceModelConfig#weightShapes}, and no others
   * @param type number format of the weights: F32, F16 or BF16
   * @throws IllegalArgumentException naming what does not fit together or cannot be written
   */
  public static void write(
      Path directory,
      SequenceModelConfig config,
      List<List<String>> vocabularies,
      Map<String, Tensor> weights,
      DataType type)
      throws IOException {
    Files.createDirectories(directory);
    List<String> problems = SequenceModelReader.weightProblems(config, vocabularies, weights);
    if (!problems.isEmpty()) {
      throw new IllegalArgumentException(String.join("; ", problems));
    }
    for (int i = 0; i < vocabularies.size(); i++) {
      if (SequenceModelReader.hasTable(config.inputs().get(i))) {
        Files.write(directory.resolve("inputs." + i + ".txt"), lines(vocabularies.get(i), i));
      }
    }
    SafetensorsWriter.write(directory.resolve(WEIGHTS), weights, type);
    DefaultIndenter indenter = new DefaultIndenter("  ", "\n");
    String json =
        MAPPER
            .writer(new DefaultPrettyPrinter().withObjectIndenter(indenter))
            .writeValueAsString(json(config));
    Files.writeString(directory.resolve(CONFIG), json + "\n");
  }

  private static byte[] lines(List<String> vocabulary, int input) {
    StringBuilder lines = new StringBuilder();
    for (String word : vocabulary) {
      if (word.isEmpty() || !StandardCharsets.UTF_8.newEncoder().canEncode(word)) {
        throw new IllegalArgumentException(
            "the vocabulary of input ["
                + input
                + "] has ["
                + word
                + "], expected a word of whole characters");
      }
      lines.append(word.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r"));
      lines.append('\n');
    }
    return lines.toString().getBytes(StandardCharsets.UTF_8);
  }

  private static ObjectNode json(SequenceModelConfig config) {
    ObjectNode json = MAPPER.createObjectNode();
    json.put("model_type", (config.tagger() ? Kind.TAGGER : Kind.CLASSIFIER).modelType());
    json.put("format_version", FORMAT_VERSION);
    json.put("unit", name(config.unit()));
    ArrayNode inputs = json.putArray("inputs");
    for (SequenceInput input : config.inputs()) {
      ObjectNode node = inputs.addObject();
      switch (input) {
        case SequenceInput.WordVectors words -> {
          node.put("kind", "word_vectors");
          node.put("size", words.size());
          node.put("lowercase", words.lowercase());
        }
        case SequenceInput.StaticVectors words -> {
          node.put("kind", "static_vectors");
          node.put("size", words.size());
          node.put("lowercase", words.lowercase());
        }
        case SequenceInput.Characters characters -> {
          node.put("kind", "characters");
          node.put("embedding_size", characters.embeddingSize());
          putRecurrent(node.putObject("recurrent"), characters.recurrent());
        }
        case SequenceInput.EncoderVectors vectors -> {
          node.put("kind", "encoder_vectors");
          node.put("size", vectors.size());
          node.put("model", vectors.model());
          node.put("layer", vectors.layer());
          node.put("fingerprint", vectors.fingerprint());
        }
      }
    }
    putRecurrent(json.putObject("recurrent"), config.recurrent());
    json.put("head", name(config.head()));
    if (config.choice() != SequenceModelConfig.Choice.MULTI_CLASS) {
      json.put("choice", name(config.choice()));
    }
    ArrayNode labels = json.putArray("labels");
    config.labels().forEach(labels::add);
    return json;
  }

  private static void putRecurrent(ObjectNode node, RecurrentConfig recurrent) {
    node.put("cell", name(recurrent.cell()));
    node.put("hidden_size", recurrent.hiddenSize());
    node.put("layers", recurrent.layers());
    node.put("bidirectional", recurrent.bidirectional());
  }

  private static String name(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }
}
