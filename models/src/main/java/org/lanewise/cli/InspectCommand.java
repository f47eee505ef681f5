package org.lanewise.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.lanewise.encoder.DeviceChoice;
import org.lanewise.encoder.EmbedderOptions;
import org.lanewise.encoder.ModelDirectory;
import org.lanewise.encoder.ModelException;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.backend.Backend;
import org.lanewise.encoder.backend.Backends;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.backend.VectorBackend;
import org.lanewise.encoder.backend.Workers;
import org.lanewise.encoder.head.SentenceModule;
import org.lanewise.encoder.model.EmbeddingPlan;
import org.lanewise.encoder.model.EncoderConfig;
import org.lanewise.encoder.model.SequenceModelDirectory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code lanewise inspect}: what a model directory is and what would run. */
@Command(
    name = "inspect",
    description =
        "Says what a model directory is, what would run, where and in which precision, how much"
            + " memory it would take, and what is missing.")
final class InspectCommand implements Callable<Integer> {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private final Streams streams;

  @Option(
      names = "--model",
      required = true,
      paramLabel = "M",
      description = "A model directory, or the id of a bundled model such as lanewise-mini-en.")
  private String model;

  @Option(names = "--json", description = "Answers one line of JSON instead of a table.")
  private boolean asJson;

  InspectCommand(Streams streams) {
    this.streams = streams;
  }

  @Override
  public Integer call() throws IOException {
    ObjectNode report = MAPPER.createObjectNode();
    report.put("model", model);
    report.put("usable", true);
    try {
      Path path = BundledModels.locate(model);
      if (SequenceModelDirectory.kind(path).isPresent()) {
        SequenceModelReport.describe(report, path);
        write(report);
        return 0;
      }
      try (ModelDirectory directory = ModelDirectory.open(path)) {
        report.put("family", directory.config().family());
        ArrayNode notes = MAPPER.createArrayNode();
        describeEncoder(report, directory);
        describeText(report, directory);
        describeVector(report, directory, notes);
        describeHeads(report, directory);
        describeRun(report, directory, EmbedderOptions.defaults(), path);
        report.set("notes", notes);
        report.set("problems", MAPPER.createArrayNode());
      }
    } catch (ModelException | IllegalArgumentException e) {
      report.put("usable", false);
      List<String> problems =
          e instanceof ModelException bad
              ? bad.problems()
              : List.of(String.valueOf(e.getMessage()));
      report.set("problems", texts(problems.stream()));
      write(report);
      throw e;
    }
    write(report);
    return 0;
  }

  private static void describeEncoder(ObjectNode report, ModelDirectory directory)
      throws IOException {
    EncoderConfig config = directory.config();
    report.put("layers", config.layers());
    report.put("hidden_size", config.hiddenSize());
    report.put("heads", config.sizes().heads());
    report.put("intermediate_size", config.sizes().intermediateSize());
    report.put("max_positions", config.maxPositions());
    report.put("vocabulary_size", config.vocabularySize());
    report.put("activation", config.sizes().activation());
    report.put("parameters", parameters(directory));
    report.set("file_types", texts(directory.weightTypes().stream().map(Enum::name)));
    report.put("disk_bytes", diskBytes(directory.path()));
    report.put("fingerprint", directory.fingerprint());
  }

  private static void describeText(ObjectNode report, ModelDirectory directory) {
    report.put("tokenizer", directory.tokenizer().kind());
    report.put("tokenizer_ids", directory.tokenizer().vocabularySize());
    report.put("max_length", directory.maxLength());
    report.put("lower_case", directory.lowerCase());
    ObjectNode prompts = report.putObject("prompts");
    directory.prompts().byName().forEach(prompts::put);
    report.put("default_prompt", directory.prompts().defaultName().orElse(null));
  }

