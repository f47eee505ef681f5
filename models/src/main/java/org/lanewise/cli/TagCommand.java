package org.lanewise.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import org.lanewise.encoder.TextTagger;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code lanewise tag}: texts to spans, or to a tag for each word. */
@Command(
    name = "tag",
    description = {
      "Finds the spans of each text, or tags its words; offsets count UTF-16 units of the text.",
      "Answers, one line per text: {\"entities\":[{\"entity\",\"class_name\","
          + "\"class_probability\",\"start_pos\",\"end_pos\"},...]}"
    })
final class TagCommand implements Callable<Integer> {
  private final Streams streams;

  @Mixin private SequenceModelArguments arguments;
  @Mixin private InputLines.Options input;

  TagCommand(Streams streams) {
    this.streams = streams;
  }

  @Override
  public Integer call() throws IOException {
    try (InputLines lines = input.open(streams);
        Encoders encoders = arguments.encoders();
        TextTagger tagger = TextTagger.open(arguments.path(), arguments.options(), encoders);
        JsonGenerator json = streams.json()) {
      lines.answer(
          streams,
          json,
          chunk -> {
            List<String> texts = chunk.stream().map(InputLines.Input::single).toList();
            for (List<TextTagger.Entity> entities : tagger.tag(texts)) {
              write(json, entities);
            }
          });
      return 0;
    } finally {
      streams.progress("");
    }
  }

  private static void write(JsonGenerator json, List<TextTagger.Entity> entities)
      throws IOException {
    json.writeStartObject();
    json.writeArrayFieldStart("entities");
    for (TextTagger.Entity entity : entities) {
      json.writeStartObject();
      json.writeStringField("entity", entity.text());
      json.writeStringField("class_name", entity.label());
      json.writeNumberField("class_probability", entity.probability());
      json.writeNumberField("start_pos", entity.start());
      json.writeNumberField("end_pos", entity.end());
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeEndObject();
    Streams.endLine(json);
  }
}
