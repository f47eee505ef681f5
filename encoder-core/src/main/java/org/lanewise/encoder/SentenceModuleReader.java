package org.lanewise.encoder;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.head.SentenceModule;
import org.lanewise.encoder.head.SparsePooling;
import org.lanewise.encoder.model.EncoderConfig;
import org.lanewise.encoder.weights.JsonFile;
import org.lanewise.encoder.weights.Safetensors;
import org.lanewise.encoder.weights.Tensor;

/**
 * Reads modules.json and the modules' folders, in the schemas of sentence-transformers before and
 * since 5.4.
 */
final class SentenceModuleReader {
  private static final String MODULES = "modules.json";

  /** The flags of the old schema, in the order in which their vectors are concatenated. */
  private static final Map<String, PoolingMode> POOLING_FLAGS = new LinkedHashMap<>();

  static {
    POOLING_FLAGS.put("pooling_mode_cls_token", PoolingMode.CLS);
    POOLING_FLAGS.put("pooling_mode_max_tokens", PoolingMode.MAX);
    POOLING_FLAGS.put("pooling_mode_mean_tokens", PoolingMode.MEAN);
    POOLING_FLAGS.put("pooling_mode_mean_sqrt_len_tokens", PoolingMode.MEAN_SQRT_LENGTH);
    POOLING_FLAGS.put("pooling_mode_weightedmean_tokens", PoolingMode.WEIGHTED_MEAN);
    POOLING_FLAGS.put("pooling_mode_lasttoken", PoolingMode.LAST_TOKEN);
  }

  /** Class names of torch by the names of {@link SentenceModule.Dense}. */
  private static final Map<String, String> ACTIVATIONS =
      new TreeMap<>(
          Map.of(
              "Identity", "identity",
              "Tanh", "tanh",
              "ReLU", "relu",
              "GELU", "gelu",
              "SiLU", "silu",
              "Sigmoid", "sigmoid"));

  private static final String SENTENCE_EMBEDDING = "sentence_embedding";
  private static final String TOKEN_EMBEDDINGS = "token_embeddings";
  private static final String SPLADE = "SpladePooling";
  private static final String MASK = "MultiVectorMask";
  private static final String ROUTER = "Router";
  private static final String ROUTES = "router_config.json";
  private static final String TABLE = "SparseStaticEmbedding";
  private static final String TOKENIZER = "tokenizer.json";

  private static final List<String> SUPPORTED =
      List.of("Transformer", "Pooling", "Dense", "Normalize", "Dropout", SPLADE, MASK, TABLE);
  private static final int MAX_FEATURES = 1 << 20;

  /** Real directories have up to five. */
  private static final int MOST_MODULES = 32;

  /**
   * One line of modules.json.
   *
   * @param kind last part of the type name
   * @param folder folder inside the directory, empty or ending in a slash
   */
  private record Module(String kind, String folder) {}

  private final ModelDirectoryReader directory;
  private final List<String> problems;
  private final List<Module> modules = new ArrayList<>();
  private Optional<Module> queryTable = Optional.empty();

  /** Reads modules.json, where there is one. */
  SentenceModuleReader(ModelDirectoryReader directory) {
    this.directory = directory;
    this.problems = directory.problems();
    Optional<JsonNode> list = directory.optionalList(MODULES);
    if (list.isEmpty()) {
      return;
    }
    int before = problems.size();
    if (list.get().size() > MOST_MODULES) {
      problems.add(tooMany(MODULES, list.get()));
    } else if (list.get().size() == 1
        && list.get().get(0).path("type").asText("").endsWith("." + ROUTER)) {
      readRoutes(JsonFile.of(list.get().get(0), MODULES + ": module 0", problems));
    } else {
      for (int i = 0; i < list.get().size(); i++) {
        module(list.get().get(i), MODULES + ": module " + i).ifPresent(modules::add);
      }
    }
    boolean understood = problems.size() == before;
    if (understood && (modules.isEmpty() || !modules.getFirst().kind.equals("Transformer"))) {
      problems.add(
          MODULES
              + " begins with "
              + (modules.isEmpty() ? "nothing" : "[" + modules.getFirst().kind + "]")
              + ", expected a Transformer");
    }
  }

  private static String tooMany(String name, JsonNode modules) {
    return name + " has " + modules.size() + " modules, expected at most " + MOST_MODULES;
  }

