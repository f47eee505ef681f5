package org.lanewise.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.lanewise.encoder.SparseEmbedder;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.head.SparseVector;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lanewise sparse}: texts to weighted tokens. */
@Command(
    name = "sparse",
    description = {
      "Turns each text into weights of tokens by a masked language model, as SPLADE does.",
      "Answers, one line per text, the heaviest token first: {\"embedding\":{\"token\":weight,...}}"
    })
final class SparseCommand implements Callable<Integer> {
  private final Streams streams;

  @Mixin private EmbedderArguments arguments;
  @Mixin private InputLines.Options input;
  @Mixin private PromptChoice prompt;

  @Option(
      names = "--top-k",
      paramLabel = "N",
      description = "Keeps the N heaviest tokens; all unless given.")
  private int topK = SparseVector.Pruning.NONE.topK();

  @Option(
      names = "--max-ratio",
      paramLabel = "R",
      description = "Keeps tokens of at least this part of the heaviest one's weight, 0 to 1.")
  private double maxRatio;

  @Option(
      names = "--abs-value",
      paramLabel = "W",
      description = "Keeps tokens of at least this weight.")
  private double absValue;

  SparseCommand(Streams streams) {
    this.streams = streams;
  }

  @Override
  public Integer call() throws IOException {
    SparseVector.Pruning pruning = new SparseVector.Pruning(topK, maxRatio, absValue);
    try (InputLines lines = input.open(streams);
        TextEmbedder encoder = arguments.open(arguments.options());
        JsonGenerator json = streams.json()) {
      SparseEmbedder embedder = SparseEmbedder.over(encoder);
      String text = prompt.text(encoder.prompts());
      lines.answer(
          streams,
          json,
          chunk -> {
            List<SparseVector> vectors =
                embedder.embed(
                    chunk.stream().map(InputLines.Input::text).toList(),
                    chunk.stream().map(InputLines.Input::pair).toList(),
                    text);
            for (SparseVector vector : vectors) {
              write(json, embedder.tokens(vector.prune(pruning)));
            }
          });
      return 0;
    } finally {
      streams.progress("");
    }
  }

  private static void write(JsonGenerator json, Map<String, Float> tokens) throws IOException {
    json.writeStartObject();
    json.writeObjectFieldStart("embedding");
    for (Map.Entry<String, Float> token : tokens.entrySet()) {
      json.writeNumberField(token.getKey(), token.getValue());
    }
    json.writeEndObject();
    json.writeEndObject();
    Streams.endLine(json);
  }
}
