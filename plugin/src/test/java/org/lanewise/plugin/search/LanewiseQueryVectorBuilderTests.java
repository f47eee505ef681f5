package org.lanewise.plugin.search;

import static org.hamcrest.Matchers.containsString;

import java.io.IOException;
import java.util.Optional;
import org.elasticsearch.ExceptionsHelper;
import org.elasticsearch.common.io.stream.Writeable;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.test.AbstractXContentSerializingTestCase;
import org.elasticsearch.xcontent.XContentParseException;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.json.JsonXContent;

public class LanewiseQueryVectorBuilderTests
    extends AbstractXContentSerializingTestCase<LanewiseQueryVectorBuilder> {
  @Override
  protected LanewiseQueryVectorBuilder doParseInstance(XContentParser parser) {
    return LanewiseQueryVectorBuilder.parse(parser);
  }

  @Override
  protected Writeable.Reader<LanewiseQueryVectorBuilder> instanceReader() {
    return LanewiseQueryVectorBuilder::new;
  }

  @Override
  protected LanewiseQueryVectorBuilder createTestInstance() {
    return new LanewiseQueryVectorBuilder(
        randomFrom("lanewise-mini-en", "a.b_c-1"),
        "text " + randomAlphaOfLength(5),
        randomBoolean() ? Optional.empty() : Optional.of(randomAlphaOfLength(4)));
  }

  @Override
  protected LanewiseQueryVectorBuilder mutateInstance(LanewiseQueryVectorBuilder b) {
    return switch (between(0, 2)) {
      case 0 -> new LanewiseQueryVectorBuilder(b.modelId() + "x", b.modelText(), b.promptName());
      case 1 -> new LanewiseQueryVectorBuilder(b.modelId(), b.modelText() + "x", b.promptName());
      default ->
          new LanewiseQueryVectorBuilder(
              b.modelId(), b.modelText(), Optional.of(b.promptName().orElse("") + "x"));
    };
  }

  private LanewiseQueryVectorBuilder parse(String json) throws IOException {
    try (XContentParser parser = createParser(JsonXContent.jsonXContent, json)) {
      return LanewiseQueryVectorBuilder.parse(parser);
    }
  }

  public void testTheBundledModelIsTheDefault() throws IOException {
    assertEquals("lanewise-mini-en", parse("{\"model_text\":\"a\"}").modelId());
  }

  public void testBadOptions() {
    assertBad("{}", "[model_text] must not be null.");
    assertBad("{\"model_text\":\" \"}", "[model_text] must not be empty.");
    assertBad("{\"model_text\":\"a\",\"model_id\":\"../a\"}", "model id [../a] must have");
    assertBad("{\"model_text\":\"a\",\"modelid\":\"a\"}", "unknown field [modelid]");
    assertBad("{\"model_text\":1}", "model_text doesn't support values of type: VALUE_NUMBER");
  }

  private void assertBad(String json, String message) {
    XContentParseException e = expectThrows(XContentParseException.class, () -> parse(json));
    assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
    assertThat(ExceptionsHelper.stackTrace(e), containsString(message));
  }
}
