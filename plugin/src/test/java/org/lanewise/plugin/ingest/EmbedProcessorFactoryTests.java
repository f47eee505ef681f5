package org.lanewise.plugin.ingest;

import static org.hamcrest.Matchers.containsString;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.elasticsearch.ElasticsearchException;
import org.elasticsearch.ElasticsearchParseException;
import org.elasticsearch.cluster.metadata.ProjectId;
import org.elasticsearch.common.xcontent.XContentHelper;
import org.elasticsearch.ingest.ConfigurationUtils;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.test.ESTestCase;
import org.elasticsearch.xcontent.json.JsonXContent;

public class EmbedProcessorFactoryTests extends ESTestCase {
  private static final EmbedProcessor.Factory FACTORY =
      new EmbedProcessor.Factory(
          () -> {
            throw new AssertionError("no service is needed to read options");
          },
          (project, index, path) -> {
            throw new AssertionError("no mapping is needed to read options");
          });

  private static EmbedProcessor create(String json) throws Exception {
    return (EmbedProcessor)
        ConfigurationUtils.readProcessor(
            Map.of(EmbedProcessor.TYPE, FACTORY),
            null,
            EmbedProcessor.TYPE,
            new HashMap<>(XContentHelper.convertToMap(JsonXContent.jsonXContent, json, true)),
            ProjectId.DEFAULT);
  }

  public void testInputOutputAsObjectAndAsList() throws Exception {
    EmbedProcessor one =
        create("{\"input_output\":{\"input_field\":\"a\",\"output_field\":\"b\"},\"tag\":\"t\"}");
    assertEquals(List.of(new FieldPair("a", "b")), one.fields());
    assertEquals("lanewise-mini-en", one.modelId());
    assertEquals("t", one.getTag());
    assertTrue(one.isAsync());
    EmbedProcessor two =
        create(
            "{\"model_id\":\"m\",\"truncate\":\"none\",\"ignore_missing\":true,"
                + "\"truncated_field\":\"cut\",\"prompt_name\":\"p\",\"input_output\":["
                + "{\"input_field\":\"a\",\"output_field\":\"b\"},"
                + "{\"input_field\":\"c.d\",\"output_field\":\"c.e\"}]}");
    assertEquals(List.of(new FieldPair("a", "b"), new FieldPair("c.d", "c.e")), two.fields());
    assertEquals("m", two.modelId());
  }

  public void testFieldAndTargetField() throws Exception {
    assertEquals(
        List.of(new FieldPair("a.b", "a.b_vector")), create("{\"field\":\"a.b\"}").fields());
    assertEquals(
        List.of(new FieldPair("a", "v")),
        create("{\"field\":\"a\",\"target_field\":\"v\"}").fields());
  }

  public void testTargetsOfOutputs() throws Exception {
    assertEquals(
        List.of(new FieldPair("a", "a_sparse")),
        create("{\"field\":\"a\",\"output\":\"sparse\"}").fields());
    assertEquals(
        List.of(new FieldPair("a", "a_tokens")),
        create("{\"field\":\"a\",\"output\":\"multi_vector\"}").fields());
    assertEquals(
        List.of(new FieldPair("a", "a_tags.m")),
        create("{\"model_id\":\"m\",\"field\":\"a\",\"output\":\"tags\"}").fields());
  }

  public void testBadChunking() {
    assertBadChunking("[]", "chunking", "must be an object but was [[]]");
    assertBadChunking("{\"size\":1}", "chunking", "has unknown options [size]");
    assertBadChunking(
        "{\"strategy\":\"word\"}", "strategy", "must be one of [sentence, token] but was [word]");
    assertBadChunking("{\"max_chunk_size\":0}", "max_chunk_size", "must be 1 or more but was [0]");
    assertBadChunking(
        "{\"max_chunk_size\":\"9\"}", "max_chunk_size", "must be a whole number but was [9]");
    assertBadChunking(
        "{\"overlap\":1}",
        "overlap",
        "goes with [strategy] of [token]; [sentence] has [sentence_overlap]");
    assertBadChunking(
        "{\"strategy\":\"token\",\"sentence_overlap\":1}",
        "sentence_overlap",
        "goes with [strategy] of [sentence]; [token] has [overlap]");
    assertBadChunking(
        "{\"sentence_overlap\":-1}", "chunking", "[sentence_overlap] is [-1], expected 0 to 10");
    assertBadChunking(
        "{\"strategy\":\"token\",\"max_chunk_size\":9,\"overlap\":5}",
        "chunking",
        "[overlap] is [5] tokens, expected at most half of the 9");
    assertBadChunking("{\"late\":1}", "late", "property isn't a boolean");
    assertBadChunking("{\"include_text\":1}", "include_text", "property isn't a boolean");
    assertBad(
        "{\"field\":\"a\",\"output\":\"multi_vector\",\"chunking\":{}}",
        "chunking",
        "goes with [output] of [dense] or [sparse] but that is [multi_vector]");
    assertBad(
        "{\"field\":\"a\",\"output\":\"tags\",\"chunking\":{}}",
        "chunking",
        "goes with [output] of [dense] or [sparse] but that is [tags]");
    assertBad(
        "{\"field\":\"a\",\"output\":\"sparse\",\"chunking\":{\"late\":true}}",
        "late",
        "goes with [output] of [dense] but that is [sparse]");
  }

