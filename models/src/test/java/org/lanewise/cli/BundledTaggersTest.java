package org.lanewise.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lanewise.encoder.ModelDirectory;

/**
 * The bundled taggers and classifiers, by their ids, on sentences of our own. They are easy ones:
 * scores are measured by models/recipes/evaluate.sh, which needs data.
 */
class BundledTaggersTest {
  private static final long MOST_BYTES = 4_000_000;

  @ParameterizedTest
  @ValueSource(strings = {"pos-en", "ner-en", "language", "sentiment-en"})
  void isSmallAndSaysWhatItIs(String id) throws IOException {
    Path directory = BundledModels.locate(id);
    long bytes = 0;
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.toList()) {
        bytes += Files.size(file);
      }
    }
    assertTrue(bytes <= MOST_BYTES, id + " has " + bytes + " bytes");
    String card = Files.readString(directory.resolve("README.md"));
    assertTrue(card.contains("# " + id + "\n"), card);
    assertTrue(card.contains("## Training text and licences"), "the card of train itself");
    JsonNode training = Run.JSON.readTree(directory.resolve("training.json").toFile());
    assertTrue(training.get("dev_score").doubleValue() > 0.5, training::toString);
  }

  @ParameterizedTest
  @ValueSource(strings = {"pos-en", "ner-en", "sentiment-en"})
  void readsTheBundledEncoder(String id) throws IOException {
    JsonNode config = Run.JSON.readTree(BundledModels.locate(id).resolve("config.json").toFile());
    int encoders = 0;
    for (JsonNode input : config.get("inputs")) {
      if (input.get("kind").textValue().equals("encoder_vectors")) {
        encoders++;
        assertEquals("lanewise-mini-en", input.get("model").textValue());
        try (ModelDirectory encoder =
            ModelDirectory.open(BundledModels.locate("lanewise-mini-en"))) {
          assertEquals(encoder.weightsFingerprint(), input.get("fingerprint").textValue());
        }
      }
    }
    assertTrue(encoders > 0, config::toString);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "The old dog sleeps in the garden.|DET ADJ NOUN VERB ADP DET NOUN PUNCT",
        "She quickly wrote two letters to her brother.|"
            + "PRON ADV VERB NUM NOUN ADP PRON NOUN PUNCT",
        "We did not see the train, but they heard it.|"
            + "PRON AUX PART VERB DET NOUN PUNCT CCONJ PRON VERB PRON PUNCT",
      })
  void posEnKnowsPartsOfSpeech(String text, String tags) {
    assertEquals(
        List.of(tags.split(" ")),
        entities("pos-en", text).stream().map(each -> each.get("class_name").textValue()).toList());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "Charles Babbage was born in London.|Charles Babbage/PER London/LOC",
        "Angela Merkel met Barack Obama in Berlin on Monday.|"
            + "Angela Merkel/PER Barack Obama/PER Berlin/LOC",
        "Marie Curie moved from Warsaw to Paris.|Marie Curie/PER Warsaw/LOC Paris/LOC",
        "John Smith joined Manchester United in 1999.|John Smith/PER Manchester United/ORG",
        "The meeting begins at nine in the large room.|''",
      })
  void nerEnFindsNames(String text, String names) {
    List<String> found =
        entities("ner-en", text).stream()
            .map(each -> each.get("entity").textValue() + "/" + each.get("class_name").textValue())
            .toList();
    assertEquals(names, String.join(" ", found));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "eng|The children are playing in the garden behind the house this afternoon.",
        "deu|Die Kinder spielen heute Nachmittag im Garten, der hinter dem Haus liegt.",
        "fra|Les enfants jouent dans le jardin derri\u00e8re la maison.",
        "spa|Los ni\u00f1os juegan en el jard\u00edn detr\u00e1s de la casa.",
        "por|As crian\u00e7as brincam no jardim atr\u00e1s da casa.",
        "swe|Barnen leker i tr\u00e4dg\u00e5rden bakom huset.",
        "fin|Lapset leikkiv\u00e4t puutarhassa talon takana.",
        "pol|Dzieci bawi\u0105 si\u0119 w ogrodzie za domem.",
        "hun|A gyerekek a h\u00e1z m\u00f6g\u00f6tti kertben j\u00e1tszanak.",
        "tur|\u00c7ocuklar evin arkas\u0131ndaki bah\u00e7ede oynuyor.",
        "ukr|\u0414\u0456\u0442\u0438 \u0433\u0440\u0430\u044e\u0442\u044c\u0441\u044f \u0432"
            + " \u0441\u0430\u0434\u0443 \u0437\u0430 \u0431\u0443\u0434\u0438\u043d\u043a\u043e"
            + "\u043c.",
        "ell|\u03a4\u03b1 \u03c0\u03b1\u03b9\u03b4\u03b9\u03ac"
            + " \u03c0\u03b1\u03af\u03b6\u03bf\u03c5\u03bd"
            + " \u03c3\u03c4\u03bf\u03bd \u03ba\u03ae\u03c0\u03bf.",
        "jpn|\u5b50\u4f9b\u305f\u3061\u306f\u5bb6\u306e\u88cf\u306e\u5ead\u3067\u904a\u3093\u3067"
            + "\u3044\u307e\u3059\u3002",
        "kor|\uc544\uc774\ub4e4\uc774 \uc815\uc6d0\uc5d0\uc11c \ub180\uace0 \uc788\uc5b4\uc694.",
      })
  void languageKnowsLanguages(String language, String text) {
    assertEquals(language, classes("language", text).get("predicted_value").textValue());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "positive|A wonderful, moving film with brilliant performances.",
        "positive|One of the funniest and most charming comedies of the year.",
        "positive|An unforgettable and beautifully acted drama.",
        "negative|A dull and tedious mess, badly written and far too long.",
        "negative|The plot is stupid, the jokes are lame and the acting is terrible.",
      })
  void sentimentEnKnowsPraise(String sentiment, String text) {
    JsonNode found = classes("sentiment-en", text);
    assertEquals(sentiment, found.get("predicted_value").textValue());
    // The data have no capital letters; texts have.
    assertEquals(
        classes("sentiment-en", text.toLowerCase(Locale.ROOT))
            .get("prediction_probability")
            .doubleValue(),
        found.get("prediction_probability").doubleValue(),
        1e-6);
  }

  @Test
  void labelsAreThoseThatTheCardsPromise() throws IOException {
    assertEquals(
        List.of(
            "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON",
            "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
        List.copyOf(labels("pos-en")));
    assertEquals(
        Set.of("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"),
        labels("ner-en"));
    assertEquals(122, labels("language").size());
    assertEquals(Set.of("negative", "positive"), labels("sentiment-en"));
  }

  /** The contract that programs rely on: names, their order, and kinds of values. */
  @Test
  void entitiesHaveTheirShape() {
    String text = "\ud83d\ude00 Marie Curie moved from Warsaw to Paris.";
    for (String id : List.of("pos-en", "ner-en")) {
      JsonNode answer = answer("tag", id, text);
      assertEquals(List.of("entities"), names(answer));
      assertTrue(answer.get("entities").size() >= 3, answer::toString);
      for (JsonNode entity : answer.get("entities")) {
        assertEquals(
            List.of("entity", "class_name", "class_probability", "start_pos", "end_pos"),
            names(entity));
        assertTrue(entity.get("start_pos").isInt() && entity.get("end_pos").isInt());
        assertEquals(
            text.substring(entity.get("start_pos").intValue(), entity.get("end_pos").intValue()),
            entity.get("entity").textValue());
        assertTrue(entity.get("class_name").isTextual());
        assertProbability(entity.get("class_probability"));
      }
    }
    assertEquals("{\"entities\":[]}", answer("tag", "ner-en", "").toString());
  }

  @Test
  void classesHaveTheirShape() {
    for (String id : List.of("language", "sentiment-en")) {
      JsonNode answer = classes(id, "A wonderful, moving film with brilliant performances.");
      assertEquals(
          List.of("predicted_value", "prediction_probability", "top_classes"), names(answer));
      JsonNode top = answer.get("top_classes");
      assertEquals(Math.min(5, labels(id).size()), top.size());
      assertEquals(answer.get("predicted_value"), top.get(0).get("class_name"));
      assertEquals(answer.get("prediction_probability"), top.get(0).get("class_probability"));
      double last = 1;
      for (JsonNode each : top) {
        assertEquals(List.of("class_name", "class_probability"), names(each));
        assertProbability(each.get("class_probability"));
        assertTrue(each.get("class_probability").doubleValue() <= last, answer::toString);
        last = each.get("class_probability").doubleValue();
      }
    }
  }

  private static void assertProbability(JsonNode probability) {
    assertTrue(probability.isNumber(), probability::toString);
    assertTrue(probability.doubleValue() >= 0 && probability.doubleValue() <= 1);
  }

  private static List<String> names(JsonNode object) {
    return object.propertyStream().map(Map.Entry::getKey).toList();
  }

  private static Set<String> labels(String id) {
    Set<String> labels = new TreeSet<>();
    Run.of("", "inspect", "--model", id, "--json")
        .answers()
        .getFirst()
        .get("labels")
        .forEach(label -> labels.add(label.textValue()));
    return labels;
  }

  private static List<JsonNode> entities(String id, String text) {
    return answer("tag", id, text).get("entities").valueStream().toList();
  }

  private static JsonNode classes(String id, String text) {
    return answer("classify", id, text);
  }

  private static JsonNode answer(String command, String id, String text) {
    List<JsonNode> answers = Run.of(text + "\n", command, "--model", id).answers();
    assertEquals(1, answers.size(), answers::toString);
    return answers.getFirst();
  }
}
