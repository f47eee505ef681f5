package org.lanewise.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.Locale;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import org.lanewise.encoder.train.Progress;
import org.lanewise.encoder.train.Trainer;
import org.lanewise.encoder.train.TrainingData;
import org.lanewise.encoder.train.TrainingOptions;

/**
 * The README.md of a trained model: what it is, what it was made from, how good it is.
 *
 * @param name of the model
 * @param license of the model, as its maker says
 */
record ModelCard(
    String name,
    String license,
    TrainingOptions options,
    TrainingData data,
    Trainer.Outcome outcome) {

  /** Writes the card into the outcome's directory. */
  void write() throws IOException {
    boolean tagger = TrainingOptions.tags(options.head());
    String card =
        String.format(
            Locale.ROOT,
            """
            ---
            license: "%s"
            library_name: lanewise
            pipeline_tag: %s
            ---
            # %s

            A %s of Lanewise: %s.

            ## Data

            | use | file or model | SHA-256 |
            |---|---|---|
            %s
            ## Scores on the dev data

            | score | value |
            |---|---|
            %s
            | label | precision | recall | F1 | expected |
            |---|---|---|---|---|
            %s
            ## Training

            %,d texts, %d epochs, of which epoch %d was the best, %,.0f seconds. `training.json` has all
            options and the learning curve:

            | epoch | loss | dev score |
            |---|---|---|
            %s
            ## Use

            ```
            java -jar lanewise.jar %s --model %s
            ```
            """,
            license.replace("\\", "\\\\").replace("\"", "\\\""),
            tagger ? "token-classification" : "text-classification",
            name,
            tagger ? "tagger" : "classifier",
            network(),
            rows(
                data.sources().stream()
                    .map(each -> List.of(each.use(), each.name(), each.sha256()))
                    .toList()),
            rows(scores()),
            rows(labels()),
            data.examples().size(),
            outcome.epochs().size(),
            outcome.best(),
            outcome.seconds(),
            rows(outcome.epochs().stream().map(ModelCard::row).toList()),
            tagger ? "tag" : "classify",
            name);
    Files.writeString(outcome.model().resolve("README.md"), card);
  }

  private String network() {
    TrainingOptions.Network network = options.network();
    return String.format(
        Locale.ROOT,
        "%s, %d layer%s of %d%s, head %s%s",
        lower(network.cell()),
        network.layers(),
        network.layers() == 1 ? "" : "s",
        network.hiddenSize(),
        network.bidirectional() ? " in each direction" : "",
        lower(options.head()),
        options.choice() == Choice.MULTI_LABEL ? ", any number of classes" : "");
  }

  private static String lower(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  private List<List<String>> scores() {
    return outcome.judgement().details().properties().stream()
        .filter(score -> score.getValue().isNumber())
        .map(score -> List.of(score.getKey(), number(score.getValue())))
        .toList();
  }

  private List<List<String>> labels() {
    return outcome.judgement().details().path("per_label").properties().stream()
        .map(
            label ->
                List.of(
                    label.getKey(),
                    number(label.getValue().path("precision")),
                    number(label.getValue().path("recall")),
                    number(label.getValue().path("f1")),
                    number(label.getValue().path("expected"))))
        .toList();
  }

  private static List<String> row(Progress.Epoch epoch) {
    return List.of(
        Integer.toString(epoch.number()),
        String.format(Locale.ROOT, "%.4f", epoch.loss()),
        String.format(Locale.ROOT, "%.4f", epoch.score()));
  }

  private static String number(JsonNode number) {
    return number.isIntegralNumber()
        ? number.asText()
        : String.format(Locale.ROOT, "%.4f", number.doubleValue());
  }

  private static String rows(List<List<String>> rows) {
    StringBuilder table = new StringBuilder();
    for (List<String> row : rows) {
      table.append("| ").append(String.join(" | ", row)).append(" |\n");
    }
    return table.toString();
  }
}
