package org.lanewise.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import org.lanewise.encoder.TextClassifier;
import org.lanewise.encoder.head.ClassScores;
import org.lanewise.encoder.model.SequenceModelConfig.Choice;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lanewise classify}: texts to classes. */
@Command(
    name = "classify",
    description = {
      "Says to which class each text belongs.",
      "Answers, one line per text: {\"predicted_value\",\"prediction_probability\","
          + "\"top_classes\":[{\"class_name\",\"class_probability\"},...]}; of models that give any"
          + " number of classes also \"predicted_values\", those of probability 0.5 or more."
    })
final class ClassifyCommand implements Callable<Integer> {
  private final Streams streams;

  @Mixin private SequenceModelArguments arguments;
  @Mixin private InputLines.Options input;

  @Option(
      names = "--top",
      paramLabel = "N",
      description =
          "Answers the N most probable classes as top_classes, all if negative; 5 unless given.")
  private int top = 5;

  ClassifyCommand(Streams streams) {
    this.streams = streams;
  }

  @Override
  public Integer call() throws IOException {
    try (InputLines lines = input.open(streams);
        Encoders encoders = arguments.encoders();
        TextClassifier classifier =
            TextClassifier.open(arguments.path(), arguments.options(), encoders);
        JsonGenerator json = streams.json()) {
      lines.answer(
          streams,
          json,
          chunk -> {
            List<ClassScores> answers =
                classifier.classify(
                    chunk.stream().map(InputLines.Input::text).toList(),
                    chunk.stream().map(InputLines.Input::pair).toList());
            for (ClassScores scores : answers) {
              write(json, scores);
            }
          });
      return 0;
    } finally {
      streams.progress("");
    }
  }

  private void write(JsonGenerator json, ClassScores scores) throws IOException {
    ClassScores.ClassScore best = scores.top(1).getFirst();
    json.writeStartObject();
    json.writeStringField("predicted_value", best.name());
    json.writeNumberField("prediction_probability", best.probability());
    if (scores.choice() == Choice.MULTI_LABEL) {
      json.writeArrayFieldStart("predicted_values");
      for (ClassScores.ClassScore score : scores.chosen()) {
        json.writeString(score.name());
      }
      json.writeEndArray();
    }
    json.writeArrayFieldStart("top_classes");
    for (ClassScores.ClassScore score : scores.top(top)) {
      json.writeStartObject();
      json.writeStringField("class_name", score.name());
      json.writeNumberField("class_probability", score.probability());
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeEndObject();
    Streams.endLine(json);
  }
}
