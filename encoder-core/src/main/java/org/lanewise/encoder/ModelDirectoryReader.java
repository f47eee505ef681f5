package org.lanewise.encoder;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.family.Families;
import org.lanewise.encoder.head.EncoderHeads;
import org.lanewise.encoder.head.HeadPlan;
import org.lanewise.encoder.head.LateInteractionPlan;
import org.lanewise.encoder.head.SentenceModule;
import org.lanewise.encoder.head.SparsePooling;
import org.lanewise.encoder.model.EncoderConfig;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.tokenizer.Tokenizer;
import org.lanewise.encoder.tokenizer.Tokenizers;
import org.lanewise.encoder.weights.DataType;
import org.lanewise.encoder.weights.JsonFile;
import org.lanewise.encoder.weights.MalformedFileException;
import org.lanewise.encoder.weights.Safetensors;
import org.lanewise.encoder.weights.Tensor;
import org.lanewise.encoder.weights.Weights;

/** Reads one model directory, once, and collects its problems on the way. */
final class ModelDirectoryReader {
  /**
   * The order in which sentence-transformers looks for them; six are from before BERT's name won.
   */
  private static final List<String> SENTENCE_CONFIGS =
      List.of(
          "sentence_bert_config.json",
          "sentence_roberta_config.json",
          "sentence_distilbert_config.json",
          "sentence_camembert_config.json",
          "sentence_albert_config.json",
          "sentence_xlm-roberta_config.json",
          "sentence_xlnet_config.json");

  private static final String SAFETENSORS = "model.safetensors";
  private static final String INDEX = SAFETENSORS + ".index.json";

  /** Files that hold the weights in formats that we do not read. */
  private static final List<String> OTHER_WEIGHTS =
      List.of(
          "pytorch_model.bin",
          "pytorch_model.bin.index.json",
          "tf_model.h5",
          "flax_model.msgpack",
          "model.onnx",
          "onnx");

  private static final Set<DataType> WEIGHT_TYPES =
      EnumSet.of(DataType.F32, DataType.F16, DataType.BF16);

  private static final EncoderHeads NO_HEADS =
      new EncoderHeads(Map.of(), Map.of(), List.of(), Choice.MULTI_CLASS, Activation.IDENTITY);

  private static final int MAX_LISTED = 8;
  private static final int WHOLE_TENSOR = 16 << 10;
  private static final int PIECES = 16;
  private static final int PIECE = 1 << 10;
  private static final int HASHED_AT_ONCE = 1 << 20;

  private final Path directory;
  private final Arena arena;
  private final List<String> problems = new ArrayList<>();
  private final Map<String, Path> files = new TreeMap<>();

  ModelDirectoryReader(Path directory, Arena arena) {
    this.directory = directory;
    this.arena = arena;
  }

