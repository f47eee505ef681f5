package org.lanewise.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lanewise.encoder.ChunkOptions.Strategy;
import org.lanewise.encoder.EncoderOutputs.Answer;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.EncoderOutputs.Reading;
import org.lanewise.encoder.backend.Precision;
import org.lanewise.encoder.tokenizer.RandomTexts;
import org.lanewise.encoder.tokenizer.SegmentedText;
import org.lanewise.encoder.tokenizer.Tokens;
import org.lanewise.encoder.tokenizer.WordSegmenter;

/** What holds for the chunks of every text, and what those of some texts are. */
final class ChunkerTest {
  private static final long SEED = Long.getLong("lanewise.seed", 20261121);
  private static final Path BUNDLED = Path.of("..", "models", "lanewise-mini-en");

  private static final String STORY =
      "The ferry left at dawn. Nobody waved. It carried nine goats, a piano and the new teacher!"
          + " Who would have thought that she could tune it?\n\nDr. Brown met her at the pier. He"
          + " was late.";

  private static TextEmbedder open(Path directory) {
    return TextEmbedder.open(
        ModelDirectory.open(directory),
        EmbedderOptions.defaults().withPrecision(Precision.FP32).withThreads(1));
  }

  private static ChunkOptions sentences(int most, int overlap) {
    return new ChunkOptions(Strategy.SENTENCE, OptionalInt.of(most), overlap);
  }

  private static ChunkOptions tokens(int most, int overlap) {
    return new ChunkOptions(Strategy.TOKEN, OptionalInt.of(most), overlap);
  }

  private static List<String> pieces(TextEmbedder model, ChunkOptions options, String text) {
    return Chunker.over(model, options, "").chunks(text).stream()
        .map(chunk -> chunk.of(text))
        .toList();
  }

  @Test
  void wholeSentencesArePacked() {
    try (TextEmbedder model = open(BUNDLED)) {
      assertEquals(
          List.of(
              "The ferry left at dawn. Nobody waved.",
              "It carried nine goats, a piano and the new teacher!",
              "Who would have thought that she could tune it?",
              "Dr. Brown met her at the pier. He was late."),
          pieces(model, sentences(18, 0), STORY));
      assertEquals(List.of(STORY), pieces(model, ChunkOptions.sentences(), STORY));
    }
  }

  @Test
  void sentencesAreRepeatedWhereTheNextFitsBeside() {
    try (TextEmbedder model = open(BUNDLED)) {
      assertEquals(
          List.of(
              "The ferry left at dawn. Nobody waved.",
              "Nobody waved. It carried nine goats, a piano and the new teacher!",
              "Who would have thought that she could tune it?",
              "Dr. Brown met her at the pier. He was late."),
          pieces(model, sentences(20, 1), STORY));
      String letters = "Ab. Bb. Cb. Db. Eb. Fb.";
      int four = model.countTokens("Ab. Bb. Cb. Db.", "");
      assertEquals(
          List.of("Ab. Bb. Cb. Db.", "Cb. Db. Eb. Fb."),
          pieces(model, sentences(four, 2), letters));
    }
  }

  @Test
  void aSentenceThatIsTooLongIsCutBetweenWordsAndAWordBetweenTokens() {
    try (TextEmbedder model = open(BUNDLED)) {
      String list = "one two three four five six seven eight nine ten. The end. And more.";
      List<String> pieces = pieces(model, sentences(8, 1), list);
      assertEquals(
          List.of("one two three four five six", "seven eight nine ten.", "The end. And more."),
          pieces.stream().map(String::strip).toList());
      String word = "antidisestablishmentarianism".repeat(3);
      List<String> parts = pieces(model, sentences(6, 0), "Say " + word + " now.");
      assertEquals("Say", parts.getFirst());
      assertTrue(parts.size() > 4, parts.toString());
      assertEquals("Say" + word + "now.", String.join("", parts).replace(" ", ""));
    }
  }

