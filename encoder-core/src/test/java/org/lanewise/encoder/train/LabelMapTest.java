package org.lanewise.encoder.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lanewise.encoder.tokenizer.SegmentedText;

/** Maps of classes. */
class LabelMapTest {
  @TempDir private Path directory;

  @Test
  void whatFollowsThePrefixIsMapped() throws IOException {
    LabelMap map = read("politician\tPER\nnoun-phrase\tMISC\nevent\tO\n\n");
    assertEquals(
        List.of("O", "B-PER", "I-PER", "S-MISC", "O", "O", "MISC"),
        labels(
            map,
            "O",
            "B-politician",
            "I-politician",
            "S-noun-phrase",
            "B-event",
            "I-event",
            "noun-phrase"));
  }

  @Test
  void classesOfATextAreLeftOutAndJoined() throws IOException {
    LabelMap map = read("a\tx\nb\tx\nc\tO\nd\td\n");
    SegmentedText text = SegmentedText.characters("text");
    Example mapped = map.applyToClasses(new Example(text, List.of("a", "c", "d", "b")));
    assertEquals(List.of("x", "d"), mapped.labels());
    assertEquals(List.of(), map.applyToClasses(new Example(text, List.of("c"))).labels());
  }

  @Test
  void aClassThatTheMapLacksIsRefused() throws IOException {
    LabelMap map = read("a\tb\n");
    Exception e = assertThrows(IllegalArgumentException.class, () -> labels(map, "B-c"));
    assertEquals(
        "class [c] is not in ["
            + directory.resolve("map")
            + "]; map it to itself to keep it, or to O",
        e.getMessage());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "a;|line 1 of [F] is [a], expected a class, a tab and another class",
        "a>b;b>;|line 2 of [F] is [b>], expected a class, a tab and another class",
        "a>b;a>c|line 2 of [F] has the class [a] for the second time"
      })
  void whatIsWrongIsNamed(String lines, String message) {
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () -> read(lines.replace(';', '\n').replace('>', '\t')));
    assertEquals(
        message.replace("F", directory.resolve("map").toString()).replace('>', '\t'),
        e.getMessage());
  }

  private LabelMap read(String lines) throws IOException {
    return LabelMap.read(Files.writeString(directory.resolve("map"), lines));
  }

  private static List<String> labels(LabelMap map, String... labels) {
    int[] starts = new int[labels.length];
    Arrays.setAll(starts, i -> 2 * i);
    int[] ends = new int[labels.length];
    Arrays.setAll(ends, i -> 2 * i + 1);
    String text = "x ".repeat(labels.length);
    return map.apply(new Example(new SegmentedText(text, starts, ends), Arrays.asList(labels)))
        .labels();
  }
}
