package org.lanewise.encoder.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.JsonFile;
import org.lanewise.encoder.weights.MalformedFileException;
import org.lanewise.encoder.weights.Safetensors;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/** Reads the directory of one tagger or classifier and collects its problems on the way. */
final class SequenceModelReader {
  private static final int MOST_INPUTS = 16;
  private static final int MOST_LABELS = 10_000;

  /** Every word of a batch has a score for each tag, in memory of the heap. */
  private static final int MOST_TAGS = 1000;

  /** Every word of a batch has so many numbers, whether or not there are weights for them. */
  private static final int MOST_SIZE = 1 << 14;

  private static final int MOST_LAYERS = 64;
  private static final int MOST_ENCODER_LAYERS = 1024;

  /** Three million words, the largest published vocabulary of static vectors, take 40 MB. */
  private static final int MOST_VOCABULARY_BYTES = 64 << 20;

  private static final int MOST_SHOWN = 8;
  private static final Set<DataType> WEIGHT_TYPES =
      EnumSet.of(DataType.F32, DataType.F16, DataType.BF16);

  private final Path directory;
  private final Arena arena;
  private final List<String> problems = new ArrayList<>();

  SequenceModelReader(Path directory, Arena arena) {
    this.directory = directory;
    this.arena = arena;
  }

  /** Returns what config.json says, as far as it can be read. */
  private SequenceModelConfig config() {
    return JsonFile.open(
            directory.resolve(SequenceModelDirectory.CONFIG),
            SequenceModelDirectory.CONFIG,
            problems)
        .flatMap(this::config)
        .orElseThrow(this::failure);
  }

  /** Returns what config.json says, or throws with its problems. */
  SequenceModelConfig readConfig() {
    SequenceModelConfig config = config();
    if (!problems.isEmpty()) {
      throw failure();
    }
    return config;
  }

  /** Returns what the files say, or throws with all problems. */
  SequenceModelDirectory read() {
    if (!Files.isDirectory(directory)) {
      String what = Files.exists(directory) ? "it is not a directory" : "it does not exist";
      throw new ModelException(directory, List.of(what));
    }
    SequenceModelConfig config = config();
    List<List<String>> vocabularies = new ArrayList<>();
    for (int i = 0; i < config.inputs().size(); i++) {
      vocabularies.add(
          hasTable(config.inputs().get(i)) ? vocabulary("inputs." + i + ".txt") : List.of());
    }
    Optional<Safetensors> opened = weights();
    if (!problems.isEmpty()) {
      throw failure();
    }
    Map<String, Tensor> tensors = opened.orElseThrow().tensors();
    opened
        .get()
        .unreadable()
        .forEach(
            (name, type) ->
                problems.add(
                    "weight ["
                        + name
                        + "] has dtype ["
                        + type
                        + "], expected one of "
                        + WEIGHT_TYPES));
    problems.addAll(weightProblems(config, vocabularies, tensors));
    if (!problems.isEmpty()) {
      throw failure();
    }
    long bytes = tensors.values().stream().mapToLong(tensor -> tensor.data().byteSize()).sum();
    long parameters = tensors.values().stream().mapToLong(Tensor::elements).sum();
    return new SequenceModelDirectory(
        directory, config, vocabularies, Weights.of(tensors), bytes, parameters);
  }

  private ModelException failure() {
    return new ModelException(directory, problems);
  }

  static boolean hasTable(SequenceInput input) {
    return switch (input) {
      case SequenceInput.WordVectors words -> true;
      case SequenceInput.StaticVectors words -> true;
      case SequenceInput.Characters characters -> true;
      case SequenceInput.EncoderVectors vectors -> false;
    };
  }

  private Optional<Safetensors> weights() {
    String name = SequenceModelDirectory.WEIGHTS;
    try {
      return Optional.of(Safetensors.open(directory.resolve(name), name, arena));
    } catch (MalformedFileException e) {
      problems.add(e.getMessage());
      return Optional.empty();
    }
  }