  /** Returns what the files say, or throws with all problems. */
  ModelDirectory.Contents read() {
    requireDirectory(directory);
    SentenceModuleReader modules = new SentenceModuleReader(this);
    String home = modules.transformerPath();
    Optional<JsonFile> configFile = require(home + "config.json");
    Optional<EncoderConfig> config = configFile.flatMap(json -> Families.read(json, problems));
    Optional<Safetensors> opened = openWeights(home);
    Optional<String> prefix =
        opened.isPresent() && config.isPresent()
            ? prefix(opened.get(), config.get())
            : Optional.empty();
    Map<String, Tensor> weights =
        prefix.map(each -> encoderWeights(opened.get(), config.get(), each)).orElse(Map.of());
    Optional<Tokenizer> tokenizer = tokenizer(home);
    if (config.isPresent() && tokenizer.isPresent()) {
      checkVocabulary(config.get(), tokenizer.get());
    }
    Optional<JsonFile> sentenceConfig =
        SENTENCE_CONFIGS.stream()
            .filter(name -> exists(home + name))
            .findFirst()
            .flatMap(name -> json(home + name));
    sentenceConfig.ifPresent(this::checkSentenceConfig);
    int maxLength = maxLength(home, sentenceConfig, config);
    boolean lowerCase = sentenceConfig.map(json -> json.flag("do_lower_case", false)).orElse(false);
    List<SentenceModule> sentenceModules = modules.read(config);

    Optional<JsonFile> settings = optional("config_sentence_transformers.json");
    Prompts prompts = settings.map(this::prompts).orElse(new Prompts(Map.of(), Optional.empty()));
    EncoderHeads heads = NO_HEADS;
    if (prefix.isPresent()) {
      heads =
          new HeadReader(configFile.orElseThrow(), config.get(), opened.get(), prefix.get())
              .read(settings.flatMap(json -> json.text("activation_fn")));
    }
    sentenceConfig
        .filter(json -> !sentenceModules.isEmpty())
        .ifPresent(json -> requireText(json, "transformer_task", "feature-extraction"));
    SparsePooling sparsePooling = modules.sparsePooling().orElse(SparsePooling.MAX);
    Optional<Tensor> queryTokenWeights = modules.queryTokenWeights(home);
    Optional<LateInteractionPlan> lateInteraction =
        opened.isPresent() && config.isPresent() && tokenizer.isPresent()
            ? lateInteraction(
                modules,
                new LateInteractionReader(config.get(), tokenizer.get(), problems),
                configFile.orElseThrow(),
                config.get(),
                opened.get(),
                sentenceConfig,
                prompts)
            : Optional.empty();
    OptionalInt truncate =
        settings
            .map(json -> json.optionalInteger("truncate_dim", 1, Integer.MAX_VALUE))
            .filter(
                stated ->
                    config.isPresent() && stated.orElse(0) < width(config.get(), sentenceModules))
            .orElse(OptionalInt.empty());
    Optional<String> similarity = settings.flatMap(json -> json.text("similarity_fn_name"));

    List<Tensor> used = new ArrayList<>(weights.values());
    heads.plans().values().forEach(plan -> addTensors(plan, used));
    queryTokenWeights.ifPresent(used::add);
    List<SentenceModule> allModules = new ArrayList<>(sentenceModules);
    lateInteraction.ifPresent(plan -> allModules.addAll(plan.modules()));
    for (SentenceModule module : allModules) {
      if (module instanceof SentenceModule.Dense dense) {
        used.add(dense.weight());
        if (dense.bias() != null) {
          used.add(dense.bias());
        }
      }
    }
    if (!problems.isEmpty()) {
      throw new ModelException(directory, problems);
    }
    String fingerprint = fingerprint(weights, used.subList(weights.size(), used.size()));
    return new ModelDirectory.Contents(
        directory,
        config.orElseThrow(),
        tokenizer.orElseThrow(),
        Weights.of(weights),
        used.stream().mapToLong(tensor -> tensor.data().byteSize()).sum(),
        types(used),
        List.copyOf(sentenceModules),
        prompts,
        truncate,
        similarity,
        maxLength,
        lowerCase,
        fingerprint,
        heads,
        sparsePooling,
        queryTokenWeights,
        lateInteraction);
  }

  private Optional<LateInteractionPlan> lateInteraction(
      SentenceModuleReader modules,
      LateInteractionReader reader,
      JsonFile configFile,
      EncoderConfig config,
      Safetensors opened,
      Optional<JsonFile> sentenceConfig,
      Prompts prompts) {
    Optional<JsonFile> mask = modules.multiVectorMask();
    if (mask.isPresent()) {
      List<SentenceModule> steps = modules.tokenModules(Optional.of(config));
      return Optional.of(reader.ofModules(mask.get(), steps, sentenceConfig, prompts));
    }
    if (!configFile.node("architectures").path(0).asText("").equals("HF_ColBERT")) {
      return Optional.empty();
    }
    String name = "linear.weight";
    Tensor weight = opened.tensors().get(name);
    int before = problems.size();
    if (weight == null && !opened.unreadable().containsKey(name)) {
      problems.add("weight [" + name + "] is missing, the projection of ColBERT's tokens");
    }
    long rows = weight == null || weight.shape().length != 2 ? 0 : weight.shape()[0];
    checkTensor(
            name, weight, opened.unreadable().get(name), List.of(rows, (long) config.hiddenSize()))
        .ifPresent(problems::add);
    return problems.size() == before
        ? Optional.of(reader.ofArtifact(optional("artifact.metadata"), weight))
        : Optional.empty();
  }

