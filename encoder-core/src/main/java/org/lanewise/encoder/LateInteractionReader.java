package org.lanewise.encoder;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.lanewise.encoder.head.LateInteractionPlan;
import org.lanewise.encoder.head.LateInteractionPlan.Expansion;
import org.lanewise.encoder.head.LateInteractionPlan.Side;
import org.lanewise.encoder.head.SentenceModule;
import org.lanewise.encoder.model.BiasPlan;
import org.lanewise.encoder.model.EncoderConfig;
import org.lanewise.encoder.model.LayerPlan;
import org.lanewise.encoder.tokenizer.Tokenizer;
import org.lanewise.encoder.weights.JsonFile;
import org.lanewise.encoder.weights.Tensor;

/**
 * Reads how a ColBERT model makes vectors of tokens: the modules of sentence-transformers, or the
 * weight and artifact.metadata of the first ColBERT.
 */
final class LateInteractionReader {
  private static final String QUERY = "query";
  private static final String DOCUMENT = "document";
  private static final int MOST_TOKENS = 1 << 18;

  /** What the first ColBERT skips: the punctuation of ASCII. */
  private static final String PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

  private final EncoderConfig config;
  private final Tokenizer tokenizer;
  private final List<String> problems;

  LateInteractionReader(EncoderConfig config, Tokenizer tokenizer, List<String> problems) {
    this.config = config;
    this.tokenizer = tokenizer;
    this.problems = problems;
  }

  /**
   * Returns the plan of a directory with a MultiVectorMask.
   *
   * @param mask its configuration
   * @param modules the modules around it
   * @param sentenceConfig lengths and expansion
   */
  LateInteractionPlan ofModules(
      JsonFile mask,
      List<SentenceModule> modules,
      Optional<JsonFile> sentenceConfig,
      Prompts prompts) {
    List<String> words = new ArrayList<>();
    mask.node("skiplist_words").forEach(word -> words.add(word.asText("")));
    List<String> tasks = new ArrayList<>();
    JsonNode stated = mask.node("skiplist_tasks");
    if (stated.isMissingNode()) {
      tasks.add(DOCUMENT);
    } else if (stated.isTextual()) {
      tasks.add(stated.textValue());
    } else {
      stated.forEach(task -> tasks.add(task.asText("")));
    }
    if (!mask.node("keep_only_token_ids").isEmpty()) {
      mask.wrong("keep_only_token_ids", "none: vectors of images are not supported");
    }
    return new LateInteractionPlan(
        modules,
        side(QUERY, prompts, length(sentenceConfig, "query_length"), tasks),
        side(DOCUMENT, prompts, length(sentenceConfig, "document_length"), tasks),
        ids(words),
        sentenceConfig.flatMap(this::expansion));
  }

  private static Side side(
      String name, Prompts prompts, OptionalInt length, List<String> skipping) {
    String prompt = prompts.byName().getOrDefault(name, "");
    return new Side(prompt, OptionalInt.empty(), length, skipping.contains(name));
  }

  private static OptionalInt length(Optional<JsonFile> json, String key) {
    return json.isEmpty() ? OptionalInt.empty() : json.get().optionalInteger(key, 1, MOST_TOKENS);
  }

  private Optional<Expansion> expansion(JsonFile json) {
    if (!json.has("query_expansion")) {
      return Optional.empty();
    }
    JsonFile stated =
        JsonFile.of(json.node("query_expansion"), json.name() + ": [query_expansion]", problems);
    String strategy = stated.text("strategy").orElse("");
    if (!strategy.equals("fixed") && !strategy.equals("min")) {
      stated.wrong("strategy", "fixed or min");
    }
    return expansion(
        stated,
        stated.flag("attend", false),
        stated.text("token"),
        stated.integer("length", 1, MOST_TOKENS),
        strategy.equals("fixed"));
  }

  private Optional<Expansion> expansion(
      JsonFile json, boolean attend, Optional<String> token, int length, boolean cut) {
    if (!attend && !reads(length)) {
      problems.add(
          json.name()
              + " says that no token reads the tokens that fill queries up, which is not supported"
              + " where attention depends on distances; expected [attend] to be true");
    }
    List<String> candidates =
        token.map(List::of).orElse(List.of("[MASK]", "<mask>", "<|mask|>", "</s>", "[SEP]"));
    for (String candidate : candidates) {
      OptionalInt id = tokenizer.id(candidate);
      if (id.isPresent()) {
        return Optional.of(new Expansion(id.getAsInt(), length, cut, attend));
      }
    }
    problems.add(
        json.name() + ": queries are filled up, but the tokenizer has none of " + candidates);
    return Optional.empty();
  }

  /** Returns whether every token of so many reads every other one, wherever they are. */
  private boolean reads(int tokens) {
    return config.plans().stream()
        .map(LayerPlan::attention)
        .allMatch(
            attention ->
                attention.bias() instanceof BiasPlan.None
                    && Math.min(attention.behind(), attention.ahead()) >= tokens - 1);
  }

  /** Words that are no tokens of their own are not skipped, as they would skip unknown ones. */
  private Set<Integer> ids(List<String> words) {
    Set<Integer> ids = new HashSet<>();
    words.forEach(word -> tokenizer.id(word).ifPresent(ids::add));
    return ids;
  }

  /**
   * Returns the plan of a directory of the first ColBERT.
   *
   * @param metadata artifact.metadata, where it is there
   * @param weight its linear.weight, (dimensions, hiddenSize)
   */
  LateInteractionPlan ofArtifact(Optional<JsonFile> metadata, Tensor weight) {
    boolean skips = metadata.map(json -> json.flag("mask_punctuation", true)).orElse(true);
    int length =
        metadata
            .map(json -> json.optionalInteger("query_maxlen", 1, MOST_TOKENS))
            .orElse(OptionalInt.empty())
            .orElse(32);
    Optional<Expansion> expansion =
        metadata.flatMap(
            json ->
                expansion(
                    json,
                    json.flag("attend_to_mask_tokens", false),
                    Optional.empty(),
                    length,
                    true));
    if (metadata.isEmpty()) {
      problems.add("artifact.metadata is missing, expected the settings of ColBERT's first code");
    }
    return new LateInteractionPlan(
        List.of(new SentenceModule.Dense(weight, null, "identity"), new SentenceModule.Normalize()),
        marked(metadata, "query_token_id", "[unused0]", OptionalInt.of(length), false),
        marked(metadata, "doc_token_id", "[unused1]", length(metadata, "doc_maxlen"), true),
        skips ? ids(List.of(PUNCTUATION.split(""))) : Set.of(),
        expansion);
  }

  private Side marked(
      Optional<JsonFile> metadata, String key, String absent, OptionalInt length, boolean skips) {
    String marker = metadata.flatMap(json -> json.text(key)).orElse(absent);
    OptionalInt id = tokenizer.id(marker);
    if (id.isEmpty()) {
      problems.add("artifact.metadata: [" + key + "] is [" + marker + "], expected a token");
    }
    return new Side("", id, length, skips);
  }
}
