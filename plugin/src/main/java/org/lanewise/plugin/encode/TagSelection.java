package org.lanewise.plugin.encode;

import java.util.Set;
import org.lanewise.plugin.models.Tagger;
import org.lanewise.plugin.models.Tags;

/**
 * What is wanted of the answers of a tagger or classifier.
 *
 * @param threshold the least probability of an entity or a class, from 0 to 1
 * @param classes the classes that are wanted; all where it is empty
 * @param topClasses how many classes a classifier shall list beside its choice; all if negative
 */
public record TagSelection(double threshold, Set<String> classes, int topClasses) {

  /** Copies the classes. */
  public TagSelection {
    classes = Set.copyOf(classes);
  }

  /** Throws where a class is wanted that the model does not know. */
  void check(String modelId, Tagger tagger) {
    for (String name : classes) {
      if (!tagger.classes().contains(name)) {
        throw new IllegalArgumentException(
            "label ["
                + name
                + "] is not one of the labels of model ["
                + modelId
                + "], which are "
                + tagger.classes());
      }
    }
  }

  /** Returns what is wanted of an answer. */
  Tags of(Tags tags) {
    return tags.keep(threshold, name -> classes.isEmpty() || classes.contains(name), topClasses);
  }
}
