package org.lanewise.encoder.model;

import java.util.HashSet;
import java.util.List;

/**
 * What a tagger or classifier is made of: inputs, joined per word; a recurrent network over them;
 * and a head. Weights are named {@code inputs.N.*}, {@code recurrent.*} (as PyTorch names them),
 * {@code head.W} (labels, states) and {@code head.b}, {@code crf.start}, {@code crf.transitions},
 * {@code crf.end}, and {@code pooling.*} as {@code AttentionPooling} names them.
 *
 * @param unit what one step of the network reads
 * @param head what becomes of the states
 * @param labels names of tags or classes, in the order of the head's rows
 */
public record SequenceModelConfig(
    Unit unit,
    List<SequenceInput> inputs,
    RecurrentConfig recurrent,
    Head head,
    List<String> labels) {
  /** Copies the lists and checks that the parts fit together. */
  public SequenceModelConfig {
    inputs = List.copyOf(inputs);
    labels = List.copyOf(labels);
    if (inputs.isEmpty()) {
      throw new IllegalArgumentException("[inputs] is empty, expected at least 1");
    }
    long size = inputs.stream().mapToLong(SequenceInput::size).sum();
    if (size != recurrent.inputSize()) {
      throw new IllegalArgumentException(
          "the recurrent network reads "
              + recurrent.inputSize()
              + " numbers per word, expected the "
              + size
              + " of all inputs");
    }
    if (labels.isEmpty() || new HashSet<>(labels).size() != labels.size()) {
      throw new IllegalArgumentException(
          "[labels] are " + labels + ", expected at least one and no two alike");
    }
  }

  /** Returns whether the model tags words, where others classify texts. */
  public boolean tagger() {
    return head == Head.TAG_SOFTMAX || head == Head.TAG_CRF;
  }

  /** What one step of the network reads. */
  public enum Unit {
    /** A word of the segmenter. */
    WORD,
    /** A code point, white space included. */
    CHARACTER
  }

  /** What becomes of the states of a sequence. */
  public enum Head {
    /** A tag for each word, by softmax. */
    TAG_SOFTMAX,
    /** A tag for each word, by a linear-chain CRF with the constraints of the labels' scheme. */
    TAG_CRF,
    /** A class for the text, from the last states of both directions. */
    CLASS_LAST,
    /** A class for the text, from the mean of the states. */
    CLASS_MEAN,
    /** A class for the text, from the largest of each of the states. */
    CLASS_MAX,
    /** A class for the text, from additive attention over the states. */
    CLASS_ADDITIVE_ATTENTION,
    /** A class for the text, from scaled dot-product attention over the states. */
    CLASS_DOT_ATTENTION,
  }
}
