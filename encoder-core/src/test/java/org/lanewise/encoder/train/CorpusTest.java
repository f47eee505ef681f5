package org.lanewise.encoder.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.tokenizer.SegmentedText;

/** Corpora: the formats, and what is refused with file, line and reason. */
final class CorpusTest {
  @TempDir private Path directory;

  @Test
  void readsWordsAndTags() throws IOException {
    List<Example> examples =
        tagged(
            "\ufeff"
                + """
                # text = It's fine.
                It\tPRON\tSpaceAfter=No
                's\tAUX\t_\r
                fine\tADJ


                #\tO
                """);
    assertEquals(2, examples.size());
    assertEquals("It's fine", examples.get(0).text().text());
    assertEquals(List.of("It", "'s", "fine"), words(examples.get(0)));
    assertEquals(List.of("PRON", "AUX", "ADJ"), examples.get(0).labels());
    assertEquals(List.of("#"), words(examples.get(1)));
  }

  @Test
  void keepsTheTagOfAWordThatIsLost() throws IOException {
    Example example = tagged("a\tX\n\tY\n \tZ\nb\tX\n").getFirst();
    assertEquals("a \uFFFD \uFFFD b", example.text().text());
    assertEquals(List.of("X", "Y", "Z", "X"), example.labels());
  }

  @Test
  void takesTheStatedTextWhereItHasTheWords() throws IOException {
    List<Example> examples =
        tagged(
            """
            # text = I  don't
            I\tPRON\t_
            do\tAUX\t_
            n't\tPART\t_

            # text = I  don't!
            I\tPRON\tSpaceAfter=No
            do\tAUX\t_
            n't\tPART\t_

            I\tPRON\t_
            """);
    assertEquals("I  don't", examples.get(0).text().text());
    assertEquals(List.of("I", "do", "n't"), words(examples.get(0)));
    assertEquals("Ido n't", examples.get(1).text().text());
    assertEquals("I", examples.get(2).text().text());
  }

  @Test
  void onlyALineFeedEndsALine() throws IOException {
    List<Example> examples = tagged("a\u2028b\tX\nc\u0085\tY");
    assertEquals(List.of("a\u2028b", "c\u0085"), words(examples.getFirst()));
  }

  @Test
  void readsConlluWithRangesAndEmptyNodes() throws IOException {
    List<Example> examples =
        tagged(
            String.join(
                "\n",
                "# sent_id = 1",
                conllu("1-2", "Don't", "_", "_"),
                conllu("1", "Do", "AUX", "_"),
                conllu("2", "n't", "PART", "_"),
                conllu("3", "go", "VERB", "Gloss=x|SpaceAfter=No"),
                conllu("3.1", "gone", "VERB", "_"),
                conllu("4", "!", "PUNCT", "_"),
                "",
                conllu("1-2", "del", "_", "SpaceAfter=No"),
                conllu("1", "de", "ADP", "_"),
                conllu("2", "el", "DET", "_"),
                conllu("3", ".", "PUNCT", "_"),
                ""));
    assertEquals("Don't go!", examples.get(0).text().text());
    assertEquals(List.of("AUX", "PART", "VERB", "PUNCT"), examples.get(0).labels());
    assertEquals("de el.", examples.get(1).text().text());
    assertEquals(List.of("de", "el", "."), words(examples.get(1)));
  }

