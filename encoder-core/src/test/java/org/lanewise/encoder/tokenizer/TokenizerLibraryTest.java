package org.lanewise.encoder.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.CharSpan;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.lanewise.encoder.Goldens;

/**
 * Random texts, beside the library itself: version 0.21.4, which is what its Java package brings.
 * Without truncation it gives the same tokens as 0.22.2, which the goldens were made with; the
 * versions differ where they truncate, so nothing is truncated here.
 */
class TokenizerLibraryTest {
  private static final long SEED = Long.getLong("lanewise.seed", 20261121);
  private static final Logger LOG = System.getLogger(TokenizerLibraryTest.class.getName());
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final Map<String, String> OPTIONS =
      Map.of("padding", "false", "truncation", "false", "addSpecialTokens", "true");

  @TempDir private Path directory;

  static List<String> goldens() {
    return List.of(
        "tokenizers/albert",
        "tokenizers/bert_cased",
        "tokenizers/bert_lower_keep_accents",
        "tokenizers/bert_uncased",
        "tokenizers/deberta_v3",
        "tokenizers/eurobert_llama3",
        "tokenizers/gemma",
        "tokenizers/modernbert",
        "tokenizers/mpnet",
        "tokenizers/qwen_embedding",
        "tokenizers/qwen_plain",
        "tokenizers/roberta",
        "tokenizers/roberta_prefix_space",
        "tokenizers/xlmr",
        "tokenizers/xlmr_converter",
        "tokenizers_real/bert_base_uncased");
  }

  @ParameterizedTest
  @MethodSource("goldens")
  void encodesRandomTextsAsTheLibrary(String name) throws IOException {
    compare(Goldens.path(name + "/tokenizer.json"), 1500);
  }

  @Tag("slow")
  @ParameterizedTest
  @MethodSource("goldens")
  void encodesAMillionRandomTextsAsTheLibrary(String name) throws IOException {
    compare(Goldens.path(name + "/tokenizer.json"), 65_000);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '\t',
      quoteCharacter = '\0',
      value = {
        "normalizer	{'type':'NFC'}",
        "normalizer	{'type':'NFD'}",
        "normalizer	{'type':'NFKC'}",
        "normalizer	{'type':'NFKD'}",
        "normalizer	{'type':'Nmt'}",
        "normalizer	{'type':'Lowercase'}",
        "normalizer	{'type':'Strip','strip_left':true,'strip_right':true}",
        "normalizer	{'type':'Strip','strip_left':true,'strip_right':false}",
        "normalizer	{'type':'Prepend','prepend':'\u2581x'}",
        "normalizer	{'type':'ByteLevel'}",
        "normalizer	{'type':'Replace','pattern':{'String':'ll'},'content':'\u00e9\ud83d\ude00l'}",
        "normalizer	{'type':'Replace','pattern':{'Regex':'\\\\s+|\\\\p{Mn}'},'content':''}",
        "normalizer	{'type':'Replace','pattern':{'Regex':'[a-e]{2,}|\\\\w(?=!)'},'content':'.'}",
        "normalizer	{'type':'Sequence','normalizers':[{'type':'NFKC'},{'type':'StripAccents'}]}",
        "pre_tokenizer	{'type':'Whitespace'}",
        "pre_tokenizer	{'type':'WhitespaceSplit'}",
        "pre_tokenizer	{'type':'BertPreTokenizer'}",
        "pre_tokenizer	{'type':'Digits','individual_digits':true}",
        "pre_tokenizer	{'type':'Digits','individual_digits':false}",
        "pre_tokenizer	{'type':'CharDelimiterSplit','delimiter':'a'}",
        "pre_tokenizer	{'type':'Punctuation','behavior':'Isolated'}",
        "pre_tokenizer	{'type':'Punctuation','behavior':'Removed'}",
        "pre_tokenizer	{'type':'Punctuation','behavior':'Contiguous'}",
        "pre_tokenizer	{'type':'Punctuation','behavior':'MergedWithPrevious'}",
        "pre_tokenizer	{'type':'Punctuation','behavior':'MergedWithNext'}",
        "pre_tokenizer"
            + "	{'type':'Split','pattern':{'String':'e'},'behavior':'MergedWithNext','invert':false}",
        "pre_tokenizer"
            + "	{'type':'Split','pattern':{'String':'e'},'behavior':'Contiguous','invert':true}",
        "pre_tokenizer"
            + "	{'type':'Split','pattern':{'Regex':'\\\\p{L}+'},'behavior':'Removed','invert':true}",
        "pre_tokenizer	{'type':'Split','pattern':{'Regex':'(?i:sk|\\\\W)?[^\\\\r"
            + "\\\\n"
            + "\\\\p{L}\\\\p{N}]'},'behavior':'Isolated','invert':false}",
        "pre_tokenizer	{'type':'Split','pattern':{'Regex':'[^\\\\r"
            + "\\\\n"
            + "\\\\p{L}\\\\p{N}]?[\\\\p{Lu}\\\\p{Lt}\\\\p{Lm}\\\\p{Lo}\\\\p{M}]*[\\\\p{Ll}\\\\p{Lm}\\\\p{Lo}\\\\p{M}]+(?i:\\'s|\\'t|\\'re)?|\\\\p{N}{1,3}|"
            + " ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r"
            + "\\\\n"
            + "/]*|\\\\s*[\\\\r"
            + "\\\\n"
            + "]+|\\\\s+(?!\\\\S)|\\\\s+'},'behavior':'Removed','invert':true}",
        "pre_tokenizer"
            + "	{'type':'Metaspace','replacement':'\u2581','prepend_scheme':'first','split':true}",
        "pre_tokenizer"
            + "	{'type':'Metaspace','replacement':'\u2581','prepend_scheme':'never','split':true}",
        "pre_tokenizer"
            + "	{'type':'Metaspace','replacement':'\u2581','prepend_scheme':'always','split':false}",
        "pre_tokenizer	{'type':'Metaspace','replacement':'\u2581','add_prefix_space':true}",
        "post_processor"
            + "	{'type':'RobertaProcessing','sep':['[SEP]',841],'cls':['[CLS]',840],'trim_offsets':true,'add_prefix_space':true}",
        "post_processor	{'type':'BertProcessing','sep':['[SEP]',841],'cls':['[CLS]',840]}",
        "post_processor"
            + "	{'type':'Sequence','processors':[{'type':'ByteLevel','add_prefix_space':false,'trim_offsets':true}]}",
      })
  void encodesWithEveryPieceAsTheLibrary(String field, String piece) throws IOException {
    String golden = field.equals("post_processor") ? "modernbert" : "xlmr_converter";
    Path original = Goldens.path("tokenizers/" + golden + "/tokenizer.json");
    ObjectNode json = (ObjectNode) MAPPER.readTree(Files.readString(original));
    json.set(
        field,
        MAPPER.readTree(piece.replace("\\'", "\u0001").replace('\'', '"').replace('\u0001', '\'')));
    Path file = Files.writeString(directory.resolve("tokenizer.json"), json.toString());
    compare(file, 400);
  }

