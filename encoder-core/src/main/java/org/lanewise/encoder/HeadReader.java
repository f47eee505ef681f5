package org.lanewise.encoder;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.backend.PoolingMode;
import org.lanewise.encoder.head.EncoderHeads;
import org.lanewise.encoder.head.HeadKind;
import org.lanewise.encoder.head.HeadPlan;
import org.lanewise.encoder.head.TrainedHead;
import org.lanewise.encoder.model.EncoderConfig;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.weights.JsonFile;
import org.lanewise.encoder.weights.Safetensors;
import org.lanewise.encoder.weights.Tensor;

/**
 * Finds the heads of a checkpoint of transformers: {@code architectures} says which, the names of
 * the weights how they are made. A head that cannot be used is a problem of whoever asks for it,
 * since the encoder can be used without.
 */
final class HeadReader {
  /** Layers of masked-language heads, by the names that families gave them. */
  private static final List<Names> MASKED_LANGUAGE =
      List.of(
          new Names(
              "cls.predictions.transform.dense",
              "cls.predictions.transform.LayerNorm",
              "cls.predictions.decoder",
              "cls.predictions.bias",
              ""),
          new Names(
              "lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias", "gelu"),
          new Names("lm_head.dense", "lm_head.norm", "lm_head.decoder", "lm_head.bias", ""),
          new Names("vocab_transform", "vocab_layer_norm", "vocab_projector", "", ""),
          new Names(
              "generator_predictions.dense",
              "generator_predictions.LayerNorm",
              "generator_lm_head",
              "",
              "gelu"),
          new Names(
              "predictions.dense",
              "predictions.LayerNorm",
              "predictions.decoder",
              "predictions.bias",
              ""),
          new Names("head.dense", "head.norm", "decoder", "", ""));

  private static final String SEQUENCE = "ForSequenceClassification";
  private static final String TOKENS = "ForTokenClassification";
  private static final String ANSWERS = "ForQuestionAnswering";
  private static final String NEXT = "ForNextSentencePrediction";
  private static final String PRETRAINING = "ForPreTraining";

  /**
   * Names of the layers of a masked-language head.
   *
   * @param bias other name of the decoder's bias, or empty
   * @param activation the activation that the code of the family fixes; empty for the file's
   */
  private record Names(String dense, String norm, String decoder, String bias, String activation) {}

  /** A head that cannot be used, and why. */
  private static final class Unusable extends RuntimeException {
    private static final long serialVersionUID = 1;

    Unusable(String why) {
      super(why);
    }
  }

  private final JsonFile json;
  private final EncoderConfig config;
  private final Safetensors weights;
  private final String prefix;
  private final List<String> architectures = new ArrayList<>();

  /**
   * Reads nothing yet.
   *
   * @param prefix what the names of the encoder's weights begin with
   */
  HeadReader(JsonFile json, EncoderConfig config, Safetensors weights, String prefix) {
    this.json = json;
    this.config = config;
    this.weights = weights;
    this.prefix = prefix;
    json.node("architectures").forEach(each -> architectures.add(each.asText("")));
  }

  /** Returns what {@code architectures} names; empty where it is no head that answers a text. */
  static Optional<TrainedHead> trainedHead(JsonFile json) {
    for (JsonNode architecture : json.node("architectures")) {
      String name = architecture.asText("");
      if (name.endsWith(TOKENS)) {
        return Optional.of(new TrainedHead(HeadKind.TOKEN_CLASSIFICATION, outputs(json)));
      } else if (name.endsWith(SEQUENCE)) {
        return Optional.of(new TrainedHead(HeadKind.SEQUENCE_CLASSIFICATION, outputs(json)));
      } else if (name.endsWith(ANSWERS)) {
        return Optional.of(new TrainedHead(HeadKind.QUESTION_ANSWERING, 2));
      }
    }
    return Optional.empty();
  }

  /** As transformers counts labels, which leaves its default of two away when it saves. */
  private static int outputs(JsonFile json) {
    int named = json.node("id2label").size();
    return named > 0 ? named : json.node("num_labels").asInt(2);
  }

