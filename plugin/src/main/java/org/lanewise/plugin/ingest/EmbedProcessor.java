package org.lanewise.plugin.ingest;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Supplier;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.cluster.metadata.ProjectId;
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
public final class EmbedProcessor extends TextProcessor<Embedding> {
  /** The name of the processor in a pipeline. */
  public static final String TYPE = "lanewise_embed";

  private final Supplier<EncodeService> service;
  private final FieldCheck check;
  private final String modelId;
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
    super(tag, description, fields, ignoreMissing);
    this.service = service;
    this.check = check;
    this.modelId = modelId;
    this.truncate = truncate;
    this.truncatedField = truncatedField;
    this.promptName = promptName;
  }

  @Override
  public String getType() {
    return TYPE;
  }

  @Override
  void ask(List<String> texts, ActionListener<List<Embedding>> listener) {
    service
        .get()
        .embed(new EncodeRequest(modelId, texts, Side.INGEST, promptName, truncate), listener);
  }

  @Override
  void write(IngestDocument document, DocumentTexts texts, List<Embedding> embeddings) {
    checkDimensions(document, embeddings);
    texts.write(
        embeddings,
        (field, answers) -> {
          List<Object> vectors = new ArrayList<>();
          answers.forEach(embedding -> vectors.add(toList(embedding.vector())));
          return field.array() ? vectors : vectors.getFirst();
        });
    truncatedField.ifPresent(
        field ->
            document.setFieldValue(
                field, (int) embeddings.stream().filter(Embedding::truncated).count()));
  }

  private static List<Float> toList(float[] vector) {
    List<Float> list = new ArrayList<>(vector.length);
    for (float value : vector) {
      list.add(value);
    }
    return list;
  }

  private void checkDimensions(IngestDocument document, List<Embedding> embeddings) {
    if (embeddings.isEmpty()) {
      return;
    }
    int dimensions = embeddings.getFirst().vector().length;
    String index = document.getMetadata().getIndex();
    for (FieldPair field : fields()) {
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
      ProcessorOptions options = new ProcessorOptions(TYPE, tag, config);
      String modelId = options.modelId(Optional.of(ModelRegistry.BUNDLED_MODEL));
      List<FieldPair> fields = options.fields(field -> field + "_vector");
      boolean ignoreMissing = options.flag("ignore_missing", false);
      String truncate = options.text("truncate", "first");
      Optional<String> truncatedField = options.text("truncated_field");
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
                throw options.wrong(
                    "truncate", "must be [first] or [none] but was [" + truncate + "]");
          },
          truncatedField,
          options.text("prompt_name"));
    }
  }
}
