package org.lanewise.encoder.train;

import java.util.List;
import org.lanewise.encoder.tokenizer.SegmentedText;

/**
 * A labelled text.
 *
 * @param labels one for each word of a tagged text; one or more of a classified one
 */
public record Example(SegmentedText text, List<String> labels) {
  /** Copies the labels. */
  public Example {
    labels = List.copyOf(labels);
  }
}
