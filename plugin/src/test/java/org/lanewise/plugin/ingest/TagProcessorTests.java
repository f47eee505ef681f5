package org.lanewise.plugin.ingest;

import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.equalTo;

import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.action.support.PlainActionFuture;
import org.elasticsearch.cluster.metadata.ProjectId;
import org.elasticsearch.common.Strings;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.xcontent.XContentHelper;
import org.elasticsearch.index.VersionType;
import org.elasticsearch.ingest.IngestDocument;
import org.elasticsearch.test.ESTestCase;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.json.JsonXContent;
import org.junit.After;
import org.junit.Before;
import org.lanewise.plugin.TestEncoder;
import org.lanewise.plugin.TestService;
import org.lanewise.plugin.TestTagger;
import org.lanewise.plugin.models.ModelKind;

public class TagProcessorTests extends ESTestCase {
  private static final Map<String, Object> ADA = entity("Ada Lovelace", "PER", 0.9, 0, 12);
  private static final Map<String, Object> NASA = entity("NASA", "ORG", 0.6, 17, 21);

  private TestService test;

  @Before
  public void createService() throws Exception {
    Path models = createTempDir();
    TestEncoder.create(models, "e", 8, 6, Map.of());
    TestTagger.create(models, "ner", ModelKind.TAGGER);
    TestTagger.create(models, "length", ModelKind.CLASSIFIER);
    test = new TestService(models, Settings.EMPTY);
  }

  @After
  public void closeService() {
    test.close();
  }

  private static Map<String, Object> entity(
      String text, String label, double probability, int start, int end) {
    return Map.of(
        "entity", text,
        "class_name", label,
        "class_probability", probability,
        "start_pos", start,
        "end_pos", end);
  }

  private static Map<String, Object> at(int element, Map<String, Object> entity) {
    Map<String, Object> result = new HashMap<>(entity);
    result.put("element", element);
    return result;
  }

  private static Map<String, Object> parse(String json) {
    return XContentHelper.convertToMap(JsonXContent.jsonXContent, json, true);
  }

  private static String json(Map<String, Object> source) throws IOException {
    try (XContentBuilder builder = JsonXContent.contentBuilder()) {
      return Strings.toString(builder.map(source));
    }
  }

  /** Returns the source after a processor with these options. */
  private Map<String, Object> run(String options, String source) {
    TagProcessor processor =
        new TagProcessor.Factory(() -> test.service)
            .create(Map.of(), null, null, new HashMap<>(parse(options)), ProjectId.DEFAULT);
    IngestDocument document =
        new IngestDocument(
            "index", "id", 1, null, VersionType.INTERNAL, new HashMap<>(parse(source)));
    PlainActionFuture<IngestDocument> result = new PlainActionFuture<>();
    processor.execute(
        document,
        (answer, failure) -> {
          assertFalse("answered twice", result.isDone());
          if (failure != null) {
            result.onFailure(failure);
          } else {
            result.onResponse(answer);
          }
        });
    return result.actionGet(10, TimeUnit.SECONDS).getSource();
  }

  /** Returns what the tagger wrote to {@code t}, read from {@code body}. */
  private Object tags(String options, String source) {
    return run(
            "{\"model_id\":\"ner\",\"field\":\"body\",\"target_field\":\"t\"" + options + "}",
            source)
        .get("t");
  }

  private Object classes(String options, String source) {
    return run(
            "{\"model_id\":\"length\",\"field\":\"body\",\"target_field\":\"t\"" + options + "}",
            source)
        .get("t");
  }

  private void assertFails(String options, String source, String message) {
    Exception e = expectThrows(IllegalArgumentException.class, () -> tags(options, source));
    assertThat(e.getMessage(), equalTo(message));
  }

  public void testEntities() {
    assertEquals(
        Map.of("model_id", "ner", "entities", List.of(ADA, NASA)),
        tags("", "{\"body\":\"Ada Lovelace and NASA\"}"));
    assertEquals(
        Map.of("model_id", "ner", "entities", List.of()), tags("", "{\"body\":\"nobody\"}"));
  }