  /** Adds the head's tensors that the encoder does not use itself. */
  private static void addTensors(HeadPlan plan, List<Tensor> used) {
    List<Tensor> tensors = new ArrayList<>(List.of(plan.weight()));
    plan.bias().ifPresent(tensors::add);
    plan.transform()
        .ifPresent(
            step -> {
              tensors.add(step.weight());
              step.bias().ifPresent(tensors::add);
              step.norm().map(HeadPlan.Norm::weight).ifPresent(tensors::add);
              step.norm().flatMap(HeadPlan.Norm::bias).ifPresent(tensors::add);
            });
    for (Tensor tensor : tensors) {
      if (used.stream().noneMatch(each -> each.name().equals(tensor.name()))) {
        used.add(tensor);
      }
    }
  }

  /** Returns the tokenizer of a directory that may hold nothing else. */
  static Tokenizer readTokenizer(Path directory) {
    requireDirectory(directory);
    try (Arena arena = Arena.ofConfined()) {
      ModelDirectoryReader reader = new ModelDirectoryReader(directory, arena);
      String home = "";
      if (!reader.hasTokenizer("")) {
        home = new SentenceModuleReader(reader).transformerPath();
      }
      Optional<Tokenizer> tokenizer = reader.tokenizer(home);
      return tokenizer.orElseThrow(() -> new ModelException(directory, reader.problems));
    }
  }

  private static void requireDirectory(Path directory) {
    if (!Files.isDirectory(directory)) {
      String what = Files.exists(directory) ? "it is not a directory" : "it does not exist";
      throw new ModelException(directory, List.of(what));
    }
  }

  List<String> problems() {
    return problems;
  }

  /** Returns the path inside the directory; the name may have slashes. */
  Path resolve(String name) {
    return directory.resolve(name);
  }

  boolean exists(String name) {
    return Files.exists(resolve(name));
  }

  /** Returns the JSON object that must be there. */
  Optional<JsonFile> require(String name) {
    if (!exists(name)) {
      problems.add(name + " is missing");
      return Optional.empty();
    }
    return json(name);
  }

  /** Returns the JSON object, or empty where there is no such file. */
  Optional<JsonFile> optional(String name) {
    return exists(name) ? json(name) : Optional.empty();
  }

  private Optional<JsonFile> json(String name) {
    files.put(name, resolve(name));
    return JsonFile.open(resolve(name), name, problems);
  }

  /** Returns the JSON list, or empty where there is no such file. */
  Optional<JsonNode> optionalList(String name) {
    if (!exists(name)) {
      return Optional.empty();
    }
    files.put(name, resolve(name));
    Optional<JsonNode> node = JsonFile.readTree(resolve(name), name, problems);
    if (node.isPresent() && !node.get().isArray()) {
      problems.add(name + " holds " + JsonFile.shown(node.get()) + ", expected a JSON list");
      return Optional.empty();
    }
    return node;
  }

  /**
   * Returns the tensors of the folder's model.safetensors or of its shards.
   *
   * @param home folder inside the directory, empty or ending in a slash
   */
  Optional<Safetensors> openWeights(String home) {
    try {
      if (exists(home + SAFETENSORS)) {
        return Optional.of(
            Safetensors.open(resolve(home + SAFETENSORS), home + SAFETENSORS, arena));
      }
      if (exists(home + INDEX)) {
        return Optional.of(Safetensors.openSharded(resolve(home + INDEX), home + INDEX, arena));
      }
    } catch (MalformedFileException e) {
      problems.add(e.getMessage());
      return Optional.empty();
    }
    List<String> others = OTHER_WEIGHTS.stream().filter(name -> exists(home + name)).toList();
    if (others.isEmpty()) {
      problems.add(home + SAFETENSORS + " is missing, and so is " + INDEX);
    } else {
      problems.add(
          home
              + SAFETENSORS
              + " is missing; found "
              + others
              + ", which is not read (pickled files can run code): load the model with transformers"
              + " and write it with save_pretrained, or take a revision that has "
              + SAFETENSORS);
    }
    return Optional.empty();
  }