  private static void describeVector(ObjectNode report, ModelDirectory directory, ArrayNode notes) {
    ArrayNode pooling = report.putArray("pooling");
    ArrayNode dense = report.putArray("dense");
    boolean normalize = false;
    boolean includePrompt = true;
    int dimensions = 0;
    for (SentenceModule module : directory.sentenceModules()) {
      switch (module) {
        case SentenceModule.Pooling step -> {
          step.modes().forEach(mode -> pooling.add(mode.label()));
          includePrompt = step.includePrompt();
          dimensions = directory.config().hiddenSize() * step.modes().size();
        }
        case SentenceModule.Dense step -> {
          int out = (int) step.weight().shape()[0];
          dense.add(step.weight().shape()[1] + " -> " + out + ", " + step.activation());
          dimensions = out;
        }
        case SentenceModule.Normalize step -> normalize = true;
      }
    }
    report.put("include_prompt", includePrompt);
    report.put("normalize", normalize);
    Integer truncate = directory.truncateDimensions().stream().boxed().findFirst().orElse(null);
    report.put("truncate_dim", truncate);
    report.put("dimensions", truncate == null ? dimensions : Math.min(truncate, dimensions));
    report.put("similarity", directory.similarity().orElse(null));
    if (directory.sentenceModules().isEmpty()) {
      notes.add(
          "no pooling is stated (modules.json with a Pooling module is missing), so the model gives"
              + " token vectors but no text vector; choose one with --pooling: "
              + Arrays.stream(PoolingMode.values())
                  .map(PoolingMode::label)
                  .collect(Collectors.joining(", ")));
    }
  }

  private static void describeHeads(ObjectNode report, ModelDirectory directory) {
    ArrayNode heads = report.putArray("heads");
    directory.heads().plans().keySet().forEach(kind -> heads.add(kind.label()));
    directory.lateInteraction().ifPresent(plan -> heads.add("late_interaction"));
    report.set("labels", texts(directory.heads().labels().stream()));
  }

  private static void describeRun(
      ObjectNode report, ModelDirectory directory, EmbedderOptions options, Path path) {
    Optional<String> gpuProblem = Backends.gpuProblem();
    Optional<DeviceChoice> choice = gpuProblem.isEmpty() ? choice(path, options) : Optional.empty();
    try (Workers alone = new Workers(1)) {
      boolean gpu = choice.isPresent() && choice.get().bulks();
      Backend backend =
          Backends.create(gpu ? "cuda" : options.backend(), options.precision(), alone);
      boolean vectorApi = Backends.vectorApiPresent();
      report.put("backend", backend.name());
      report.put("backend_reason", backendReason(options, vectorApi, choice));
      report.put("precision", backend.precision().label());
      report.put(
          "precision_reason",
          options.precision().isPresent()
              ? "asked for"
              : "the default of backend [" + backend.name() + "]");
      report.put("kernels", backend.kernels());
      report.put("kernels_reason", backend.kernelsReason());
      report.put("vector_api", vectorApi);
      report.put("vector_bits", vectorApi ? VectorBackend.vectorBits() : 0);
      report.put("gpu", gpuProblem.isEmpty());
      report.put("gpu_problem", gpuProblem.orElse(null));
      report.put("threads", options.threads());
      report.put("batch_tokens", options.batchTokens());
      long weights = weightMemory(directory, backend);
      long activations = activationMemory(directory.config(), options);
      report.put("weight_memory_bytes", weights);
      report.put("activation_memory_bytes", activations);
      report.put("memory_bytes", weights + activations);
    }
  }

  /** Opens the model as {@code auto} does, where there is a device that it may take. */
  private static Optional<DeviceChoice> choice(Path path, EmbedderOptions options) {
    if (!options.backend().equals("auto")) {
      return Optional.empty();
    }
    try (TextEmbedder embedder = TextEmbedder.open(ModelDirectory.open(path), options)) {
      return embedder.deviceChoice();
    }
  }

  /**
   * Returns why it is this backend.
   *
   * @param choice what {@code auto} uses a device for, where there is one
   */
  static String backendReason(
      EmbedderOptions options, boolean vectorApi, Optional<DeviceChoice> choice) {
    if (choice.isPresent()) {
      return choice.get().text();
    }
    if (!options.backend().equals("auto")) {
      return "asked for by name";
    }
    return vectorApi
        ? "the Vector API is present"
        : "the Vector API is missing; " + Backends.VECTOR_API_CURE;
  }

