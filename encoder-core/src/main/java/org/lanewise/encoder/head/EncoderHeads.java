package org.lanewise.encoder.head;

import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.lanewise.encoder.backend.Activation;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;

/**
 * The heads that the weights of a model directory have.
 *
 * @param plans the heads that can be used
 * @param problems why the others cannot: what is missing, and the cure
 * @param labels names of the classes or tags, {@code id2label} of config.json
 * @param choice how many classes a text has, by {@code problem_type}
 * @param scoreActivation what turns the one output of a cross-encoder into its score
 */
public record EncoderHeads(
    Map<HeadKind, HeadPlan> plans,
    Map<HeadKind, String> problems,
    List<String> labels,
    Choice choice,
    Activation scoreActivation) {
  /** Copies the lists and maps. */
  public EncoderHeads {
    plans = copy(plans);
    problems = copy(problems);
    labels = List.copyOf(labels);
  }

  private static <T> Map<HeadKind, T> copy(Map<HeadKind, T> map) {
    Map<HeadKind, T> copy = new EnumMap<>(HeadKind.class);
    copy.putAll(map);
    return Collections.unmodifiableMap(copy);
  }

  /**
   * Returns the head.
   *
   * @throws IllegalArgumentException saying why there is none, which heads there are, and the cure
   */
  public HeadPlan require(HeadKind kind) {
    HeadPlan plan = plans.get(kind);
    if (plan == null) {
      throw new IllegalArgumentException(
          "it has no ["
              + kind.label()
              + "] head: "
              + problems.get(kind)
              + "; heads found: "
              + plans.keySet().stream().map(HeadKind::label).toList());
    }
    return plan;
  }
}