  /** Documents go through the encoder, questions through a table of weights. */
  private void readRoutes(JsonFile router) {
    Optional<String> folder = folder(router);
    Optional<JsonFile> file = folder.flatMap(path -> directory.require(path + ROUTES));
    if (file.isEmpty()) {
      return;
    }
    JsonFile json = file.get();
    JsonNode structure = json.node("structure");
    JsonNode documents = structure.path("document");
    JsonNode queries = structure.path("query");
    JsonNode parameters = json.node("parameters");
    if (structure.size() != 2
        || !documents.isArray()
        || documents.isEmpty()
        || !queries.isArray()
        || queries.size() != 1
        || !parameters.path("route_mappings").isEmpty()
        || !parameters.path("default_route").asText("document").equals("document")) {
      json.wrong(
          "structure",
          "a route [document] by default and a route [query] of one SparseStaticEmbedding, without"
              + " mappings");
      return;
    }
    if (documents.size() > MOST_MODULES) {
      problems.add(tooMany(json.name(), documents));
      return;
    }
    for (JsonNode id : documents) {
      routed(json, folder.get(), id).ifPresent(modules::add);
    }
    queryTable = routed(json, folder.get(), queries.get(0));
    if (queryTable.isPresent() && !queryTable.get().kind.equals(TABLE)) {
      json.wrong("structure", "a [query] of one " + TABLE + ", not " + queryTable.get().kind);
    }
  }

  private Optional<Module> routed(JsonFile json, String folder, JsonNode id) {
    ObjectNode module = JsonNodeFactory.instance.objectNode();
    module.put("type", json.node("types").path(id.asText("")).asText(""));
    module.put("path", folder + id.asText(""));
    return module(module, json.name() + ": module [" + id.asText("") + "]");
  }

  /**
   * Returns the weight of each token in a question, (vocabulary), where the directory has such a
   * table.
   *
   * @param home the folder of the encoder, whose tokenizer must be the table's own
   */
  Optional<Tensor> queryTokenWeights(String home) {
    if (queryTable.isEmpty()) {
      return Optional.empty();
    }
    String folder = queryTable.get().folder;
    Optional<JsonFile> own = directory.optional(folder + TOKENIZER);
    Optional<JsonFile> encoders = directory.optional(home + TOKENIZER);
    if (own.isPresent() && encoders.isPresent()) {
      for (String part : List.of("model", "normalizer", "pre_tokenizer", "added_tokens")) {
        if (!own.get().node(part).equals(encoders.get().node(part))) {
          own.get().wrong(part, "that of " + home + TOKENIZER + ": both make the same tokens");
        }
      }
    }
    return directory
        .openWeights(folder)
        .flatMap(
            weights -> {
              Tensor stored = weights.tensors().get("weight");
              long size = stored == null || stored.shape().length != 1 ? -1 : stored.shape()[0];
              return Optional.ofNullable(tensor(weights, folder, "weight", List.of(size)));
            });
  }

  /** Returns the folder of the encoder, empty or ending in a slash. */
  String transformerPath() {
    return modules.stream()
        .filter(module -> module.kind.equals("Transformer"))
        .map(Module::folder)
        .findFirst()
        .orElse("");
  }

  private List<Module> behindTransformer() {
    return modules.subList(Math.min(1, modules.size()), modules.size());
  }

  private Optional<Module> behindTransformer(String kind) {
    return behindTransformer().stream().filter(module -> module.kind.equals(kind)).findFirst();
  }

  /** Returns how logits are pooled, where the directory says so. */
  Optional<SparsePooling> sparsePooling() {
    Optional<Module> splade = behindTransformer(SPLADE);
    if (splade.isPresent() && behindTransformer().size() > 1) {
      problems.add(
          MODULES + " has more than [SpladePooling] after the Transformer, expected it alone");
    }
    return splade
        .flatMap(module -> directory.require(module.folder + "config.json"))
        .map(
            json -> {
              String strategy = json.text("pooling_strategy").orElse("max");
              String activation = json.text("activation_function").orElse("relu");
              if (!strategy.equals("max") && !strategy.equals("sum")) {
                json.wrong("pooling_strategy", "max or sum");
              }
              if (!activation.equals("relu") && !activation.equals("log1p_relu")) {
                json.wrong("activation_function", "relu or log1p_relu");
              }
              return new SparsePooling(
                  strategy.equals("sum"), activation.equals("log1p_relu") ? 2 : 1);
            });
  }

  /** Returns the configuration of the module that makes a model one of vectors of tokens. */
  Optional<JsonFile> multiVectorMask() {
    return behindTransformer(MASK)
        .flatMap(module -> directory.require(module.folder + "config.json"));
  }