  /** Returns what keeps the weights from being those of the configuration, all of it. */
  static List<String> weightProblems(
      SequenceModelConfig config, List<List<String>> vocabularies, Map<String, Tensor> tensors) {
    if (vocabularies.size() != config.inputs().size()) {
      return List.of(
          "there are "
              + vocabularies.size()
              + " vocabularies, expected one for each of "
              + config.inputs().size()
              + " inputs");
    }
    List<Integer> rows = new ArrayList<>();
    for (int i = 0; i < vocabularies.size(); i++) {
      rows.add(hasTable(config.inputs().get(i)) ? vocabularies.get(i).size() + 1 : 0);
    }
    Tensor attention = tensors.get("pooling.W");
    long attentionSize =
        attention == null || attention.shape().length == 0 ? 1 : attention.shape()[0];
    List<String> problems = new ArrayList<>();
    if (attentionSize < 1 || attentionSize > MOST_SIZE) {
      problems.add("weight [pooling.W] has " + attentionSize + " rows, expected 1 to " + MOST_SIZE);
      attentionSize = 1;
    }
    Map<String, List<Long>> shapes = config.weightShapes(rows, (int) attentionSize);
    shapes.forEach(
        (name, shape) -> {
          Tensor tensor = tensors.get(name);
          if (tensor == null) {
            problems.add("weight [" + name + "] is missing");
          } else if (!WEIGHT_TYPES.contains(tensor.type())) {
            problems.add(
                "weight ["
                    + name
                    + "] has dtype ["
                    + tensor.type()
                    + "], expected one of "
                    + WEIGHT_TYPES);
          } else if (!shape.equals(Arrays.stream(tensor.shape()).boxed().toList())) {
            problems.add(
                "weight ["
                    + name
                    + "] has shape "
                    + Arrays.toString(tensor.shape())
                    + ", expected "
                    + shape);
          } else if (!finite(tensor)) {
            problems.add("weight [" + name + "] has a number that is infinite or none");
          }
        });
    Set<String> strangers = new TreeSet<>(tensors.keySet());
    strangers.removeAll(shapes.keySet());
    for (String name : strangers) {
      problems.add("weight [" + name + "] is not part of the model that config.json describes");
    }
    return problems.size() <= MOST_SHOWN
        ? problems
        : List.of(
            String.join("; ", problems.subList(0, MOST_SHOWN)),
            (problems.size() - MOST_SHOWN) + " weights more are wrong");
  }

  private static boolean finite(Tensor tensor) {
    long elements = tensor.elements();
    for (long i = 0; i < elements; i++) {
      if (!Float.isFinite(tensor.get(i))) {
        return false;
      }
    }
    return true;
  }

  private Optional<SequenceModelConfig> config(JsonFile json) {
    Optional<SequenceModelDirectory.Kind> kind =
        named(json, "model_type", SequenceModelDirectory.Kind.values(), "lanewise_");
    if (kind.isEmpty()) {
      return Optional.empty();
    }
    int version = json.integer("format_version", 1, Integer.MAX_VALUE);
    if (problems.isEmpty() && version != SequenceModelDirectory.FORMAT_VERSION) {
      problems.add(
          json.name()
              + ": [format_version] is "
              + version
              + ", expected "
              + SequenceModelDirectory.FORMAT_VERSION
              + ": train the model again, or read it with the version of Lanewise that wrote it");
    }
    if (!problems.isEmpty()) {
      return Optional.empty();
    }
    List<String> keys =
        new ArrayList<>(
            List.of(
                "model_type", "format_version", "unit", "inputs", "recurrent", "head", "labels"));
    if (json.has("choice")) {
      keys.add("choice");
    }
    requireKeys(json, keys.toArray(String[]::new));
    Optional<SequenceModelConfig.Unit> unit =
        named(json, "unit", SequenceModelConfig.Unit.values(), "");
    Optional<SequenceModelConfig.Head> head =
        named(json, "head", SequenceModelConfig.Head.values(), "");
    Optional<SequenceModelConfig.Choice> choice =
        json.has("choice")
            ? named(json, "choice", SequenceModelConfig.Choice.values(), "")
            : Optional.of(SequenceModelConfig.Choice.MULTI_CLASS);
    List<String> labels = labels(json);
    List<SequenceInput> inputs = inputs(json);
    int size = inputs.stream().mapToInt(SequenceInput::size).sum();
    Optional<RecurrentConfig> recurrent =
        object(json, "recurrent").flatMap(node -> recurrent(node, size));
    if (!problems.isEmpty()) {
      return Optional.empty();
    }
    try {
      SequenceModelConfig config =
          new SequenceModelConfig(
              unit.orElseThrow(),
              inputs,
              recurrent.orElseThrow(),
              head.orElseThrow(),
              choice.orElseThrow(),
              labels);
      if (config.tagger() != (kind.get() == SequenceModelDirectory.Kind.TAGGER)) {
        json.wrong("head", "a head of a " + kind.get().modelType());
        return Optional.empty();
      }
      if (config.tagger() && labels.size() > MOST_TAGS) {
        problems.add(
            json.name()
                + ": [labels] has "
                + labels.size()
                + " names, expected at most "
                + MOST_TAGS
                + " of a tagger");
        return Optional.empty();
      }
      return Optional.of(config);
    } catch (IllegalArgumentException e) {
      problems.add(json.name() + ": " + e.getMessage());
      return Optional.empty();
    }
  }