  private static void assertBadChunking(String chunking, String option, String message) {
    assertBad("{\"field\":\"a\",\"chunking\":" + chunking + "}", option, message);
  }

  public void testBadOptions() {
    assertBad("{}", "input_output", "[input_output] required property is missing");
    assertBad("{\"target_field\":\"a\"}", "field", "[field] required property is missing");
    assertBad("{\"field\":\"\"}", "field", "[field] must not be empty");
    assertBad("{\"field\":1}", "field", "[field] property isn't a string, but of type");
    assertBad("{\"input_output\":[]}", "input_output", "[input_output] cannot be empty");
    assertBad(
        "{\"input_output\":\"a\"}",
        "input_output",
        "[input_output] must hold objects with [input_field] and [output_field] but holds [a]");
    assertBad(
        "{\"input_output\":{\"output_field\":\"b\"}}",
        "input_field",
        "[input_field] required property is missing");
    assertBad(
        "{\"input_output\":{\"input_field\":\"a\"}}",
        "output_field",
        "[output_field] required property is missing");
    assertBad(
        "{\"input_output\":{\"input_field\":\"a\",\"output_field\":\"b\",\"x\":1}}",
        "input_output",
        "[input_output] has unknown options [x]");
    assertBad(
        "{\"field\":\"a\",\"input_output\":{\"input_field\":\"a\",\"output_field\":\"b\"}}",
        "field",
        "[field] option is incompatible with [input_output]. Use the [input_field] option");
    assertBad(
        "{\"target_field\":\"a\",\"input_output\":{\"input_field\":\"a\",\"output_field\":\"b\"}}",
        "target_field",
        "[target_field] option is incompatible with [input_output]. Use the [output_field] option"
            + " to specify where to write the inference results to.");
    assertBad(
        "{\"input_output\":[{\"input_field\":\"a\",\"output_field\":\"b\"},"
            + "{\"input_field\":\"c\",\"output_field\":\"b\"}]}",
        "input_output",
        "[input_output] writes [b] twice");
    assertBad(
        "{\"field\":\"a\",\"target_field\":\"a\"}",
        "input_output",
        "[input_output] reads and writes [a]");
    assertBad(
        "{\"field\":\"a\",\"truncate\":\"second\"}",
        "truncate",
        "[truncate] must be one of [first, none] but was [second]");
    assertBad(
        "{\"field\":\"a\",\"ignore_missing\":\"yes\"}",
        "ignore_missing",
        "[ignore_missing] property isn't a boolean");
    assertBad("{\"field\":\"a\",\"model_id\":\"../x\"}", "model_id", "model id [../x] must have");
    assertBad("{\"field\":\"a\",\"prompt_name\":\"\"}", "prompt_name", "must not be empty");
    assertBad(
        "{\"field\":\"a\",\"output\":\"vector\"}",
        "output",
        "[output] must be one of [dense, sparse, multi_vector, tags] but was [vector]");
    assertBad("{\"field\":\"a\",\"dimensions\":0}", "dimensions", "must be 1 or more but was [0]");
    assertBad(
        "{\"field\":\"a\",\"element_type\":\"int8\"}",
        "element_type",
        "[element_type] must be one of [float, byte, bit] but was [int8]");
    assertBad(
        "{\"field\":\"a\",\"output\":\"multi_vector\",\"encoding\":\"float\"}",
        "encoding",
        "[encoding] must be one of [bf16, int8, bit] but was [float]");
    assertBad(
        "{\"field\":\"a\",\"output\":\"sparse\",\"pruning\":{\"top_k\":0}}",
        "top_k",
        "must be 1 or more but was [0]");
    assertBad(
        "{\"field\":\"a\",\"output\":\"sparse\",\"pruning\":{\"top\":1}}",
        "pruning",
        "has unknown options [top]");
    assertBad(
        "{\"field\":\"a\",\"output\":\"sparse\",\"pruning\":3}",
        "pruning",
        "must be an object but was [3]");
    assertBad(
        "{\"field\":\"a\",\"output\":\"tags\",\"results_field\":\"keywords\"}",
        "results_field",
        "must not be the name of another part of the output, as [keywords] is");
    assertBad(
        "{\"field\":\"a\",\"output\":\"tags\",\"threshold\":2}",
        "threshold",
        "must be a number from 0.0 to 1.0 but was [2]");
    assertBad(
        "{\"input_output\":{\"input_field\":\"a\",\"output_field\":\"b\",\"output\":\"sparse\","
            + "\"element_type\":\"byte\"}}",
        "input_output",
        "has unknown options [element_type]");
  }

  public void testUnknownOption() {
    Exception e =
        expectThrows(
            ElasticsearchException.class, () -> create("{\"field\":\"a\",\"modelid\":\"b\"}"));
    assertThat(
        e.getMessage(),
        containsString("doesn't support one or more provided configuration parameters [modelid]"));
  }

  private static void assertBad(String json, String property, String message) {
    ElasticsearchParseException e =
        expectThrows(ElasticsearchParseException.class, () -> create(json));
    assertThat(e.getMessage(), containsString(message));
    assertEquals(RestStatus.BAD_REQUEST, e.status());
    assertEquals(List.of(property), e.getMetadata("es.property_name"));
    assertEquals(List.of(EmbedProcessor.TYPE), e.getMetadata("es.processor_type"));
  }
}
