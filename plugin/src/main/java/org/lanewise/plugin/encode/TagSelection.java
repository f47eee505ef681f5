package org.lanewise.plugin.encode;

import java.util.List;
import java.util.Set;
import org.lanewise.plugin.models.Tags;

/**
 * What is wanted of the answers of a tagger or classifier.
 *
 * @param threshold the least probability of an entity or a class, from 0 to 1
 * @param classes the classes that are wanted; all where it is empty
 * @param topClasses how many classes a classifier shall list beside its choice; all if negative
 */
public record TagSelection(double threshold, Set<String> classes, int topClasses) {

  /** What an answer to a request holds that says nothing of it: enough to see what else may be. */
  public static final TagSelection USUAL = new TagSelection(0, Set.of(), 3);

  /** Copies the classes. */
  public TagSelection {
    classes = Set.copyOf(classes);
  }

  /**
   * Throws where a class is wanted that the model does not know.
   *
   * @param known the model's
   */
  static void check(String modelId, Set<String> wanted, List<String> known) {
    for (String name : wanted) {
      if (!known.contains(name)) {
        throw new IllegalArgumentException(
            "label ["
                + name
                + "] is not one of the labels of model ["
                + modelId
                + "], which are "
                + known);
      }
    }
  }

  /** Returns what is wanted of an answer. */
  public Tags of(Tags tags) {
    return tags.keep(threshold, name -> classes.isEmpty() || classes.contains(name), topClasses);
  }
}
