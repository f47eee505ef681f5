package org.lanewise.benchmarks.retrieval;

import java.util.stream.Stream;
import org.lanewise.encoder.Prompts;

/** Which of a model's prompts belong to queries and to documents: sentence-transformers' rule. */
final class ModelPrompts {
  private ModelPrompts() {}

  /** Returns the prompt {@code query}, the default one where there is none. */
  static String query(Prompts prompts) {
    return first(prompts, "query");
  }

  /** Returns the first that there is of {@code document}, {@code passage}, {@code corpus}. */
  static String document(Prompts prompts) {
    return first(prompts, "document", "passage", "corpus");
  }

  private static String first(Prompts prompts, String... names) {
    return Stream.of(names)
        .filter(prompts.byName()::containsKey)
        .findFirst()
        .map(prompts::named)
        .orElseGet(prompts::byDefault);
  }
}
