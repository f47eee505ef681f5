package org.lanewise.encoder.model;

import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a tagger or classifier is made of: inputs, joined per word; a recurrent network over them;
 * and a head. Weights are named {@code inputs.N.*}, {@code recurrent.*} (as PyTorch names them),
 * {@code head.W} (labels, states) and {@code head.b}, {@code crf.start}, {@code crf.transitions},
 * {@code crf.end}, and {@code pooling.*} as {@code AttentionPooling} names them.
 *
 * @param unit what one step of the network reads
 * @param head what becomes of the states
 * @param choice how many classes a classifier gives a text; of a tagger, one for each word
 * @param labels names of tags or classes, in the order of the head's rows
 */
public record SequenceModelConfig(
    Unit unit,
    List<SequenceInput> inputs,
    RecurrentConfig recurrent,
    Head head,
    Choice choice,
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
    if (choice == Choice.MULTI_LABEL && (head == Head.TAG_SOFTMAX || head == Head.TAG_CRF)) {
      throw new IllegalArgumentException(
          "[choice] is multi_label, which is for classifiers, but [head] is that of a tagger");
    }
  }

  /** Configures a tagger, or a classifier of which a text gets exactly one class. */
  public SequenceModelConfig(
      Unit unit,
      List<SequenceInput> inputs,
      RecurrentConfig recurrent,
      Head head,
      List<String> labels) {
    this(unit, inputs, recurrent, head, Choice.MULTI_CLASS, labels);
  }

  /** Returns whether the model tags words, where others classify texts. */
  public boolean tagger() {
    return head == Head.TAG_SOFTMAX || head == Head.TAG_CRF;
  }

  /**
   * Returns the shape of every weight by its name.
   *
   * @param rows for each input the rows of its table of words or characters, the one for unknown
   *     ones included; 0 where it has none
   * @param attentionSize rows of {@code pooling.W} for additive attention
   */
  public Map<String, List<Long>> weightShapes(List<Integer> rows, int attentionSize) {
    Map<String, List<Long>> shapes = new LinkedHashMap<>();
    for (int i = 0; i < inputs.size(); i++) {
      String name = "inputs." + i + ".";
      long table = rows.get(i);
      switch (inputs.get(i)) {
        case SequenceInput.WordVectors words ->
            shapes.put(name + "weight", List.of(table, (long) words.size()));
        case SequenceInput.StaticVectors words ->
            shapes.put(name + "weight", List.of(table, (long) words.size()));
        case SequenceInput.Characters characters -> {
          shapes.put(name + "embedding.weight", List.of(table, (long) characters.embeddingSize()));
          characters
              .recurrent()
              .weightShapes()
              .forEach((weight, shape) -> shapes.put(name + "recurrent." + weight, shape));
        }
        case SequenceInput.EncoderVectors vectors -> {}
      }
    }
    recurrent.weightShapes().forEach((name, shape) -> shapes.put("recurrent." + name, shape));
    long states = recurrent.outputSize();
    long classes = labels.size();
    shapes.put("head.W", List.of(classes, states));
    shapes.put("head.b", List.of(classes));
    switch (head) {
      case TAG_CRF -> {
        shapes.put("crf.start", List.of(classes));
        shapes.put("crf.transitions", List.of(classes, classes));
        shapes.put("crf.end", List.of(classes));
      }
      case CLASS_ADDITIVE_ATTENTION -> {
        shapes.put("pooling.W", List.of((long) attentionSize, states));
        shapes.put("pooling.b", List.of((long) attentionSize));
        shapes.put("pooling.v", List.of((long) attentionSize));
      }
      case CLASS_DOT_ATTENTION -> shapes.put("pooling.u", List.of(states));
      case TAG_SOFTMAX, CLASS_LAST, CLASS_MEAN, CLASS_MAX -> {}
    }
    return shapes;
  }

  /** What one step of the network reads. */
  public enum Unit {
    /** A word of the segmenter. */
    WORD,
    /** A code point, white space included. */
    CHARACTER
  }

  /** How many classes a text has. */
  public enum Choice {
    /** Exactly one: softmax. */
    MULTI_CLASS,
    /** Any number: a sigmoid for each class. */
    MULTI_LABEL
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
