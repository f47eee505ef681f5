package org.lanewise.plugin.ingest;

import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.equalTo;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.action.support.PlainActionFuture;
import org.elasticsearch.cluster.metadata.ProjectId;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.xcontent.XContentHelper;
import org.elasticsearch.index.VersionType;
import org.elasticsearch.ingest.IngestDocument;
import org.elasticsearch.test.ESTestCase;
import org.elasticsearch.xcontent.json.JsonXContent;
import org.junit.After;
import org.junit.Before;
import org.lanewise.plugin.TestEncoder;
import org.lanewise.plugin.TestService;
import org.lanewise.plugin.encode.EncodeRequest.Side;

public class EmbedProcessorTests extends ESTestCase {
  private TestService test;

  @Before
  public void createService() throws Exception {
    Path models = createTempDir();
    TestEncoder.create(models, "m", 8, 6, Map.of("document", "told ", "query", "asked "));
    test = new TestService(models, Settings.EMPTY);
  }

  @After
  public void closeService() {
    test.close();
  }

  /** Returns the source after the processor; the options leave out the model. */
  private Map<String, Object> run(String options, String source) throws Exception {
    Map<String, Object> config = new HashMap<>(parse(options));
    config.put("model_id", "m");
    EmbedProcessor processor =
        new EmbedProcessor.Factory(
                () -> test.service, (project, index, path) -> OptionalInt.empty())
            .create(Map.of(), null, null, config, ProjectId.DEFAULT);
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

  private static Map<String, Object> parse(String json) {
    return XContentHelper.convertToMap(JsonXContent.jsonXContent, json, true);
  }

  private void assertFails(String options, String source, String message) {
    Exception e = expectThrows(IllegalArgumentException.class, () -> run(options, source));
    assertThat(e.getMessage(), equalTo(message));
  }

  private List<Float> vector(String text) {
    List<Float> vector = new ArrayList<>();
    for (float value : test.embed("m", Side.INGEST, text).getFirst().vector()) {
      vector.add(value);
    }
    return vector;
  }

  public void testText() throws Exception {
    Map<String, Object> source = run("{\"field\":\"body\"}", "{\"body\":\"a b\"}");
    assertEquals(Map.of("body", "a b", "body_vector", vector("a b")), source);
  }

  public void testReingestOverwrites() throws Exception {
    Map<String, Object> source =
        run("{\"field\":\"body\"}", "{\"body\":\"a\",\"body_vector\":[1,2]}");
    assertEquals(vector("a"), source.get("body_vector"));
  }

  public void testSeveralFields() throws Exception {
    Map<String, Object> source =
        run(
            "{\"input_output\":[{\"input_field\":\"title\",\"output_field\":\"v.title\"},"
                + "{\"input_field\":\"text.body\",\"output_field\":\"v.body\"}]}",
            "{\"title\":\"a\",\"text\":{\"body\":\"b\"}}");
    assertEquals(Map.of("title", vector("a"), "body", vector("b")), source.get("v"));
    assertEquals(2, test.stats("m").bulk().texts() - 2);
  }

  public void testArrayOfTexts() throws Exception {
    assertEquals(
        List.of(vector("a"), vector("b")),
        run("{\"field\":\"t\"}", "{\"t\":[\"a\",\" \",\"b\"]}").get("t_vector"));
    assertEquals(
        List.of(vector("a")), run("{\"field\":\"t\"}", "{\"t\":[\"a\"]}").get("t_vector"));
    assertEquals(
        Map.of("t", List.of()), run("{\"field\":\"t\"}", "{\"t\":[],\"t_vector\":[[1]]}"));
  }

  public void testEmptyText() throws Exception {
    for (String empty : List.of("", "  ", "\\u00a0\\u200b")) {
      assertFalse(
          run("{\"field\":\"t\"}", "{\"t\":\"" + empty + "\",\"t_vector\":[1]}")
              .containsKey("t_vector"));
    }
    assertNull(test.stats("m"));
  }

  public void testMissing() throws Exception {
    assertFails("{\"field\":\"t\"}", "{}", "field [t] not present as part of path [t]");
    assertFails(
        "{\"field\":\"a.t\"}", "{\"a\":{}}", "field [t] not present as part of path [a.t]");
    assertEquals(
        Map.of("t_vector", List.of(1)),
        run("{\"field\":\"t\",\"ignore_missing\":true}", "{\"t_vector\":[1]}"));
  }

  public void testNull() throws Exception {
    String message = "input field [t] cannot be processed because it is null";
    assertFails("{\"field\":\"t\"}", "{\"t\":null}", message);
    assertFails("{\"field\":\"t\"}", "{\"t\":[\"a\",null]}", message);
    assertFalse(
        run("{\"field\":\"t\",\"ignore_missing\":true}", "{\"t\":null}").containsKey("t_vector"));
    assertEquals(
        List.of(vector("a")),
        run("{\"field\":\"t\",\"ignore_missing\":true}", "{\"t\":[\"a\",null]}").get("t_vector"));
  }

  public void testNotText() {
    String message = "input field [t] cannot be processed because it is not a text field";
    for (String value : List.of("1", "true", "{\"a\":\"b\"}", "[1]", "[[\"a\"]]")) {
      assertFails("{\"field\":\"t\",\"ignore_missing\":true}", "{\"t\":" + value + "}", message);
    }
  }

  public void testArrayOfObjects() throws Exception {
    String options =
        "{\"input_output\":{\"input_field\":\"p.text\",\"output_field\":\"p.v\"}}";
    Map<String, Object> source =
        run(options, "{\"p\":[{\"text\":\"a\"},{\"text\":\"\",\"v\":[1]},{\"text\":[\"b\"]}]}");
    assertEquals(
        List.of(
            Map.of("text", "a", "v", vector("a")),
            Map.of("text", ""),
            Map.of("text", List.of("b"), "v", List.of(vector("b")))),
        source.get("p"));
    assertEquals(Map.of("p", List.of()), run(options, "{\"p\":[]}"));
    assertFails(
        options, "{\"p\":[{\"x\":1}]}", "field [text] not present as part of path [p.text]");
    assertFails(options, "{\"p\":[\"a\"]}", "field [text] not present as part of path [p.text]");
    assertFails(
        options,
        "{\"p\":[{\"text\":1}]}",
        "input field [p.text] cannot be processed because it is not a text field");
    assertFails(
        "{\"field\":\"p.text\",\"target_field\":\"v\"}",
        "{\"p\":[{\"text\":\"a\"}]}",
        "output field [v] must lie in [p] as input field [p.text] does, because that is an array"
            + " of objects in this document");
  }

  public void testArraysInArraysAndObjectsInObjects() throws Exception {
    Map<String, Object> source =
        run(
            "{\"field\":\"a.b.c.d\",\"target_field\":\"a.b.v.w\",\"ignore_missing\":true}",
            "{\"a\":[{\"b\":[{\"c\":{\"d\":\"x\"}},{\"c\":1}]},{\"b\":{\"c\":{\"d\":\"y\"}}},{}]}");
    assertEquals(
        List.of(
            Map.of(
                "b",
                List.of(
                    Map.of("c", Map.of("d", "x"), "v", Map.of("w", vector("x"))),
                    Map.of("c", 1))),
            Map.of("b", Map.of("c", Map.of("d", "y"), "v", Map.of("w", vector("y")))),
            Map.of()),
        source.get("a"));
    assertFails(
        "{\"field\":\"p.t\",\"target_field\":\"p.n.v\"}",
        "{\"p\":[{\"t\":\"a\",\"n\":1}]}",
        "output field [p.n.v] leads through a value that is not an object");
  }

  public void testNumberedElement() throws Exception {
    Map<String, Object> source =
        run("{\"field\":\"t.1\",\"target_field\":\"v\"}", "{\"t\":[\"a\",\"b\"]}");
    assertEquals(vector("b"), source.get("v"));
  }

  public void testTooLong() throws Exception {
    String source = "{\"a\":\"1 2 3 4 5 6 7\",\"b\":\"1\"}";
    String fields =
        "\"input_output\":[{\"input_field\":\"a\",\"output_field\":\"v\"},"
            + "{\"input_field\":\"b\",\"output_field\":\"w\"}]";
    assertEquals(1, run("{" + fields + ",\"truncated_field\":\"cut\"}", source).get("cut"));
    assertEquals(
        0,
        run("{" + fields + ",\"truncated_field\":\"cut\"}", "{\"a\":\"1\",\"b\":\"1\"}")
            .get("cut"));
    assertEquals(1, test.stats("m").bulk().truncated());
    assertFails(
        "{" + fields + ",\"truncate\":\"none\"}",
        source,
        "Input too large. The tokenized input length [10] exceeds the maximum sequence length [6]");
  }

  public void testPromptName() throws Exception {
    assertEquals(
        test.embed("m", Side.SEARCH, "a").getFirst().vector()[0],
        ((List<?>)
                run("{\"field\":\"t\",\"prompt_name\":\"query\"}", "{\"t\":\"a\"}").get("t_vector"))
            .getFirst());
    Exception e =
        expectThrows(
            IllegalArgumentException.class,
            () -> run("{\"field\":\"t\",\"prompt_name\":\"z\"}", "{\"t\":\"a\"}"));
    assertThat(e.getMessage(), containsString("prompt [z] is not one of the model's prompts"));
  }

  public void testUnusableVector() {
    Exception e =
        expectThrows(
            IllegalStateException.class, () -> run("{\"field\":\"t\"}", "{\"t\":\"unlimited\"}"));
    assertThat(e.getMessage(), containsString("made no usable vector"));
  }

  public void testOutputThatCannotBeWritten() {
    Exception e =
        expectThrows(
            IllegalArgumentException.class,
            () ->
                run("{\"field\":\"t\",\"target_field\":\"n.v\"}", "{\"t\":\"a\",\"n\":\"text\"}"));
    assertThat(e.getMessage(), containsString("[n.v]"));
  }
}
