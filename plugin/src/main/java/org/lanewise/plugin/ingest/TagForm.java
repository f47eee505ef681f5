package org.lanewise.plugin.ingest;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.lanewise.encoder.EncoderOutputs.Output;
import org.lanewise.encoder.TextTagger.Entity;
import org.lanewise.plugin.encode.TagSelection;
import org.lanewise.plugin.ingest.DocumentTexts.Field;
import org.lanewise.plugin.models.Encoded;
import org.lanewise.plugin.models.Tags;

/**
 * An object with entities or classes: what {@code lanewise_tag} writes, and {@code lanewise_embed}
 * where tags are its output.
 *
 * @param selection which of them
 * @param resultsField another name for the main part; empty for its usual name
 * @param keywords whether the texts of each class are listed, too
 * @param annotatedText whether the text with its entities marked is written, too
 */
record TagForm(
    TagSelection selection, Optional<String> resultsField, boolean keywords, boolean annotatedText)
    implements OutputForm {
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

  /** Reads the options that say what is written. */
  static TagForm read(ProcessorOptions options) {
    Optional<String> resultsField = options.text("results_field");
    if (resultsField.filter(RESERVED::contains).isPresent()) {
      throw options.wrong(
          "results_field",
          "must not be the name of another part of the output, as [" + resultsField.get() + "] is");
    }
    return new TagForm(
        new TagSelection(
            options.number("threshold", 0, 1).orElse(0.0),
            options.texts("labels"),
            options.wholeNumber(TOP_CLASSES).orElse(0)),
        resultsField,
        options.flag(KEYWORDS, false),
        options.flag(ANNOTATED_TEXT, false));
  }

  @Override
  public Output output() {
    return Output.TAGS;
  }

  @Override
  public String suffix(String modelId) {
    return "_tags." + modelId;
  }

  @Override
  public Object render(String modelId, Field field, List<Encoded> answers) {
    return renderTags(
        modelId,
        field,
        answers.stream().map(answer -> selection.of(answer.tags().orElseThrow())).toList());
  }

  /** Returns the value of the field, of tags that are selected already. */
  Object renderTags(String modelId, Field field, List<Tags> answers) {
    return switch (answers.getFirst()) {
      case Tags.Entities _ -> entities(modelId, field, answers);
      case Tags.Classes _ -> classes(modelId, field, answers);
    };
  }

  private Object entities(String modelId, Field field, List<Tags> answers) {
    refuse(modelId, TOP_CLASSES, selection.topClasses() != 0, "classifiers", "tagger");
    List<Object> entities = new ArrayList<>();
    Map<String, Set<String>> textsByClass = new TreeMap<>();
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
        textsByClass
            .computeIfAbsent(entity.label(), label -> new LinkedHashSet<>())
            .add(entity.text().strip().replaceAll("\\s+", " "));
      }
      annotated.add(AnnotatedText.render(field.texts().get(i), found));
    }
    Map<String, Object> result = new LinkedHashMap<>();
    result.put(MODEL_ID, modelId);
    result.put(resultsField.orElse("entities"), entities);
    if (keywords) {
      Map<String, Object> lists = new LinkedHashMap<>();
      textsByClass.forEach((label, texts) -> lists.put(label, new ArrayList<>(texts)));
      result.put(KEYWORDS, lists);
    }
    if (annotatedText) {
      result.put(ANNOTATED_TEXT, field.array() ? annotated : annotated.getFirst());
    }
    return result;
  }

  private Object classes(String modelId, Field field, List<Tags> answers) {
    refuse(modelId, KEYWORDS, keywords, "taggers", "classifier");
    refuse(modelId, ANNOTATED_TEXT, annotatedText, "taggers", "classifier");
    List<Object> results = new ArrayList<>();
    for (int i = 0; i < answers.size(); i++) {
      Map<String, Object> result = new LinkedHashMap<>();
      result.put(MODEL_ID, modelId);
      result.putAll(answers.get(i).fields(resultsField));
      if (field.array()) {
        result.put(ELEMENT, field.elements().get(i));
      }
      results.add(result);
    }
    return field.array() ? results : results.getFirst();
  }

  /** What kind a model is shows only when it is open. */
  private static void refuse(
      String modelId, String option, boolean set, String meantFor, String kind) {
    if (set) {
      throw new IllegalArgumentException(
          "[" + option + "] is an option of " + meantFor + ", but [" + modelId + "] is a " + kind);
    }
  }
}