  @Test
  void tokensAreCountedAndRepeated() {
    try (TextEmbedder model = open(BUNDLED)) {
      String list = "one two three four five six seven eight nine ten";
      assertEquals(
          List.of("one two three four", "three four five six", "five six seven eight"),
          pieces(model, tokens(6, 2), list).subList(0, 3));
      assertEquals(
          List.of("one two three four", "five six seven eight", "nine ten"),
          pieces(model, tokens(6, 0), list));
    }
  }

  @Test
  void thePromptIsCountedToo() {
    try (TextEmbedder model = open(BUNDLED)) {
      String list = "one two three four five six seven eight nine ten";
      Chunker chunker = Chunker.over(model, tokens(8, 0), "passage: ");
      List<Chunk> chunks = chunker.chunks(list);
      assertEquals("one two three four", chunks.getFirst().of(list));
      for (Chunk chunk : chunks) {
        assertEquals(model.countTokens(chunk.of(list), "passage: "), chunk.tokens());
      }
    }
  }

  @Test
  void aTextWithoutTokensHasNoChunks() {
    try (TextEmbedder model = open(BUNDLED)) {
      for (String nothing : List.of("", " \n\t ", "\u200b\u0000", "\ufffd")) {
        assertEquals(List.of(), pieces(model, sentences(8, 0), nothing));
      }
    }
  }

