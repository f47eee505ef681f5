package org.lanewise.encoder.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Words and sentences of raw text. */
final class WordSegmenterTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '\t',
      quoteCharacter = '\u0001',
      value = {
        "Don't, it's; we'll!\tDo n't , it 's ; we 'll !",
        "I cannot, you can\u2019t\tI can not , you ca n\u2019t",
        "gonna wanna gotta wouldn't've\tgon na wan na got ta would n't 've",
        "the students' books, O'Connell's ma'am\tthe students ' books , O'Connell 's ma'am",
        "dont wont font want\tdo nt wo nt font want",
        "Dr. Smith met George W. Bush in the U.S. Then I.\t"
            + "Dr. Smith met George W. Bush in the U.S. Then I .",
        "at 7:30PM, 5:00 p.m. or 11/28/2000\tat 7:30 PM , 5:00 p.m. or 11/28/2000",
        "call 713-853-3989 or 345-9945, $1,200.50 (100%)\t"
            + "call 713-853-3989 or 345-9945 , $ 1,200.50 ( 100 % )",
        "1990-1995 the 80's and 1970s, 3rd\t1990 - 1995 the 80's and 1970s , 3rd",
        "see http://a.org/b?c=1. or <www.x.com>, mail a.b@c.com!\t"
            + "see http://a.org/b?c=1 . or < www.x.com > , mail a.b@c.com !",
        "@paul likes #java, report.final.pdf\t@paul likes #java , report.final.pdf",
        "al-Qaeda non-stop e-mail\tal - Qaeda non-stop e-mail",
        "Wait... what?! -- No!!! *** :-) ;)\tWait ... what ?! -- No !!! *** :-) ;)",
        "AT&T and R&D, etc. No. 5, no.\tAT&T and R&D , etc . No. 5 , no .",
        "(\"Hello,\" she said.)\t( \" Hello , \" she said . )",
        "A\u00a0B\u2003C\u200bD\ufeff\tA B C D",
        "\ud83d\udc69\u200d\ud83d\ude80\ud83d\ude00 \ud83d\udc4d\ud83c\udffd"
            + "\t\ud83d\udc69\u200d\ud83d\ude80 \ud83d\ude00 \ud83d\udc4d\ud83c\udffd",
        "cafe\u0301 na\u00efve \u00fcber\tcafe\u0301 na\u00efve \u00fcber",
      })
  void cutsAsTheTreebankDoes(String text, String expected) {
    assertEquals(expected, String.join(" ", words(WordSegmenter.words(text))));
  }

  @Test
  void scriptsWithoutSpacesAreCut() {
    assertTrue(WordSegmenter.words("\u4e1c\u4eac\u3068\u30d1\u30ea").words() > 1);
  }

  @Test
  void sentencesEndWhereTheyShould() {
    assertEquals(
        List.of(
            "Dr. Smith saw J. R. Hill in the U.S. Army .",
            "It was late .",
            "Was it ?",
            "Yes",
            "A new paragraph"),
        WordSegmenter.sentences(
                "Dr. Smith saw J. R. Hill in the U.S. Army. It was\nlate. Was it? Yes\n\n"
                    + "A new paragraph")
            .stream()
            .map(sentence -> String.join(" ", words(sentence)))
            .toList());
    assertEquals(List.of(), WordSegmenter.sentences(" \n\u2003"));
    assertEquals(List.of(), WordSegmenter.sentences(""));
  }

  @Test
  void wordsCoverAllButSpacesAndSentencesAllWords() {
    long seed = Long.getLong("lanewise.seed", 11);
    Random random = new Random(seed);
    String alphabet =
        "aZ9.'-_@#:/&,!?()<>=*^~$%\" \n\t\u2019\u00ad\u200d\u0301\u4e2d\u0e01\ud83d\ude00\ud800nt";
    for (int round = 0; round < 5000; round++) {
      String text =
          IntStream.range(0, random.nextInt(40))
              .mapToObj(i -> String.valueOf(alphabet.charAt(random.nextInt(alphabet.length()))))
              .collect(Collectors.joining());
      SegmentedText words = WordSegmenter.words(text);
      StringBuilder uncovered = new StringBuilder(text);
      for (int i = words.words() - 1; i >= 0; i--) {
        uncovered.delete(words.starts()[i], words.ends()[i]);
      }
      assertTrue(uncovered.toString().isBlank(), "seed " + seed + ": [" + text + "]");
      List<SegmentedText> sentences = WordSegmenter.sentences(text);
      assertEquals(words(words), sentences.stream().flatMap(each -> words(each).stream()).toList());
    }
  }

  @Test
  void longRunsTakeNoTimeToSpeakOf() {
    for (String piece :
        List.of(
            "a", "a.", "-", "a-", "1.", "1-", "'", "a'", "@a", ":(", "#-", "http://", "\u4e2d",
            "\n")) {
      String text = piece.repeat(200_000 / piece.length());
      assertTimeout(Duration.ofSeconds(20), () -> WordSegmenter.sentences(text), piece);
    }
  }

  private static List<String> words(SegmentedText text) {
    return IntStream.range(0, text.words()).mapToObj(text::word).toList();
  }
}