  /** Returns what happens to the state of each token, in a model of vectors of tokens. */
  List<SentenceModule> tokenModules(Optional<EncoderConfig> config) {
    List<SentenceModule> steps = new ArrayList<>();
    int width = config.map(EncoderConfig::hiddenSize).orElse(-1);
    for (Module module : behindTransformer()) {
      switch (module.kind) {
        case "Dense" -> {
          Optional<SentenceModule.Dense> dense = dense(module.folder, width, TOKEN_EMBEDDINGS);
          dense.ifPresent(steps::add);
          width = dense.map(step -> (int) step.weight().shape()[0]).orElse(-1);
        }
        case "Normalize" -> {
          directory
              .optional(module.folder + "config.json")
              .ifPresent(json -> checkWorksOn(json, TOKEN_EMBEDDINGS));
          steps.add(new SentenceModule.Normalize());
        }
        case MASK, "Dropout" -> {
          // The mask is read by itself; Dropout does nothing outside training.
        }
        default ->
            problems.add(
                MODULES
                    + " has ["
                    + module.kind
                    + "] beside a MultiVectorMask, expected Transformer, Dense, MultiVectorMask and"
                    + " Normalize");
      }
    }
    return steps;
  }

  /** Returns the steps after the encoder; problems go to the directory's. */
  List<SentenceModule> read(Optional<EncoderConfig> config) {
    List<SentenceModule> steps = new ArrayList<>();
    if (behindTransformer(SPLADE).isPresent() || behindTransformer(MASK).isPresent()) {
      return steps;
    }
    int width = config.map(EncoderConfig::hiddenSize).orElse(-1);
    boolean pooled = false;
    for (Module module : behindTransformer()) {
      boolean isPooling = module.kind.equals("Pooling");
      if (isPooling == pooled && !module.kind.equals("Dropout")) {
        problems.add(
            MODULES
                + " has ["
                + module.kind
                + "] "
                + (pooled ? "after a Pooling" : "before any Pooling")
                + ", expected Transformer, one Pooling, then Dense and Normalize");
        return steps;
      }
      pooled |= isPooling;
      switch (module.kind) {
        case "Pooling" -> {
          Optional<SentenceModule.Pooling> pooling = pooling(module.folder, width);
          pooling.ifPresent(steps::add);
          int parts = pooling.map(step -> step.modes().size()).orElse(-1);
          width = width < 0 || parts < 0 ? -1 : width * parts;
        }
        case "Dense" -> {
          Optional<SentenceModule.Dense> dense = dense(module.folder, width, SENTENCE_EMBEDDING);
          dense.ifPresent(steps::add);
          width = dense.map(step -> (int) step.weight().shape()[0]).orElse(-1);
        }
        case "Normalize" -> {
          directory
              .optional(module.folder + "config.json")
              .ifPresent(json -> checkWorksOn(json, SENTENCE_EMBEDDING));
          steps.add(new SentenceModule.Normalize());
        }
        case "Dropout" -> {
          // Dropout does nothing outside training.
        }
        default ->
            problems.add(
                MODULES
                    + " has a second ["
                    + module.kind
                    + "], expected Transformer, one Pooling, then Dense and Normalize");
      }
    }
    return steps;
  }

  private Optional<Module> module(JsonNode node, String name) {
    if (!node.isObject()) {
      problems.add(name + " is " + JsonFile.shown(node) + ", expected a JSON object");
      return Optional.empty();
    }
    JsonFile json = JsonFile.of(node, name, problems);
    if (!json.has("type")) {
      json.wrong("type", "the class of a module");
    }
    Optional<String> type = json.text("type");
    Optional<String> folder = folder(json);
    if (type.isEmpty() || folder.isEmpty()) {
      return Optional.empty();
    }
    String kind = type.get().substring(type.get().lastIndexOf('.') + 1);
    if (kind.equals("MLMTransformer")) {
      kind = "Transformer";
    }
    if (!type.get().startsWith("sentence_transformers.") || !SUPPORTED.contains(kind)) {
      problems.add(
          name
              + ": type ["
              + type.get()
              + "] is not supported; supported: "
              + String.join(", ", SUPPORTED)
              + " of sentence_transformers");
      return Optional.empty();
    }
    return Optional.of(new Module(kind, folder.get()));
  }

  private Optional<String> folder(JsonFile json) {
    String path = json.text("path").orElse("");
    try {
      Path root = directory.resolve("").toAbsolutePath().normalize();
      Path inside = root.resolve(path).normalize();
      if (inside.startsWith(root)) {
        String folder = root.relativize(inside).toString();
        return Optional.of(folder.isEmpty() ? "" : folder + "/");
      }
    } catch (InvalidPathException e) {
      json.wrong("path", "a folder inside the model directory, not " + e.getReason());
      return Optional.empty();
    }
    json.wrong("path", "a folder inside the model directory");
    return Optional.empty();
  }