  public void testDefaultTargetsKeepTaggersApart() throws Exception {
    Map<String, Object> source =
        run("{\"model_id\":\"ner\",\"field\":\"body\"}", "{\"body\":\"Ada Lovelace and NASA\"}");
    source = run("{\"model_id\":\"length\",\"field\":\"body\"}", json(source));
    assertEquals(
        Map.of(
            "ner",
            Map.of("model_id", "ner", "entities", List.of(ADA, NASA)),
            "length",
            Map.of(
                "model_id", "length", "predicted_value", "long", "prediction_probability", 0.75)),
        source.get("body_tags"));
  }

  public void testReingestOverwrites() {
    assertEquals(
        Map.of("model_id", "ner", "entities", List.of(ADA)),
        tags("", "{\"body\":\"Ada Lovelace\",\"t\":{\"keywords\":{\"ORG\":[\"IBM\"]}}}"));
  }

  public void testThresholdAndLabels() {
    String source = "{\"body\":\"Ada Lovelace and NASA\"}";
    assertEquals(
        Map.of("model_id", "ner", "entities", List.of(ADA)), tags(",\"threshold\":0.7", source));
    assertEquals(
        Map.of("model_id", "ner", "entities", List.of(ADA, NASA)),
        tags(",\"threshold\":0.6", source));
    assertEquals(
        Map.of("model_id", "ner", "entities", List.of(NASA)),
        tags(",\"labels\":[\"ORG\"]", source));
    assertFails(
        ",\"labels\":[\"LOC\"]",
        source,
        "label [LOC] is not one of the labels of model [ner], which are [PER, ORG]");
  }

  public void testResultsField() {
    assertEquals(
        Map.of("model_id", "ner", "names", List.of(ADA)),
        tags(",\"results_field\":\"names\"", "{\"body\":\"Ada Lovelace\"}"));
    assertEquals(
        Map.of("model_id", "length", "size", "short", "prediction_probability", 0.75),
        classes(",\"results_field\":\"size\"", "{\"body\":\"a b\"}"));
  }

  public void testKeywords() {
    assertEquals(
        Map.of("ORG", List.of("NASA", "IBM"), "PER", List.of("Ada Lovelace")),
        ((Map<?, ?>)
                tags(
                    ",\"keywords\":true",
                    "{\"body\":\"NASA and Ada Lovelace and IBM and NASA and Ada Lovelace\"}"))
            .get("keywords"));
    assertEquals(
        Map.of(),
        ((Map<?, ?>) tags(",\"keywords\":true", "{\"body\":\"nobody\"}")).get("keywords"));
  }

  public void testAnnotatedText() {
    assertEquals(
        "[Ada Lovelace](PER&Ada+Lovelace) and [NASA](ORG&NASA)",
        ((Map<?, ?>) tags(",\"annotated_text\":true", "{\"body\":\"Ada Lovelace and NASA\"}"))
            .get("annotated_text"));
  }

  public void testArrayOfTexts() {
    String source = "{\"body\":[\"Ada Lovelace\",\" \",\"Ada Lovelace and NASA\"]}";
    assertEquals(
        Map.of(
            "model_id",
            "ner",
            "entities",
            List.of(at(0, ADA), at(2, ADA), at(2, NASA)),
            "keywords",
            Map.of("PER", List.of("Ada Lovelace"), "ORG", List.of("NASA")),
            "annotated_text",
            List.of(
                "[Ada Lovelace](PER&Ada+Lovelace)",
                "[Ada Lovelace](PER&Ada+Lovelace) and [NASA](ORG&NASA)")),
        tags(",\"keywords\":true,\"annotated_text\":true", source));
    assertEquals(
        List.of(
            Map.of(
                "model_id",
                "length",
                "element",
                0,
                "predicted_value",
                "short",
                "prediction_probability",
                0.75),
            Map.of(
                "model_id",
                "length",
                "element",
                2,
                "predicted_value",
                "long",
                "prediction_probability",
                0.75)),
        classes("", source));
    assertEquals(
        Map.of("model_id", "ner", "entities", List.of(at(0, ADA))),
        tags("", "{\"body\":[\"Ada Lovelace\"]}"));
  }

