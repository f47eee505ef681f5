package org.lanewise.plugin.ingest;

import static org.hamcrest.Matchers.containsString;
import static org.hamcrest.Matchers.equalTo;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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
import org.lanewise.encoder.head.ElementType;
import org.lanewise.encoder.head.StoredTokenVectors;
import org.lanewise.plugin.TestEncoder;
import org.lanewise.plugin.TestService;
import org.lanewise.plugin.encode.EncodeRequest.Side;

public class EmbedProcessorTests extends ESTestCase {
  private TestService test;
  private MappedDimensions.Field mapped;

  /** The field that is mapped; any where it is null. */
  private String mappedPath;

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
                () -> test.service,
                (project, index, path) ->
                    Optional.ofNullable(mapped)
                        .filter(_ -> mappedPath == null || mappedPath.equals(path)))
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

  /** A rank_features field takes positive normal numbers under names without dots. */
  public void testFeatures() throws Exception {
    String source = "{\"t\":\". . __\"}";
    assertEquals(
        Map.of("told", 1f, ".", 2f, "__", 1f),
        run("{\"field\":\"t\",\"output\":\"sparse\"}", source).get("t_sparse"));
    Map<?, ?> features =
        (Map<?, ?>)
            run("{\"field\":\"t\",\"output\":\"sparse\",\"replace_dots\":true}", source)
                .get("t_sparse");
    assertEquals(Map.of("told", 1f, "__", 2f), features);
    features.forEach(
        (name, weight) -> {
          assertFalse(((String) name).contains("."));
          assertTrue((float) weight >= Float.MIN_NORMAL && Float.isFinite((float) weight));
        });
  }

  public void testOutputsOfOneText() throws Exception {
    Map<String, Object> source =
        run(
            "{\"input_output\":[{\"input_field\":\"t\",\"output_field\":\"v\"},"
                + "{\"input_field\":\"t\",\"output_field\":\"s\",\"output\":\"sparse\"},"
                + "{\"input_field\":\"u\",\"output_field\":\"m\",\"output\":\"multi_vector\","
                + "\"encoding\":\"bf16\"}]}",
            "{\"t\":\"b a b\",\"u\":[\"a\",\"x y\"]}");
    assertEquals(3, test.stats("m").bulk().texts());
    assertEquals(vector("b a b"), source.get("v"));
    assertEquals(Map.of("told", 1f, "b", 2f, "a", 1f), source.get("s"));
    List<?> tokens = (List<?>) source.get("m");
    assertEquals(2, tokens.size());
    byte[] bytes = Base64.getDecoder().decode((String) tokens.get(1));
    assertEquals(3, StoredTokenVectors.read(bytes, 0, bytes.length).rows());
  }

  public void testPruning() throws Exception {
    String source = "{\"t\":\"b a b c\"}";
    assertEquals(
        Map.of("b", 2f),
        run("{\"field\":\"t\",\"output\":\"sparse\",\"pruning\":{\"top_k\":1}}", source)
            .get("t_sparse"));
    assertEquals(
        Map.of("b", 2f),
        run("{\"field\":\"t\",\"output\":\"sparse\",\"pruning\":{\"max_ratio\":0.6}}", source)
            .get("t_sparse"));
    assertEquals(
        Map.of("b", 2f),
        run("{\"field\":\"t\",\"output\":\"sparse\",\"pruning\":{\"abs_value\":1.5}}", source)
            .get("t_sparse"));
    assertEquals(
        3,
        ((Map<?, ?>) run("{\"field\":\"t\",\"output\":\"sparse\"}", source).get("t_sparse"))
            .size());
  }

  public void testSmallVectors() throws Exception {
    List<Float> whole = vector("a b c");
    assertEquals(
        whole.subList(0, 4),
        run("{\"field\":\"t\",\"dimensions\":4}", "{\"t\":\"a b c\"}").get("t_vector"));
    float largest = whole.stream().max(Float::compare).orElseThrow();
    assertEquals(
        whole.stream().map(value -> Math.round(value * 127 / largest)).toList(),
        run("{\"field\":\"t\",\"element_type\":\"byte\"}", "{\"t\":\"a b c\"}").get("t_vector"));
    int bits = 0;
    for (float value : whole) {
      bits = 2 * bits + (value > 0 ? 1 : 0);
    }
    assertEquals(
        List.of((int) (byte) bits),
        run("{\"field\":\"t\",\"element_type\":\"bit\"}", "{\"t\":\"a b c\"}").get("t_vector"));
    assertFails(
        "{\"field\":\"t\",\"dimensions\":9}",
        "{\"t\":\"a\"}",
        "[dimensions] is [9] but the vectors of model [m] have [8]");
    assertFails(
        "{\"field\":\"t\",\"dimensions\":4,\"element_type\":\"bit\"}",
        "{\"t\":\"a\"}",
        "a vector of [4] numbers cannot be stored as bits: the number must be a multiple of 8; cut"
            + " the vector with [dimensions]");
  }

  public void testFieldsOfOtherVectorsAreRefused() {
    mapped = new MappedDimensions.Field(OptionalInt.of(8), ElementType.FLOAT, false, false);
    assertFails(
        "{\"field\":\"t\",\"element_type\":\"byte\"}",
        "{\"t\":\"a\"}",
        "field [t_vector] of index [index] compares vectors by more than their angle, which is all"
            + " that is left of them in [element_type] of [byte]; set its [similarity] to"
            + " [cosine]");
    assertFails(
        "{\"field\":\"t\",\"element_type\":\"bit\"}",
        "{\"t\":\"a\"}",
        "field [t_vector] of index [index] has [element_type] of [float] but the processor writes"
            + " [bit]; set its [element_type] to the field's");
    mapped = new MappedDimensions.Field(OptionalInt.of(8), ElementType.BYTE, true, false);
    assertFails(
        "{\"field\":\"t\"}",
        "{\"t\":\"a\"}",
        "field [t_vector] of index [index] has [element_type] of [byte] but the processor writes"
            + " [float]; set its [element_type] to the field's");
    mapped = new MappedDimensions.Field(OptionalInt.of(16), ElementType.BIT, true, false);
    assertFails(
        "{\"field\":\"t\",\"element_type\":\"bit\"}",
        "{\"t\":\"a\"}",
        "vectors of model [m] have [8] dimensions but field [t_vector] of index [index] has [dims]"
            + " of [16]");
  }

  private static final String CUT =
      "{\"field\":\"t\",\"target_field\":\"p\",\"chunking\":{\"strategy\":\"token\",\"max_chunk_size\":5";

  public void testPassages() throws Exception {
    Map<String, Object> source = run(CUT + "}}", "{\"t\":\" a b  c\",\"p\":[{\"old\":1}]}");
    assertEquals(
        List.of(
            Map.of("text", "a b", "start_pos", 1, "end_pos", 4, "vector", vector("a b")),
            Map.of("text", "c", "start_pos", 6, "end_pos", 7, "vector", vector("c"))),
        source.get("p"));
    assertEquals(
        List.of("t", "t_passages"),
        run("{\"field\":\"t\",\"chunking\":{}}", "{\"t\":\"a\"}").keySet().stream()
            .sorted()
            .toList());
  }

  public void testPassagesOfAnArrayOfTexts() throws Exception {
    assertEquals(
        List.of(
            Map.of("element", 0, "start_pos", 0, "end_pos", 3, "vector", vector("a b")),
            Map.of("element", 0, "start_pos", 4, "end_pos", 5, "vector", vector("c")),
            Map.of("element", 2, "start_pos", 0, "end_pos", 1, "vector", vector("d"))),
        run(CUT + ",\"include_text\":false}}", "{\"t\":[\"a b c\",\" \",\"d\"]}").get("p"));
  }

  public void testPassagesAndTheWholeOfOneText() throws Exception {
    Map<String, Object> source =
        run(
            "{\"input_output\":[{\"input_field\":\"t\",\"output_field\":\"v\"},"
                + "{\"input_field\":\"t\",\"output_field\":\"p\",\"output\":\"sparse\","
                + "\"chunking\":{\"max_chunk_size\":4,\"include_text\":false}}]}",
            "{\"t\":\"a b\"}");
    assertEquals(vector("a b"), source.get("v"));
    assertEquals(
        List.of(
            Map.of("start_pos", 0, "end_pos", 1, "sparse", Map.of("told", 1f, "a", 1f)),
            Map.of("start_pos", 2, "end_pos", 3, "sparse", Map.of("told", 1f, "b", 1f))),
        source.get("p"));
  }

  public void testATextWithoutTokensHasNoPassages() throws Exception {
    assertEquals(List.of(), run(CUT + "}}", "{\"t\":\"tokenless\"}").get("p"));
    assertEquals(Map.of("t", " "), run(CUT + "}}", "{\"t\":\" \",\"p\":[{\"start_pos\":0}]}"));
  }

  public void testFieldsThatCannotHoldPassagesAreRefused() throws Exception {
    String nested = "; map it as [nested], with [vector] in it";
    mapped = new MappedDimensions.Field(OptionalInt.of(8), ElementType.FLOAT, true, false);
    assertFails(
        CUT + "}}",
        "{\"t\":\"a b c\"}",
        "field [p] of index [index] must hold [2] passages, each with a vector" + nested);
    mappedPath = "p.vector";
    assertFails(
        CUT + "}}",
        "{\"t\":\"a b c\"}",
        "field [p] of index [index] must hold [2] passages, each with a vector" + nested);
    assertEquals(1, ((List<?>) run(CUT + "}}", "{\"t\":\"a b\"}").get("p")).size());
    mapped = new MappedDimensions.Field(OptionalInt.of(8), ElementType.FLOAT, true, true);
    assertEquals(2, ((List<?>) run(CUT + "}}", "{\"t\":\"a b c\"}").get("p")).size());
    mapped = new MappedDimensions.Field(OptionalInt.of(7), ElementType.FLOAT, true, true);
    assertFails(
        CUT + "}}",
        "{\"t\":\"a b c\"}",
        "vectors of model [m] have [8] dimensions but field [p.vector] of index [index] has [dims]"
            + " of [7]");
  }

  public void testArrayOfTexts() throws Exception {
    assertEquals(
        List.of(vector("a"), vector("b")),
        run("{\"field\":\"t\"}", "{\"t\":[\"a\",\" \",\"b\"]}").get("t_vector"));
    assertEquals(List.of(vector("a")), run("{\"field\":\"t\"}", "{\"t\":[\"a\"]}").get("t_vector"));
    assertEquals(Map.of("t", List.of()), run("{\"field\":\"t\"}", "{\"t\":[],\"t_vector\":[[1]]}"));
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
    assertFails("{\"field\":\"a.t\"}", "{\"a\":{}}", "field [t] not present as part of path [a.t]");
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
    String options = "{\"input_output\":{\"input_field\":\"p.text\",\"output_field\":\"p.v\"}}";
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
                    Map.of("c", Map.of("d", "x"), "v", Map.of("w", vector("x"))), Map.of("c", 1))),
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
