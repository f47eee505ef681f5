package org.lanewise.encoder.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lanewise.encoder.Goldens;

/** Files that are malformed, hostile or not supported get a clear refusal; odd good ones work. */
class TokenizerFilesTest {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  @TempDir private Path directory;

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "/model|null|[tokenizer.json] has no [model]",
        "/model/type|\"BPE\"|[model] has no [merges]",
        "/model/type|\"WordLevel\"|[model] [WordLevel] is not supported; supported: BPE, Unigram,"
            + " WordPiece",
        "/model/type|7|[model.type] is [7], expected a string",
        "/model/vocab|[]|[model.vocab] is [ARRAY], expected an object",
        "/model/vocab/the|\"x\"|[model.vocab.the] is [\"x\"], expected an integer",
        "/model/vocab/the|1.5|[model.vocab.the] is [1.5], expected an integer",
        "/model/vocab/the|-1|token [the] has the id [-1]",
        "/model/vocab/the|2147483647|token [the] has the id [2147483647]",
        "/model/vocab/the|99999999999|[model.vocab.the] is [99999999999], expected an integer",
        "/model/vocab/the|0|have the same id [0]",
        "/model/unk_token|\"<nope>\"|lacks the unknown token [<nope>]",
        "/model/max_input_chars_per_word|0|expected 1 or more",
        "/normalizer/type|\"Fancy\"|[normalizer] [Fancy] is not supported; supported: Bert",
        "/normalizer/type|\"Precompiled\"|[normalizer] has no [precompiled_charsmap]",
        "/normalizer|{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"!!!!\"}|[normalizer.precompiled_charsmap]"
            + " cannot be used: Illegal base64",
        "/normalizer|{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/////w==\"}|states a trie"
            + " of 4294967295",
        "/normalizer|{\"type\":\"Replace\",\"content\":\"\",\"pattern\":{\"String\":\"\"}}|is"
            + " empty",
        "/normalizer/lowercase|\"yes\"|[normalizer.lowercase] is [\"yes\"], expected true or false",
        "/pre_tokenizer/type|\"UnicodeScripts\"|[pre_tokenizer] [UnicodeScripts] is not supported;"
            + " supported:",
        "/pre_tokenizer/type|\"ByteLevel\"|[ByteLevel] is not supported before the model"
            + " [WordPiece]",
        "/pre_tokenizer|{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},"
            + "{\"type\":\"WhitespaceSplit\"}]}|[pre_tokenizer.pretokenizers[0]] [ByteLevel] is not"
            + " supported before other",
        "/pre_tokenizer|{\"type\":\"Metaspace\",\"replacement\":\"__\"}|is [__], expected one"
            + " character",
        "/pre_tokenizer|{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"first\","
            + "\"add_prefix_space\":false}|is [first] without [add_prefix_space]",
        "/pre_tokenizer|{\"type\":\"Punctuation\",\"behavior\":\"Odd\"}|[Odd] is not supported;"
            + " supported:",
        "/post_processor/type|\"Fancy\"|[Fancy] is not supported",
        "/post_processor|{\"type\":\"Sequence\",\"processors\":[{\"type\":\"BertProcessing\",\"sep\":[\"a\",1],"
            + "\"cls\":[\"b\",2]},{\"type\":\"BertProcessing\",\"sep\":[\"a\",1],\"cls\":[\"b\",2]}]}|[post_processor.processors[0]]"
            + " is not supported before other",
        "/post_processor/single|{}|[post_processor.single] is [OBJECT], expected an array",
        "/post_processor/single/0/SpecialToken/id|\"[X]\"|has no [[X]]",
        "/post_processor/single/1/Sequence/id|\"B\"|names the text [B]",
        "/post_processor/single/1/Sequence/id|\"C\"|[C] is not supported; supported: A, B",
        "/post_processor/single/1/Sequence/type_id|-3|expected 0 or more",
        "/post_processor/special_tokens/[CLS]/ids/0|2000000000|adds the special id [2000000000]",
        "/decoder/type|\"CTC\"|[decoder] [CTC] is not supported; supported: BPEDecoder",
        "/added_tokens/0/id|77|added token [[PAD]] the id [77], expected [0], as in the vocabulary",
        "/added_tokens/0/content|\"\"|is empty",
        "/added_tokens/0/content|null|has no [content]",
        "/added_tokens|7|[added_tokens] is [7], expected an array",
        "/version|\"2.0\"|[version] is [2.0], expected [1.0]",
      })
  void refusesByName(String pointer, String value, String expected) throws IOException {
    ObjectNode json = bert();
    int slash = pointer.lastIndexOf('/');
    JsonNode parent = json.at(pointer.substring(0, slash));
    String name = pointer.substring(slash + 1);
    if (parent.isArray()) {
      ((ArrayNode) parent).set(Integer.parseInt(name), MAPPER.readTree(value));
    } else {
      ((ObjectNode) parent).set(name, MAPPER.readTree(value));
    }
    assertRefused(MAPPER.writeValueAsString(json), expected);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '\t',
      quoteCharacter = '\0',
      value = {
        "gemma	/model/dropout	0.1	[model.dropout] is [0.1], expected none or 0",
        "gemma	/model/merges/0	'a b c'	[model.merges[0]] is [\"a b c\"], expected two tokens",
        "gemma	/model/merges/0	['a']	expected two tokens",
        "gemma	/model/merges/0	['a','\u0001']	merge [0] needs the token [\u0001]",
        "gemma	/model/vocab/<0x41>	1	have the same id [1]",
        "gemma	/model/byte_fallback	'x'	[model.byte_fallback] is [\"x\"], expected true or false",
        "roberta	/model/continuing_subword_prefix	'##'	marks symbols with [##]",
        "roberta	/pre_tokenizer	null	the unknown token [] is not in the vocabulary",
        "xlmr	/model/unk_id	99999	[unk_id] is [99999], expected 0 to 1935",
        "xlmr	/model/unk_id	null	no [unk_id] is stated",
        "xlmr	/model/vocab/5	['a']	[model.vocab[5]] is [1] values, expected token and score",
        "xlmr	/model/vocab/5	['a','b']	[model.vocab[5][1]] is [\"b\"], expected a number",
      })
  void refusesModelsByName(String golden, String pointer, String value, String expected)
      throws IOException {
    Path original = Goldens.path("tokenizers/" + golden + "/tokenizer.json");
    ObjectNode json = (ObjectNode) MAPPER.readTree(Files.readString(original));
    int slash = pointer.lastIndexOf('/');
    JsonNode parent = json.at(pointer.substring(0, slash));
    JsonNode node = MAPPER.readTree(value.replace('\'', '"').replace("\u0001", "\\u0001"));
    String name = pointer.substring(slash + 1);
    if (parent.isArray()) {
      ((ArrayNode) parent).set(Integer.parseInt(name), node);
    } else {
      ((ObjectNode) parent).set(name, node);
    }
    assertRefused(MAPPER.writeValueAsString(json), expected);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '\t',
      quoteCharacter = '\0',
      value = {
        "(a+)+	a repeated group",
        "(?:a|b)*	a repeated group",
        "a**	a quantifier behind a quantifier",
        "a{2}+	a quantifier behind a quantifier",
        "a{,3}	[{] without a range",
        "a{0,2}|b	that it may match nothing",
        "b|a?(?:c|(?:d)?)	that it may match nothing",
        "a*	that it may match nothing",
        "(?=a)	that it may match nothing",
        "^a	[^] at 0 outside a class",
        "(?i)a	[(?i)]",
        "(?<n>a)	[(?<n]",
        "(?i:ss)	one character in some spelling",
        "\\ba	[\\b]",
        "(a)\\1	[\\1]",
        "\\p{^L}	the property [^L]",
        "[[:alpha:]]	a class inside a class",
        "[a-z&&[aeiou]]	a class inside a class",
        "[]a]	a class that is empty",
        "[a	a class that is empty or has no end",
        "(a	a [(] without a [)]",
        "a)	a [)] without a [(]",
        "a\\	a [\\] at the end",
        "[z-a]	is malformed",
      })
  void refusesExpressionsByName(String expression, String expected) {
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> RegexSyntax.read(expression));
    assertTrue(refusal.getMessage().contains(expected), refusal.getMessage());
    assertTrue(refusal.getMessage().contains("[" + expression + "]"), refusal.getMessage());
  }

  @Test
  void refusesVocabularyAndMergesByName() throws IOException {
    Path vocab = Goldens.path("tokenizers_real/roberta_base/vocab.json");
    Path merges = write("merges.txt", "#version: 0.2\n\u0120 t\na b c\n");
    assertMergesRefused(vocab, merges, "{}", "[merges.txt] line 3 is [a b c], expected two tokens");
    Path good = write("merges.txt", "#version: 0.2\n\u0120 t\n");
    assertMergesRefused(
        vocab, good, "{\"tokenizer_class\":\"GPT2Tokenizer\"}", "[GPT2Tokenizer] is not supported");
    assertMergesRefused(vocab, good, "{\"cls_token\":\"[CLS]\"}", "none is the token [[CLS]]");
    Path small = write("vocab.json", "{\"<s>\":0,\"</s>\":1,\"a\":2}");
    assertMergesRefused(
        small,
        write("none.txt", ""),
        "{}",
        "[vocab.json] cannot be used: no token stands for the byte [0x00]");
  }

  private void assertMergesRefused(Path vocab, Path merges, String config, String expected)
      throws IOException {
    Path file = write("tokenizer_config.json", config);
    IllegalArgumentException refusal =
        assertThrows(
            IllegalArgumentException.class,
            () -> Tokenizers.fromVocabularyAndMerges(vocab, merges, Optional.of(file)));
    assertTrue(refusal.getMessage().contains(expected), refusal.getMessage());
  }

  @Test
  void refusesSlowExpressions() throws IOException {
    ObjectNode json = bert();
    json.set(
        "pre_tokenizer",
        MAPPER.readTree(
            "{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":"
                + "\"a*a*a*a*a*a*a*a*a*a*ac\"}}"));
    Tokenizer tokenizer = Tokenizers.fromJson(write("tokenizer.json", json.toString()));
    tokenizer.encode("aac");
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> tokenizer.encode("a".repeat(5000)));
    assertTrue(refusal.getMessage().contains("more than [1000] times each"), refusal.getMessage());
    assertThrows(IllegalArgumentException.class, () -> RegexSyntax.read("a?".repeat(600) + "b"));
    RegexSyntax.read("a?".repeat(400) + "b")
        .find(("a".repeat(400) + "b").toCharArray(), 0, 401, (from, to) -> {});
  }

  @Test
  void refusesNormalizersThatGrowTexts() throws IOException {
    String twice = "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aa\"}";
    ObjectNode json = bert();
    json.set(
        "normalizer",
        MAPPER.readTree(
            "{\"type\":\"Sequence\",\"normalizers\":[" + (twice + ",").repeat(40) + twice + "]}"));
    Tokenizer tokenizer = Tokenizers.fromJson(write("tokenizer.json", json.toString()));
    tokenizer.encode("b");
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> tokenizer.encode("a"));
    assertTrue(refusal.getMessage().contains("normalizer makes more than"), refusal.getMessage());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "normalizer|normalizers|{\"type\":\"Lowercase\"}|has 66 steps, expected at most 64",
        "pre_tokenizer|pretokenizers|{\"type\":\"Digits\"}|has 66 steps, expected at most 64",
        "decoder|decoders|{\"type\":\"Fuse\"}|has 66 steps, expected at most 64",
      })
  void refusesManySteps(String kind, String list, String step, String expected) throws IOException {
    ObjectNode json = bert();
    String steps = (step + ",").repeat(64) + step;
    json.set(kind, MAPPER.readTree("{\"type\":\"Sequence\",\"" + list + "\":[" + steps + "]}"));
    assertRefused(json.toString(), "[" + kind + "] " + expected);
  }

  @Test
  void refusesWhatMakesTextsLong() throws IOException {
    ObjectNode prepending = bert();
    prepending.set(
        "normalizer",
        MAPPER.readTree("{\"type\":\"Prepend\",\"prepend\":\"" + "x".repeat(257) + "\"}"));
    assertRefused(prepending.toString(), "has 257 characters, expected at most 256");

    ObjectNode twice = bert();
    ArrayNode single = (ArrayNode) twice.at("/post_processor/single");
    single.add(single.get(1));
    assertRefused(twice.toString(), "names the text [A] twice");

    ObjectNode special = bert();
    ArrayNode ids = (ArrayNode) special.at("/post_processor/special_tokens/[CLS]/ids");
    for (int i = 0; i < 1024; i++) {
      ids.add(ids.get(0));
    }
    assertRefused(special.toString(), "special tokens to texts, expected at most 1024");
  }

  @Test
  void refusesVocabulariesThatTakeLongOnEveryText() throws IOException {
    ObjectNode json = bert();
    ObjectNode vocab = (ObjectNode) json.at("/model/vocab");
    vocab.put("x".repeat(4097), vocab.size());
    assertRefused(json.toString(), "has 4097 characters, expected at most 4096");

    Map<String, Integer> colliding = new HashMap<>();
    for (int i = 0; colliding.size() < 1100; i++) {
      String key = Integer.toString(i, 36);
      int hash = 0;
      for (int at = 0; at < key.length(); at++) {
        hash = TokenIndex.step(hash, key.charAt(at));
      }
      if (((hash ^ hash >>> 15) & (1 << 12) - 1) == 7) {
        colliding.put(key, i);
      }
    }
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> new TokenIndex(colliding));
    assertTrue(refusal.getMessage().contains("same hash as too many"), refusal.getMessage());
  }

  @Test
  void refusesJsonOfMillionsOfValues() throws IOException {
    String many = "[" + "1,".repeat(10_000_000) + "1]";
    assertRefused("{\"model\":" + many + "}", "is no valid JSON");
  }

  @Test
  void refusesBrokenJson() throws IOException {
    String good = MAPPER.writeValueAsString(bert());
    assertRefused("", "expected an object");
    assertRefused("[]", "expected an object");
    assertRefused("null", "expected an object");
    assertRefused(good.substring(0, good.length() / 2), "is no valid JSON");
    assertRefused(good + "{", "is no valid JSON");
    assertRefused("[".repeat(1_000_000), "is no valid JSON");
    assertRefused("{\"a\":".repeat(200_000), "is no valid JSON");
    assertRefused("{\"model\":{},\"model\":{}}", "is no valid JSON");
    assertRefused("\0\1\2", "is no valid JSON");
    assertThrows(
        UncheckedIOException.class, () -> Tokenizers.fromJson(directory.resolve("absent.json")));
  }

  @Test
  void readsFilesThatDoNotSayTheTypeOfTheModel() throws IOException {
    ObjectNode json = bert();
    json.withObject("/model").remove("type");
    Path file = Files.writeString(directory.resolve("tokenizer.json"), json.toString());
    assertEquals(
        "the", Tokenizers.fromJson(file).token(Tokenizers.fromJson(file).encode("The").ids()[1]));
  }

  @Test
  void givesAddedTokensTheFirstFreeId() throws IOException {
    ObjectNode json = bert();
    int size = json.at("/model/vocab").size();
    json.withArray("/added_tokens").addObject().put("id", size).put("content", "[NEW]");
    Path file = Files.writeString(directory.resolve("tokenizer.json"), json.toString());
    Tokenizer tokenizer = Tokenizers.fromJson(file);
    assertEquals(size + 1, tokenizer.vocabularySize());
    assertEquals(size, tokenizer.id("[NEW]").getAsInt());
    Tokens tokens = tokenizer.encode("the [new] the");
    assertTrue(Arrays.stream(tokens.ids()).anyMatch(id -> id == size), "normalized match");
    assertThrows(IllegalArgumentException.class, () -> tokenizer.token(size + 1));
    assertThrows(IllegalArgumentException.class, () -> tokenizer.token(-1));
    assertEquals(
        "the", tokenizer.decode(new int[] {-1, tokenizer.id("the").getAsInt(), 1 << 30}, true));
  }

  @Test
  void readsVocabularyFiles() throws IOException {
    Path vocab =
        write("vocab.txt", "[PAD]\r\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhi\n\u00e9\n##\u00e9\ne\n##e\nE");
    Tokenizer uncased = Tokenizers.fromVocabulary(vocab, Optional.empty());
    assertArrayEquals(new int[] {2, 5, 8, 9, 4, 3}, uncased.encode("Hi \u00c9e[MASK]").ids());
    Path config =
        write(
            "tokenizer_config.json",
            "{\"do_lower_case\": false, \"mask_token\": {\"content\": \"hi\"}}");
    Tokenizer cased = Tokenizers.fromVocabulary(vocab, Optional.of(config));
    assertArrayEquals(new int[] {2, 6, 10, 5, 3}, cased.encode("\u00e9 Ehi").ids());
    assertEquals(11, cased.vocabularySize());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "[UNK];[CLS];a|{}|none is the token [[SEP]]",
        "[UNK];[SEP];a|{}|none is the token [[CLS]]",
        "[CLS];[SEP];a|{}|none is the token [[UNK]]",
        "[UNK];[CLS];[SEP]|{\"unk_token\": \"<unk>\"}|none is the token [<unk>]",
        "[UNK];[CLS];[SEP]|{\"unk_token\": 3}|[unk_token] is [3], expected a string",
        "[UNK];[CLS];[SEP]|{\"do_lower_case\": 1}|[do_lower_case] is [1], expected true or false",
        "[UNK];[CLS];[SEP]|{\"tokenizer_class\": \"BertJapaneseTokenizer\"}|[BertJapaneseTokenizer]"
            + " is not",
        "[UNK];[CLS];[SEP]|{\"added_tokens_decoder\": {\"x\": {}}}|has the id [x]",
        "[UNK];[CLS];[SEP]|{\"added_tokens_decoder\": {\"9\": {\"content\": \"[CLS]\"}}}|expected"
            + " [1]",
      })
  void refusesVocabularyFilesByName(String lines, String config, String expected)
      throws IOException {
    Path vocab = write("vocab.txt", lines.replace(';', '\n'));
    Path configFile = write("tokenizer_config.json", config);
    IllegalArgumentException refusal =
        assertThrows(
            IllegalArgumentException.class,
            () -> Tokenizers.fromVocabulary(vocab, Optional.of(configFile)));
    assertTrue(refusal.getMessage().contains(expected), refusal.getMessage());
  }

  @Test
  void refusesVocabularyThatIsNotText() throws IOException {
    Path vocab = directory.resolve("vocab.txt");
    Files.write(vocab, new byte[] {(byte) 0xff, (byte) 0xfe, 10});
    IllegalArgumentException refusal =
        assertThrows(
            IllegalArgumentException.class,
            () -> Tokenizers.fromVocabulary(vocab, Optional.empty()));
    assertEquals(
        "[vocab.txt] is not valid UTF-8, expected one token per line", refusal.getMessage());
  }

  private Path write(String name, String content) throws IOException {
    return Files.writeString(directory.resolve(name), content);
  }

  private void assertRefused(String json, String expected) throws IOException {
    Path file = write("tokenizer.json", json);
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> Tokenizers.fromJson(file));
    assertTrue(refusal.getMessage().contains(expected), refusal.getMessage());
    assertTrue(refusal.getMessage().startsWith("[tokenizer.json] "), refusal.getMessage());
  }

  private static ObjectNode bert() throws IOException {
    Path golden = Goldens.path("tokenizers/bert_uncased/tokenizer.json");
    return (ObjectNode) MAPPER.readTree(Files.readString(golden));
  }
}