  private void requireKeys(JsonFile json, String... keys) {
    List<String> known = List.of(keys);
    for (String key : known) {
      if (!json.has(key)) {
        problems.add(json.name() + ": [" + key + "] is missing");
      }
    }
    for (String key : json.keys()) {
      if (!known.contains(key)) {
        problems.add(json.name() + ": [" + key + "] is unknown, expected only " + known);
      }
    }
  }

  /** Returns the constant that the key names; a problem where it names none and is there. */
  private <E extends Enum<E>> Optional<E> named(
      JsonFile json, String key, E[] constants, String prefix) {
    String text = json.text(key).orElse("");
    List<String> names = new ArrayList<>();
    for (E constant : constants) {
      String name = prefix + constant.name().toLowerCase(Locale.ROOT);
      if (name.equals(text)) {
        return Optional.of(constant);
      }
      names.add(name);
    }
    if (!json.has(key) || json.node(key).isTextual()) {
      json.wrong(key, "one of " + names);
    }
    return Optional.empty();
  }

  private List<String> labels(JsonFile json) {
    JsonNode list = json.node("labels");
    List<String> labels = new ArrayList<>();
    if (list.isMissingNode()) {
      return labels;
    }
    if (!list.isArray() || list.isEmpty() || list.size() > MOST_LABELS) {
      json.wrong("labels", "a list of 1 to " + MOST_LABELS + " names");
      return labels;
    }
    for (JsonNode label : list) {
      if (!label.isTextual() || label.textValue().isBlank()) {
        problems.add(json.name() + ": [labels] has " + JsonFile.shown(label) + ", expected a name");
      }
      labels.add(label.asText());
    }
    return labels;
  }

  private List<SequenceInput> inputs(JsonFile json) {
    JsonNode list = json.node("inputs");
    List<SequenceInput> inputs = new ArrayList<>();
    if (list.isMissingNode()) {
      return inputs;
    }
    if (!list.isArray() || list.isEmpty() || list.size() > MOST_INPUTS) {
      json.wrong("inputs", "a list of 1 to " + MOST_INPUTS + " objects");
      return inputs;
    }
    for (int i = 0; i < list.size(); i++) {
      String name = json.name() + ": [inputs] " + i;
      if (list.get(i).isObject()) {
        input(JsonFile.of(list.get(i), name, problems)).ifPresent(inputs::add);
      } else {
        problems.add(name + " is " + JsonFile.shown(list.get(i)) + ", expected an object");
      }
    }
    return inputs;
  }

  private Optional<SequenceInput> input(JsonFile json) {
    int before = problems.size();
    SequenceInput input =
        switch (json.text("kind").orElse("")) {
          case "word_vectors" -> {
            requireKeys(json, "kind", "size", "lowercase");
            yield new SequenceInput.WordVectors(size(json, "size"), json.flag("lowercase", false));
          }
          case "static_vectors" -> {
            requireKeys(json, "kind", "size", "lowercase");
            yield new SequenceInput.StaticVectors(
                size(json, "size"), json.flag("lowercase", false));
          }
          case "characters" -> {
            requireKeys(json, "kind", "embedding_size", "recurrent");
            int size = size(json, "embedding_size");
            yield object(json, "recurrent")
                .flatMap(node -> recurrent(node, size))
                .map(recurrent -> new SequenceInput.Characters(size, recurrent))
                .orElse(null);
          }
          case "encoder_vectors" -> {
            requireKeys(json, "kind", "size", "model", "layer", "fingerprint");
            yield new SequenceInput.EncoderVectors(
                size(json, "size"),
                json.text("model").orElse(""),
                json.optionalInteger("layer", 0, MOST_ENCODER_LAYERS).orElse(0),
                json.text("fingerprint").orElse(""));
          }
          default -> {
            json.wrong(
                "kind", "one of [word_vectors, static_vectors, characters, encoder_vectors]");
            yield null;
          }
        };
    return problems.size() == before ? Optional.ofNullable(input) : Optional.empty();
  }