  /** Returns what the names of the encoder's tensors begin with in the file. */
  private Optional<String> prefix(Safetensors opened, EncoderConfig config) {
    String words = config.embedding().words();
    List<String> prefixes = config.prefixes();
    Optional<String> prefix =
        prefixes.stream()
            .filter(
                candidate ->
                    opened.tensors().containsKey(candidate + words)
                        || opened.unreadable().containsKey(candidate + words))
            .findFirst();
    if (prefix.isEmpty()) {
      problems.add(
          "weight ["
              + words
              + "] is missing, with and without the prefixes "
              + String.join(" and ", prefixes.subList(1, prefixes.size()))
              + "; found "
              + listed(opened.tensors().keySet()));
    }
    return prefix;
  }

  /** Returns the tensors that the encoder uses by canonical name. */
  private Map<String, Tensor> encoderWeights(
      Safetensors opened, EncoderConfig config, String prefix) {
    Map<String, Tensor> tensors = canonical(opened.tensors(), prefix);
    Map<String, String> unreadable = canonical(opened.unreadable(), prefix);
    Map<String, Tensor> used = new LinkedHashMap<>();
    List<String> missing = new ArrayList<>();
    List<String> wrong = new ArrayList<>();
    Map<String, List<Long>> shapes = new LinkedHashMap<>(config.weightShapes());
    shapes.forEach(
        (name, shape) -> {
          if (!tensors.containsKey(name) && !unreadable.containsKey(name)) {
            missing.add("[" + name + "]");
          }
        });
    shapes.putAll(config.optionalWeightShapes());
    shapes.forEach(
        (name, shape) -> {
          Tensor tensor = tensors.get(name);
          if (tensor != null) {
            used.put(name, tensor);
          }
          checkTensor(name, tensor, unreadable.get(name), shape).ifPresent(wrong::add);
        });
    if (!missing.isEmpty()) {
      problems.add(
          (missing.size() == 1 ? "weight " : missing.size() + " weights are missing: ")
              + capped(missing, ", ")
              + (missing.size() == 1 ? " is missing" : ""));
    }
    if (!wrong.isEmpty()) {
      problems.add(capped(wrong, "; "));
    }
    return used;
  }

  /** Returns the entries by canonical name: prefix removed, gamma and beta renamed. */
  private <T> Map<String, T> canonical(Map<String, T> entries, String prefix) {
    Map<String, T> canonical = new LinkedHashMap<>();
    entries.forEach(
        (name, value) -> {
          if (!name.startsWith(prefix)) {
            return;
          }
          String stripped = name.substring(prefix.length());
          if (stripped.endsWith("LayerNorm.gamma")) {
            stripped = stripped.substring(0, stripped.length() - "gamma".length()) + "weight";
          } else if (stripped.endsWith("LayerNorm.beta")) {
            stripped = stripped.substring(0, stripped.length() - "beta".length()) + "bias";
          }
          if (canonical.put(stripped, value) != null) {
            problems.add("weight [" + stripped + "] is there twice, under its old and new name");
          }
        });
    return canonical;
  }

  /** Returns what is wrong with a weight; nothing where it is not there at all. */
  static Optional<String> checkTensor(
      String name, Tensor tensor, String unreadableType, List<Long> shape) {
    if (unreadableType != null || (tensor != null && !WEIGHT_TYPES.contains(tensor.type()))) {
      String found = unreadableType != null ? unreadableType : tensor.type().name();
      return Optional.of(
          "weight [" + name + "] has dtype [" + found + "], expected one of " + WEIGHT_TYPES);
    }
    if (tensor != null && !shape.equals(Arrays.stream(tensor.shape()).boxed().toList())) {
      return Optional.of(
          "weight ["
              + name
              + "] has shape "
              + Arrays.toString(tensor.shape())
              + ", expected "
              + shape);
    }
    return Optional.empty();
  }

  /** Returns whether there is any of the files that a tokenizer is read from. */
  private boolean hasTokenizer(String home) {
    return exists(home + "tokenizer.json")
        || exists(home + "vocab.txt")
        || exists(home + "vocab.json") && exists(home + "merges.txt");
  }

