package org.lanewise.benchmarks;

import java.util.List;
import org.lanewise.encoder.EncodedText;

/**
 * Texts that every contender turns into vectors.
 *
 * @param name what tables call it
 * @param texts the texts
 * @param encoded their tokens, special ones included
 * @param fromStrings whether tokenizing is part of the work
 */
record Workload(String name, List<String> texts, List<EncodedText> encoded, boolean fromStrings) {
  Workload {
    texts = List.copyOf(texts);
    encoded = List.copyOf(encoded);
  }

  /** Returns the tokens of all texts. */
  long tokens() {
    return encoded.stream().mapToLong(EncodedText::length).sum();
  }

  /** Returns whether it is one text, whose latency counts. */
  boolean single() {
    return texts.size() == 1;
  }
}
