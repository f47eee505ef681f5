package org.lanewise.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.concurrent.Callable;
import org.lanewise.encoder.TextEmbedder;
import org.lanewise.encoder.TextReranker;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code lanewise rerank}: pairs of texts to scores. */
@Command(
    name = "rerank",
    description = {
      "Scores how well each pair answers its text, as a cross-encoder of sentence-transformers"
          + " does. Texts are JSON lines: --jsonl with {\"text\": \"query\", \"pair\": \"text\"}.",
      "Answers, one line per pair: {\"score\":x}"
    })
final class RerankCommand implements Callable<Integer> {
  private final Streams streams;

  @Mixin private EmbedderArguments arguments;
  @Mixin private InputLines.Options input;

  RerankCommand(Streams streams) {
    this.streams = streams;
  }

  @Override
  public Integer call() throws IOException {
    try (InputLines lines = input.open(streams);
        TextEmbedder encoder = arguments.open(arguments.options());
        JsonGenerator json = streams.json()) {
      TextReranker reranker = TextReranker.over(encoder);
      lines.answer(
          streams,
          json,
          chunk -> {
            float[] scores =
                reranker.score(
                    chunk.stream().map(InputLines.Input::text).toList(),
                    chunk.stream().map(RerankCommand::second).toList());
            for (float score : scores) {
              json.writeStartObject();
              json.writeNumberField("score", score);
              json.writeEndObject();
              Streams.endLine(json);
            }
          });
      return 0;
    } finally {
      streams.progress("");
    }
  }

  private static String second(InputLines.Input input) {
    return input
        .pair()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "the text ["
                        + input.text()
                        + "] has no [pair], expected pairs: --jsonl with {\"text\", \"pair\"}"));
  }
}