  /**
   * Returns the heads.
   *
   * @param activation name of the activation that makes scores, where a file beside config.json
   *     says so
   */
  EncoderHeads read(Optional<String> activation) {
    Map<HeadKind, HeadPlan> plans = new EnumMap<>(HeadKind.class);
    Map<HeadKind, String> missing = new EnumMap<>(HeadKind.class);
    for (HeadKind kind : HeadKind.values()) {
      try {
        plans.put(kind, plan(kind));
      } catch (Unusable e) {
        missing.put(kind, String.valueOf(e.getMessage()));
      }
    }
    List<String> labels = labels(plans, missing);
    Activation score = Activation.IDENTITY;
    HeadPlan sequence = plans.get(HeadKind.SEQUENCE_CLASSIFICATION);
    if (sequence != null && sequence.outputs() == 1) {
      try {
        score = scoreActivation(activation);
      } catch (Unusable e) {
        plans.remove(HeadKind.SEQUENCE_CLASSIFICATION);
        missing.put(HeadKind.SEQUENCE_CLASSIFICATION, String.valueOf(e.getMessage()));
      }
    }
    boolean many = json.node("problem_type").asText("").equals("multi_label_classification");
    return new EncoderHeads(
        plans, missing, labels, many ? Choice.MULTI_LABEL : Choice.MULTI_CLASS, score);
  }

  private HeadPlan plan(HeadKind kind) {
    return switch (kind) {
      case MASKED_LM -> maskedLanguage();
      case SEQUENCE_CLASSIFICATION -> {
        requireArchitecture(SEQUENCE);
        yield sequence();
      }
      case NEXT_SENTENCE -> {
        requireArchitecture(NEXT, PRETRAINING);
        yield last(
            Optional.of(PoolingMode.CLS),
            Optional.of(pooler(Activation.TANH)),
            "cls.seq_relationship",
            2);
      }
      case TOKEN_CLASSIFICATION -> {
        requireArchitecture(TOKENS);
        yield last(Optional.empty(), modernTransform(), "classifier", 0);
      }
      case QUESTION_ANSWERING -> {
        requireArchitecture(ANSWERS);
        String name = has("qa_outputs.weight") ? "qa_outputs" : "classifier";
        yield last(Optional.empty(), modernTransform(), name, 2);
      }
    };
  }

  private void requireArchitecture(String... endings) {
    for (String ending : endings) {
      if (architectures.stream().anyMatch(each -> each.endsWith(ending))) {
        return;
      }
    }
    throw new Unusable(
        json.name()
            + ": [architectures] is "
            + JsonFile.shown(json.node("architectures"))
            + ", expected a name that ends in "
            + String.join(" or ", endings)
            + ": take a checkpoint that was trained for this and saved with its head");
  }

  private HeadPlan maskedLanguage() {
    for (Names names : MASKED_LANGUAGE) {
      boolean modern = names.dense.equals("head.dense");
      boolean decodes = has(names.decoder + ".weight") || has(names.decoder + ".bias");
      if (has(names.dense + ".weight") && hasNorm(names.norm) && (!modern || decodes)) {
        return maskedLanguage(names);
      }
    }
    throw new Unusable(
        "none of the weights "
            + MASKED_LANGUAGE.stream()
                .map(each -> "[" + each.dense + ".weight]")
                .distinct()
                .toList()
            + " is there with its norm: take a checkpoint of a masked language model, whose"
            + " [architectures] in config.json ends in ForMaskedLM");
  }

  private HeadPlan maskedLanguage(Names names) {
    Tensor words = tensor(prefix + config.embedding().words());
    int vocabulary = config.vocabularySize();
    Tensor decoder =
        has(names.decoder + ".weight")
            ? tensor(names.decoder + ".weight", vocabulary, words.shape()[1])
            : words;
    Optional<Tensor> bias =
        names.bias.isEmpty() || !has(names.bias)
            ? optional(names.decoder + ".bias", vocabulary)
            : optional(names.bias, vocabulary);
    String activation = names.activation.isEmpty() ? hiddenActivation() : names.activation;
    HeadPlan.Transform transform =
        transform(names.dense, words.shape()[1], activation(activation), Optional.of(names.norm));
    return new HeadPlan(Optional.empty(), Optional.of(transform), decoder, bias);
  }

