package org.lanewise.encoder.family;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;
import org.lanewise.encoder.model.EncoderConfig;
import org.lanewise.encoder.weights.JsonFile;

/** Finds the family of a config.json and lets it read the file. */
public final class Families {
  /** What {@code model_type} may be, and who reads it. */
  private static final Map<String, Function<ConfigReader, EncoderConfig>> READERS =
      new TreeMap<>(
          Map.ofEntries(
              Map.entry("bert", BertFamily::read),
              Map.entry("roberta", BertFamily::read),
              Map.entry("xlm-roberta", BertFamily::read),
              Map.entry("camembert", BertFamily::read),
              Map.entry("electra", BertFamily::read),
              Map.entry("distilbert", BertFamily::readDistilBert),
              Map.entry("mpnet", BertFamily::readMpnet),
              Map.entry("albert", BertFamily::readAlbert),
              Map.entry("modernbert", ModernBertFamily::read),
              Map.entry("nomic_bert", NomicBertFamily::read),
              Map.entry("new", GteFamily::read),
              Map.entry("gte", GteFamily::read),
              Map.entry("deberta-v2", DebertaFamily::read),
              Map.entry("eurobert", DecoderFamily::readEuroBert),
              Map.entry("qwen3", DecoderFamily::readQwen3),
              Map.entry("gemma3_text", DecoderFamily::readGemma3)));

  /** Families whose models bring code that we read the configuration of, and do not run. */
  private static final List<String> OWN_CODE = List.of("nomic_bert", "new", "gte", "eurobert");

  /** Models that a supported {@code model_type} could be mistaken for, and what they need. */
  private static final Map<String, String> KNOWN_STRANGERS =
      Map.of(
          "jina_embeddings_v3", "its task adapters (LoRA)",
          "xlm-roberta-flash", "its task adapters (LoRA)",
          "deberta", "the attention layers of the first DeBERTa");

  /**
   * A quarter of a gigabyte and two seconds when the model is opened: heads of 128 numbers at 2^18
   * positions with two bases.
   */
  private static final long MOST_POSITION_NUMBERS = 1 << 26;

  /** Encoders of eight billion parameters have 45,000; this many take half a gigabyte of memory. */
  private static final int MOST_ACTIVATIONS = 1 << 18;

  private Families() {}

  /** Returns the values of {@code model_type} that are supported, sorted. */
  public static List<String> supported() {
    return List.copyOf(READERS.keySet());
  }

  /**
   * Returns the configuration, after adding to {@code problems} everything that is missing, out of
   * bounds or not implemented; empty where there are problems.
   */
  public static Optional<EncoderConfig> read(JsonFile json, List<String> problems) {
    int before = problems.size();
    Optional<String> family = family(json, problems);
    if (family.isEmpty()) {
      return Optional.empty();
    }
    ConfigReader reader = new ConfigReader(json, problems, family.get());
    EncoderConfig config = READERS.get(family.get()).apply(reader);
    if (config.positionNumbers() > MOST_POSITION_NUMBERS) {
      problems.add(
          json.name()
              + ": the tables of ["
              + config.maxPositions()
              + "] positions have ["
              + config.positionNumbers()
              + "] numbers, expected at most "
              + MOST_POSITION_NUMBERS
              + ": state fewer positions");
    }
    if (config.activationsPerToken() > MOST_ACTIVATIONS) {
      problems.add(
          json.name()
              + ": the layers have ["
              + config.activationsPerToken()
              + "] numbers for each token at once, expected at most "
              + MOST_ACTIVATIONS);
    }
    return problems.size() == before ? Optional.of(config) : Optional.empty();
  }

  private static Optional<String> family(JsonFile json, List<String> problems) {
    String expected = "; supported: " + String.join(", ", READERS.keySet());
    Optional<String> modelType = json.has("model_type") ? json.text("model_type") : bert(json);
    if (!json.has("model_type") && modelType.isEmpty()) {
      problems.add(
          json.name()
              + ": [model_type] is missing and [architectures] is "
              + JsonFile.shown(json.node("architectures"))
              + expected);
      return Optional.empty();
    }
    if (modelType.isEmpty()) {
      return Optional.empty();
    }
    if (!READERS.containsKey(modelType.get())) {
      String why = KNOWN_STRANGERS.get(modelType.get());
      problems.add(
          json.name()
              + ": model_type ["
              + modelType.get()
              + "] is not supported"
              + (why == null ? "" : ", because " + why + " are not")
              + expected);
      return Optional.empty();
    }
    if (json.has("lora_adaptations")) {
      problems.add(
          json.name()
              + ": [lora_adaptations] is "
              + JsonFile.shown(json.node("lora_adaptations"))
              + ": models with task adapters (LoRA) such as jina-embeddings-v3 are not supported;"
              + " expected none");
    }
    boolean ownCode = OWN_CODE.contains(modelType.get()) || BertFamily.isJina(json);
    if (json.node("auto_map").has("AutoModel") && !ownCode) {
      problems.add(
          json.name()
              + ": [auto_map] brings code of its own, "
              + JsonFile.shown(json.node("auto_map").get("AutoModel"))
              + ", which is not run; expected a model that transformers itself implements");
    }
    return modelType;
  }

  /** Files from before {@code model_type} are BERT's. */
  private static Optional<String> bert(JsonFile json) {
    JsonNode first = json.node("architectures").path(0);
    return first.asText("").startsWith("Bert") ? Optional.of("bert") : Optional.empty();
  }
}
