package org.lanewise.plugin.ingest;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.cluster.metadata.ProjectId;
import org.elasticsearch.ingest.IngestDocument;
import org.elasticsearch.ingest.Processor;
import org.lanewise.encoder.TextTagger.Entity;
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

  private static final String MODEL_ID = "model_id";
  private static final String ELEMENT = "element";
  private static final String KEYWORDS = "keywords";
  private static final String ANNOTATED_TEXT = "annotated_text";
  private static final String TOP_CLASSES = "num_top_classes";

  /** What the output calls its other parts. */
  private static final Set<String> RESERVED =
      Set.of(
          MODEL_ID,
          ELEMENT,
          KEYWORDS,
          ANNOTATED_TEXT,
          "prediction_probability",
          "predicted_values",
          "top_classes");

  private final Supplier<EncodeService> service;
  private final String modelId;
  private final TagSelection selection;
  private final Output output;

  /** How the answers are written. */
  private record Output(Optional<String> resultsField, boolean keywords, boolean annotatedText) {}

  private TagProcessor(
      String tag,
      String description,
      Supplier<EncodeService> service,
      String modelId,
      List<FieldPair> fields,
      boolean ignoreMissing,
      TagSelection selection,
      Output output) {
    super(tag, description, fields, ignoreMissing);
    this.service = service;
    this.modelId = modelId;
    this.selection = selection;
    this.output = output;
  }

  @Override
  public String getType() {
    return TYPE;
  }

  @Override
  void ask(DocumentTexts texts, ActionListener<List<Tags>> listener) {
    service.get().tag(modelId, texts.texts(), selection, listener);
  }

  @Override
  void write(IngestDocument document, DocumentTexts texts, List<Tags> answers) {
    texts.write(
        answers,
        (field, each) ->
            switch (each.getFirst()) {
              case Tags.Entities _ -> entities(field, each);
              case Tags.Classes _ -> classes(field, each);
            });
  }

  private Object entities(DocumentTexts.Field field, List<Tags> answers) {
    refuse(TOP_CLASSES, selection.topClasses() != 0, "classifiers", "tagger");
    List<Object> entities = new ArrayList<>();
    Map<String, Set<String>> keywords = new TreeMap<>();
    List<Object> annotated = new ArrayList<>();
    for (int i = 0; i < answers.size(); i++) {
      List<Entity> found = ((Tags.Entities) answers.get(i)).entities();
      for (Entity entity : found) {
        Map<String, Object> fields = Tags.Entities.fields(entity);
        if (field.array()) {
          fields.put(ELEMENT, field.elements().get(i));
        }
        entities.add(fields);
        // One name for what is written in two lines and for what is written in one.
        keywords
            .computeIfAbsent(entity.label(), label -> new LinkedHashSet<>())
            .add(entity.text().strip().replaceAll("\\s+", " "));
      }
      annotated.add(AnnotatedText.render(field.texts().get(i), found));
    }
    Map<String, Object> result = new LinkedHashMap<>();
    result.put(MODEL_ID, modelId);
    result.put(output.resultsField.orElse("entities"), entities);
    if (output.keywords) {
      Map<String, Object> lists = new LinkedHashMap<>();
      keywords.forEach((label, texts) -> lists.put(label, new ArrayList<>(texts)));
      result.put(KEYWORDS, lists);
    }
    if (output.annotatedText) {
      result.put(ANNOTATED_TEXT, field.array() ? annotated : annotated.getFirst());
    }
    return result;
  }

  private Object classes(DocumentTexts.Field field, List<Tags> answers) {
    refuse(KEYWORDS, output.keywords, "taggers", "classifier");
    refuse(ANNOTATED_TEXT, output.annotatedText, "taggers", "classifier");
    List<Object> results = new ArrayList<>();
    for (int i = 0; i < answers.size(); i++) {
      Map<String, Object> result = new LinkedHashMap<>();
      result.put(MODEL_ID, modelId);
      result.putAll(answers.get(i).fields(output.resultsField));
      if (field.array()) {
        result.put(ELEMENT, field.elements().get(i));
      }
      results.add(result);
    }
    return field.array() ? results : results.getFirst();
  }

  /** What kind a model is shows only when it is open. */
  private void refuse(String option, boolean set, String meantFor, String kind) {
    if (set) {
      throw new IllegalArgumentException(
          "[" + option + "] is an option of " + meantFor + ", but [" + modelId + "] is a " + kind);
    }
  }

  String modelId() {
    return modelId;
  }

  TagSelection selection() {
    return selection;
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
      Optional<String> resultsField = options.text("results_field");
      if (resultsField.filter(RESERVED::contains).isPresent()) {
        throw options.wrong(
            "results_field",
            "must not be the name of another part of the output, as ["
                + resultsField.get()
                + "] is");
      }
      return new TagProcessor(
          tag,
          description,
          service,
          modelId,
          List.copyOf(
              options.fields((field, _) -> field + "_tags." + modelId, _ -> modelId).keySet()),
          options.flag("ignore_missing", false),
          new TagSelection(
              options.number("threshold", 0, 1).orElse(0.0),
              options.texts("labels"),
              options.wholeNumber(TOP_CLASSES).orElse(0)),
          new Output(
              resultsField, options.flag(KEYWORDS, false), options.flag(ANNOTATED_TEXT, false)));
    }
  }
}
