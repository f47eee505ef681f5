package org.lanewise.benchmarks.retrieval;

import java.util.Comparator;

/**
 * A document that a search found.
 *
 * @param document its place in the collection
 * @param score larger is better
 */
public record Hit(int document, float score) {
  /** The best first; of equal ones, as {@link TestCollection} orders documents. */
  static final Comparator<Hit> BEST_FIRST =
      Comparator.comparingDouble(Hit::score).reversed().thenComparingInt(Hit::document);
}