  @Test
  void aCharacterOfTooManyTokensIsNamed() {
    try (TextEmbedder model = open(Goldens.path("encoders/roberta"))) {
      String eyes = "\ud83e\uddff\ud83e\uddff\ud83e\uddff";
      int one = model.countTokens("\ud83e\uddff", "");
      assertTrue(one > 4, "tokens: " + one);
      assertEquals(
          List.of("\ud83e\uddff", "\ud83e\uddff", "\ud83e\uddff"),
          pieces(model, sentences(one, 0), eyes));
      assertRefused(
          "the character [U+1F9FF] at [2] has " + one + " tokens by itself",
          () -> pieces(model, sentences(one - 1, 0), "a " + eyes));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void lowerCasedTextsKeepTheirPlaces(boolean late, @TempDir Path directory) throws IOException {
    Path source = Goldens.path("encoders/xlm_roberta");
    try (Stream<Path> files = Files.walk(source)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Path copy = directory.resolve(source.relativize(file).toString());
        Files.createDirectories(copy.getParent());
        Files.copy(file, copy);
      }
    }
    Files.writeString(
        directory.resolve("sentence_bert_config.json"),
        "{\"max_seq_length\": 14, \"do_lower_case\": true}");
    String text =
        "\u0130\u0130\u0130 HELLO \u0130 World. \u0130stanbul \u0130\u0130 Is BIG! The END";
    try (TextEmbedder model = open(directory)) {
      Chunker chunker = Chunker.over(model, sentences(12, 0), "");
      List<Chunk> chunks = chunker.chunks(text);
      assertEquals(text.length(), chunks.getLast().end());
      assertTrue(chunks.size() > 2, chunks.toString());
      int covered = 0;
      for (Chunk chunk : chunks) {
        assertTrue(text.substring(covered, chunk.start()).isBlank(), chunks.toString());
        assertFalse(model.encode(chunk.of(text), "").tokens().truncated());
        covered = chunk.end();
      }
      if (late) {
        LateChunker over = LateChunker.over(chunker);
        assertEquals(
            chunks,
            over.windows(text).stream().flatMap(window -> window.chunks().stream()).toList());
        over.windows(text).forEach(window -> assertTrue(window.text().length() <= 14));
        assertEquals(chunks.size(), over.embed(text).size());
      }
    }
  }

  static List<String> models() {
    return Goldens.list("encoders", "");
  }

  @ParameterizedTest
  @MethodSource("models")
  void nothingIsLostAndNothingIsTooLong(String name) {
    Random random = new Random(SEED);
    try (TextEmbedder model = open(Goldens.path("encoders/" + name))) {
      RandomTexts texts = new RandomTexts(random, List.of("[MASK]", "<s>", "One. Two! "));
      int longest = model.maxLength();
      for (int round = 0; round < 60; round++) {
        String text = round % 3 == 0 ? texts.next(40) : texts.next(600);
        String prompt = random.nextInt(4) == 0 ? "q: " : "";
        int least = model.countTokens("", prompt) + 1;
        if (least > longest) {
          continue;
        }
        int most = least + random.nextInt(Math.min(longest, 90) - Math.min(least, 90) + 1);
        most = Math.min(most, longest);
        ChunkOptions options =
            random.nextBoolean()
                ? sentences(most, random.nextInt(4))
                : tokens(most, random.nextInt((most - least + 1) / 2 + 1));
        check(model, options, prompt, text);
      }
    }
  }

  private static void check(TextEmbedder model, ChunkOptions options, String prompt, String text) {
    String context = options + " of [" + text + "]";
    Chunker chunker = Chunker.over(model, options, prompt);
    List<Chunk> chunks;
    try {
      chunks = chunker.chunks(text);
    } catch (IllegalArgumentException e) {
      assertTrue(e.getMessage().contains("by itself"), e.toString());
      return;
    }
    assertEquals(chunks, chunker.chunks(text), context);
    Tokens tokens = model.allTokens(model.casedInPlace(text));
    int most = options.maxChunkSize().orElseThrow();
    boolean[] covered = new boolean[text.length()];
    Chunk before = null;
    for (Chunk chunk : chunks) {
      assertTrue(chunk.start() < chunk.end(), context);
      assertFalse(splitsPair(text, chunk.start()) || splitsPair(text, chunk.end()), context);
      int read = model.encode(chunk.of(text), prompt).length();
      assertTrue(read <= most, context + ": " + chunk + " has " + read);
      assertFalse(model.encode(chunk.of(text), prompt).tokens().truncated(), context);
      for (int i = chunk.start(); i < chunk.end(); i++) {
        covered[i] = true;
      }
      if (most - model.countTokens("", prompt) > 20) {
        assertFalse(splitsToken(text, tokens, chunk), chunk + ": " + context);
      }
      if (before != null) {
        String both = before + " and " + chunk + ": " + context;
        assertTrue(chunk.start() > before.start() && chunk.end() > before.end(), both);
        long repeated = repeated(options, text, tokens, chunk.start(), before);
        assertTrue(repeated <= options.overlap(), repeated + " of " + both);
      }
      before = chunk;
    }
    for (int i = 0; i < tokens.length(); i++) {
      for (int unit = tokens.starts()[i]; unit < tokens.ends()[i]; unit++) {
        assertTrue(covered[unit] || blank(text.codePointAt(unit)), unit + " is lost: " + context);
      }
    }
  }

  /** How much of a chunk lies behind the place, as the options count. */
  private static long repeated(
      ChunkOptions options, String text, Tokens tokens, int from, Chunk chunk) {
    return switch (options.strategy()) {
      case TOKEN ->
          IntStream.range(0, tokens.length())
              .filter(i -> !tokens.special()[i])
              .filter(i -> tokens.starts()[i] >= from && tokens.ends()[i] <= chunk.end())
              .count();
      case SENTENCE ->
          WordSegmenter.sentences(text).stream()
              .mapToInt(sentence -> sentence.starts()[0])
              .filter(start -> start >= from && start < chunk.end())
              .count();
    };
  }

  /** Whether an end of the chunk lies inside a token, other than between blanks and the rest. */
  private static boolean splitsToken(String text, Tokens tokens, Chunk chunk) {
    for (int i = 0; i < tokens.length(); i++) {
      int from = tokens.starts()[i];
      int to = tokens.ends()[i];
      if ((from < chunk.start() && chunk.start() < to && !blank(text, from, chunk.start()))
          || (from < chunk.end() && chunk.end() < to && !blank(text, chunk.end(), to))) {
        return true;
      }
    }
    return false;
  }

  private static boolean blank(String text, int from, int to) {
    return text.substring(from, to).codePoints().allMatch(ChunkerTest::blank);
  }

  private static boolean splitsPair(String text, int unit) {
    return unit > 0
        && unit < text.length()
        && Character.isSurrogatePair(text.charAt(unit - 1), text.charAt(unit));
  }

  private static boolean blank(int codePoint) {
    return Character.isSpaceChar(codePoint)
        || Character.isISOControl(codePoint)
        || Character.getType(codePoint) == Character.FORMAT;
  }

  /** A sentence is cut only where it alone is too long. */
  @Test
  void sentencesStayWhole() {
    Random random = new Random(SEED);
    try (TextEmbedder model = open(BUNDLED)) {
      for (int round = 0; round < 50; round++) {
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(30); i >= 0; i--) {
          text.append("The ".concat("small ".repeat(random.nextInt(12)))).append("boat sank. ");
        }
        String whole = text.toString();
        List<Chunk> chunks = Chunker.over(model, sentences(40, 1), "").chunks(whole);
        List<SegmentedText> sentences = WordSegmenter.sentences(whole);
        for (Chunk chunk : chunks) {
          assertTrue(sentences.stream().anyMatch(each -> each.starts()[0] == chunk.start()));
          assertTrue(whole.charAt(chunk.end() - 1) == '.', chunk.of(whole));
        }
      }
    }
  }