  private static long parameters(ModelDirectory directory) {
    long parameters = 0;
    EncoderConfig config = directory.config();
    Map<String, List<Long>> shapes = new LinkedHashMap<>(config.weightShapes());
    config
        .optionalWeightShapes()
        .forEach(
            (name, shape) -> {
              if (directory.weights().has(name)) {
                shapes.put(name, shape);
              }
            });
    for (List<Long> shape : shapes.values()) {
      parameters += elements(shape);
    }
    for (SentenceModule module : directory.sentenceModules()) {
      if (module instanceof SentenceModule.Dense dense) {
        parameters += dense.weight().elements();
        parameters += dense.bias() == null ? 0 : dense.bias().elements();
      }
    }
    return parameters;
  }

  static long elements(List<Long> shape) {
    return shape.stream().reduce(1L, (a, b) -> a * b);
  }

  /**
   * The mapped file, whose embeddings are read in place, the prepared matrices of the layers, and
   * the tables of positions.
   */
  private static long weightMemory(ModelDirectory directory, Backend backend) {
    int bytes =
        switch (backend.name().equals("scalar") ? Precision.FP32 : backend.precision()) {
          case FP32 -> Float.BYTES;
          case BF16 -> Short.BYTES;
          case INT8 -> Byte.BYTES;
        };
    long elements = 0;
    EmbeddingPlan embedding = directory.config().embedding();
    Set<String> read = new HashSet<>(Set.of(embedding.words()));
    embedding.positions().ifPresent(read::add);
    embedding.types().ifPresent(read::add);
    for (Map.Entry<String, List<Long>> weight : directory.config().weightShapes().entrySet()) {
      if (weight.getValue().size() > 1 && !read.contains(weight.getKey())) {
        elements += elements(weight.getValue());
      }
    }
    for (SentenceModule module : directory.sentenceModules()) {
      if (module instanceof SentenceModule.Dense dense) {
        elements += dense.weight().elements();
      }
    }
    long tables = directory.config().positionNumbers() * Float.BYTES;
    return directory.weightBytes() + elements * bytes + tables;
  }

  /** The activations of a full batch on each thread. */
  private static long activationMemory(EncoderConfig config, EmbedderOptions options) {
    long perToken = config.activationsPerToken();
    return options.threads() * perToken * options.batchTokens() * Float.BYTES;
  }

  static long diskBytes(Path directory) throws IOException {
    long bytes = 0;
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        bytes += Files.size(file);
      }
    }
    return bytes;
  }

  static ArrayNode texts(Stream<String> texts) {
    ArrayNode array = MAPPER.createArrayNode();
    texts.forEach(array::add);
    return array;
  }

  private void write(ObjectNode report) throws IOException {
    try (JsonGenerator json = streams.json()) {
      if (asJson) {
        MAPPER.writeTree(json, report);
        Streams.endLine(json);
      } else {
        for (Map.Entry<String, JsonNode> line : report.properties()) {
          json.writeRaw(
              String.format(
                  Locale.ROOT,
                  "%-24s%s%n",
                  line.getKey().replace("_bytes", "").replace('_', ' '),
                  shown(line.getKey(), line.getValue())));
        }
      }
      streams.flush(json);
    }
  }

  private static String shown(String key, JsonNode value) {
    if (value.isNull() || (value.isContainerNode() && value.isEmpty())) {
      return "none";
    }
    if (value.isArray()) {
      return value.valueStream().map(JsonNode::asText).collect(Collectors.joining("; "));
    }
    if (value.isObject()) {
      return value
          .propertyStream()
          .map(each -> each.getKey() + "=" + each.getValue())
          .collect(Collectors.joining(", "));
    }
    if (key.endsWith("_bytes")) {
      return String.format(Locale.ROOT, "%,.1f MiB", value.asLong() / 1048576.0);
    }
    return value.isNumber() ? String.format(Locale.ROOT, "%,d", value.asLong()) : value.asText();
  }
}
