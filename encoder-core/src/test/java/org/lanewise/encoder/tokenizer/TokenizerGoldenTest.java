package org.lanewise.encoder.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lanewise.encoder.Goldens;

/** Every stored case of the tokenizers library (0.22.2), exactly. */
class TokenizerGoldenTest {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final Logger LOG = System.getLogger(TokenizerGoldenTest.class.getName());

  @ParameterizedTest
  @CsvSource({
    "tokenizers/albert, tokenizer.json, 317",
    "tokenizers/bert_cased, tokenizer.json, 317",
    "tokenizers/bert_lower_keep_accents, tokenizer.json, 317",
    "tokenizers/bert_uncased, tokenizer.json, 317",
    "tokenizers/deberta_v3, tokenizer.json, 317",
    "tokenizers/eurobert_llama3, tokenizer.json, 317",
    "tokenizers/gemma, tokenizer.json, 317",
    "tokenizers/modernbert, tokenizer.json, 317",
    "tokenizers/mpnet, tokenizer.json, 317",
    "tokenizers/qwen_embedding, tokenizer.json, 317",
    "tokenizers/qwen_plain, tokenizer.json, 317",
    "tokenizers/roberta, tokenizer.json, 317",
    "tokenizers/roberta_prefix_space, tokenizer.json, 317",
    "tokenizers/xlmr, tokenizer.json, 317",
    "tokenizers/xlmr_converter, tokenizer.json, 317",
    "tokenizers_real/bert_base_uncased, tokenizer.json, 317",
    "tokenizers_real/bert_base_uncased, vocab.txt, 317",
    "tokenizers_real/roberta_base, merges.txt, 317"
  })
  void encodesLikeTheLibrary(String set, String file, int expected) throws IOException {
    Tokenizer tokenizer = open(set, file);
    int compared = 0;
    int windows = 0;
    for (JsonNode golden : lines(set + "/cases.jsonl")) {
      String text = golden.get("text").textValue();
      Optional<String> pair = Optional.ofNullable(golden.get("pair").textValue());
      JsonNode cut = golden.get("truncation");
      Tokens tokens =
          tokenizer.encode(
              text, pair, golden.get("add_special_tokens").booleanValue(), truncation(cut));
      String context = "case " + compared + " " + golden;
      assertTokens(golden, tokens, tokenizer, text, pair, context);
      assertEquals(golden.path("overflow_count").asInt(0) > 0, tokens.truncated(), context);
      JsonNode overflow = golden.path("overflow");
      assertEquals(golden.path("overflow_count").asInt(0), tokens.overflow().size(), context);
      for (int i = 0; i < overflow.size(); i++, windows++) {
        assertTokens(overflow.get(i), tokens.overflow().get(i), tokenizer, text, pair, context);
      }
      compared++;
    }
    assertEquals(expected, compared);
    assertTrue(windows > 0, "no overflow window was compared");
    LOG.log(Level.INFO, "{0}/{1}: {2} cases, {3} windows compared", set, file, compared, windows);
  }

  @ParameterizedTest
  @CsvSource({
    "tokenizers/albert, tokenizer.json",
    "tokenizers/bert_cased, tokenizer.json",
    "tokenizers/bert_lower_keep_accents, tokenizer.json",
    "tokenizers/bert_uncased, tokenizer.json",
    "tokenizers/deberta_v3, tokenizer.json",
    "tokenizers/eurobert_llama3, tokenizer.json",
    "tokenizers/gemma, tokenizer.json",
    "tokenizers/modernbert, tokenizer.json",
    "tokenizers/mpnet, tokenizer.json",
    "tokenizers/qwen_embedding, tokenizer.json",
    "tokenizers/qwen_plain, tokenizer.json",
    "tokenizers/roberta, tokenizer.json",
    "tokenizers/roberta_prefix_space, tokenizer.json",
    "tokenizers/xlmr, tokenizer.json",
    "tokenizers/xlmr_converter, tokenizer.json",
    "tokenizers_real/bert_base_uncased, tokenizer.json",
    "tokenizers_real/roberta_base, merges.txt"
  })
  void decodesLikeTheLibrary(String set, String file) throws IOException {
    Tokenizer tokenizer = open(set, file);
    int compared = 0;
    for (JsonNode golden : lines(set + "/decode.jsonl")) {
      String decoded =
          tokenizer.decode(
              ints(golden.get("ids")), golden.get("skip_special_tokens").booleanValue());
      assertEquals(golden.get("text").textValue(), decoded, "case " + compared + " " + golden);
      compared++;
    }
    assertEquals(80, compared);
    LOG.log(Level.INFO, "{0}: {1} decoded texts compared", set, compared);
  }

