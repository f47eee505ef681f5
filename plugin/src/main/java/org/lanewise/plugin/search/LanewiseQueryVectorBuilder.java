package org.lanewise.plugin.search;

import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

import java.io.IOException;
import java.util.OptionalInt;
import org.elasticsearch.TransportVersion;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.client.internal.Client;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.search.vectors.QueryVectorBuilder;
import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentParser;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.head.ElementType;
import org.lanewise.plugin.encode.DenseForm;
import org.lanewise.plugin.encode.Labels;

/**
 * The {@code lanewise} query vector builder: {@code model_id}, {@code model_text}, {@code
 * prompt_name}, {@code timeout}, and {@code dimensions} and {@code element_type} as the field's
 * vectors have them.
 *
 * @param question what is asked
 * @param form the form of the field's vectors
 */
public record LanewiseQueryVectorBuilder(Question question, DenseForm form)
    implements QueryVectorBuilder {
  /** The name of the builder in a search. */
  public static final String NAME = "lanewise";

  private static final ParseField MODEL_ID = new ParseField("model_id");
  private static final ParseField MODEL_TEXT = new ParseField("model_text");
  private static final ParseField PROMPT_NAME = new ParseField("prompt_name");
  private static final ParseField DIMENSIONS = new ParseField("dimensions");
  private static final ParseField ELEMENT_TYPE = new ParseField("element_type");

  private static final ConstructingObjectParser<LanewiseQueryVectorBuilder, Void> PARSER =
      new ConstructingObjectParser<>(
          NAME,
          args ->
              new LanewiseQueryVectorBuilder(
                  Question.of(
                      MODEL_TEXT.getPreferredName(),
                      (String) args[0],
                      (String) args[1],
                      (String) args[2],
                      (String) args[5]),
                  Question.parsed(
                      () ->
                          new DenseForm(
                              dimensions((Integer) args[3]), elementType((String) args[4])))));

  static {
    PARSER.declareString(optionalConstructorArg(), MODEL_ID);
    PARSER.declareString(optionalConstructorArg(), MODEL_TEXT);
    PARSER.declareString(optionalConstructorArg(), PROMPT_NAME);
    PARSER.declareInt(optionalConstructorArg(), DIMENSIONS);
    PARSER.declareString(optionalConstructorArg(), ELEMENT_TYPE);
    PARSER.declareString(optionalConstructorArg(), Question.TIMEOUT);
  }

  /** Reads what {@link #writeTo} wrote. */
  public LanewiseQueryVectorBuilder(StreamInput in) throws IOException {
    this(new Question(in), new DenseForm(in));
  }

  /** Returns the builder that a search request describes. */
  public static LanewiseQueryVectorBuilder parse(XContentParser parser) {
    return PARSER.apply(parser, null);
  }

  private static OptionalInt dimensions(Integer dimensions) {
    if (dimensions != null && dimensions < 1) {
      throw new IllegalArgumentException(
          "[dimensions] must be 1 or more but was [" + dimensions + "]");
    }
    return dimensions == null ? OptionalInt.empty() : OptionalInt.of(dimensions);
  }

  private static ElementType elementType(String label) {
    try {
      return label == null ? ElementType.FLOAT : Labels.constant(ElementType.class, label);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("[element_type] " + e.getMessage());
    }
  }

  @Override
  public void buildVector(Client client, ActionListener<float[]> listener) {
    question.ask(
        client,
        Output.DENSE,
        // A copy, because what is asked again comes from a cache.
        listener.map(answer -> form.of(question.modelId(), answer.vector().clone())));
  }

  @Override
  public String getWriteableName() {
    return NAME;
  }

  @Override
  public TransportVersion getMinimalSupportedVersion() {
    return TransportVersion.minimumCompatible();
  }

  @Override
  public void writeTo(StreamOutput out) throws IOException {
    question.writeTo(out);
    form.writeTo(out);
  }

  @Override
  public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
    builder.startObject();
    builder.field(MODEL_ID.getPreferredName(), question.modelId());
    builder.field(MODEL_TEXT.getPreferredName(), question.text());
    if (question.promptName().isPresent()) {
      builder.field(PROMPT_NAME.getPreferredName(), question.promptName().get());
    }
    if (form.dimensions().isPresent()) {
      builder.field(DIMENSIONS.getPreferredName(), form.dimensions().getAsInt());
    }
    if (form.type() != ElementType.FLOAT) {
      builder.field(ELEMENT_TYPE.getPreferredName(), form.type().label());
    }
    question.timeoutToXContent(builder);
    return builder.endObject();
  }
}