  private static void compare(Path file, int count) throws IOException {
    byte[] json = Files.readAllBytes(file);
    Tokenizer tokenizer = Tokenizers.fromJson(file);
    List<String> special = new ArrayList<>();
    for (JsonNode token : MAPPER.readTree(json).get("added_tokens")) {
      special.add(token.get("content").textValue());
    }
    Random random = new Random(SEED);
    for (int i = 0; i < 50; i++) {
      special.add(tokenizer.token(random.nextInt(tokenizer.vocabularySize())));
    }
    RandomTexts texts = new RandomTexts(random, special);
    try (InputStream bytes = new ByteArrayInputStream(json);
        HuggingFaceTokenizer library = HuggingFaceTokenizer.newInstance(bytes, OPTIONS)) {
      for (int i = 0; i < count; i++) {
        // Now and then a text that is too long for the cache, for one word at least.
        String text = texts.next(i % 16 == 1 ? 400 : 40);
        if (i % 8 == 0) {
          String pair = texts.next(20);
          Tokens tokens = tokenizer.encode(text, Optional.of(pair), true, Optional.empty());
          assertSame(library.encode(text, pair), tokens, text, Optional.of(pair));
        } else {
          assertSame(library.encode(text), tokenizer.encode(text), text, Optional.empty());
        }
      }
    }
    LOG.log(Level.INFO, "{0}: {1} random texts compared, seed {2}", file, count, "" + SEED);
  }

  private static void assertSame(
      Encoding expected, Tokens tokens, String text, Optional<String> pair) {
    String context = escape(text) + pair.map(p -> " and " + escape(p)).orElse("");
    context += ", rerun with -Dlanewise.seed=" + SEED;
    assertEquals(list(expected.getIds()), list(tokens.ids()), context);
    assertEquals(list(expected.getTypeIds()), list(tokens.typeIds()), context);
    CharSpan[] spans = expected.getCharTokenSpans();
    long[] special = expected.getSpecialTokenMask();
    long[] sequences = expected.getSequenceIds();
    for (int i = 0; i < tokens.length(); i++) {
      assertEquals(special[i] == 1, tokens.special()[i], context);
      if (!tokens.special()[i]) {
        String of = sequences[i] == 1 ? pair.orElseThrow() : text;
        assertTrue(tokens.ends()[i] <= of.length(), context);
        List<Integer> offsets =
            List.of(
                of.codePointCount(0, tokens.starts()[i]), of.codePointCount(0, tokens.ends()[i]));
        assertEquals(List.of(spans[i].getStart(), spans[i].getEnd()), offsets, context);
      }
    }
  }

  private static List<Long> list(long[] values) {
    return Arrays.stream(values).boxed().toList();
  }

  private static List<Long> list(int[] values) {
    return Arrays.stream(values).asLongStream().boxed().toList();
  }

  private static String escape(String text) {
    StringBuilder escaped = new StringBuilder();
    text.codePoints().forEach(c -> escaped.append(String.format(Locale.ROOT, "U+%04X ", c)));
    return escaped.toString();
  }
}