  private HeadPlan sequence() {
    if (has("classifier.out_proj.weight")) {
      Activation activation = config.family().equals("electra") ? Activation.GELU : Activation.TANH;
      return last(
          Optional.of(PoolingMode.CLS),
          Optional.of(
              transform("classifier.dense", config.hiddenSize(), activation, Optional.empty())),
          "classifier.out_proj",
          0);
    }
    if (config.family().equals("modernbert")) {
      String pooling = json.node("classifier_pooling").asText("cls");
      PoolingMode mode =
          PoolingMode.named(pooling)
              .filter(each -> each == PoolingMode.CLS || each == PoolingMode.MEAN)
              .orElseThrow(
                  () ->
                      new Unusable(
                          json.name()
                              + ": [classifier_pooling] is ["
                              + pooling
                              + "], expected cls or mean"));
      return last(Optional.of(mode), modernTransform(), "classifier", 0);
    }
    HeadPlan.Transform before =
        switch (config.family()) {
          case "distilbert" ->
              transform("pre_classifier", config.hiddenSize(), Activation.RELU, Optional.empty());
          case "deberta-v2" -> pooler(activation(json.node("pooler_hidden_act").asText("gelu")));
          case "bert", "albert", "new", "gte" -> pooler(Activation.TANH);
          default ->
              throw new Unusable(
                  "classification heads of the family ["
                      + config.family()
                      + "] are not supported; supported: albert, bert, camembert, deberta-v2,"
                      + " distilbert, electra, gte, modernbert, mpnet, roberta, xlm-roberta");
        };
    return last(Optional.of(PoolingMode.CLS), Optional.of(before), "classifier", 0);
  }

  /** The dense layer on the first token's state, which some families count to the encoder. */
  private HeadPlan.Transform pooler(Activation activation) {
    List<String> names =
        List.of(prefix + "pooler.dense", "pooler.dense", prefix + "pooler", "pooler");
    String name =
        names.stream().filter(each -> has(each + ".weight")).findFirst().orElse(names.getFirst());
    return transform(name, config.hiddenSize(), activation, Optional.empty());
  }

  /** ModernBERT has a dense layer and a norm in front of every head. */
  private Optional<HeadPlan.Transform> modernTransform() {
    return config.family().equals("modernbert")
        ? Optional.of(
            transform(
                "head.dense",
                config.hiddenSize(),
                activation(hiddenActivation()),
                Optional.of("head.norm")))
        : Optional.empty();
  }

  private String hiddenActivation() {
    return config.family().equals("modernbert")
        ? json.node("classifier_activation").asText("gelu")
        : config.sizes().activation();
  }

  private static Activation activation(String name) {
    try {
      return Activation.named(name);
    } catch (IllegalArgumentException e) {
      throw new Unusable(String.valueOf(e.getMessage()));
    }
  }

  private HeadPlan last(
      Optional<PoolingMode> pooling,
      Optional<HeadPlan.Transform> transform,
      String name,
      int outputs) {
    Tensor weight = tensor(name + ".weight");
    boolean matrix = weight.shape().length == 2 && weight.shape()[0] <= 1 << 20;
    if (outputs > 0 || !matrix) {
      weight = tensor(name + ".weight", outputs, config.hiddenSize());
    }
    long rows = weight.shape()[0];
    weight = tensor(name + ".weight", rows, config.hiddenSize());
    return new HeadPlan(pooling, transform, weight, optional(name + ".bias", rows));
  }

  private HeadPlan.Transform transform(
      String name, long outputs, Activation activation, Optional<String> norm) {
    return new HeadPlan.Transform(
        tensor(name + ".weight", outputs, config.hiddenSize()),
        optional(name + ".bias", outputs),
        activation,
        norm.map(each -> norm(each, outputs)));
  }

  private boolean hasNorm(String name) {
    return has(name + ".weight") || has(name + ".gamma");
  }

