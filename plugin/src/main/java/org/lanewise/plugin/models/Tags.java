package org.lanewise.plugin.models;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import org.lanewise.encoder.TextTagger.Entity;
import org.lanewise.encoder.head.ClassScores;
import org.lanewise.encoder.head.ClassScores.ClassScore;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;

/** What a tagger or a classifier says of one text. */
public sealed interface Tags {

  /**
   * Returns what remains.
   *
   * @param threshold the least probability
   * @param classes whether a class is wanted
   * @param topClasses how many classes a classifier shall list beside its choice; all if negative
   */
  Tags keep(double threshold, Predicate<String> classes, int topClasses);

  /**
   * Returns the answer as a document or a response holds it; the caller may change it.
   *
   * @param name what the main part is called; empty for its usual name
   */
  Map<String, Object> fields(Optional<String> name);

  /**
   * The answer of a tagger.
   *
   * @param entities in the order of the text
   */
  record Entities(List<Entity> entities) implements Tags {
    /** Copies the list. */
    public Entities {
      entities = List.copyOf(entities);
    }

    @Override
    public Entities keep(double threshold, Predicate<String> classes, int topClasses) {
      return new Entities(
          entities.stream()
              .filter(each -> each.probability() >= threshold && classes.test(each.label()))
              .toList());
    }

    @Override
    public Map<String, Object> fields(Optional<String> name) {
      List<Object> list = new ArrayList<>();
      entities.forEach(entity -> list.add(fields(entity)));
      Map<String, Object> fields = new LinkedHashMap<>();
      fields.put(name.orElse("entities"), list);
      return fields;
    }

    /** Returns one entity as a document or a response holds it. */
    public static Map<String, Object> fields(Entity entity) {
      Map<String, Object> fields = new LinkedHashMap<>();
      fields.put("entity", entity.text());
      fields.put("class_name", entity.label());
      fields.put("class_probability", entity.probability());
      fields.put("start_pos", entity.start());
      fields.put("end_pos", entity.end());
      return fields;
    }
  }

  /**
   * The answer of a classifier.
   *
   * @param predicted the most probable class; empty where it is not wanted
   * @param chosen the classes that the text has, the best first, as far as they are wanted; empty
   *     where a text has exactly one
   * @param top the most probable classes, the best first, as far as they are wanted
   */
  record Classes(
      Optional<ClassScore> predicted, Optional<List<ClassScore>> chosen, List<ClassScore> top)
      implements Tags {
    /** Copies the lists. */
    public Classes {
      chosen = chosen.map(List::copyOf);
      top = List.copyOf(top);
    }

    /** Returns all that scores say. */
    static Classes of(ClassScores scores) {
      List<ClassScore> best = scores.top(-1);
      return new Classes(
          best.stream().findFirst(),
          scores.choice() == Choice.MULTI_LABEL ? Optional.of(scores.chosen()) : Optional.empty(),
          best);
    }

    @Override
    public Classes keep(double threshold, Predicate<String> classes, int topClasses) {
      Predicate<ClassScore> wanted =
          each -> each.probability() >= threshold && classes.test(each.name());
      return new Classes(
          predicted.filter(wanted),
          chosen.map(list -> list.stream().filter(wanted).toList()),
          top.stream().filter(wanted).limit(topClasses < 0 ? top.size() : topClasses).toList());
    }

    @Override
    public Map<String, Object> fields(Optional<String> name) {
      Map<String, Object> fields = new LinkedHashMap<>();
      predicted.ifPresent(
          best -> {
            fields.put(name.orElse("predicted_value"), best.name());
            fields.put("prediction_probability", best.probability());
          });
      chosen.ifPresent(
          list -> {
            List<Object> names = new ArrayList<>();
            list.forEach(each -> names.add(each.name()));
            fields.put("predicted_values", names);
          });
      if (!top.isEmpty()) {
        List<Object> list = new ArrayList<>();
        for (ClassScore each : top) {
          Map<String, Object> entry = new LinkedHashMap<>();
          entry.put("class_name", each.name());
          entry.put("class_probability", each.probability());
          list.add(entry);
        }
        fields.put("top_classes", list);
      }
      return fields;
    }
  }
}
