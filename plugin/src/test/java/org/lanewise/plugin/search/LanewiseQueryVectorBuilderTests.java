package org.lanewise.plugin.search;

import static org.hamcrest.Matchers.containsString;

import java.io.IOException;
import java.util.Optional;
import java.util.OptionalInt;
import org.elasticsearch.ExceptionsHelper;
import org.elasticsearch.common.io.stream.Writeable;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.test.AbstractXContentSerializingTestCase;
import org.elasticsearch.xcontent.XContentParseException;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.json.JsonXContent;
import org.lanewise.encoder.head.ElementType;
import org.lanewise.plugin.encode.DenseForm;

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
        new Question(
            randomFrom("lanewise-mini-en", "a.b_c-1"),
            "text " + randomAlphaOfLength(5),
            randomBoolean() ? Optional.empty() : Optional.of(randomAlphaOfLength(4)),
            TimeValue.timeValueSeconds(between(1, 40))),
        new DenseForm(
            randomBoolean() ? OptionalInt.empty() : OptionalInt.of(between(1, 1000)),
            randomFrom(ElementType.values())));
  }

  @Override
  protected LanewiseQueryVectorBuilder mutateInstance(LanewiseQueryVectorBuilder b) {
    Question q = b.question();
    DenseForm form = b.form();
    return switch (between(0, 5)) {
      case 0 ->
          new LanewiseQueryVectorBuilder(
              new Question(q.modelId() + "x", q.text(), q.promptName(), q.timeout()), form);
      case 1 ->
          new LanewiseQueryVectorBuilder(
              new Question(q.modelId(), q.text() + "x", q.promptName(), q.timeout()), form);
      case 2 ->
          new LanewiseQueryVectorBuilder(
              new Question(
                  q.modelId(), q.text(), Optional.of(q.promptName().orElse("") + "x"), q.timeout()),
              form);
      case 3 ->
          new LanewiseQueryVectorBuilder(
              new Question(
                  q.modelId(),
                  q.text(),
                  q.promptName(),
                  TimeValue.timeValueMillis(q.timeout().millis() + 1)),
              form);
      case 4 ->
          new LanewiseQueryVectorBuilder(
              q, new DenseForm(OptionalInt.of(form.dimensions().orElse(0) + 1), form.type()));
      default ->
          new LanewiseQueryVectorBuilder(
              q,
              new DenseForm(
                  form.dimensions(),
                  form.type() == ElementType.BIT ? ElementType.BYTE : ElementType.BIT));
    };
  }

  private LanewiseQueryVectorBuilder parse(String json) throws IOException {
    try (XContentParser parser = createParser(JsonXContent.jsonXContent, json)) {
      return LanewiseQueryVectorBuilder.parse(parser);
    }
  }

  public void testTheBundledModelIsTheDefault() throws IOException {
    assertEquals("lanewise-mini-en", parse("{\"model_text\":\"a\"}").question().modelId());
  }

  public void testBadOptions() {
    assertBad("{}", "[model_text] must not be null.");
    assertBad("{\"model_text\":\" \"}", "[model_text] must not be empty.");
    assertBad("{\"model_text\":\"a\",\"model_id\":\"../a\"}", "model id [../a] must have");
    assertBad("{\"model_text\":\"a\",\"modelid\":\"a\"}", "unknown field [modelid]");
    assertBad(
        "{\"model_text\":\"a\",\"dimensions\":0}", "[dimensions] must be 1 or more but was [0]");
    assertBad(
        "{\"model_text\":\"a\",\"element_type\":\"x\"}",
        "[element_type] must be one of [float, byte, bit] but was [x]");
    assertBad("{\"model_text\":1}", "model_text doesn't support values of type: VALUE_NUMBER");
  }

  private void assertBad(String json, String message) {
    XContentParseException e = expectThrows(XContentParseException.class, () -> parse(json));
    assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
    Throwable root = e;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    assertThat(root.getMessage(), containsString(message));
  }
}
