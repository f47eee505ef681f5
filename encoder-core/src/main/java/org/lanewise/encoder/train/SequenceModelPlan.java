package org.lanewise.encoder.train;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.lanewise.encoder.backend.RecurrentCell;
import org.lanewise.encoder.model.RecurrentConfig;
import org.lanewise.encoder.model.SequenceInput;
import org.lanewise.encoder.model.SequenceModelConfig;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;

/**
 * What a model is made of, as options ask and the training data call for it.
 *
 * @param config inputs, sizes and labels
 * @param vocabularies for each input the spellings of rows 1, 2 and so on; empty where it has none
 */
record SequenceModelPlan(SequenceModelConfig config, List<List<String>> vocabularies) {
  /** Returns the plan; labels in the order in which they first appear. */
  static SequenceModelPlan of(TrainingOptions options, TrainingData data, List<Example> examples) {
    TrainingOptions.Inputs chosen = options.inputs();
    List<SequenceInput> inputs = new ArrayList<>();
    List<List<String>> vocabularies = new ArrayList<>();
    if (chosen.wordSize() > 0) {
      inputs.add(new SequenceInput.WordVectors(chosen.wordSize(), chosen.lowercase()));
      Map<String, Integer> words = words(examples, chosen.lowercase());
      vocabularies.add(frequent(words, chosen.minCount()));
    }
    if (chosen.characterSize() > 0) {
      RecurrentConfig recurrent =
          new RecurrentConfig(
              RecurrentCell.LSTM, chosen.characterSize(), chosen.characterHiddenSize(), 1, true);
      inputs.add(new SequenceInput.Characters(chosen.characterSize(), recurrent));
      vocabularies.add(frequent(characters(words(examples, false)), chosen.minCount()));
    }
    data.staticVectors()
        .ifPresent(
            vectors -> {
              inputs.add(new SequenceInput.StaticVectors(vectors.size(), vectors.lowercase()));
              vocabularies.add(vectors.words());
            });
    data.encoder()
        .ifPresent(
            encoder -> {
              for (int layer : encoder.layers()) {
                inputs.add(
                    new SequenceInput.EncoderVectors(
                        encoder.size(), encoder.model(), layer, encoder.fingerprint()));
                vocabularies.add(List.of());
              }
            });
    if (inputs.isEmpty()) {
      throw new IllegalArgumentException(
          "the model would read nothing: [word size] and [character size] are 0, and there are"
              + " neither static vectors nor an encoder");
    }
    TrainingOptions.Network network = options.network();
    RecurrentConfig recurrent =
        new RecurrentConfig(
            network.cell(),
            inputs.stream().mapToInt(SequenceInput::size).sum(),
            network.hiddenSize(),
            network.layers(),
            network.bidirectional());
    SequenceModelConfig config =
        new SequenceModelConfig(
            options.unit(),
            inputs,
            recurrent,
            options.head(),
            options.choice(),
            labels(examples, options.choice()));
    return new SequenceModelPlan(config, vocabularies);
  }

  /** Returns for each input the rows of its table, that of unknown words included. */
  List<Integer> rows() {
    List<Integer> rows = new ArrayList<>();
    for (int i = 0; i < vocabularies.size(); i++) {
      boolean table = !(config.inputs().get(i) instanceof SequenceInput.EncoderVectors);
      rows.add(table ? vocabularies.get(i).size() + 1 : 0);
    }
    return rows;
  }

  private static List<String> labels(List<Example> examples, Choice choice) {
    Set<String> labels = new LinkedHashSet<>();
    examples.forEach(example -> labels.addAll(example.labels()));
    // Without any class is a choice beside one.
    int least = choice == Choice.MULTI_LABEL ? 1 : 2;
    if (labels.size() < least) {
      throw new IllegalArgumentException(
          "the training data have the labels "
              + labels
              + " in "
              + examples.size()
              + " texts, expected at least "
              + least
              + (least == 1 ? " label" : " labels"));
    }
    return List.copyOf(labels);
  }

  private static Map<String, Integer> words(List<Example> examples, boolean lowercase) {
    Map<String, Integer> counts = new HashMap<>();
    for (Example example : examples) {
      for (int i = 0; i < example.text().words(); i++) {
        String word = example.text().word(i);
        counts.merge(lowercase ? word.toLowerCase(Locale.ROOT) : word, 1, Integer::sum);
      }
    }
    return counts;
  }

  private static Map<String, Integer> characters(Map<String, Integer> words) {
    Map<String, Integer> counts = new HashMap<>();
    words.forEach(
        (word, count) ->
            word.codePoints()
                .forEach(point -> counts.merge(Character.toString(point), count, Integer::sum)));
    return counts;
  }

  /** The most frequent first; those that are equally frequent by spelling. */
  private static List<String> frequent(Map<String, Integer> counts, int minCount) {
    return counts.entrySet().stream()
        .filter(entry -> entry.getValue() >= minCount)
        .sorted(
            Map.Entry.<String, Integer>comparingByValue(Comparator.reverseOrder())
                .thenComparing(Map.Entry.comparingByKey()))
        .map(Map.Entry::getKey)
        .toList();
  }
}
