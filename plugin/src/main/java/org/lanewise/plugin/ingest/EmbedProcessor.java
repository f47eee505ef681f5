package org.lanewise.plugin.ingest;

import static org.elasticsearch.ingest.ConfigurationUtils.newConfigurationException;
import static org.elasticsearch.ingest.ConfigurationUtils.readBooleanProperty;
import static org.elasticsearch.ingest.ConfigurationUtils.readOptionalStringProperty;
import static org.elasticsearch.ingest.ConfigurationUtils.readStringProperty;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Supplier;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.cluster.metadata.ProjectId;
import org.elasticsearch.ingest.AbstractProcessor;
import org.elasticsearch.ingest.IngestDocument;
import org.elasticsearch.ingest.Processor;
import org.lanewise.encoder.Embedding;
import org.lanewise.plugin.encode.EncodeRequest;
import org.lanewise.plugin.encode.EncodeRequest.Side;
import org.lanewise.plugin.encode.EncodeRequest.Truncate;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.models.ModelRegistry;

/**
 * The {@code lanewise_embed} processor: reads text fields, writes vector fields. Options:
 *
 * <ul>
 *   <li>{@code model_id}: the model; the bundled one by default;
 *   <li>{@code input_output}: one object or a list of objects with {@code input_field} and {@code
 *       output_field}; or instead
 *   <li>{@code field} and {@code target_field}, by default the field's name with {@code _vector};
 *   <li>{@code ignore_missing}: leave documents without the text, or with null, alone (false);
 *   <li>{@code truncate}: {@code first} cuts a text to the model's length, {@code none} refuses it;
 *   <li>{@code truncated_field}: where to write how many texts of the document were cut (nowhere);
 *   <li>{@code prompt_name}: the model's prompt to use instead of that for documents.
 * </ul>
 *
 * <p>What fields may hold is said at {@link DocumentTexts}.
 */
public final class EmbedProcessor extends AbstractProcessor {
  /** The name of the processor in a pipeline. */
  public static final String TYPE = "lanewise_embed";

  private final Supplier<EncodeService> service;
  private final FieldCheck check;
  private final String modelId;
  private final List<FieldPair> fields;
  private final boolean ignoreMissing;
  private final Truncate truncate;
  private final Optional<String> truncatedField;
  private final Optional<String> promptName;

  private EmbedProcessor(
      String tag,
      String description,
      Supplier<EncodeService> service,
      FieldCheck check,
      String modelId,
      List<FieldPair> fields,
      boolean ignoreMissing,
      Truncate truncate,
      Optional<String> truncatedField,
      Optional<String> promptName) {
    super(tag, description);
    this.service = service;
    this.check = check;
    this.modelId = modelId;
    this.fields = fields;
    this.ignoreMissing = ignoreMissing;
    this.truncate = truncate;
    this.truncatedField = truncatedField;
    this.promptName = promptName;
  }

  @Override
  public String getType() {
    return TYPE;
  }

  @Override
  public boolean isAsync() {
    return true;
  }

  @Override
  public void execute(IngestDocument document, BiConsumer<IngestDocument, Exception> handler) {
    DocumentTexts texts;
    try {
      texts = DocumentTexts.read(document, fields, ignoreMissing);
    } catch (RuntimeException e) {
      handler.accept(null, e);
      return;
    }
    service
        .get()
        .embed(
            new EncodeRequest(modelId, texts.texts(), Side.INGEST, promptName, truncate),
            new ActionListener<>() {
              @Override
              public void onResponse(List<Embedding> embeddings) {
                try {
                  checkDimensions(document, embeddings);
                  texts.write(embeddings);
                  truncatedField.ifPresent(
                      field ->
                          document.setFieldValue(
                              field,
                              (int) embeddings.stream().filter(Embedding::truncated).count()));
                } catch (RuntimeException e) {
                  handler.accept(null, e);
                  return;
                }
                handler.accept(document, null);
              }

              @Override
              public void onFailure(Exception e) {
                handler.accept(null, e);
              }
            });
  }

  private void checkDimensions(IngestDocument document, List<Embedding> embeddings) {
    if (embeddings.isEmpty()) {
      return;
    }
    int dimensions = embeddings.getFirst().vector().length;
    String index = document.getMetadata().getIndex();
    for (FieldPair field : fields) {
      OptionalInt mapped = check.dimensions(index, field.output());
      if (mapped.isPresent() && mapped.getAsInt() != dimensions) {
        throw new IllegalArgumentException(
            "vectors of model ["
                + modelId
                + "] have ["
                + dimensions
                + "] dimensions but field ["
                + field.output()
                + "] of index ["
                + index
                + "] has [dims] of ["
                + mapped.getAsInt()
                + "]");
      }
    }
  }

  /** The dimensions that the pipeline's project maps for a field of an index. */
  private interface FieldCheck {
    OptionalInt dimensions(String index, String path);
  }

  String modelId() {
    return modelId;
  }

  List<FieldPair> fields() {
    return fields;
  }