  private static Tokenizer open(String set, String file) {
    Path path = Goldens.path(set + "/" + file);
    Optional<Path> config = Optional.of(path.resolveSibling("tokenizer_config.json"));
    return switch (file) {
      case "vocab.txt" -> Tokenizers.fromVocabulary(path, config);
      case "merges.txt" ->
          Tokenizers.fromVocabularyAndMerges(path.resolveSibling("vocab.json"), path, config);
      default -> Tokenizers.fromJson(path);
    };
  }

  private static Optional<Truncation> truncation(JsonNode cut) {
    if (cut.isNull()) {
      return Optional.empty();
    }
    return Optional.of(
        new Truncation(
            cut.get("max_length").intValue(),
            OptionalInt.of(cut.get("stride").intValue()),
            Truncation.Strategy.valueOf(cut.get("strategy").textValue().toUpperCase(Locale.ROOT)),
            Truncation.Direction.valueOf(
                cut.get("direction").textValue().toUpperCase(Locale.ROOT))));
  }

  private static void assertTokens(
      JsonNode golden,
      Tokens tokens,
      Tokenizer tokenizer,
      String text,
      Optional<String> pair,
      String context) {
    List<Integer> ids = new ArrayList<>();
    List<Integer> typeIds = new ArrayList<>();
    List<String> names = new ArrayList<>();
    List<Integer> special = new ArrayList<>();
    List<List<Integer>> offsets = new ArrayList<>();
    // The goldens do not say which text a token belongs to. From some token on it is the second.
    List<?> expected = list(golden.get("offsets"));
    boolean second = false;
    for (int i = 0; i < tokens.length(); i++) {
      ids.add(tokens.ids()[i]);
      typeIds.add(tokens.typeIds()[i]);
      names.add(tokenizer.token(tokens.ids()[i]));
      special.add(tokens.special()[i] ? 1 : 0);
      List<Integer> inFirst = offsets(text, tokens, i);
      second |= pair.isPresent() && (i >= expected.size() || !inFirst.equals(expected.get(i)));
      offsets.add(second ? offsets(pair.get(), tokens, i) : inFirst);
    }
    assertEquals(list(golden.get("ids")), ids, context);
    for (int i = 0; i < ids.size(); i++) {
      // Where the library shows the text of unknown tokens, and the space that a mask took, it is
      // no
      // other token's name.
      String shown = golden.get("tokens").get(i).textValue();
      assertTrue(shown.equals(names.get(i)) || tokenizer.id(shown).isEmpty(), context);
    }
    assertEquals(list(golden.get("type_ids")), typeIds, context);
    assertEquals(expected, offsets, context);
    assertEquals(list(golden.get("special_tokens_mask")), special, context);
  }

  /** Returns the offsets of a token in code points, or none if the text has no such place. */
  private static List<Integer> offsets(String text, Tokens tokens, int token) {
    int start = tokens.starts()[token];
    int end = tokens.ends()[token];
    return start > end || end > text.length()
        ? List.of()
        : List.of(text.codePointCount(0, start), text.codePointCount(0, end));
  }

  private static List<?> list(JsonNode array) {
    return MAPPER.convertValue(array, List.class);
  }

  private static int[] ints(JsonNode array) {
    return MAPPER.convertValue(array, int[].class);
  }

  private static List<JsonNode> lines(String name) throws IOException {
    List<JsonNode> lines = new ArrayList<>();
    String all = Files.readString(Goldens.path(name), StandardCharsets.UTF_8);
    // Only \n ends a line here: the texts hold U+0085 and U+2028.
    for (String line : all.split("\n", 0)) {
      lines.add(MAPPER.readTree(line));
    }
    return lines;
  }
}