  private static int size(JsonFile json, String key) {
    return json.optionalInteger(key, 1, MOST_SIZE).orElse(1);
  }

  private Optional<JsonFile> object(JsonFile json, String key) {
    JsonNode node = json.node(key);
    if (!node.isObject()) {
      if (!node.isMissingNode()) {
        json.wrong(key, "an object");
      }
      return Optional.empty();
    }
    return Optional.of(JsonFile.of(node, json.name() + ": [" + key + "]", problems));
  }

  private Optional<RecurrentConfig> recurrent(JsonFile json, int inputSize) {
    int before = problems.size();
    requireKeys(json, "cell", "hidden_size", "layers", "bidirectional");
    Optional<RecurrentCell> cell =
        json.has("cell") ? named(json, "cell", RecurrentCell.values(), "") : Optional.empty();
    int hiddenSize = size(json, "hidden_size");
    int layers = json.optionalInteger("layers", 1, MOST_LAYERS).orElse(1);
    boolean bidirectional = json.flag("bidirectional", false);
    if (inputSize < 1 || inputSize > MOST_SIZE) {
      problems.add(json.name() + " reads " + inputSize + " numbers, expected 1 to " + MOST_SIZE);
    }
    return problems.size() == before
        ? Optional.of(
            new RecurrentConfig(cell.orElseThrow(), inputSize, hiddenSize, layers, bidirectional))
        : Optional.empty();
  }

  private List<String> vocabulary(String name) {
    byte[] bytes;
    Path file = directory.resolve(name);
    if (!Files.isRegularFile(file)) {
      problems.add(name + (Files.exists(file) ? " is not a regular file" : " is missing"));
      return List.of();
    }
    try (InputStream in = Files.newInputStream(file)) {
      bytes = in.readNBytes(MOST_VOCABULARY_BYTES + 1);
    } catch (IOException e) {
      problems.add(name + " cannot be read: " + e.getMessage());
      return List.of();
    }
    if (bytes.length > MOST_VOCABULARY_BYTES) {
      problems.add(name + " has more than " + MOST_VOCABULARY_BYTES + " bytes");
      return List.of();
    }
    List<String> words = new ArrayList<>();
    Set<String> seen = new HashSet<>();
    for (int start = 0; start < bytes.length; ) {
      int end = start;
      while (end < bytes.length && bytes[end] != '\n') {
        end++;
      }
      try {
        String line =
            StandardCharsets.UTF_8
                .newDecoder()
                .decode(ByteBuffer.wrap(bytes, start, end - start))
                .toString();
        String word = unescaped(line);
        if (word.isEmpty()) {
          throw new IllegalArgumentException("is empty, expected a word");
        }
        if (!seen.add(word)) {
          throw new IllegalArgumentException("repeats [" + line + "]");
        }
        words.add(word);
      } catch (CharacterCodingException e) {
        problems.add(name + ": line " + (words.size() + 1) + " is not valid UTF-8");
        return List.of();
      } catch (IllegalArgumentException e) {
        problems.add(name + ": line " + (words.size() + 1) + " " + e.getMessage());
        return List.of();
      }
      start = end + 1;
    }
    return words;
  }

  private static String unescaped(String line) {
    if (line.indexOf('\r') >= 0) {
      throw new IllegalArgumentException(
          "has a carriage return, expected lines that end with a line feed alone");
    }
    if (line.indexOf('\\') < 0) {
      return line;
    }
    StringBuilder word = new StringBuilder();
    for (int i = 0; i < line.length(); ) {
      char unit = line.charAt(i++);
      if (unit != '\\') {
        word.append(unit);
        continue;
      }
      switch (i < line.length() ? line.charAt(i++) : ' ') {
        case '\\' -> word.append('\\');
        case 'n' -> word.append('\n');
        case 'r' -> word.append('\r');
        default ->
            throw new IllegalArgumentException(
                "is [" + line + "], expected \\\\, \\n or \\r where it has a backslash");
      }
    }
    return word.toString();
  }
}