  @Test
  void readsGzipByItsFirstBytes() throws IOException {
    Path file = directory.resolve("corpus.tsv");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      out.write("deu\tGuten Tag\tallen\n\neng\tGood morning\n".getBytes(StandardCharsets.UTF_8));
    }
    List<Example> examples =
        Corpus.readClassified(file, Choice.MULTI_CLASS, SegmentedText::characters);
    assertEquals(2, examples.size());
    assertEquals(List.of("deu"), examples.get(0).labels());
    assertEquals("Guten Tag\tallen", examples.get(0).text().text());
    assertEquals(12, examples.get(1).text().words());
    byte[] bytes = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(bytes, bytes.length - 12));
    IOException cut =
        assertThrows(
            IOException.class,
            () -> Corpus.readClassified(file, Choice.MULTI_CLASS, SegmentedText::characters));
    assertTrue(cut.getMessage().contains("corpus.tsv] cannot be read"), cut.getMessage());
  }

  @Test
  void aTextMayHaveAnyNumberOfClasses() throws IOException {
    Path file =
        Files.writeString(directory.resolve("many.tsv"), "a|b\tone\n\ttwo\n \tthree\nb\tfour\n");
    assertEquals(
        List.of(List.of("a", "b"), List.of(), List.of(), List.of("b")),
        Corpus.readClassified(file, Choice.MULTI_LABEL, SegmentedText::characters).stream()
            .map(Example::labels)
            .toList());
    assertEquals(
        "line 1 of [" + file + "] has the classes [a|], of which one has no name",
        refusedClasses(file, "a|\tone\n"));
    assertEquals(
        "line 1 of [" + file + "] has the classes [a|b|a], of which two are alike",
        refusedClasses(file, "a|b|a\tone\n"));
  }

  private static String refusedClasses(Path file, String content) throws IOException {
    Files.writeString(file, content);
    return assertThrows(
            IllegalArgumentException.class,
            () -> Corpus.readClassified(file, Choice.MULTI_LABEL, SegmentedText::characters))
        .getMessage();
  }

  static Stream<Arguments> badTagged() {
    return Stream.of(
        Arguments.of("a\tX\nb Y\n", "line 2 of [", "has no tab"),
        Arguments.of("\na\t\n", "line 2 of [", "no tag for the word [a]"),
        Arguments.of("\n# text = nothing\n", "bad.tsv] has no texts", ""),
        Arguments.of(conllu("1", "a", "X", "_") + "\nb\tX\n", "line 2 of [", "has 2 columns"),
        Arguments.of(conllu("1", "a", "_", "_"), "line 1 of [", "UPOS, is [_]"),
        Arguments.of(conllu("x", "a", "X", "_"), "line 1 of [", "the id [x]"),
        Arguments.of(conllu("3-2", "a", "_", "_"), "line 1 of [", "the range [3-2]"),
        Arguments.of(conllu("1-99999999999", "a", "_", "_"), "line 1 of [", "the range"));
  }

  @ParameterizedTest
  @MethodSource("badTagged")
  void whatIsMalformedIsRefused(String content, String where, String why) throws IOException {
    Path file = Files.writeString(directory.resolve("bad.tsv"), content);
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> Corpus.readTagged(file));
    assertTrue(refused.getMessage().contains(where), refused.getMessage());
    assertTrue(refused.getMessage().contains(why), refused.getMessage());
  }

  @Test
  void refusesTextsWithoutAClassOrText() throws IOException {
    assertClassifiedRefused("no tab here\n", "line 1 of [", "has no tab");
    assertClassifiedRefused("a\tb\n \tb\n", "line 2 of [", "has no class");
    assertClassifiedRefused("a\t\n", "line 1 of [", "has no text");
    assertClassifiedRefused("", "has no texts", "");
    Path file = directory.resolve("bad.tsv");
    Files.write(file, "a\tb\nc\t\u00e9\n".getBytes(StandardCharsets.ISO_8859_1));
    assertEquals(
        "line 2 of [" + file + "] is not valid UTF-8",
        assertThrows(
                IllegalArgumentException.class,
                () -> Corpus.readClassified(file, Choice.MULTI_CLASS, SegmentedText::characters))
            .getMessage());
    assertThrows(
        IllegalArgumentException.class, () -> Corpus.readTagged(directory.resolve("none.tsv")));
  }

  private void assertClassifiedRefused(String content, String where, String why)
      throws IOException {
    Path file = Files.writeString(directory.resolve("bad.tsv"), content);
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> Corpus.readClassified(file, Choice.MULTI_CLASS, SegmentedText::characters));
    assertTrue(refused.getMessage().contains(where), refused.getMessage());
    assertTrue(refused.getMessage().contains(why), refused.getMessage());
  }

  private List<Example> tagged(String content) throws IOException {
    return Corpus.readTagged(Files.writeString(directory.resolve("corpus.tsv"), content));
  }

  private static List<String> words(Example example) {
    return IntStream.range(0, example.text().words()).mapToObj(example.text()::word).toList();
  }

  private static String conllu(String id, String form, String upos, String misc) {
    return String.join("\t", id, form, "_", upos, "_", "_", "_", "_", "_", misc);
  }
}