  private Optional<Tokenizer> tokenizer(String home) {
    if (!hasTokenizer(home)) {
      problems.add(
          home
              + "tokenizer.json is missing, and so are vocab.txt, and vocab.json with merges.txt;"
              + " expected one of these");
      return Optional.empty();
    }
    String settings = home + "tokenizer_config.json";
    Optional<Path> config = exists(settings) ? Optional.of(resolve(settings)) : Optional.empty();
    try {
      if (exists(home + "tokenizer.json")) {
        return Optional.of(Tokenizers.fromJson(used(home + "tokenizer.json")));
      }
      if (exists(home + "vocab.txt")) {
        return Optional.of(Tokenizers.fromVocabulary(used(home + "vocab.txt"), config));
      }
      return Optional.of(
          Tokenizers.fromVocabularyAndMerges(
              used(home + "vocab.json"), used(home + "merges.txt"), config));
    } catch (IllegalArgumentException | UncheckedIOException e) {
      problems.add(e.getMessage());
      return Optional.empty();
    }
  }

  /** Returns the path of a file, and counts it among those that make the model what it is. */
  private Path used(String file) {
    Path path = resolve(file);
    files.put(file, path);
    return path;
  }

  private void checkVocabulary(EncoderConfig config, Tokenizer tokenizer) {
    if (tokenizer.vocabularySize() > config.vocabularySize()) {
      problems.add(
          "the tokenizer has "
              + tokenizer.vocabularySize()
              + " ids, but [vocab_size] is "
              + config.vocabularySize()
              + ", expected no more ids than rows of ["
              + config.embedding().words()
              + "]");
    }
  }

  private void checkSentenceConfig(JsonFile json) {
    String task = json.text("transformer_task").orElse("feature-extraction");
    boolean encodes = task.equals("feature-extraction");
    boolean scores = task.equals("sequence-classification");
    if (!encodes && !scores && !task.equals("fill-mask")) {
      json.wrong(
          "transformer_task",
          "\"feature-extraction\", \"fill-mask\" or \"sequence-classification\"");
      return;
    }
    requireText(json, "module_output_name", scores ? "scores" : "token_embeddings");
    JsonNode modality = json.node("modality_config").path("text");
    if (modality.isObject()) {
      JsonFile text = JsonFile.of(modality, json.name() + ": [modality_config.text]", problems);
      requireText(text, "method", "forward");
      requireText(text, "method_output_name", encodes ? "last_hidden_state" : "logits");
    }
    if (!json.node("processing_kwargs").isEmpty()) {
      json.wrong("processing_kwargs", "none: other ways to run the tokenizer are not supported");
    }
  }

  private static void requireText(JsonFile json, String key, String only) {
    if (json.has(key) && !json.text(key).orElse(only).equals(only)) {
      json.wrong(key, "\"" + only + "\"");
    }
  }

  private int maxLength(
      String home, Optional<JsonFile> sentenceConfig, Optional<EncoderConfig> config) {
    OptionalInt stated =
        sentenceConfig
            .map(json -> json.optionalInteger("max_seq_length", 1, Integer.MAX_VALUE))
            .orElse(OptionalInt.empty());
    Optional<JsonFile> settings = optional(home + "tokenizer_config.json");
    int positions = config.map(EncoderConfig::maxPositions).orElse(1);
    if (stated.isPresent()) {
      return Math.min(stated.getAsInt(), positions);
    }
    if (settings.isEmpty() || !settings.get().has("model_max_length")) {
      return positions;
    }
    JsonNode length = settings.get().node("model_max_length");
    if (!length.isNumber() || !(length.doubleValue() >= 1)) {
      settings.get().wrong("model_max_length", "a number of 1 or more");
      return positions;
    }
    return (int) Math.min(length.doubleValue(), positions);
  }

