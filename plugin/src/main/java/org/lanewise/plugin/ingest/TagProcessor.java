package org.lanewise.plugin.ingest;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.cluster.metadata.ProjectId;
import org.elasticsearch.ingest.IngestDocument;
import org.elasticsearch.ingest.Processor;
import org.lanewise.plugin.encode.EncodeService;
import org.lanewise.plugin.encode.TagSelection;
import org.lanewise.plugin.models.Tags;

/**
 * The {@code lanewise_tag} processor: reads text fields, writes what a tagger finds in them or the
 * class that a classifier gives them. Options:
 *
 * <ul>
 *   <li>{@code model_id}: the tagger or classifier;
 *   <li>{@code input_output}: one object or a list of objects with {@code input_field} and {@code
 *       output_field}; or instead
 *   <li>{@code field} and {@code target_field}, by default the field's name with {@code _tags} and,
 *       in it, the model's id, so that several taggers read one field without touching each other;
 *   <li>{@code ignore_missing}: leave documents without the text, or with null, alone (false);
 *   <li>{@code threshold}: the least probability of an entity or a class (0);
 *   <li>{@code labels}: the classes to keep (all);
 *   <li>{@code results_field}: another name for {@code entities} or {@code predicted_value};
 *   <li>{@code keywords}, of taggers: also write the texts of each class once each (false);
 *   <li>{@code annotated_text}, of taggers: also write the text with its entities marked (false);
 *   <li>{@code num_top_classes}, of classifiers: also write so many classes, all if negative (0).
 * </ul>
 *
 * <p>A classifier whose texts have any number of classes also writes those of a probability of at
 * least 0.5, the names alone, as {@code predicted_values}.
 *
 * <p>The output is one object, which is replaced as a whole. From an array of texts a tagger writes
 * one object too, whose entities say in {@code element} to which text of the array they belong; a
 * classifier writes an object with its {@code element} for each text. What else fields may hold is
 * said at {@link DocumentTexts}.
 */
public final class TagProcessor extends TextProcessor<Tags> {
  /** The name of the processor in a pipeline. */
  public static final String TYPE = "lanewise_tag";

  private final Supplier<EncodeService> service;
  private final String modelId;
  private final TagForm form;

  private TagProcessor(
      String tag,
      String description,
      Supplier<EncodeService> service,
      String modelId,
      List<FieldPair> fields,
      boolean ignoreMissing,
      TagForm form) {
    super(tag, description, fields, ignoreMissing);
    this.service = service;
    this.modelId = modelId;
    this.form = form;
  }

  @Override
  public String getType() {
    return TYPE;
  }

  @Override
  void ask(DocumentTexts texts, ActionListener<List<Tags>> listener) {
    service.get().tag(modelId, texts.texts(), form.selection(), listener);
  }

  @Override
  void write(IngestDocument document, DocumentTexts texts, List<Tags> answers) {
    texts.write(answers, (field, each) -> form.renderTags(modelId, field, each));
  }

  String modelId() {
    return modelId;
  }

  TagSelection selection() {
    return form.selection();
  }

  /** Reads the options of a pipeline. */
  public static final class Factory implements Processor.Factory {
    private final Supplier<EncodeService> service;

    /** Creates a factory; the service is first asked when a document comes. */
    public Factory(Supplier<EncodeService> service) {
      this.service = service;
    }

    @Override
    public TagProcessor create(
        Map<String, Processor.Factory> factories,
        String tag,
        String description,
        Map<String, Object> config,
        ProjectId projectId) {
      ProcessorOptions options = new ProcessorOptions(TYPE, tag, config);
      String modelId = options.modelId(Optional.empty());
      TagForm form = TagForm.read(options);
      return new TagProcessor(
          tag,
          description,
          service,
          modelId,
          List.copyOf(
              options.fields((field, _) -> field + form.suffix(modelId), _ -> modelId).keySet()),
          options.flag("ignore_missing", false),
          form);
    }
  }
}