  private Optional<SentenceModule.Pooling> pooling(String folder, int hiddenSize) {
    Optional<JsonFile> file = directory.require(folder + "config.json");
    if (file.isEmpty()) {
      return Optional.empty();
    }
    JsonFile json = file.get();
    int before = problems.size();
    for (String key : List.of("embedding_dimension", "word_embedding_dimension")) {
      json.optionalInteger(key, 1, MAX_FEATURES)
          .ifPresent(
              found -> {
                if (hiddenSize > 0 && found != hiddenSize) {
                  json.wrong(key, hiddenSize + ", the [hidden_size] of config.json");
                }
              });
    }
    List<PoolingMode> modes = json.has("pooling_mode") ? namedModes(json) : flaggedModes(json);
    boolean includePrompt = json.flag("include_prompt", true);
    if (problems.size() == before && modes.isEmpty()) {
      problems.add(
          json.name()
              + " states no pooling, expected [pooling_mode] or one of "
              + POOLING_FLAGS.keySet());
    }
    return problems.size() == before
        ? Optional.of(new SentenceModule.Pooling(modes, includePrompt))
        : Optional.empty();
  }

  /** The schema since 5.4: one name or a list, whose order is the vector's. */
  private static List<PoolingMode> namedModes(JsonFile json) {
    JsonNode node = json.node("pooling_mode");
    List<PoolingMode> modes = new ArrayList<>();
    Iterable<JsonNode> names = node.isArray() ? node : List.of(node);
    for (JsonNode name : names) {
      Optional<PoolingMode> mode = PoolingMode.named(name.asText(""));
      if (mode.isEmpty() || !name.isTextual() || modes.size() == PoolingMode.values().length) {
        json.wrong(
            "pooling_mode",
            "one or some of "
                + String.join(
                    ", ", POOLING_FLAGS.values().stream().map(PoolingMode::label).toList()));
        return List.of();
      }
      modes.add(mode.get());
    }
    return modes;
  }

  private List<PoolingMode> flaggedModes(JsonFile json) {
    List<PoolingMode> modes = new ArrayList<>();
    POOLING_FLAGS.forEach(
        (key, mode) -> {
          if (json.flag(key, false)) {
            modes.add(mode);
          }
        });
    for (String key : json.keys()) {
      if (key.startsWith("pooling_mode_")
          && !POOLING_FLAGS.containsKey(key)
          && json.flag(key, false)) {
        json.wrong(key, "one of " + POOLING_FLAGS.keySet());
      }
    }
    return modes;
  }

  private Optional<SentenceModule.Dense> dense(String folder, int width, String what) {
    Optional<JsonFile> file = directory.require(folder + "config.json");
    Optional<Safetensors> weights = directory.openWeights(folder);
    if (file.isEmpty() || weights.isEmpty()) {
      return Optional.empty();
    }
    JsonFile json = file.get();
    int before = problems.size();
    int in = json.integer("in_features", 1, MAX_FEATURES);
    int out = json.integer("out_features", 1, MAX_FEATURES);
    boolean hasBias = json.flag("bias", true);
    String activation = activation(json);
    checkWorksOn(json, what);
    if (json.flag("use_residual", false)) {
      json.wrong("use_residual", "false: residual Dense modules are not supported");
    }
    if (problems.size() == before && width > 0 && in != width) {
      json.wrong("in_features", width + ", the length of the vector before it");
    }
    if (problems.size() > before) {
      return Optional.empty();
    }
    Tensor weight = tensor(weights.get(), folder, "linear.weight", List.of((long) out, (long) in));
    Tensor bias =
        hasBias ? tensor(weights.get(), folder, "linear.bias", List.of((long) out)) : null;
    if (!hasBias && weights.get().tensors().containsKey("linear.bias")) {
      json.wrong("bias", "true, as the weights have [linear.bias]");
    }
    return problems.size() == before
        ? Optional.of(new SentenceModule.Dense(weight, bias, activation))
        : Optional.empty();
  }

  /** Returns the tensor, or null after adding a problem. */
  private Tensor tensor(Safetensors weights, String folder, String name, List<Long> shape) {
    Tensor tensor = weights.tensors().get(name);
    String unreadable = weights.unreadable().get(name);
    if (tensor == null && unreadable == null) {
      problems.add("weight [" + name + "] of " + folder + " is missing");
      return null;
    }
    ModelDirectoryReader.checkTensor(name, tensor, unreadable, shape)
        .ifPresent(problem -> problems.add(folder + ": " + problem));
    return tensor;
  }

  private String activation(JsonFile json) {
    String path = json.text("activation_function").orElse("torch.nn.modules.activation.Tanh");
    String activation =
        path.startsWith("torch.nn.")
            ? ACTIVATIONS.get(path.substring(path.lastIndexOf('.') + 1))
            : null;
    if (activation == null) {
      problems.add(
          json.name()
              + ": activation_function ["
              + path
              + "] is not supported; supported: "
              + String.join(", ", ACTIVATIONS.keySet())
              + " of torch.nn");
    }
    return activation;
  }

  private static void checkWorksOn(JsonFile json, String what) {
    for (String key : List.of("module_input_name", "module_output_name")) {
      if (!json.text(key).orElse(what).equals(what)) {
        json.wrong(key, "\"" + what + "\"");
      }
    }
  }
}
