package org.lanewise.encoder.train;

import java.util.List;
import java.util.Set;
import org.lanewise.encoder.tokenizer.SegmentedText;

/**
 * A labelled text.
 *
 * @param labels one for each word of a tagged text; of a classified one one, or any number where a
 *     text may have so many classes
 * @param unlabelled classes of spans that its annotators did not mark: where the labels say O,
 *     there may be one of these
 */
public record Example(SegmentedText text, List<String> labels, Set<String> unlabelled) {
  /** Copies labels and classes. */
  public Example {
    labels = List.copyOf(labels);
    unlabelled = Set.copyOf(unlabelled);
  }

  /** Labels a text with all that there is in it. */
  public Example(SegmentedText text, List<String> labels) {
    this(text, labels, Set.of());
  }
}
