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
import org.junit.jupiter.params.provider.ValueSource;
import org.lanewise.encoder.Goldens;

/** Every stored case of the tokenizers library (0.22.2), exactly. */
class TokenizerGoldenTest {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final Logger LOG = System.getLogger(TokenizerGoldenTest.class.getName());

  @ParameterizedTest
  @CsvSource({
    "tokenizers/bert_uncased, tokenizer.json, 317",
    "tokenizers/bert_cased, tokenizer.json, 317",
    "tokenizers/bert_lower_keep_accents, tokenizer.json, 317",
    "tokenizers_real/bert_base_uncased, tokenizer.json, 317",
    "tokenizers_real/bert_base_uncased, vocab.txt, 317"
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
  @ValueSource(
      strings = {
        "tokenizers/bert_uncased",
        "tokenizers/bert_cased",
        "tokenizers/bert_lower_keep_accents",
        "tokenizers_real/bert_base_uncased"
      })
  void decodesLikeTheLibrary(String set) throws IOException {
    Tokenizer tokenizer = open(set, "tokenizer.json");
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
    return file.equals("vocab.txt")
        ? Tokenizers.fromVocabulary(path, Optional.of(path.resolveSibling("tokenizer_config.json")))
        : Tokenizers.fromJson(path);
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
    for (int i = 0; i < tokens.length(); i++) {
      ids.add(tokens.ids()[i]);
      typeIds.add(tokens.typeIds()[i]);
      names.add(tokenizer.token(tokens.ids()[i]));
      special.add(tokens.special()[i] ? 1 : 0);
      // In these templates the type id says which text a token belongs to.
      String of = tokens.typeIds()[i] == 0 || pair.isEmpty() ? text : pair.get();
      offsets.add(
          List.of(
              of.codePointCount(0, tokens.starts()[i]), of.codePointCount(0, tokens.ends()[i])));
    }
    assertEquals(list(golden.get("tokens")), names, context);
    assertEquals(list(golden.get("ids")), ids, context);
    assertEquals(list(golden.get("type_ids")), typeIds, context);
    assertEquals(list(golden.get("offsets")), offsets, context);
    assertEquals(list(golden.get("special_tokens_mask")), special, context);
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