  private Prompts prompts(JsonFile json) {
    Map<String, String> byName = new LinkedHashMap<>();
    JsonNode prompts = json.node("prompts");
    if (!prompts.isMissingNode() && !prompts.isObject()) {
      json.wrong("prompts", "an object of prompt texts by name");
    }
    for (Map.Entry<String, JsonNode> prompt : prompts.properties()) {
      if (!prompt.getValue().isTextual() && !prompt.getValue().isNull()) {
        problems.add(
            json.name()
                + ": prompt ["
                + prompt.getKey()
                + "] is "
                + JsonFile.shown(prompt.getValue())
                + ", expected a string");
      }
      byName.put(prompt.getKey(), prompt.getValue().asText(""));
    }
    Optional<String> byDefault = json.text("default_prompt_name");
    if (byDefault.isPresent() && !byName.containsKey(byDefault.get())) {
      json.wrong("default_prompt_name", "one of the prompts " + byName.keySet());
      byDefault = Optional.empty();
    }
    return new Prompts(byName, byDefault);
  }

  /** Returns the length of the vector after the last step. */
  private static int width(EncoderConfig config, List<SentenceModule> modules) {
    int width = config.hiddenSize();
    for (SentenceModule module : modules) {
      width =
          switch (module) {
            case SentenceModule.Pooling pooling -> width * pooling.modes().size();
            case SentenceModule.Dense dense -> (int) dense.weight().shape()[0];
            case SentenceModule.Normalize() -> width;
          };
    }
    return width;
  }

  private static Set<DataType> types(Collection<Tensor> tensors) {
    Set<DataType> types = EnumSet.noneOf(DataType.class);
    tensors.forEach(tensor -> types.add(tensor.type()));
    return Collections.unmodifiableSet(types);
  }

  /** Returns the SHA-256 of the tensors that the configuration needs. */
  static String weightsFingerprint(EncoderConfig config, Weights weights) {
    MessageDigest digest = sha256();
    for (String name : new TreeSet<>(config.weightShapes().keySet())) {
      Tensor tensor = weights.tensor(name);
      update(digest, description(name, tensor));
      MemorySegment data = tensor.data();
      for (long at = 0; at < data.byteSize(); at += HASHED_AT_ONCE) {
        long size = Math.min(HASHED_AT_ONCE, data.byteSize() - at);
        digest.update(data.asSlice(at, size).asByteBuffer());
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("this Java has no SHA-256", e);
    }
  }

  private String fingerprint(Map<String, Tensor> weights, List<Tensor> dense) {
    MessageDigest digest = sha256();
    byte[] buffer = new byte[WHOLE_TENSOR];
    for (Map.Entry<String, Path> file : files.entrySet()) {
      update(digest, file.getKey());
      try (InputStream in = Files.newInputStream(file.getValue())) {
        for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
          digest.update(buffer, 0, n);
        }
      } catch (IOException e) {
        throw new ModelException(directory, List.of(file.getKey() + " cannot be read again"));
      }
    }
    new TreeMap<>(weights).forEach((name, tensor) -> update(digest, name, tensor));
    for (int i = 0; i < dense.size(); i++) {
      update(digest, "dense." + i, dense.get(i));
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static void update(MessageDigest digest, String text) {
    digest.update(text.getBytes(StandardCharsets.UTF_8));
    digest.update((byte) 0);
  }

  private static String description(String name, Tensor tensor) {
    return name + " " + tensor.type() + " " + Arrays.toString(tensor.shape());
  }

  private static void update(MessageDigest digest, String name, Tensor tensor) {
    update(digest, description(name, tensor));
    MemorySegment data = tensor.data();
    if (data.byteSize() <= WHOLE_TENSOR) {
      digest.update(data.asByteBuffer());
      return;
    }
    long last = data.byteSize() - PIECE;
    for (int i = 0; i < PIECES; i++) {
      digest.update(data.asSlice(last / (PIECES - 1) * i, PIECE).asByteBuffer());
    }
  }

  private static String listed(Collection<String> names) {
    return names.isEmpty() ? "no weights" : "[" + capped(List.copyOf(names), "], [") + "]";
  }

  private static String capped(List<String> texts, String separator) {
    String shown = String.join(separator, texts.subList(0, Math.min(MAX_LISTED, texts.size())));
    int more = texts.size() - MAX_LISTED;
    return more <= 0 ? shown : shown + " and " + more + " more";
  }
}
