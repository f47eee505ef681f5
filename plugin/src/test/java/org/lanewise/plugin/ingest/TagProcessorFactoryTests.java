package org.lanewise.plugin.ingest;

import static org.hamcrest.Matchers.containsString;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.ElasticsearchException;
import org.elasticsearch.ElasticsearchParseException;
import org.elasticsearch.cluster.metadata.ProjectId;
import org.elasticsearch.common.xcontent.XContentHelper;
import org.elasticsearch.ingest.ConfigurationUtils;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.test.ESTestCase;
import org.elasticsearch.xcontent.json.JsonXContent;
import org.lanewise.plugin.encode.TagSelection;

public class TagProcessorFactoryTests extends ESTestCase {
  private static final TagProcessor.Factory FACTORY =
      new TagProcessor.Factory(
          () -> {
            throw new AssertionError("no service is needed to read options");
          });

  private static TagProcessor create(String json) throws Exception {
    return (TagProcessor)
        ConfigurationUtils.readProcessor(
            Map.of(TagProcessor.TYPE, FACTORY),
            null,
            TagProcessor.TYPE,
            new HashMap<>(XContentHelper.convertToMap(JsonXContent.jsonXContent, json, true)),
            ProjectId.DEFAULT);
  }

  public void testOptions() throws Exception {
    TagProcessor plain = create("{\"model_id\":\"m\",\"field\":\"a.b\",\"tag\":\"t\"}");
    assertEquals(List.of(new FieldPair("a.b", "a.b_tags.m")), plain.fields());
    assertEquals("m", plain.modelId());
    assertEquals(new TagSelection(0, Set.of(), 0), plain.selection());
    assertEquals("t", plain.getTag());
    assertTrue(plain.isAsync());
    TagProcessor full =
        create(
            "{\"model_id\":\"m\",\"threshold\":0.5,\"labels\":[\"A\",\"B\"],\"results_field\":\"r\","
                + "\"num_top_classes\":-1,\"keywords\":true,\"annotated_text\":true,"
                + "\"ignore_missing\":true,\"input_output\":["
                + "{\"input_field\":\"a\",\"output_field\":\"b\"},"
                + "{\"input_field\":\"c\",\"output_field\":\"d\"}]}");
    assertEquals(List.of(new FieldPair("a", "b"), new FieldPair("c", "d")), full.fields());
    assertEquals(new TagSelection(0.5, Set.of("A", "B"), -1), full.selection());
    assertEquals(
        Set.of("A"),
        create("{\"model_id\":\"m\",\"field\":\"a\",\"labels\":\"A\"}").selection().classes());
  }

  public void testBadOptions() {
    assertBad("{\"field\":\"a\"}", "model_id", "[model_id] required property is missing");
    assertBad("{\"field\":\"a\",\"model_id\":\"../x\"}", "model_id", "model id [../x] must have");
    assertBad("{\"model_id\":\"m\"}", "input_output", "required property is missing");
    String start = "{\"field\":\"a\",\"model_id\":\"m\",";
    for (String value : List.of("-0.1", "1.5", "\"high\"", "[0.5]")) {
      assertBad(
          start + "\"threshold\":" + value + "}",
          "threshold",
          "[threshold] must be a number from 0.0 to 1.0 but was [");
    }
    assertBad(start + "\"labels\":[\"A\",1]}", "labels", "must be a list of texts but holds [1]");
    assertBad(start + "\"labels\":[\"\"]}", "labels", "must be a list of texts but holds []");
    assertBad(
        start + "\"num_top_classes\":1.5}",
        "num_top_classes",
        "[num_top_classes] must be a whole number but was [1.5]");
    assertBad(start + "\"keywords\":\"yes\"}", "keywords", "[keywords] property isn't a boolean");
    assertBad(start + "\"results_field\":\"\"}", "results_field", "must not be empty");
    assertBad(
        start + "\"results_field\":\"keywords\"}",
        "results_field",
        "[results_field] must not be the name of another part of the output, as [keywords] is");
  }

  public void testUnknownOption() {
    Exception e =
        expectThrows(
            ElasticsearchException.class,
            () -> create("{\"field\":\"a\",\"model_id\":\"m\",\"truncate\":\"first\"}"));
    assertThat(
        e.getMessage(),
        containsString("doesn't support one or more provided configuration parameters [truncate]"));
  }

  private static void assertBad(String json, String property, String message) {
    ElasticsearchParseException e =
        expectThrows(ElasticsearchParseException.class, () -> create(json));
    assertThat(e.getMessage(), containsString(message));
    assertEquals(RestStatus.BAD_REQUEST, e.status());
    assertEquals(List.of(property), e.getMetadata("es.property_name"));
    assertEquals(List.of(TagProcessor.TYPE), e.getMetadata("es.processor_type"));
  }
}
