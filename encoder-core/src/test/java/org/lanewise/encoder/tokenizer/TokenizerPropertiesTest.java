package org.lanewise.encoder.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.text.Normalizer.Form;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lanewise.encoder.Goldens;

/** What holds for every text: random Unicode, hostile lengths, many threads, tight truncation. */
class TokenizerPropertiesTest {
  private static final long SEED = Long.getLong("lanewise.seed", System.nanoTime());
  private static final String SEED_NOTE = "rerun with -Dlanewise.seed=" + SEED;

  private static final Tokenizer REAL =
      Tokenizers.fromJson(Goldens.path("tokenizers_real/bert_base_uncased/tokenizer.json"));

  private static final String GROUPED =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}";
  private static final String REST =
      "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

  @BeforeAll
  static void printSeed() {
    System.getLogger(TokenizerPropertiesTest.class.getName()).log(Level.INFO, SEED_NOTE);
  }

  @ParameterizedTest
  @ValueSource(strings = {"bert_uncased", "bert_cased", "bert_lower_keep_accents"})
  void offsetsAreOrderedAndNeverSplitAPair(String name) {
    Tokenizer tokenizer =
        Tokenizers.fromJson(Goldens.path("tokenizers/" + name + "/tokenizer.json"));
    Random random = new Random(SEED);
    for (int round = 0; round < 2000; round++) {
      String text = text(random, random.nextInt(60));
      Tokens tokens = tokenizer.encode(text);
      int before = 0;
      for (int i = 0; i < tokens.length(); i++) {
        int start = tokens.starts()[i];
        int end = tokens.ends()[i];
        String context = "token " + i + " of [" + escape(text) + "], " + SEED_NOTE;
        if (tokens.special()[i]) {
          assertTrue(start == 0 && end == 0, context);
          continue;
        }
        assertTrue(start < end && end <= text.length() && start >= before, context);
        assertFalse(splitsPair(text, start) || splitsPair(text, end), context);
        before = start;
      }
    }
  }

  @Test
  void unpairedSurrogatesReadAsReplacementCharacters() {
    Random random = new Random(SEED);
    for (int round = 0; round < 500; round++) {
      String text = text(random, 30);
      StringBuilder replaced = new StringBuilder(text);
      for (int i = 0; i < text.length(); i++) {
        boolean paired = splitsPair(text, i) || splitsPair(text, i + 1);
        if (Character.isSurrogate(text.charAt(i)) && !paired) {
          replaced.setCharAt(i, '\uFFFD');
        }
      }
      assertSame(REAL.encode(replaced.toString()), REAL.encode(text), SEED_NOTE);
    }
  }

  @Test
  void windowsTogetherHoldEveryToken() {
    Random random = new Random(SEED);
    for (int round = 0; round < 300; round++) {
      String text = text(random, 200);
      Tokens all = REAL.encode(text, Optional.empty(), false, Optional.empty());
      int length = 2 + random.nextInt(9);
      int stride = random.nextInt(length);
      Truncation truncation =
          new Truncation(
              length,
              OptionalInt.of(stride),
              Truncation.Strategy.LONGEST_FIRST,
              Truncation.Direction.RIGHT);
      Tokens cut = REAL.encode(text, Optional.empty(), false, Optional.of(truncation));
      List<Integer> ids = new ArrayList<>(ints(cut.ids()));
      for (Tokens window : cut.overflow()) {
        ids.addAll(ints(window.ids()).subList(stride, window.length()));
      }
      assertEquals(ints(all.ids()), ids, SEED_NOTE);
      assertEquals(all.length() > length, cut.truncated(), SEED_NOTE);
    }
  }

  @Test
  void decodingAndEncodingAgainGivesTheSameIds() {
    Random random = new Random(SEED);
    for (int round = 0; round < 500; round++) {
      StringBuilder text = new StringBuilder();
      for (int word = 0; word < 20; word++) {
        int id = 1996 + random.nextInt(20000);
        String token = REAL.token(id);
        text.append(token.startsWith("##") ? token.substring(2) : ' ' + token);
      }
      int[] ids = REAL.encode(text.toString()).ids();
      assertArrayEquals(ids, REAL.encode(REAL.decode(ids, true)).ids(), text + " " + SEED_NOTE);
    }
  }

  @ParameterizedTest
  @EnumSource
  void decomposesAsJavaDoes(NormalizationForm form) {
    Random random = new Random(SEED);
    Form javaForm = Form.valueOf(form.name());
    for (int round = 0; round < 5000; round++) {
      StringBuilder builder = new StringBuilder();
      while (builder.length() < 12) {
        int codePoint = random.nextBoolean() ? mark(random) : random.nextInt(0x2fa20);
        // Where the reference's older tables differ on purpose; see CharacterFacts.
        if (Character.isDefined(codePoint)
            && !Character.isSurrogate((char) codePoint)
            && !CharacterFacts.isNeverDecomposed(codePoint)
            && isMarkToBoth(codePoint)) {
          builder.appendCodePoint(codePoint);
        }
      }
      String text = builder.toString();
      assertEquals(
          escape(java.text.Normalizer.normalize(text, javaForm)),
          escape(normalize(form, text)),
          escape(text) + " " + SEED_NOTE);
    }
  }

  /** Nothing beside the code point that would have the text normalised anyway. */
  @ParameterizedTest
  @EnumSource
  void decomposesEveryCodePointAloneAsJavaDoes(NormalizationForm form) {
    Form javaForm = Form.valueOf(form.name());
    for (int c = 0; c <= Character.MAX_CODE_POINT; c++) {
      String text = Character.toString(c);
      if (Character.getType(c) != Character.SURROGATE && !CharacterFacts.isNeverDecomposed(c)) {
        String expected = java.text.Normalizer.normalize(text, javaForm);
        String normalized = normalize(form, text);
        if (!expected.equals(normalized)) {
          assertEquals(escape(expected), escape(normalized), escape(text));
        }
      }
    }
  }

  @Test
  void compatibilityFormsReplaceWhatOnlyDecomposesFurther() {
    assertEquals("\u3b41 \u0313\u0300", normalize(NormalizationForm.NFKC, "\u3b41\u1fcd"));
  }

  @Test
  void hostileTextsTakeLinearTime() {
    int n = 1_000_000;
    List<String> texts =
        List.of(
            "a".repeat(n),
            "e" + "\u0301\u0323".repeat(n / 2),
            "\u0315\u0301\u0316\u0334".repeat(n / 4),
            "\u4e00".repeat(n),
            "\u0130".repeat(n),
            "!".repeat(n),
            " ".repeat(n),
            "[".repeat(n),
            "[MASK".repeat(n / 5),
            ("zxqj".repeat(24) + "zzz ").repeat(n / 100),
            "\ud800".repeat(n),
            "\ud83d\ude00".repeat(n / 2),
            "\uac01".repeat(n),
            "\0".repeat(n));
    // Each takes under 0.1 s; anything quadratic takes minutes.
    assertTimeoutPreemptively(
        Duration.ofSeconds(60), () -> texts.forEach(text -> REAL.encode(text)));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "albert",
        "deberta_v3",
        "eurobert_llama3",
        "gemma",
        "modernbert",
        "qwen_plain",
        "roberta_prefix_space",
        "xlmr",
        "xlmr_converter"
      })
  void hostileTextsTakeAboutLinearTimeInEveryModel(String name) {
    Tokenizer tokenizer =
        Tokenizers.fromJson(Goldens.path("tokenizers/" + name + "/tokenizer.json"));
    int n = 300_000;
    List<String> texts =
        List.of(
            "a".repeat(n),
            "ab".repeat(n / 2),
            "\u2581".repeat(n),
            " ".repeat(n),
            " \n".repeat(n / 2),
            "!".repeat(n),
            "1".repeat(n),
            "'".repeat(n),
            "'s".repeat(n / 2),
            "e" + "\u0301\u0323".repeat(n / 2),
            "\u1100".repeat(n),
            "\u1112\u1161\u11ab".repeat(n / 3),
            "\ud83d\ude00".repeat(n / 2),
            "\ud83d\udc68\u200d".repeat(n / 3),
            "\ud83c\udde9".repeat(n / 2),
            "\u4e00".repeat(n),
            "\ufdfa".repeat(n / 20),
            "theoftheandthe".repeat(n / 14),
            "<mask".repeat(n / 5));
    // Each takes up to 0.4 s; anything quadratic takes minutes.
    assertTimeoutPreemptively(Duration.ofSeconds(60), () -> texts.forEach(tokenizer::encode));
  }

  @Test
  void wordsAreCutAsTheirExpressionsSay() {
    Random random = new Random(SEED);
    RandomTexts texts = new RandomTexts(random, List.of());
    List<String> expressions =
        List.of(
            "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
            GROUPED + "{1,3}" + REST,
            GROUPED + REST);
    for (String expression : expressions) {
      TextPattern words = WordPattern.of(expression).orElseThrow();
      // The group around it makes it another expression, which is not written out as code.
      TextPattern compiled = RegexSyntax.read("(?:" + expression + ")");
      for (int round = 0; round < 3000; round++) {
        char[] chars = texts.next(30).toCharArray();
        assertEquals(
            cuts(compiled, chars),
            cuts(words, chars),
            expression + " " + escape(new String(chars)) + " " + SEED_NOTE);
      }
    }
  }

  private static List<Integer> cuts(TextPattern pattern, char[] chars) {
    List<Integer> cuts = new ArrayList<>();
    pattern.find(
        chars,
        0,
        chars.length,
        (start, end) -> {
          cuts.add(start);
          cuts.add(end);
        });
    return cuts;
  }

  @Test
  void refusesTruncationThatCannotBe() {
    String text = "one two three four five six";
    assertRefused(
        text, Optional.empty(), 1, 0, Truncation.Strategy.LONGEST_FIRST, "2 special tokens");
    assertRefused(
        text, Optional.of("a"), 2, 0, Truncation.Strategy.LONGEST_FIRST, "3 special tokens");
    assertRefused(text, Optional.empty(), 4, 2, Truncation.Strategy.LONGEST_FIRST, "[stride] is 2");
    assertRefused(text, Optional.empty(), 4, 9, Truncation.Strategy.LONGEST_FIRST, "[stride] is 9");
    assertRefused(
        "a", Optional.of(text), 5, 0, Truncation.Strategy.ONLY_FIRST, "the first text has 1");
    assertRefused(
        text, Optional.empty(), 5, 0, Truncation.Strategy.ONLY_SECOND, "the second text has 0");
    assertThrows(IllegalArgumentException.class, () -> Truncation.to(-1));
    String many = "a ".repeat(100_000);
    assertRefused(many, Optional.of(many), 7, 1, Truncation.Strategy.LONGEST_FIRST, "[max_length]");
    Tokens onlySpecial = REAL.encode(text, Optional.empty(), true, Optional.of(Truncation.to(2)));
    assertArrayEquals(new int[] {101, 102}, onlySpecial.ids());
    assertTrue(onlySpecial.truncated());
  }

  @ParameterizedTest
  @ValueSource(strings = {"bert_uncased", "gemma", "roberta", "xlmr"})
  void isThreadSafe(String name) throws InterruptedException, ExecutionException {
    Path file = Goldens.path("tokenizers/" + name + "/tokenizer.json");
    Tokenizer alone = Tokenizers.fromJson(file);
    Tokenizer shared = Tokenizers.fromJson(file);
    Random random = new Random(SEED);
    List<String> texts = IntStream.range(0, 300).mapToObj(i -> text(random, 80)).toList();
    List<Tokens> expected = texts.stream().map(alone::encode).toList();
    try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Future<?>> runs = new ArrayList<>();
      for (int thread = 0; thread < 4; thread++) {
        runs.add(
            threads.submit(
                () -> {
                  for (int i = 0; i < texts.size(); i++) {
                    assertSame(expected.get(i), shared.encode(texts.get(i)), SEED_NOTE);
                  }
                }));
      }
      for (Future<?> run : runs) {
        run.get();
      }
    }
  }

  private static String normalize(NormalizationForm form, String text) {
    NormalizedText normalized = new NormalizedText(text, 0, text.length());
    form.normalize(normalized);
    return new String(normalized.chars(), 0, normalized.length());
  }

  private static void assertRefused(
      String text,
      Optional<String> pair,
      int length,
      int stride,
      Truncation.Strategy strategy,
      String expected) {
    Truncation truncation =
        new Truncation(length, OptionalInt.of(stride), strategy, Truncation.Direction.RIGHT);
    IllegalArgumentException refusal =
        assertThrows(
            IllegalArgumentException.class,
            () -> REAL.encode(text, pair, true, Optional.of(truncation)));
    assertTrue(refusal.getMessage().contains(expected), refusal.getMessage());
  }

  private static void assertSame(Tokens expected, Tokens actual, String context) {
    assertArrayEquals(expected.ids(), actual.ids(), context);
    assertArrayEquals(expected.starts(), actual.starts(), context);
    assertArrayEquals(expected.ends(), actual.ends(), context);
  }

  private static List<Integer> ints(int[] values) {
    return Arrays.stream(values).boxed().toList();
  }

  private static boolean splitsPair(String text, int at) {
    return at > 0
        && at < text.length()
        && Character.isSurrogatePair(text.charAt(at - 1), text.charAt(at));
  }

  private static boolean isMarkToBoth(int codePoint) {
    return switch (Character.getType(codePoint)) {
      case Character.NON_SPACING_MARK, Character.COMBINING_SPACING_MARK, Character.ENCLOSING_MARK ->
          CharacterFacts.isCombiningMark(codePoint);
      default -> true;
    };
  }

  private static int mark(Random random) {
    int codePoint;
    do {
      codePoint = 0x300 + random.nextInt(random.nextBoolean() ? 0x70 : 0x1e000);
    } while (Character.getType(codePoint) != Character.NON_SPACING_MARK
        && Character.getType(codePoint) != Character.COMBINING_SPACING_MARK);
    return codePoint;
  }

  private static String text(Random random, int length) {
    StringBuilder text = new StringBuilder();
    while (text.length() < length) {
      switch (random.nextInt(8)) {
        case 0, 1, 2 -> text.append((char) (' ' + random.nextInt(95)));
        case 3 -> text.appendCodePoint(mark(random));
        case 4 -> text.append((char) random.nextInt(0x10000));
        case 5 -> text.appendCodePoint(random.nextInt(0x110000));
        case 6 -> text.append((char) (0xc0 + random.nextInt(0x200)));
        default -> text.append(random.nextBoolean() ? "[MASK]" : " playing \u4e8c");
      }
    }
    return text.toString();
  }

  private static String escape(String text) {
    StringBuilder escaped = new StringBuilder();
    text.codePoints().forEach(c -> escaped.append(String.format(Locale.ROOT, "U+%04X ", c)));
    return escaped.toString();
  }
}