  /** Reads the options of a pipeline. */
  public static final class Factory implements Processor.Factory {
    private final Supplier<EncodeService> service;
    private final MappedDimensions mappings;

    /** Creates a factory; both are first asked when a document comes. */
    public Factory(Supplier<EncodeService> service, MappedDimensions mappings) {
      this.service = service;
      this.mappings = mappings;
    }

    @Override
    public EmbedProcessor create(
        Map<String, Processor.Factory> factories,
        String tag,
        String description,
        Map<String, Object> config,
        ProjectId projectId) {
      String modelId =
          readStringProperty(TYPE, tag, config, "model_id", ModelRegistry.BUNDLED_MODEL);
      try {
        ModelRegistry.checkId(modelId);
      } catch (IllegalArgumentException e) {
        throw newConfigurationException(TYPE, tag, "model_id", e.getMessage());
      }
      List<FieldPair> fields = readFields(tag, config);
      boolean ignoreMissing = readBooleanProperty(TYPE, tag, config, "ignore_missing", false);
      String truncate = readStringProperty(TYPE, tag, config, "truncate", "first");
      Optional<String> truncatedField = readOptional(tag, config, "truncated_field");
      return new EmbedProcessor(
          tag,
          description,
          service,
          (index, path) -> mappings.of(projectId, index, path),
          modelId,
          fields,
          ignoreMissing,
          switch (truncate) {
            case "first" -> Truncate.FIRST;
            case "none" -> Truncate.NONE;
            default ->
                throw newConfigurationException(
                    TYPE, tag, "truncate", "must be [first] or [none] but was [" + truncate + "]");
          },
          truncatedField,
          readOptional(tag, config, "prompt_name"));
    }

    private static Optional<String> readOptional(
        String tag, Map<String, Object> config, String property) {
      String value = readOptionalStringProperty(TYPE, tag, config, property);
      if (value != null && value.isEmpty()) {
        throw newConfigurationException(TYPE, tag, property, "must not be empty");
      }
      return Optional.ofNullable(value);
    }

    private static List<FieldPair> readFields(String tag, Map<String, Object> config) {
      Object pairs = config.remove("input_output");
      Optional<String> field = readOptional(tag, config, "field");
      Optional<String> target = readOptional(tag, config, "target_field");
      if (pairs == null) {
        if (field.isEmpty()) {
          throw newConfigurationException(
              TYPE,
              tag,
              target.isPresent() ? "field" : "input_output",
              "required property is missing");
        }
        return checked(
            tag, List.of(new FieldPair(field.get(), target.orElse(field.get() + "_vector"))));
      }
      if (field.isPresent()) {
        throw newConfigurationException(
            TYPE,
            tag,
            "field",
            "option is incompatible with [input_output]. Use the [input_field] option to specify"
                + " where to read the text from.");
      }
      if (target.isPresent()) {
        throw newConfigurationException(
            TYPE,
            tag,
            "target_field",
            "option is incompatible with [input_output]. Use the [output_field] option to specify"
                + " where to write the inference results to.");
      }
      List<?> list = pairs instanceof List<?> several ? several : List.of(pairs);
      if (list.isEmpty()) {
        throw newConfigurationException(TYPE, tag, "input_output", "cannot be empty");
      }
      List<FieldPair> result = new ArrayList<>();
      for (Object pair : list) {
        result.add(readPair(tag, pair));
      }
      return checked(tag, result);
    }

    private static FieldPair readPair(String tag, Object pair) {
      if (!(pair instanceof Map<?, ?> object)) {
        throw newConfigurationException(
            TYPE,
            tag,
            "input_output",
            "must hold objects with [input_field] and [output_field] but holds [" + pair + "]");
      }
      Map<String, Object> options = new HashMap<>();
      object.forEach((key, value) -> options.put(String.valueOf(key), value));
      String input = readStringProperty(TYPE, tag, options, "input_field");
      String output = readStringProperty(TYPE, tag, options, "output_field");
      if (!options.isEmpty()) {
        throw newConfigurationException(
            TYPE, tag, "input_output", "has unknown options " + options.keySet());
      }
      return new FieldPair(input, output);
    }

    private static List<FieldPair> checked(String tag, List<FieldPair> fields) {
      Set<String> outputs = new HashSet<>();
      Set<String> inputs = new HashSet<>();
      for (FieldPair field : fields) {
        if (field.input().isEmpty() || field.output().isEmpty()) {
          throw newConfigurationException(TYPE, tag, "input_output", "fields must not be empty");
        }
        inputs.add(field.input());
        if (!outputs.add(field.output())) {
          throw newConfigurationException(
              TYPE, tag, "input_output", "writes [" + field.output() + "] twice");
        }
      }
      for (String output : outputs) {
        if (inputs.contains(output)) {
          throw newConfigurationException(
              TYPE, tag, "input_output", "reads and writes [" + output + "]");
        }
      }
      return List.copyOf(fields);
    }
  }
}