  private HeadPlan.Norm norm(String name, long size) {
    boolean old = !has(name + ".weight") && has(name + ".gamma");
    float epsilon = 1e-12f;
    for (String key : List.of("layer_norm_eps", "norm_eps")) {
      if (json.node(key).isNumber() && !config.family().equals("distilbert")) {
        epsilon = json.node(key).floatValue();
      }
    }
    return new HeadPlan.Norm(
        tensor(name + (old ? ".gamma" : ".weight"), size),
        optional(name + (old ? ".beta" : ".bias"), size),
        epsilon);
  }

  private boolean has(String name) {
    return weights.tensors().containsKey(name) || weights.unreadable().containsKey(name);
  }

  private Optional<Tensor> optional(String name, long... shape) {
    return has(name) ? Optional.of(tensor(name, shape)) : Optional.empty();
  }

  /** Returns the tensor, of any shape if none is given. */
  private Tensor tensor(String name, long... shape) {
    Tensor tensor = weights.tensors().get(name);
    if (!has(name)) {
      throw new Unusable(
          "weight ["
              + name
              + "] is missing: take a checkpoint that was saved with its head (save_pretrained of "
              + String.join(", ", architectures)
              + ")");
    }
    List<Long> expected = new ArrayList<>();
    for (long size : shape.length == 0 && tensor != null ? tensor.shape() : shape) {
      expected.add(size);
    }
    ModelDirectoryReader.checkTensor(name, tensor, weights.unreadable().get(name), expected)
        .ifPresent(
            problem -> {
              throw new Unusable(problem);
            });
    return tensor;
  }

  /** The names of {@code id2label}, which must be as many as there are outputs. */
  private List<String> labels(Map<HeadKind, HeadPlan> plans, Map<HeadKind, String> missing) {
    List<String> labels = new ArrayList<>();
    for (HeadKind kind : List.of(HeadKind.SEQUENCE_CLASSIFICATION, HeadKind.TOKEN_CLASSIFICATION)) {
      HeadPlan plan = plans.get(kind);
      if (plan == null) {
        continue;
      }
      if (!labels.isEmpty()) {
        plans.remove(kind);
        missing.put(
            kind,
            json.name()
                + ": [architectures] has two heads with labels, but [id2label] names those of one:"
                + " keep the architecture of the head that is wanted");
        continue;
      }
      JsonNode names = json.node("id2label");
      if (!names.isMissingNode() && names.size() != plan.outputs()) {
        plans.remove(kind);
        missing.put(
            kind,
            json.name()
                + ": [id2label] has "
                + names.size()
                + " names, expected one for each of the "
                + plan.outputs()
                + " rows of weight ["
                + plan.weight().name()
                + "]");
        continue;
      }
      for (int i = 0; i < plan.outputs(); i++) {
        labels.add(names.path(Integer.toString(i)).asText("LABEL_" + i));
      }
    }
    return labels;
  }

  /**
   * What sentence-transformers takes, in its order: its own file, {@code sentence_transformers} of
   * config.json, the key of versions before 4, else a sigmoid for one output.
   */
  private Activation scoreActivation(Optional<String> activation) {
    String path =
        activation.orElseGet(
            () -> {
              JsonNode own = json.node("sentence_transformers").path("activation_fn");
              JsonNode old = json.node("sbert_ce_default_activation_function");
              return own.isTextual() ? own.textValue() : old.asText("torch.nn.Sigmoid");
            });
    Map<String, Activation> supported =
        new TreeMap<>(
            Map.of(
                "Identity", Activation.IDENTITY,
                "Sigmoid", Activation.SIGMOID,
                "Tanh", Activation.TANH));
    Activation found =
        path.startsWith("torch.nn.")
            ? supported.get(path.substring(path.lastIndexOf('.') + 1))
            : null;
    if (found == null) {
      throw new Unusable(
          json.name()
              + ": activation_fn ["
              + path
              + "] of the score is not supported; supported: "
              + String.join(", ", supported.keySet())
              + " of torch.nn");
    }
    return found;
  }
}