  @Test
  void aLongTextTakesTimeInProportion() {
    try (TextEmbedder model = open(BUNDLED)) {
      String text = STORY.concat(" ").repeat(2000) + "x".repeat(20_000) + "\u00e9 ".repeat(20_000);
      List<Chunk> chunks = Chunker.over(model, sentences(64, 1), "").chunks(text);
      assertTrue(chunks.size() > 1000, "chunks: " + chunks.size());
    }
  }

  @Test
  void chunksAreReadAsTheTextsTheyAre() {
    try (TextEmbedder model = open(BUNDLED)) {
      EncoderOutputs outputs = EncoderOutputs.over(model);
      List<Reading> readings =
          outputs.readChunks(STORY, "passage: ", Set.of(Output.DENSE), sentences(24, 1), false);
      assertEquals(
          Chunker.over(model, sentences(24, 1), "passage: ").chunks(STORY),
          readings.stream().flatMap(reading -> reading.chunks().stream()).toList());
      List<Answer> answers = outputs.forward(readings);
      for (int i = 0; i < answers.size(); i++) {
        String text = readings.get(i).chunks().getFirst().of(STORY);
        float[] alone = model.embed(List.of(text), "passage: ").getFirst().vector();
        assertArrayEquals(alone, answers.get(i).vector(), 1e-5f);
        assertFalse(answers.get(i).truncated());
      }
    }
  }

  @Test
  void outputsThatChunksHaveNotAreRefused() {
    try (TextEmbedder model = open(BUNDLED)) {
      EncoderOutputs outputs = EncoderOutputs.over(model);
      assertRefused(
          "[multi_vector]",
          () -> outputs.readChunks("x", "", Set.of(Output.MULTI_VECTOR), sentences(9, 0), false));
      assertRefused(
          "[sparse]",
          () -> outputs.readChunks("x", "", Set.of(Output.SPARSE), sentences(9, 0), true));
    }
  }

  @Test
  void optionsThatDoNotFitAreRefused() {
    try (TextEmbedder model = open(BUNDLED)) {
      assertRefused("[max_chunk_size] is [513]", () -> Chunker.over(model, tokens(513, 0), ""));
      assertRefused("special tokens", () -> Chunker.over(model, tokens(2, 0), ""));
      assertRefused("the prompt", () -> Chunker.over(model, tokens(4, 0), "a long prompt: "));
      assertRefused("[overlap] is [4]", () -> Chunker.over(model, tokens(8, 4), ""));
      ChunkOptions whole = new ChunkOptions(Strategy.TOKEN, OptionalInt.empty(), 256);
      assertRefused("[overlap] is [256]", () -> Chunker.over(model, whole, ""));
    }
    assertRefused("[overlap] is [5]", () -> tokens(8, 5));
    assertRefused("[overlap] is [-1]", () -> tokens(8, -1));
    assertRefused("[sentence_overlap] is [11]", () -> sentences(8, 11));
    assertRefused("[max_chunk_size] is [0]", () -> sentences(0, 1));
  }

  private static void assertRefused(String part, Runnable call) {
    String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
    assertTrue(message.contains(part), message);
  }
}