  public void testArrayOfObjects() {
    assertEquals(
        List.of(
            Map.of("text", "a b", "tags", Map.of("model_id", "ner", "entities", List.of())),
            Map.of("text", ""),
            Map.of(
                "text",
                "Ada Lovelace",
                "tags",
                Map.of("model_id", "ner", "entities", List.of(ADA)))),
        run(
                "{\"model_id\":\"ner\",\"input_output\":{\"input_field\":\"p.text\",\"output_field\":"
                    + "\"p.tags\"}}",
                "{\"p\":[{\"text\":\"a b\"},{\"text\":\"\",\"tags\":{\"entities\":[]}},"
                    + "{\"text\":\"Ada Lovelace\"}]}")
            .get("p"));
  }

  public void testEmptyMissingNullAndNotText() {
    assertNull(tags("", "{\"body\":\" \",\"t\":{\"entities\":[]}}"));
    assertFails("", "{}", "field [body] not present as part of path [body]");
    assertFails("", "{\"body\":null}", "input field [body] cannot be processed because it is null");
    assertFails(
        "",
        "{\"body\":1}",
        "input field [body] cannot be processed because it is not a text field");
    assertNull(tags(",\"ignore_missing\":true", "{}"));
    assertNull(test.stats("ner"));
  }

  public void testClasses() {
    assertEquals(
        Map.of("model_id", "length", "predicted_value", "short", "prediction_probability", 0.75),
        classes("", "{\"body\":\"a b\"}"));
    Map<?, ?> shortest = Map.of("class_name", "short", "class_probability", 0.75);
    Map<?, ?> longest = Map.of("class_name", "long", "class_probability", 0.25);
    for (int count : List.of(-1, 2, 9)) {
      assertEquals(
          List.of(shortest, longest),
          ((Map<?, ?>) classes(",\"num_top_classes\":" + count, "{\"body\":\"a b\"}"))
              .get("top_classes"));
    }
    assertEquals(
        List.of(shortest),
        ((Map<?, ?>) classes(",\"num_top_classes\":1", "{\"body\":\"a b\"}")).get("top_classes"));
  }

  public void testUnwantedClassesAreLeftOut() {
    assertEquals(
        Map.of(
            "model_id",
            "length",
            "predicted_value",
            "short",
            "prediction_probability",
            0.75,
            "top_classes",
            List.of(Map.of("class_name", "short", "class_probability", 0.75))),
        classes(",\"num_top_classes\":2,\"threshold\":0.5", "{\"body\":\"a b\"}"));
    assertEquals(Map.of("model_id", "length"), classes(",\"threshold\":0.8", "{\"body\":\"a b\"}"));
    assertEquals(
        Map.of("model_id", "length"), classes(",\"labels\":[\"long\"]", "{\"body\":\"a b\"}"));
  }

  public void testOptionsOfTheOtherKind() {
    assertFails(
        ",\"num_top_classes\":2",
        "{\"body\":\"a\"}",
        "[num_top_classes] is an option of classifiers, but [ner] is a tagger");
    for (String option : List.of("keywords", "annotated_text")) {
      Exception e =
          expectThrows(
              IllegalArgumentException.class,
              () -> classes(",\"" + option + "\":true", "{\"body\":\"a\"}"));
      assertThat(
          e.getMessage(),
          equalTo("[" + option + "] is an option of taggers, but [length] is a classifier"));
    }
  }

  public void testModelOfTheWrongKind() {
    Exception e =
        expectThrows(
            IllegalArgumentException.class,
            () -> run("{\"model_id\":\"e\",\"field\":\"body\"}", "{\"body\":\"a\"}"));
    assertThat(
        e.getMessage(),
        equalTo("[e] is an encoder, expected a tagger or a classifier: use [lanewise_embed]"));
  }

  public void testErrorsOfTheModel() {
    assertFails("", "{\"body\":\"untokenizable\"}", "cannot tokenize this");
    Exception e =
        expectThrows(IllegalStateException.class, () -> tags("", "{\"body\":\"poison\"}"));
    assertThat(e.getMessage(), containsString("poisonous"));
  }
}
